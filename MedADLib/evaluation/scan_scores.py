"""Candidates for the score of a whole scan, from the sample score of the method or from its anomaly map.

Choose one on validation scans: `medad compare --part validation` writes all to ``scans.tsv``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..masks import connected_components

SMALLEST_REGION_ML = 0.05
# Candidates whose mean healthy rank is the candidate `rank`.
RANKED = ("top_1ml", "top_1pct", "volume", "largest", "regions")
CANDIDATES = ("method", *RANKED, "rank")


def candidate_scores(
    values: np.ndarray, mask: np.ndarray, threshold: float, voxel_ml: float, sample: float
) -> dict[str, float]:
    """Return the candidates of one scan but `rank`, which needs other scans.

    Args:
        values: Anomaly map, (Z, Y, X).
        mask: Examined part, bool (Z, Y, X).
        threshold: The default threshold of the map.
        voxel_ml: Volume of a voxel in mL.
        sample: Sample score of the method.

    Returns:
        ``method``, the sample score; ``top_1ml`` and ``top_1pct``, means of the highest 1 mL and 1 %; ``volume``, mL
        above the threshold; ``largest``, the largest sum over a region above it, times mL; ``regions``, the number of
        regions of at least 0.05 mL.
    """
    inside = values[mask]
    above = (values > threshold) & mask
    sizes, sums = region_sizes(above, voxel_ml, values)
    return {
        "method": float(sample),
        "top_1ml": _top(inside, round(1 / voxel_ml)),
        "top_1pct": _top(inside, round(len(inside) / 100)),
        "volume": float(np.count_nonzero(above) * voxel_ml),
        "largest": float(sums.max(initial=0)),
        "regions": float(np.count_nonzero(sizes >= SMALLEST_REGION_ML)),
    }


def with_rank(scores: Mapping[str, float], healthy: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Add `rank`: the mean, over the candidates from the map, of the share of healthy scans with a smaller value."""
    ranks = []
    for name in RANKED:
        others = np.array([other[name] for other in healthy])
        ranks.append((np.count_nonzero(others < scores[name]) + np.count_nonzero(others == scores[name]) / 2))
    return dict(scores) | {"rank": float(np.mean(ranks) / max(len(healthy), 1))}


def region_sizes(above: np.ndarray, voxel_ml: float, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the volume in mL of each connected region of a mask (Z, Y, X), and its sum over a map times mL."""
    labels = connected_components(above)
    size = np.bincount(labels.ravel())[1:] * voxel_ml
    return size, np.bincount(labels[above], values[above], len(size) + 1)[1:] * voxel_ml


def _top(inside: np.ndarray, count: int) -> float:
    """Return the mean of the `count` highest values, at least one."""
    count = min(max(count, 1), len(inside))
    return float(np.partition(inside, len(inside) - count)[-count:].mean())
