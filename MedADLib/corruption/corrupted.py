"""What a corruption makes of healthy slices."""

from __future__ import annotations

from dataclasses import dataclass

import torch

# Standard intensities lie between these.
LOWEST, HIGHEST = 0.0, 1.5


@dataclass(frozen=True, eq=False)
class Corrupted:
    """Corrupted slices.

    Attributes:
        images: (N, 1, Y, X); where the target is 0, the healthy slices bit for bit.
        target: How strongly each pixel was corrupted, (N, 1, Y, X), 0 to 1.
    """

    images: torch.Tensor
    target: torch.Tensor

    @property
    def level(self) -> torch.Tensor:
        """How strongly each slice was corrupted at its worst pixel, (N,); 0 where nothing came of it."""
        return self.target.amax(dim=(1, 2, 3))


def uniform(count: int, generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    """Random numbers (count, 1, 1, 1) between `low` and `high`, one a slice."""
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)


def for_each(degrees: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Degrees (N,) in the shape (N, 1, 1, 1), which slices can be multiplied with.

    Raises:
        ValueError: If there is not one for each slice.
    """
    if degrees.shape != (len(images),):
        raise ValueError(f"{len(images)} slices need as many degrees, not {tuple(degrees.shape)}")
    return degrees.view(-1, 1, 1, 1).to(images.dtype)
