"""Operations on masks: connected components, bounding boxes, and a background that is no number."""

from __future__ import annotations

import numpy as np


def bounding_slices(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """Find the smallest box (z, y, x) that holds every True voxel of a mask (Z, Y, X); None if there is none."""
    in_plane = mask.any(axis=0)
    profiles = (mask.any(axis=(1, 2)), in_plane.any(axis=1), in_plane.any(axis=0))
    if not in_plane.any():
        return None
    edges = (np.flatnonzero(profile)[[0, -1]] for profile in profiles)
    return tuple(slice(int(first), int(last) + 1) for first, last in edges)


def connected_components(mask: np.ndarray) -> np.ndarray:
    """Label the 26-connected components of a mask (Z, Y, X) from 1; 0 outside."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(mask, dtype=np.uint8))
    return sitk.GetArrayFromImage(sitk.ConnectedComponent(image, True))


def with_background(array: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Replace NaN around the rest of a scan by the background: 0, or its smallest value if that is below 0.

    Some programs, such as SPM and FSL, mark the background like this.

    Args:
        array: The scan, float (Z, Y, X).

    Returns:
        The voxels and the share of them that was NaN; None if NaN lies inside, or a voxel is infinite.
    """
    nothing = np.isnan(array)
    if np.isinf(array).any() or nothing.all() or not _reaches_edge(nothing).all():
        return None
    lowest = np.minimum(array[~nothing].min(), array.dtype.type(0))
    return np.where(nothing, lowest, array), float(nothing.mean())


def _reaches_edge(marked: np.ndarray) -> np.ndarray:
    """Return for each piece of a mask (Z, Y, X) whether it reaches a face of the volume, bool (N,)."""
    from scipy import ndimage

    pieces, count = ndimage.label(marked)
    if min(marked.shape) == 1:
        # In a single slice, each voxel lies on a face of the volume; the edges count.
        faces = [pieces.take(end, axis) for axis in range(3) if marked.shape[axis] > 1 for end in (0, -1)]
    else:
        faces = [pieces.take(end, axis) for axis in range(3) for end in (0, -1)]
    reached = np.unique(np.concatenate([face.ravel() for face in faces]))
    return np.isin(np.arange(1, count + 1), reached)
