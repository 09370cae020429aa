"""Choose the voxel grid of a model's space: as fine as the scans, within the size that the networks take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..volume import Volume, body_axes, spacing_ras
from .slice_space import SliceView

# Extent of a large adult brain with a margin: left to right and back to front, and from bottom to top.
IN_PLANE_MM, UPWARDS_MM = 192.0, 150.0
# The networks halve a slice five times.
SIZES = (64, 96, 128, 160)
THINNEST_MM, THICKEST_MM = 1.5, 8.0
BRAIN_VOXELS = round(SIZES[-1] ** 2 * UPWARDS_MM / THINNEST_MM)
# The header of a 1.5-mm scan may give 1.4999, and 1.45 is not worth a finer grid.
TOLERANCE = 1.05

VOLUME_MULTIPLE, MOST_BLOCKS = 32, 5
FEWEST_SLICES, MOST_SLICES = 2, 160
VOLUME_VOXELS = (VOLUME_MULTIPLE * MOST_BLOCKS) ** 2 * MOST_SLICES
# Percentile of the fields of view that fit: one scan of the whole body must not shrink a knee to a few voxels.
FITTING = 90

SLICE_MULTIPLE = 32
SMALLEST_SIDE, LARGEST_SIDE = 64, 160
LARGEST_GIVEN_SIDE = 512


def brain_grid(volumes: Sequence[Volume]) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Choose the grid of a model of brains: shape (Z, Y, X) and spacing (x, y, z) in mm.

    The pixels in the plane are square: the coarsest size that keeps the finer in-plane resolution of the scans. For
    scans of 1.2 mm and less, these are 160 x 160 pixels of 1.2 mm. Slices are as thick as those of the scans.
    """
    usual = np.median([spacing_ras(volume) for volume in volumes], axis=0)
    finest = float(usual[:2].min()) * TOLERANCE
    size = next((size for size in SIZES if IN_PLANE_MM / size <= finest), SIZES[-1])
    thickness = round(float(np.clip(usual[2], THINNEST_MM, THICKEST_MM)), 1)
    return (int(np.ceil(UPWARDS_MM / thickness)), size, size), (IN_PLANE_MM / size, IN_PLANE_MM / size, thickness)


def volume_grid(
    spacings: Sequence[np.ndarray], extents: Sequence[np.ndarray]
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Choose the grid of a model of volumes by the whole field of view: shape (Z, Y, X), spacing (x, y, z) in mm.

    The pixels in the plane are square and as fine as the finer in-plane resolution of the scans, but coarser where
    more than `VOLUME_MULTIPLE` x `MOST_BLOCKS` of them would be needed along an axis. Slices are as thick as those of
    the scans, but not thinner than the width of a pixel, and at most `MOST_SLICES`.
    `spacings` and `extents` of the scans are those of `spacing_ras` and `extent_ras`.
    """
    usual = np.median(spacings, axis=0)
    # Rounded like the numbers of a header, so that 64 pixels of 1.0000001 mm need 64 pixels.
    field = np.round(np.percentile(extents, FITTING, axis=0), 3)
    finest, longest = float(usual[:2].min()), float(field[:2].max())
    blocks = int(np.clip(np.ceil(longest / (finest * TOLERANCE * VOLUME_MULTIPLE)), 1, MOST_BLOCKS))
    pixel = round(max(finest, longest / (blocks * VOLUME_MULTIPLE)), 4)
    columns, rows = (
        min(int(np.ceil(round(mm / (pixel * VOLUME_MULTIPLE), 3))), blocks) * VOLUME_MULTIPLE for mm in field[:2]
    )
    thickness = round(max(float(usual[2]), pixel, float(field[2]) / MOST_SLICES), 4)
    slices = int(np.clip(np.ceil(round(field[2] / thickness, 3)), FEWEST_SLICES, MOST_SLICES))
    return (slices, rows, columns), (pixel, pixel, thickness)


def centred_on(grid: Volume, volume: Volume) -> np.ndarray:
    """Return the shift (4×4, the grid's to the scan's RAS mm) that centres a grid on a scan's field of view.

    The centres may differ by up to half a voxel of the grid: then voxels of the same size coincide, and scans with an
    even and an odd number of slices get the same blur.
    """
    corner, middle = np.zeros((1, 3)), 0.5 * (np.array(volume.array.shape) - 1)[None]
    centre = grid.ras_from_voxels(0.5 * (np.array(grid.array.shape) - 1)[None])[0]
    shift = volume.ras_from_voxels(middle)[0] - centre
    place = np.linalg.solve(grid.affine, np.append(volume.ras_from_voxels(corner)[0] - shift, 1))[:3]
    matrix = np.eye(4)
    matrix[:3, 3] = shift + grid.affine[:3, :3] @ (place - np.rint(place))
    return matrix


def averaged(volume: Volume, spacing: Sequence[float]) -> Volume:
    """Average voxels where several fit into one of `spacing` (right, anterior, superior; mm), against aliased noise.

    Returns:
        The same field of view, except for less than one voxel at the high end of an axis, which repeats the last one.
    """
    wanted = np.asarray(spacing)[body_axes(volume.affine[:3, :3] / volume.spacing)]
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


def slice_size(views: Sequence[SliceView], longest: int | None = None) -> tuple[int, int]:
    """Choose rows and columns of a model of 2-D images: their median aspect ratio, and at most as many pixels.

    Args:
        views: Views of the images.
        longest: Pixels along the longer side, a multiple of `SLICE_MULTIPLE`; None takes the median of the images,
            from `SMALLEST_SIDE` to `LARGEST_SIDE`.

    Raises:
        InputError: If `longest` is not possible.
    """
    if longest is None:
        pixels = float(np.median([max(view.extent_mm) / min(view.spacing) for view in views]))
        longest = int(np.clip(pixels // SLICE_MULTIPLE * SLICE_MULTIPLE, SMALLEST_SIDE, LARGEST_SIDE))
    if longest % SLICE_MULTIPLE or not SLICE_MULTIPLE <= longest <= LARGEST_GIVEN_SIDE:
        raise InputError("template_size", size=longest, multiple=SLICE_MULTIPLE, largest=LARGEST_GIVEN_SIDE)
    # Height by width; the median of the logarithm, so that portrait and landscape images count alike.
    aspect = float(np.exp(np.median([np.log(view.extent_mm[0] / view.extent_mm[1]) for view in views])))
    shorter = longest * min(aspect, 1 / aspect)
    shorter = min(longest, int(np.ceil(round(shorter, 3) / SLICE_MULTIPLE)) * SLICE_MULTIPLE)
    return (longest, shorter) if aspect > 1 else (shorter, longest)
