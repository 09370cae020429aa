"""Blend patches of other scans into healthy slices, linearly (FPI) or by gradients (PII)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..errors import SettingError
from .poisson import differences, solve

# Range of standard intensities.
LOWEST, HIGHEST = 0.0, 1.5

# Pixels with a smaller difference count as equal: their replacement cannot be detected.
SAME = 1e-3


@dataclass(frozen=True, eq=False)
class Corrupted:
    """Corrupted slices.

    Attributes:
        images: (N, 1, Y, X); where the target is 0, the healthy slices bit for bit.
        target: Degree of corruption of each pixel, (N, 1, Y, X), 0 to 1.
    """

    images: torch.Tensor
    target: torch.Tensor


def uniform(count: int, generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    """Sample uniform numbers (count, 1, 1, 1) between `low` and `high`, one for each slice."""
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)


def for_each(degrees: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Reshape degrees (N,) to (N, 1, 1, 1), to multiply slices with them.

    Raises:
        ValueError: If there is not one degree for each slice.
    """
    if degrees.shape != (len(images),):
        raise SettingError("degrees_count", count=len(images), degrees=tuple(degrees.shape))
    return degrees.view(-1, 1, 1, 1).to(images.dtype)


def blend_linearly(
    images: torch.Tensor, foreign: torch.Tensor, degree: torch.Tensor, tissue: torch.Tensor
) -> Corrupted:
    """Blend x̃ = (1 − α) x + α y: foreign patch interpolation (FPI; Tan, Hou, Batten, Qiu and Kainz 2020).

    Args:
        images: x, (N, 1, Y, X).
        foreign: y, (N, 1, Y, X).
        degree: α of each pixel, (N, 1, Y, X); 0 outside the patch.
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
    """Blend by gradients: Poisson image interpolation (PII; Tan, Hou, Day, Simpson, Rueckert and Kainz 2021).

    Δx̃ = div v inside the patch, x̃ = x on its boundary, and v between two neighbours is (1 − α)∇x or α∇y, whichever
    has the larger magnitude. There is no seam as in linear blending, so only the foreign structure is visible.

    Args:
        images: x, (N, 1, Y, X).
        foreign: y, (N, 1, Y, X).
        degree: α of each pixel, (N, 1, Y, X); between two pixels, the larger of the two is used.
        tissue: Pixels that may change or be part of the boundary, (N, 1, Y, X), 0 or 1. Differences to other pixels,
            such as background, are not gradients of tissue and are excluded.

    Returns:
        The blend, within the standard intensities, and α as target; 0 in slices with equal patches in x and y.
    """
    differs = ((foreign - images).abs() > SAME) & (degree > 0)
    degree = degree * tissue * differs.any(dim=(1, 2, 3), keepdim=True)
    between = (torch.maximum(degree[:, :, 1:], degree[:, :, :-1]), torch.maximum(degree[..., 1:], degree[..., :-1]))
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

    Pixels change only where both slices contain brain: a patch of background would be a hole that is trivial to
    detect.

    Args:
        images: Healthy slices, (N, 1, Y, X).
        masks: Their brains, (N, 1, Y, X), 0 or 1.
        foreign: Slices of other scans at the same height, (N, 1, Y, X).
        foreign_masks: Their brains, (N, 1, Y, X), 0 or 1.
        shapes: Patches, (N, 1, Y, X), 0 to 1, from `shapes.squares` or `shapes.blobs`.
        degrees: α, (N,), 0 to 1.
        blend: Blending function.

    Returns:
        The corrupted slices, with α times the shape as target where the slices differ.
    """
    return blend(images, foreign, for_each(degrees, images) * shapes, masks * foreign_masks)
