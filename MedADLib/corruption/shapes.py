"""Random shapes, intensity shifts and coarse noise for synthetic anomalies."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import conv2d, interpolate

from ..runtime.numerics import evenly_spread, k_means
from .blending import HIGHEST, LOWEST, Corrupted, for_each, uniform

BANDS = 10
ROUNDS = 30
LOOKED_AT = 20000
CHANCE = 0.5
BLUR = 1.0

GRID = 16

# Central fraction of the brain's bounding box that contains all centres. FPI's recipe uses 50 % of the image, which is
# about this fraction of the brain in it.
CENTRAL = 0.8
# Radii as fractions of the brain's bounding box. Likewise, those of squares are the recipe's 5 to 20 % of the image.
SQUARES, BLOBS = (0.08, 0.32), (0.05, 0.2)
EDGE = 2.0
WAVES = 8
STRETCH, ROUGHNESS = 0.35, 0.35


def band_edges(values: torch.Tensor, count: int = BANDS) -> torch.Tensor:
    """Find the increasing borders (count - 1,) between intensity classes of healthy tissue with k-means."""
    ordered = np.sort(values.detach().cpu().numpy(), axis=None)
    ordered = ordered[evenly_spread(len(ordered), LOOKED_AT)]
    # The medians of `count` equal parts.
    start = ordered[(np.linspace(0.5 / count, 1 - 0.5 / count, count) * (len(ordered) - 1)).astype(int)]
    centres = torch.from_numpy(np.sort(k_means(ordered[:, None], start[:, None], ROUNDS)[0], axis=None)).to(values)
    return (centres[1:] + centres[:-1]) / 2


def shift_bands(
    images: torch.Tensor,
    masks: torch.Tensor,
    shapes: torch.Tensor,
    edges: torch.Tensor,
    degrees: torch.Tensor,
    generator: torch.Generator,
) -> Corrupted:
    """Darken or brighten a random half of the intensity bands inside a shape (DAG; Naval Marimont et al. 2024).

    Args:
        images: Healthy slices, (N, 1, Y, X).
        masks: Their brains, (N, 1, Y, X), 0 or 1.
        shapes: Shapes, (N, 1, Y, X), 0 to 1.
        edges: Borders between the K bands, increasing, (K - 1,).
        degrees: Intensity shift in standard intensities, (N,), not negative; its sign is random.
        generator: Random generator.

    Returns:
        The corrupted slices; the target is the actual shift, which is smaller at the range limits of standard
        intensities and at the soft border of a band.
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


def add_coarse_noise(
    images: torch.Tensor, masks: torch.Tensor, degrees: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Add Gaussian noise of a 16 × 16 grid, bilinearly upsampled and rolled by a random offset (Kascenas et al. 2022).

    From fine noise a network would learn to smooth; with noise as coarse as lesions it must learn the appearance of
    healthy tissue. The result is not clipped, so that the noise is the same in dark and bright tissue.

    Args:
        images: Healthy slices, (N, 1, Y, X).
        masks: Their brains, (N, 1, Y, X), 0 or 1; pixels outside do not change.
        degrees: Standard deviation at the nodes of the grid, (N,).
        generator: Random generator; the numbers do not depend on the degrees.

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


def squares(masks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Sample a square for each brain mask (N, 1, Y, X), as in FPI (Tan et al. 2020): 1 in the square and the brain.

    Its half-width is 8 to 32 % of the brain's bounding box.
    """
    down, across, radius = _offsets_and_radius(masks, generator, SQUARES)
    return ((down.abs() <= radius.round()) & (across.abs() <= radius.round())).to(masks.dtype) * masks


def blobs(masks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Sample a smooth shape for each brain mask (N, 1, Y, X): a rotated ellipse with a randomly modulated radius.

    It is 1 inside, decreases to 0 over two pixels at its outline, and is 0 outside the brain.
    """
    down, across, radius = _offsets_and_radius(masks, generator, BLOBS)
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


def _offsets_and_radius(
    masks: torch.Tensor, generator: torch.Generator, radii: tuple[float, float]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the offsets of all pixels from a random centre, down and across, and a random radius, in pixels."""
    count = len(masks)
    offsets, sides = [], []
    for axis in (2, 3):
        occupied = masks.amax(dim=5 - axis, keepdim=True) > 0
        pixels = torch.arange(masks.shape[axis], dtype=masks.dtype, device=masks.device)
        pixels = pixels.view([-1 if axis == other else 1 for other in range(4)])
        first = torch.where(occupied, pixels, math.inf).amin(dim=axis, keepdim=True)
        last = torch.where(occupied, pixels, -math.inf).amax(dim=axis, keepdim=True)
        # A slice without brain gets a centre too; the mask then removes the shape.
        side = (last - first + 1).clamp_min(1).nan_to_num(posinf=1)
        first = first.nan_to_num(posinf=0)
        part = 0.5 + CENTRAL * (uniform(count, generator) - 0.5)
        offsets.append(pixels - (first + part * side - 0.5).floor())
        sides.append(side)
    radius = uniform(count, generator, *radii) * torch.minimum(*sides)
    return offsets[0], offsets[1], radius.clamp_min(1)
