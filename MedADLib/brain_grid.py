"""The grid of a model of the brain: as fine as the scans, but no finer than is worth the time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .volume import Volume

# Room for a large adult brain, along left to right and back to front, and from bottom to top.
IN_PLANE_MM, UPWARDS_MM = 192.0, 150.0
# The networks halve a slice five times.
SIZES = (64, 96, 128, 160)
THINNEST_MM, THICKEST_MM = 1.5, 8.0
BRAIN_VOXELS = round(SIZES[-1] ** 2 * UPWARDS_MM / THINNEST_MM)
# Scans of 1.5 mm may say 1.4999 in their header, and 1.45 is not worth a finer grid.
TOLERANCE = 1.05


def spacing_ras(volume: Volume) -> np.ndarray:
    """Spacing in mm along the axes nearest to right, anterior and superior, (3,)."""
    nearest = np.abs(volume.affine[:3, :3] / volume.spacing).argmax(axis=1)
    return volume.spacing[nearest]


def brain_grid(volumes: Sequence[Volume]) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Shape (Z, Y, X) and spacing (x, y, z) in mm that suit scans.

    In the plane the pixels are square and the coarsest of those possible that still keep what the scans resolve in
    their finer direction; for scans of 1.2 mm and less, 160 x 160 pixels of 1.2 mm. Slices are as thick as the scans'.

    Args:
        volumes: The scans that the model learns from.
    """
    usual = np.median([spacing_ras(volume) for volume in volumes], axis=0)
    finest = float(usual[:2].min()) * TOLERANCE
    size = next((size for size in SIZES if IN_PLANE_MM / size <= finest), SIZES[-1])
    thickness = round(float(np.clip(usual[2], THINNEST_MM, THICKEST_MM)), 1)
    return (int(np.ceil(UPWARDS_MM / thickness)), size, size), (IN_PLANE_MM / size, IN_PLANE_MM / size, thickness)
