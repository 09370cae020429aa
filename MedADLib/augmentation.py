"""Random changes of healthy slices that leave them healthy: shape, brightness, sharpness, noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import avg_pool2d, grid_sample, interpolate


@dataclass(frozen=True)
class Augmentation:
    """Ranges of elastic, scale, flip, rotation, brightness, contrast, blur and noise (Naval Marimont and Tarroni 2021).

    Attributes:
        rotation: Largest turn in degrees.
        shrink: Largest relative shrinking.
        grow: Largest relative growth.
        elastic: Standard deviation of the elastic displacement in pixels.
        shift: Largest shift in pixels.
        contrast: Largest relative change of contrast, and of brightness as a part of the intensity range.
        blur: Chance of a slight blur.
        noise: Largest standard deviation of added noise.
    """

    rotation: float = 5.0
    shrink: float = 0.15
    grow: float = 0.10
    elastic: float = 1.5
    shift: float = 4.0
    contrast: float = 0.15
    blur: float = 0.15
    noise: float = 0.03

    def __call__(
        self, images: torch.Tensor, masks: torch.Tensor, generator: torch.Generator, mirrored: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Change a batch.

        Args:
            images: (N, 1, Y, X), 0 outside the brain.
            masks: (N, 1, Y, X), 0 or 1.
            generator: Source of all randomness.
            mirrored: Whether every other slice is flipped, left to right.

        Returns:
            Images and masks of the same shapes.
        """
        grid = self._grid(images, generator, mirrored)
        both = grid_sample(
            torch.cat([images, masks], 1), grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        masks = (both[:, 1:] > 0.5).to(images.dtype)
        images = both[:, :1]
        count = len(images)
        gain = 1 + self.contrast * _signed(count, generator)
        offset = self.contrast * 0.5 * _signed(count, generator)
        images = (images - 0.5) * gain + 0.5 + offset
        soft = avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
        images = torch.where(_uniform(count, generator) < self.blur, soft, images)
        level = self.noise * _uniform(count, generator)
        images = images + level * torch.randn(images.shape, generator=generator)
        return (images * masks).clamp(0, 1.5), masks

    def _grid(self, images: torch.Tensor, generator: torch.Generator, mirrored: bool) -> torch.Tensor:
        """Sampling grid (N, Y, X, 2) of a random affine change plus a smooth random displacement."""
        count, _, height, width = images.shape
        angle = torch.deg2rad(self.rotation * _signed(count, generator)).view(-1)
        scale = 1 / (1 - self.shrink + (self.shrink + self.grow) * _uniform(count, generator)).view(-1)
        mirror = torch.where(_uniform(count, generator).view(-1) < 0.5 * mirrored, -1.0, 1.0)
        shift = self.shift * torch.stack([_signed(count, generator), _signed(count, generator)], -1).view(count, 2)
        rows = torch.stack(
            [
                torch.stack([torch.cos(angle) * scale * mirror, -torch.sin(angle) * scale], -1),
                torch.stack([torch.sin(angle) * scale * mirror, torch.cos(angle) * scale], -1),
            ],
            1,
        )
        offset = shift * 2 / torch.tensor([width, height])
        grid = torch.nn.functional.affine_grid(
            torch.cat([rows, offset[:, :, None]], 2), list(images.shape), align_corners=False
        )
        waves = torch.randn(count, 2, 6, 6, generator=generator) * self.elastic * 2 / width
        return grid + interpolate(waves, size=(height, width), mode="bicubic", align_corners=True).movedim(1, -1)


# For networks that reconstruct: what is healthy must stay easy to tell from what is not.
GENTLE = Augmentation(rotation=3, shrink=0.05, grow=0.05, elastic=1.0, shift=2, contrast=0.05, blur=0.05, noise=0.01)


def _uniform(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(count, 1, 1, 1, generator=generator)


def _signed(count: int, generator: torch.Generator) -> torch.Tensor:
    return 2 * _uniform(count, generator) - 1
