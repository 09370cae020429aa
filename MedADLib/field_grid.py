"""The grid of a model of volumes by their whole field of view: it holds the usual one, no finer than the scans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .brain_grid import TOLERANCE, spacing_ras
from .volume import Volume

# The networks halve a slice five times.
MULTIPLE, MOST_BLOCKS = 32, 5
FEWEST_SLICES, MOST_SLICES = 2, 160
FIELD_VOXELS = (MULTIPLE * MOST_BLOCKS) ** 2 * MOST_SLICES
# All but the largest fields of view fit; one scan of the whole body must not make a knee small.
FITTING = 90


def extent_ras(volume: Volume) -> np.ndarray:
    """Field of view in mm along the axes nearest to right, anterior and superior, (3,)."""
    counts = np.array(volume.array.shape[::-1])
    return spacing_ras(volume) * counts[_axes(volume)]


def field_grid(
    spacings: Sequence[np.ndarray], extents: Sequence[np.ndarray]
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Shape (Z, Y, X) and spacing (x, y, z) in mm that suit scans.

    In the plane the pixels are square, as fine as the scans' finer direction, and coarser where more than
    `MULTIPLE` x `MOST_BLOCKS` of them would be needed. Slices are as thick as the scans', but no thinner than the
    pixels are wide, and no more than `MOST_SLICES`.

    Args:
        spacings: Of the scans, see `spacing_ras`.
        extents: Of the scans, see `extent_ras`.
    """
    usual = np.median(spacings, axis=0)
    # As the numbers of a header are, so that 64 pixels of 1.0000001 mm need no more than 64.
    field = np.round(np.percentile(extents, FITTING, axis=0), 3)
    finest, longest = float(usual[:2].min()), float(field[:2].max())
    blocks = int(np.clip(np.ceil(longest / (finest * TOLERANCE * MULTIPLE)), 1, MOST_BLOCKS))
    pixel = round(max(finest, longest / (blocks * MULTIPLE)), 4)
    columns, rows = (min(int(np.ceil(round(mm / (pixel * MULTIPLE), 3))), blocks) * MULTIPLE for mm in field[:2])
    thickness = round(max(float(usual[2]), pixel, float(field[2]) / MOST_SLICES), 4)
    slices = int(np.clip(np.ceil(round(field[2] / thickness, 3)), FEWEST_SLICES, MOST_SLICES))
    return (slices, rows, columns), (pixel, pixel, thickness)


def centred_on(grid: Volume, volume: Volume) -> np.ndarray:
    """Where each place of the grid lies in a scan, so that their fields of view have the same centre.

    The centres may miss each other by up to half a voxel of the grid: then voxels of the same size lie on each other,
    and scans with an even and an odd number of slices are not blurred differently.

    Returns:
        4×4 matrix from the grid's RAS mm to the scan's RAS mm; nothing but a shift.
    """
    corner, middle = np.zeros((1, 3)), 0.5 * (np.array(volume.array.shape) - 1)[None]
    centre = grid.ras_from_voxels(0.5 * (np.array(grid.array.shape) - 1)[None])[0]
    shift = volume.ras_from_voxels(middle)[0] - centre
    place = np.linalg.solve(grid.affine, np.append(volume.ras_from_voxels(corner)[0] - shift, 1))[:3]
    matrix = np.eye(4)
    matrix[:3, 3] = shift + grid.affine[:3, :3] @ (place - np.rint(place))
    return matrix


def averaged(volume: Volume, spacing: Sequence[float]) -> Volume:
    """A scan whose voxels are averaged where several fit into one of the grid, so that noise does not alias.

    Args:
        volume: The scan.
        spacing: Of the grid along right, anterior, superior, in mm.

    Returns:
        The same field of view, but for less than one voxel, at the high end of an axis, that repeats the last one.
    """
    wanted = np.asarray(spacing)[np.abs(volume.affine[:3, :3] / volume.spacing).argmax(axis=0)]
    factors = np.maximum((wanted * TOLERANCE / volume.spacing).astype(int), 1)
    if (factors == 1).all():
        return volume
    array = volume.array
    for axis, factor in enumerate(factors[::-1]):
        beyond = [(0, -array.shape[axis] % factor if other == axis else 0) for other in range(3)]
        moved = np.moveaxis(np.pad(array, beyond, mode="edge"), axis, 0)
        moved = moved.reshape(-1, factor, *moved.shape[1:]).mean(axis=1, dtype=np.float32)
        array = np.moveaxis(moved, 0, axis)
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ (0.5 * (factors - 1))
    affine[:3, :3] *= factors
    return Volume(np.ascontiguousarray(array), affine, volume.name)


def _axes(volume: Volume) -> np.ndarray:
    """For right, anterior and superior, which of the scan's axes (x, y, z) is nearest."""
    return np.abs(volume.affine[:3, :3] / volume.spacing).argmax(axis=1)
