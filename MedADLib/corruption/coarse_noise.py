"""Coarse noise, which a denoising autoencoder learns to take away (Kascenas, Pugeault and O'Neil 2022)."""

from __future__ import annotations

import torch
from torch.nn.functional import interpolate

from .corrupted import for_each

GRID = 16


def add_coarse_noise(
    images: torch.Tensor, masks: torch.Tensor, degrees: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Add Gaussian noise of a 16 × 16 grid, bilinearly enlarged and rolled by a random offset.

    Fine noise would teach a network to smooth; noise as coarse as lesions are teaches it what tissue looks like.
    The result is not clipped, so that dark and bright tissue get the same noise.

    Args:
        images: Healthy slices, (N, 1, Y, X).
        masks: Their brains, (N, 1, Y, X), 0 or 1; nothing else changes.
        degrees: Standard deviation at the grid's nodes, (N,).
        generator: Source of randomness; draws the same whatever the degrees.

    Returns:
        Noisy slices, (N, 1, Y, X).
    """
    count, _, height, width = images.shape
    nodes = torch.randn(count, 1, GRID, GRID, generator=generator)
    noise = interpolate(nodes, size=(height, width), mode="bilinear", align_corners=False)
    for axis, length in ((2, height), (3, width)):
        offset = torch.randint(length, (count, 1, 1, 1), generator=generator)
        pixels = torch.arange(length).view([-1 if axis == other else 1 for other in range(4)])
        noise = torch.take_along_dim(noise, (pixels - offset) % length, dim=axis)
    return images + for_each(degrees, images) * noise * masks
