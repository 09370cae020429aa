"""Operations on masks: connected components and bounding boxes."""

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
