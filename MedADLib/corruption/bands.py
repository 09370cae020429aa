"""Bands of intensity that become darker or brighter, as tissue classes do in disease (of DISYRE's corruption)."""

from __future__ import annotations

import math

import torch
from torch.nn.functional import conv2d

from .corrupted import HIGHEST, LOWEST, Corrupted, for_each, uniform

BANDS = 10
ROUNDS = 30
LOOKED_AT = 20000
CHANCE = 0.5
BLUR = 1.0


def band_edges(values: torch.Tensor, count: int = BANDS) -> torch.Tensor:
    """Borders between the intensity classes that k-means finds.

    Args:
        values: Intensities of healthy tissue, any shape.
        count: Classes.

    Returns:
        Increasing, (count - 1,).
    """
    ordered = values.flatten().sort().values
    ordered = ordered[torch.linspace(0, len(ordered) - 1, min(LOOKED_AT, len(ordered))).long()]
    centres = ordered[torch.linspace(0.5 / count, 1 - 0.5 / count, count).mul(len(ordered) - 1).long()]
    sums = torch.cat([ordered.new_zeros(1), ordered.cumsum(0)])
    for _ in range(ROUNDS):
        stops = torch.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        ends = torch.cat([stops.new_zeros(1), stops, stops.new_full((1,), len(ordered))])
        sizes = ends.diff()
        centres = torch.where(sizes > 0, sums[ends].diff() / sizes.clamp_min(1), centres)
    return (centres[1:] + centres[:-1]) / 2


def shift_bands(
    images: torch.Tensor,
    masks: torch.Tensor,
    shapes: torch.Tensor,
    edges: torch.Tensor,
    degrees: torch.Tensor,
    generator: torch.Generator,
) -> Corrupted:
    """Make a random half of the intensity bands inside a shape darker, or brighter.

    Args:
        images: Healthy slices, (N, 1, Y, X).
        masks: Their brains, (N, 1, Y, X), 0 or 1.
        shapes: Where, (N, 1, Y, X), 0 to 1.
        edges: Borders between the bands, increasing, (K - 1,).
        degrees: The bias in standard intensities, (N,), not negative; its sign is drawn.
        generator: Source of randomness.

    Returns:
        The corrupted slices; the target is the bias that came about, which is less where a value would have left the
        standard intensities, and where the soft border of a band is.
    """
    count = len(images)
    taken = torch.rand(count, len(edges) + 1, generator=generator) < CHANCE
    sign = torch.where(uniform(count, generator) < 0.5, -1.0, 1.0)
    band = torch.bucketize(images, edges)
    members = torch.gather(taken, 1, band.flatten(1)).view(images.shape).to(images.dtype)
    weight = _blurred(members * masks) * shapes * masks
    changed = (images + sign * for_each(degrees, images) * weight).clamp(LOWEST, HIGHEST)
    changed = torch.where(weight * for_each(degrees, images) > 0, changed, images)
    return Corrupted(changed, (changed - images).abs())


def _blurred(values: torch.Tensor) -> torch.Tensor:
    reach = math.ceil(3 * BLUR)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=values.device) / BLUR).square())
    kernel = (kernel / kernel.sum()).to(values.dtype)
    values = conv2d(values, kernel.view(1, 1, -1, 1), padding=(reach, 0))
    return conv2d(values, kernel.view(1, 1, 1, -1), padding=(0, reach))
