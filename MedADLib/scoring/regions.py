"""Regions of an anomaly map: connected components, ranked and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from ..masks import bounding_slices, connected_components
from ..volume import Volume, nearest_axes

MOST_REGIONS = np.iinfo(np.int16).max
TIE_DECIMALS = 3
SMALLEST_POSITIVE = float(np.finfo(np.float32).smallest_subnormal)
BILATERAL_SHARE = 0.2
# A whole head is wider, one hemisphere is narrower.
NARROWEST_HEAD_MM = 90.0

Side = Literal["R", "L", "bilateral", ""]


@dataclass(frozen=True)
class Region:
    """One connected anomalous region of a scan.

    Attributes:
        rank: 1 for the most anomalous region of the scan.
        label: Its value in the label map; equal to the rank.
        volume_ml: Its size in millilitres.
        peak: Largest anomaly value in it, in the units of the map.
        mean: Mean anomaly value in it, in the units of the map.
        p_value: Probability that a healthy scan has a region with such a peak.
        q_value: The p-value corrected by Benjamini-Hochberg for the number of regions in this scan.
        centroid_ras: Mean position of its voxels, RAS mm.
        bounding_box: Voxel indices (x0, x1, y0, y1, z0, z1); starts are inside the region, stops one beyond it.
        peak_ras: Position of its largest value, RAS mm; unlike the centroid, it always lies in the region.
        side: See `side_of`; empty if the midline is unknown.
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
    peak_ras: tuple[float, float, float]
    side: Side = ""


def side_of(right_share: float) -> Side:
    """Return the side of a region from the share of its voxels to the right of the midline.

    A region with at least a fifth of its voxels on each side is bilateral; any other region is on the side of most of
    its voxels. The midline is that of the examined part, see `midline_of`: the origin of RAS coordinates need not lie
    in the middle of a head.
    """
    if min(right_share, 1.0 - right_share) >= BILATERAL_SHARE * (1 - 1e-9):
        return "bilateral"
    return "R" if right_share > 0.5 else "L"


def midline_of(mask: Volume) -> float | None:
    """Return the R coordinate (mm) of the sagittal plane through the centroid of a mask (Z, Y, X), nonzero inside.

    Returns:
        None if the mask has no usable midline: it is empty, a single slice, or narrower than a head, such as the mask
        of one hemisphere.
    """
    inside = mask.array != 0
    box = bounding_slices(inside)
    if box is None or 1 in mask.array.shape:
        return None
    across = int(nearest_axes(mask)[0])
    extent = box[2 - across]
    if (extent.stop - extent.start) * mask.spacing[across] < NARROWEST_HEAD_MM:
        return None
    inside = inside[box]
    counts = [inside.sum(axis=axes, dtype=np.int64) for axes in ((0, 1), (0, 2), (1, 2))]
    centre = [
        part.start + float(np.average(np.arange(len(count)), weights=count)) for part, count in zip(box[::-1], counts)
    ]
    return float(mask.affine[0] @ [*centre, 1.0])


def find_regions(
    anomaly: Volume,
    threshold: float,
    p_value: Callable[[float], float],
    min_ml: float = 0.05,
    midline: float | None = None,
) -> tuple[np.ndarray, tuple[Region, ...]]:
    """Find connected regions of an anomaly map, ranked by peak, then by volume, then from head to foot.

    A voxel is part of a region if its value is positive and at or above the threshold; voxels that touch by a face,
    an edge or a corner are connected. If there are more regions than an int16 label map can number, the most anomalous
    32767 are kept.

    Args:
        anomaly: Map of shape (Z, Y, X); larger is more anomalous.
        threshold: Smallest value that counts, in the units of the map.
        p_value: Returns the p-value of a region with this peak.
        min_ml: Regions of a smaller volume (mL) are dropped.
        midline: R coordinate (mm) of the midline, see `midline_of`; None leaves the sides empty.

    Returns:
        Labels of shape (Z, Y, X), int16, 0 outside the regions and the rank inside, and the regions sorted by rank.

    Raises:
        InputError: If the threshold or the smallest volume is not a number.
    """
    if not (np.isfinite(threshold) and np.isfinite(min_ml)):
        raise InputError("region_limits_not_finite", threshold=threshold, min_ml=min_ml)
    labels = np.zeros(anomaly.array.shape, dtype=np.int16)
    above = anomaly.array >= max(threshold, SMALLEST_POSITIVE)
    box = bounding_slices(above)
    if box is None:
        return labels, ()

    component = connected_components(above[box])
    in_box = np.flatnonzero(component)
    indices = np.unravel_index(in_box, component.shape)
    shifted = [index + part.start for index, part in zip(indices, box)]
    inside = np.ravel_multi_index(shifted, anomaly.array.shape)
    regions = number_regions(anomaly, inside, component.ravel()[in_box], p_value, min_ml, labels, midline)
    return labels, regions


