"""From an anomaly map to a ranked list of regions that a reader can work through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .volume import Volume

MOST_REGIONS = np.iinfo(np.int16).max


@dataclass(frozen=True)
class Region:
    """One connected part of the scan that is unusual.

    Attributes:
        rank: 1 for the most unusual region of the scan.
        label: Its value in the label map; equal to the rank.
        volume_ml: Its size in millilitres.
        peak: Largest anomaly value in it, in the units of the map.
        mean: Mean anomaly value in it, in the units of the map.
        p_value: How often a healthy scan holds a region with such a peak.
        q_value: The p-value corrected by Benjamini-Hochberg for the number of regions in this scan.
        centroid_ras: Mean position of its voxels, RAS mm.
        bounding_box: Voxel indices (x0, x1, y0, y1, z0, z1); starts are inside the region, stops are one beyond it.
    """

    rank: int
    label: int
    volume_ml: float
    peak: float
    mean: float
    p_value: float
    q_value: float
    centroid_ras: tuple[float, float, float]
    bounding_box: tuple[int, int, int, int, int, int]


def find_regions(
    anomaly: Volume, threshold: float, p_value: Callable[[float], float], min_ml: float = 0.05
) -> tuple[np.ndarray, tuple[Region, ...]]:
    """Connected regions of an anomaly map, ranked by peak and then by volume.

    A voxel is part of a region if its value is positive and at or above the threshold; voxels that touch by a face,
    an edge or a corner belong together. Should there be more regions than an int16 label map can number, the most
    unusual 32767 are kept.

    Args:
        anomaly: Map of shape (Z, Y, X); larger is more unusual.
        threshold: Smallest value that counts, in the units of the map.
        p_value: Gives the p-value of a region with this peak.
        min_ml: Regions of a smaller volume (ml) are dropped.

    Returns:
        Labels of shape (Z, Y, X), int16, 0 outside the regions and the rank inside, and the regions sorted by rank.

    Raises:
        InputError: If the threshold or the smallest volume is not a number.
    """
    if not (np.isfinite(threshold) and np.isfinite(min_ml)):
        raise InputError(f"a threshold of {threshold} and a smallest region of {min_ml} ml", "Give finite numbers.")
    labels = np.zeros(anomaly.array.shape, dtype=np.int16)
    above = (anomaly.array >= threshold) & (anomaly.array > 0)
    box = bounding_slices(above)
    if box is None:
        return labels, ()

    component = connected_components(above[box])
    inside = np.flatnonzero(component)
    found = component.ravel()[inside]
    count = np.bincount(found)
    kept = count * anomaly.voxel_ml >= min_ml * (1 - 1e-9)
    kept[0] = False
    voxels = kept[found]
    inside, found = inside[voxels], found[voxels]
    number = np.cumsum(kept) - 1
    regions, rank = _measure(anomaly, box, inside, number[found], count[kept], p_value)
    if regions:
        of_voxel = rank[number[found]]
        of_voxel[of_voxel > MOST_REGIONS] = 0
        cropped = np.zeros(component.size, dtype=np.int16)
        cropped[inside] = of_voxel
        labels[box] = cropped.reshape(component.shape)
    return labels, regions


def bounding_slices(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The smallest box that holds every True voxel of a (Z, Y, X) mask; None if there is none."""
    in_plane = mask.any(axis=0)
    profiles = (mask.any(axis=(1, 2)), in_plane.any(axis=1), in_plane.any(axis=0))
    if not in_plane.any():
        return None
    edges = (np.flatnonzero(profile)[[0, -1]] for profile in profiles)
    return tuple(slice(int(first), int(last) + 1) for first, last in edges)


def connected_components(mask: np.ndarray) -> np.ndarray:
    """Number the 26-connected components of a (Z, Y, X) mask from 1; 0 outside."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(mask, dtype=np.uint8))
    return sitk.GetArrayFromImage(sitk.ConnectedComponent(image, True))


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values so that those at or below q hold at most a share q of false discoveries.

    Args:
        p_values: Shape (N,), each in [0, 1].

    Returns:
        The q-values, shape (N,), float64, in the order of `p_values`.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")[::-1]
    tests = len(p_values)
    stepped = p_values[order] * tests / np.arange(tests, 0, -1)
    q_values = np.empty(tests)
    q_values[order] = np.minimum(np.minimum.accumulate(stepped), 1.0)
    return q_values


def _measure(
    anomaly: Volume,
    box: tuple[slice, slice, slice],
    inside: np.ndarray,
    region: np.ndarray,
    count: np.ndarray,
    p_value: Callable[[float], float],
) -> tuple[tuple[Region, ...], np.ndarray]:
    """Measure all regions in one pass over their voxels.

    Args:
        anomaly: The whole map.
        box: The part of it that `inside` counts in.
        inside: Flat indices of the regions' voxels within the box, shape (N,).
        region: Which region each belongs to, 0-based, shape (N,).
        count: Voxels per region, shape (K,).
        p_value: Gives the p-value of a peak.

    Returns:
        The regions sorted by rank, at most `MOST_REGIONS`, and the rank of each region, shape (K,).
    """
    cropped = anomaly.array[box]
    values = cropped.ravel()[inside].astype(np.float64)
    peak = np.full(len(count), -np.inf)
    np.maximum.at(peak, region, values)
    mean = np.bincount(region, weights=values, minlength=len(count)) / count
    centre, low, high = (np.empty((len(count), 3)) for _ in range(3))
    for axis, index in enumerate(np.unravel_index(inside, cropped.shape)):
        index = index + box[axis].start
        centre[:, axis] = np.bincount(region, weights=index, minlength=len(count)) / count
        first, last = np.full(len(count), np.iinfo(np.int64).max), np.full(len(count), -1)
        np.minimum.at(first, region, index)
        np.maximum.at(last, region, index)
        low[:, axis], high[:, axis] = first, last + 1

    order = np.lexsort((-count, -peak))
    rank = np.empty(len(count), dtype=np.int64)
    rank[order] = np.arange(1, len(count) + 1)
    p_values = np.array([float(p_value(float(value))) for value in peak])
    q_values = benjamini_hochberg(p_values)
    centre_ras = anomaly.ras_from_voxels(centre)
    regions = tuple(
        Region(
            rank=place,
            label=place,
            volume_ml=float(count[k] * anomaly.voxel_ml),
            peak=float(peak[k]),
            mean=float(mean[k]),
            p_value=float(p_values[k]),
            q_value=float(q_values[k]),
            centroid_ras=tuple(centre_ras[k].tolist()),
            bounding_box=tuple(int(edge) for axis in (2, 1, 0) for edge in (low[k, axis], high[k, axis])),
        )
        for place, k in enumerate(order[:MOST_REGIONS], start=1)
    )
    return regions, rank
