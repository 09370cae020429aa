"""Augmentation of healthy slices and volumes: random shape, brightness, sharpness and noise.

MONAI's random transforms take one image after the other; for 16 slices on a CPU they need four times the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch
from torch.nn.functional import affine_grid, avg_pool2d, avg_pool3d, grid_sample, interpolate


@dataclass(frozen=True)
class Augmentation:
    """Ranges of elastic, scale, flip, rotation, brightness, contrast, blur and noise (Naval Marimont and Tarroni 2021).

    Attributes:
        rotation: Largest rotation in degrees; for a volume, about each axis.
        shrink: Largest relative shrinking.
        grow: Largest relative growth.
        elastic: Standard deviation of the elastic displacement in pixels.
        shift: Largest shift in pixels.
        contrast: Largest relative change of contrast; half of it is the largest change of brightness.
        blur: Probability of a slight blur.
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
        """Augment images (standard intensities, 0 outside the brain) and masks (0 or 1) of one shape.

        The shape is (N, 1, Y, X) or (N, 1, Z, Y, X). The generator is the source of all randomness. With `mirrored`,
        a random half of the images is flipped, left to right.
        """
        grid = self._grid(images, generator, mirrored)
        both = grid_sample(
            torch.cat([images, masks], 1), grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        masks = (both[:, 1:] > 0.5).to(images.dtype)
        images = both[:, :1]
        each = (len(images), *[1] * (images.ndim - 1))
        gain = 1 + self.contrast * _signed(each, generator)
        offset = self.contrast * 0.5 * _signed(each, generator)
        images = (images - 0.5) * gain + 0.5 + offset
        average = avg_pool2d if images.ndim == 4 else avg_pool3d
        soft = average(images, 3, stride=1, padding=1, count_include_pad=False)
        images = torch.where(_uniform(each, generator) < self.blur, soft, images)
        level = self.noise * _uniform(each, generator)
        images = images + level * torch.randn(images.shape, generator=generator)
        return (images * masks).clamp(0, 1.5), masks

    def _grid(self, images: torch.Tensor, generator: torch.Generator, mirrored: bool) -> torch.Tensor:
        """Create the sampling grid (N, Y, X, 2) or (N, Z, Y, X, 3) of random affine maps and smooth displacements."""
        count, _, *size = images.shape
        axes = len(size)
        sides = torch.tensor(size[::-1])
        rows = torch.eye(axes).expand(count, -1, -1)
        for first, second in combinations(range(axes), 2):
            rows = rows @ _rotations(axes, first, second, torch.deg2rad(self.rotation * _signed((count,), generator)))
        scale = 1 / (1 - self.shrink + (self.shrink + self.grow) * _uniform((count,), generator))
        mirror = torch.where(_uniform((count,), generator) < 0.5 * mirrored, -1.0, 1.0)
        rows = rows * scale[:, None, None]
        rows[:, :, 0] *= mirror[:, None]
        shift = self.shift * torch.stack([_signed((count,), generator) for _ in range(axes)], -1)
        # The grid extends from -1 to 1 along every axis: without the ratio of lengths, rotations would shear.
        rows = rows * (sides[None, :] / sides[:, None])
        affine = torch.cat([rows, (shift * 2 / sides)[:, :, None]], 2)
        grid = affine_grid(affine, list(images.shape), align_corners=False)
        waves = torch.randn(count, axes, *[6] * axes, generator=generator) * self.elastic * 2 / size[-1]
        mode = "bicubic" if axes == 2 else "trilinear"
        return grid + interpolate(waves, size=size, mode=mode, align_corners=True).movedim(1, -1)


# For networks that reconstruct: healthy slices must stay easy to distinguish from anomalous ones.
GENTLE = Augmentation(rotation=3, shrink=0.05, grow=0.05, elastic=1.0, shift=2, contrast=0.05, blur=0.05, noise=0.01)


def _rotations(axes: int, first: int, second: int, angle: torch.Tensor) -> torch.Tensor:
    """Create matrices (N, axes, axes) that rotate by angles (N,) from one axis to another."""
    matrices = torch.eye(axes).repeat(len(angle), 1, 1)
    matrices[:, first, first] = matrices[:, second, second] = torch.cos(angle)
    matrices[:, second, first] = torch.sin(angle)
    matrices[:, first, second] = -matrices[:, second, first]
    return matrices


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.rand(shape, generator=generator)


def _signed(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return 2 * _uniform(shape, generator) - 1
