"""Where a synthetic anomaly is: squares, or smooth random shapes."""

from __future__ import annotations

import math

import torch
from torch.nn.functional import interpolate

from .corrupted import uniform

# The middle part of the brain's box that holds all centres. The recipe's 50 % of the picture is about this much of
# the brain that it shows.
CENTRAL = 0.8
# Radii as parts of the brain's box. For the same reason, the squares' are the recipe's 5 to 20 % of the picture.
SQUARES, BLOBS = (0.08, 0.32), (0.05, 0.2)
EDGE = 2.0
WAVES = 8
STRETCH, ROUGHNESS = 0.35, 0.35


def squares(masks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One square a slice, as in FPI (Tan et al. 2020): its half-width is 8 to 32 % of the brain's box.

    Args:
        masks: Brain, (N, 1, Y, X), 0 or 1.
        generator: Source of randomness.

    Returns:
        1 inside the square and the brain, else 0; (N, 1, Y, X).
    """
    down, across, radius = _places(masks, generator, SQUARES)
    return ((down.abs() <= radius.round()) & (across.abs() <= radius.round())).to(masks.dtype) * masks


def blobs(masks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One smooth random shape a slice: an ellipse at any angle whose outline a random field bends.

    Args:
        masks: Brain, (N, 1, Y, X), 0 or 1.
        generator: Source of randomness.

    Returns:
        1 inside the shape, falling to 0 over two pixels at its outline, 0 outside the brain; (N, 1, Y, X).
    """
    down, across, radius = _places(masks, generator, BLOBS)
    count, _, height, width = masks.shape
    angle = uniform(count, generator, 0, math.pi)
    stretch = torch.exp(uniform(count, generator, -STRETCH, STRETCH))
    along = (down * torch.cos(angle) + across * torch.sin(angle)) * stretch
    aside = (across * torch.cos(angle) - down * torch.sin(angle)) / stretch
    coarse = torch.randn(count, 1, WAVES, WAVES, generator=generator)
    waves = interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    inside = radius - torch.sqrt(along.square() + aside.square()) * torch.exp(ROUGHNESS * waves)
    share = (0.5 + inside / EDGE).clamp(0, 1)
    return share * share * (3 - 2 * share) * masks


def _places(
    masks: torch.Tensor, generator: torch.Generator, radii: tuple[float, float]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Distances of all pixels from a random centre, down and across, and a random radius, in pixels."""
    count = len(masks)
    offsets, sides = [], []
    for axis in (2, 3):
        occupied = masks.amax(dim=5 - axis, keepdim=True) > 0
        pixels = torch.arange(masks.shape[axis], dtype=masks.dtype, device=masks.device)
        pixels = pixels.view([-1 if axis == other else 1 for other in range(4)])
        first = torch.where(occupied, pixels, math.inf).amin(dim=axis, keepdim=True)
        last = torch.where(occupied, pixels, -math.inf).amax(dim=axis, keepdim=True)
        # A slice without brain gets a place all the same; the mask leaves nothing of it.
        side = (last - first + 1).clamp_min(1).nan_to_num(posinf=1)
        first = first.nan_to_num(posinf=0)
        part = 0.5 + CENTRAL * (uniform(count, generator) - 0.5)
        offsets.append(pixels - (first + part * side - 0.5).floor())
        sides.append(side)
    radius = uniform(count, generator, *radii) * torch.minimum(*sides)
    return offsets[0], offsets[1], radius.clamp_min(1)
