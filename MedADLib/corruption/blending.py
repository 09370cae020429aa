"""Blend patches of other scans into healthy slices (FPI, PII).

What a corruption makes of healthy slices.

Two ways to blend a foreign picture into a healthy slice: linear (FPI) and by gradients (PII).

A patch of another healthy scan, blended into a slice: FPI, PII, and the first half of DISYRE's corruption.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from .poisson import differences, solve

# Standard intensities lie between these.
LOWEST, HIGHEST = 0.0, 1.5

# Pixels closer than this are the same: nobody could say that they were replaced.
SAME = 1e-3


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


def blend_linearly(
    images: torch.Tensor, foreign: torch.Tensor, degree: torch.Tensor, tissue: torch.Tensor
) -> Corrupted:
    """x̃ = (1 − α) x + α y; foreign patch interpolation (FPI; Tan, Hou, Batten, Qiu and Kainz 2020).

    Args:
        images: x, (N, 1, Y, X).
        foreign: y, (N, 1, Y, X).
        degree: α of each pixel, 0 where nothing is to be blended in, (N, 1, Y, X).
        tissue: Pixels that may change, (N, 1, Y, X), 0 or 1.

    Returns:
        The blend, and as target α where x and y differ, else 0.
    """
    difference = foreign - images
    degree = degree * tissue * (difference.abs() > SAME)
    return Corrupted(images + degree * difference, degree)


def blend_by_gradients(
    images: torch.Tensor, foreign: torch.Tensor, degree: torch.Tensor, tissue: torch.Tensor
) -> Corrupted:
    """Poisson image interpolation (PII; Tan, Hou, Day, Simpson, Rueckert and Kainz 2021).

    Δx̃ = div v inside the patch, x̃ = x on its boundary, and v between two neighbours is the larger in size of
    (1 − α)∇x and α∇y. Without the seam of linear blending, what is left to see is the foreign structure itself.

    Args:
        images: x, (N, 1, Y, X).
        foreign: y, (N, 1, Y, X).
        degree: α of each pixel, (N, 1, Y, X); between two pixels, the larger of theirs counts.
        tissue: Pixels that may change and whose values may be a boundary, (N, 1, Y, X), 0 or 1. The step to other
            pixels, such as the background's, is no tissue's gradient and is left out.

    Returns:
        The blend, within the standard intensities, and α as target; 0 in slices whose patch is the same in both.
    """
    differs = ((foreign - images).abs() > SAME) & (degree > 0)
    degree = degree * tissue * differs.any(dim=(1, 2, 3), keepdim=True)
    between = (
        torch.maximum(degree[:, :, 1:], degree[:, :, :-1]),
        torch.maximum(degree[..., 1:], degree[..., :-1]),
    )
    guidance = []
    for share, own, other in zip(between, differences(images, tissue), differences(foreign, tissue)):
        own, other = (1 - share) * own, share * other
        guidance.append(torch.where(other.abs() > own.abs(), other, own))
    blend = solve(images, (degree > 0).to(images.dtype), tissue, (guidance[0], guidance[1]))
    return Corrupted(torch.where(degree > 0, blend.clamp(LOWEST, HIGHEST), images), degree)


Blend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], Corrupted]
BLENDINGS: dict[str, Blend] = {"linear": blend_linearly, "poisson": blend_by_gradients}


def paste_foreign(
    images: torch.Tensor,
    masks: torch.Tensor,
    foreign: torch.Tensor,
    foreign_masks: torch.Tensor,
    shapes: torch.Tensor,
    degrees: torch.Tensor,
    blend: Blend = blend_linearly,
) -> Corrupted:
    """Blend foreign tissue into healthy slices.

    Only where both slices hold brain: a patch of the other's background would be a black hole that needs no learning
    to be found.

    Args:
        images: Healthy slices, (N, 1, Y, X).
        masks: Their brains, (N, 1, Y, X), 0 or 1.
        foreign: Slices of other scans at the same height, (N, 1, Y, X).
        foreign_masks: Their brains, (N, 1, Y, X), 0 or 1.
        shapes: Where, (N, 1, Y, X), 0 to 1, as from `shapes`.
        degrees: α, (N,), 0 to 1.
        blend: How.

    Returns:
        The corrupted slices, with α times the shape as target where the slices differ.
    """
    return blend(images, foreign, for_each(degrees, images) * shapes, masks * foreign_masks)


def matched(foreign: torch.Tensor, images: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """The foreign slices with the darkest and the brightest pixel inside brought to those of the images.

    Args:
        foreign: (N, 1, Y, X).
        images: (N, 1, Y, X).
        inside: Pixels that count, (N, 1, Y, X), 0 where they do not.

    Returns:
        Of the same shape; unchanged where nothing is inside or all foreign pixels there are the same.
    """
    (low, high), (least, most) = _range(foreign, inside), _range(images, inside)
    usable = (high > low) & (low < math.inf)
    gain = torch.where(usable, (most - least) / (high - low), 1)
    return torch.where(usable, (foreign - low) * gain + least, foreign)


def _range(values: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    low = torch.where(inside > 0, values, math.inf).amin(dim=(1, 2, 3), keepdim=True)
    return low, torch.where(inside > 0, values, -math.inf).amax(dim=(1, 2, 3), keepdim=True)