def number_regions(
    anomaly: Volume,
    inside: np.ndarray,
    component: np.ndarray,
    p_value: Callable[[float], float],
    min_ml: float,
    labels: np.ndarray,
    midline: float | None = None,
) -> tuple[Region, ...]:
    """Rank the components that are large enough and write their ranks into a label map.

    Args:
        anomaly: The whole map.
        inside: Flat indices of all voxels of components, increasing, shape (N,).
        component: Component of each voxel, from 0, shape (N,).
        p_value: Returns the p-value of a peak.
        min_ml: Components of a smaller volume (mL) are dropped.
        labels: Zeros, int16, of the map's shape; receives the ranks.
        midline: As in `find_regions`.

    Returns:
        The regions sorted by rank.
    """
    count = np.bincount(component)
    kept = (count > 0) & (count * anomaly.voxel_ml >= min_ml * (1 - 1e-9))
    if not kept.any():
        return ()
    voxels = kept[component]
    inside, number = inside[voxels], (np.cumsum(kept) - 1)[component[voxels]]
    regions, rank = _measure(anomaly, inside, number, count[kept], p_value, midline)
    rank[rank > MOST_REGIONS] = 0
    labels.ravel()[inside] = rank.astype(np.int16)[number]
    return regions


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values by Benjamini and Hochberg (1995) to control the false discovery rate.

    Args:
        p_values: Shape (N,), each in [0, 1].

    Returns:
        The q-values, shape (N,), float64, in the order of `p_values`.
    """
    # By hand, because the import of scipy.stats would take longer than all other work on the regions.
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")[::-1]
    tests = len(p_values)
    stepped = p_values[order] * tests / np.arange(tests, 0, -1)
    q_values = np.empty(tests)
    q_values[order] = np.minimum(np.minimum.accumulate(stepped), 1.0)
    return q_values


def _measure(
    anomaly: Volume,
    inside: np.ndarray,
    region: np.ndarray,
    count: np.ndarray,
    p_value: Callable[[float], float],
    midline: float | None,
) -> tuple[tuple[Region, ...], np.ndarray]:
    """Measure all regions in one pass; return them by rank, at most `MOST_REGIONS`, and the rank of each, (K,).

    `region` is the number of the region of each voxel, from 0, (N,), and `count` the voxels per region, (K,).
    """
    # Grouped by region, with the voxels of each region in array order: the sums below then add the same numbers in the
    # same order, whichever way the components were found.
    grouped = np.argsort(region, kind="stable")
    first = np.cumsum(count) - count
    inside = inside[grouped]
    values = anomaly.array.ravel()[inside].astype(np.float64)
    peak = np.maximum.reduceat(values, first)
    mean = np.add.reduceat(values, first) / count
    centre, low, high = (np.empty((len(count), 3)) for _ in range(3))
    indices = np.unravel_index(inside, anomaly.array.shape)
    for axis, index in enumerate(indices):
        centre[:, axis] = np.add.reduceat(index, first) / count
        low[:, axis], high[:, axis] = np.minimum.reduceat(index, first), np.maximum.reduceat(index, first) + 1
    centre_ras = anomaly.ras_from_voxels(centre)
    peak_ras = _peaks(anomaly, indices, values == np.repeat(peak, count), region[grouped])
    sides = [""] * len(count)
    if midline is not None:
        to_right = sum(step * index for step, index in zip(anomaly.affine[0, 2::-1], indices)) + anomaly.affine[0, 3]
        sides = [side_of(share) for share in (np.add.reduceat(to_right > midline, first, dtype=float) / count).tolist()]

    # Position in space breaks ties of peak and volume, so that ranks do not depend on the order of the axes, which
    # Slicer changes when it loads a left-handed grid.
    right, front, up = -np.round(centre_ras, TIE_DECIMALS).T
    order = np.lexsort((*low.T, right, front, up, -count, -peak))
    rank = np.empty(len(count), dtype=np.int64)
    rank[order] = np.arange(1, len(count) + 1)
    p_values = np.array([float(p_value(float(value))) for value in peak])
    q_values = benjamini_hochberg(p_values)
    voxel_ml = anomaly.voxel_ml
    regions = tuple(
        Region(
            rank=position,
            label=position,
            volume_ml=float(count[k] * voxel_ml),
            peak=float(peak[k]),
            mean=float(mean[k]),
            p_value=float(p_values[k]),
            q_value=float(q_values[k]),
            centroid_ras=tuple(centre_ras[k].tolist()),
            bounding_box=tuple(int(edge) for axis in (2, 1, 0) for edge in (low[k, axis], high[k, axis])),
            peak_ras=tuple(peak_ras[k].tolist()),
            side=sides[k],
        )
        for position, k in enumerate(order[:MOST_REGIONS], start=1)
    )
    return regions, rank


def _peaks(anomaly: Volume, indices: tuple[np.ndarray, ...], highest: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Return the RAS mm of the largest value in each region, shape (K, 3); of equal values the most central.

    Voxels are grouped by region: `indices` are (z, y, x), each (N,), `highest` and `region` of each voxel, (N,).
    """
    ras, region = anomaly.ras_from_voxels(np.stack([index[highest] for index in indices], axis=1)), region[highest]
    _, first, count = np.unique(region, return_index=True, return_counts=True)
    middle = np.add.reduceat(ras, first) / count[:, None]
    away = np.round(np.linalg.norm(ras - np.repeat(middle, count, axis=0), axis=1), TIE_DECIMALS)
    # Position in space breaks ties of distance, as with ranks.
    right, front, up = -np.round(ras, TIE_DECIMALS).T
    order = np.lexsort((right, front, up, away, region))
    return ras[order][first]
