"""Periodic random fields, computed once, from which random crops give smooth noise at low cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

SHAPE = (32, 128, 128)
SEED = 20241
# Standard deviation of the Gaussian that smooths each field, in mm; 0 is white noise.
WIDTHS_MM = (0.0, 1.6, 2.6, 4.2, 7.0, 12.0, 20.0)


@lru_cache(maxsize=4)
def _fields(spacing: tuple[float, float, float]) -> tuple[np.ndarray, ...]:
    """Return one field of mean 0 and SD 1 per width, each periodic along all axes."""
    random = np.random.default_rng(SEED)
    cycles = [np.fft.fftfreq(size, step) for size, step in zip(SHAPE, spacing)]
    cycles[2] = np.fft.rfftfreq(SHAPE[2], spacing[2])
    squared = sum(part**2 for part in np.meshgrid(*cycles, indexing="ij"))
    found = []
    for width in WIDTHS_MM:
        spectrum = np.fft.rfftn(random.standard_normal(SHAPE)) * np.exp(-2 * (np.pi * width) ** 2 * squared)
        spectrum[0, 0, 0] = 0
        field = np.fft.irfftn(spectrum, SHAPE, axes=(0, 1, 2))
        found.append((field / field.std()).astype(np.float32))
    return tuple(found)


def random_crop(
    shape: Sequence[int], spacing: tuple[float, float, float], width_mm: float, random: np.random.Generator
) -> np.ndarray:
    """Crop smooth noise at a random position, mirrored along random axes.

    Args:
        shape: Shape of the crop (Z, Y, X).
        spacing: Voxel spacing along (z, y, x) in mm.
        width_mm: Standard deviation of the smoothing Gaussian; the nearest of `WIDTHS_MM` is used.
        random: Random generator.

    Returns:
        Noise of about mean 0 and SD 1, float32 (Z, Y, X).
    """
    return random_part([np.arange(size) for size in shape], spacing, width_mm, random)


def random_part(
    indices: Sequence[np.ndarray], spacing: tuple[float, float, float], width_mm: float, random: np.random.Generator
) -> np.ndarray:
    """Select voxels of the smooth noise of a whole volume; equal random generators give equal volumes.

    Args:
        indices: Indices of the voxels along z, y and x; the noise has the period `SHAPE`.
        spacing: Voxel spacing along (z, y, x) in mm.
        width_mm: See `random_crop`.
        random: Random generator.

    Returns:
        Noise of about mean 0 and SD 1, float32, one axis for each array of indices.
    """
    field = _fields(spacing)[int(np.argmin(np.abs(np.array(WIDTHS_MM) - width_mm)))]
    starts, signs = random.integers(0, SHAPE), np.where(random.random(3) < 0.5, 1, -1)
    axes = [(start + sign * index) % full for start, sign, index, full in zip(starts, signs, indices, SHAPE)]
    return field[np.ix_(*axes)]


def fractal_crop(
    shape: Sequence[int], spacing: tuple[float, float, float], width_mm: float, random: np.random.Generator
) -> np.ndarray:
    """Sum noise of three halving widths with halving weights (Perlin 1985), SD about 1; arguments of `random_crop`."""
    octaves = [0.5**n * random_crop(shape, spacing, width_mm * 0.5**n, random) for n in range(3)]
    return (octaves[0] + octaves[1] + octaves[2]) / np.float32(1.1456)
