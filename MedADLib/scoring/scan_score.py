"""Scores of a whole scan, by name: that of the method, one from its anomaly map, or the rank of all of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..errors import InputError
from ..masks import connected_components

# The method's own sample score.
METHOD = "method"
# The mean rank, among the healthy scans of the calibration, of all scores from the map.
RANK = "rank"
# Sizes of regions that `regions` counts, in mL.
SMALL_ML = (0.01, 1.0)

ScanScore = Callable[[np.ndarray, np.ndarray, float, float], float]


def top_1ml(anomaly: np.ndarray, mask: np.ndarray, voxel_ml: float, threshold: float) -> float:
    """Return the mean of the highest 1 mL of the map."""
    return mean_of_highest(anomaly[mask], 1 / voxel_ml)


def top_1pct(anomaly: np.ndarray, mask: np.ndarray, voxel_ml: float, threshold: float) -> float:
    """Return the mean of the highest 1 % of the map."""
    return mean_of_highest(anomaly[mask], 0.01 * np.count_nonzero(mask))


def volume(anomaly: np.ndarray, mask: np.ndarray, voxel_ml: float, threshold: float) -> float:
    """Return the volume in mL at or above the threshold."""
    return float(np.count_nonzero(_above(anomaly, mask, threshold)) * voxel_ml)


def largest(anomaly: np.ndarray, mask: np.ndarray, voxel_ml: float, threshold: float) -> float:
    """Return the integral over the region where it is largest of what exceeds the threshold, rarity times mL."""
    above = _above(anomaly, mask, threshold)
    sums = np.bincount(connected_components(above)[above], anomaly[above].astype(np.float64) - threshold)
    return float(sums.max(initial=0.0) * voxel_ml)


def regions(anomaly: np.ndarray, mask: np.ndarray, voxel_ml: float, threshold: float) -> float:
    """Return the number of regions of 0.01 to 1 mL at or above the threshold."""
    above = _above(anomaly, mask, threshold)
    sizes = np.bincount(connected_components(above)[above]) * voxel_ml
    return float(((sizes >= SMALL_ML[0]) & (sizes <= SMALL_ML[1])).sum())


SCAN_SCORES: Mapping[str, ScanScore] = {
    found.__name__: found for found in (top_1ml, top_1pct, volume, largest, regions)
}
NAMES = (METHOD, *SCAN_SCORES, RANK)
# What each score is, in words.
TITLES = {
    METHOD: "the method's own score",
    "top_1ml": "mean of the highest 1 mL of the anomaly map",
    "top_1pct": "mean of the highest 1 % of the anomaly map",
    "volume": "volume above the default threshold in mL",
    "largest": "integral of the largest region above the default threshold",
    "regions": "number of regions of 0.01 to 1 mL above the default threshold",
    RANK: "mean rank of the five scores of the anomaly map among the healthy scans of the calibration, from 0 to 1",
}


def check_scan_score(name: str) -> None:
    """Refuse a name that is none of `NAMES`; raises InputError."""
    if name not in NAMES:
        raise InputError("unknown_scan_score", name=f"{name!s:.80}", known=", ".join(NAMES))


def score_of_scan(
    name: str,
    anomaly: np.ndarray,
    mask: np.ndarray,
    voxel_ml: float,
    threshold: float,
    sample_score: float,
    healthy: np.ndarray | None = None,
) -> float:
    """Score a scan.

    Args:
        name: One of `NAMES`.
        anomaly: Anomaly map on the model's grid, rarity, (Z, Y, X).
        mask: Examined part, bool (Z, Y, X).
        voxel_ml: Volume of a voxel in mL.
        threshold: Value of the model's default threshold.
        sample_score: The method's own score.
        healthy: Scores from the maps of healthy scans, (n, K), see `map_scores`; `RANK` needs them.

    Returns:
        The score; larger is more anomalous.
    """
    if name == RANK:
        return rank_among(map_scores(anomaly, mask, voxel_ml, threshold), healthy)
    return sample_score if name == METHOD else SCAN_SCORES[name](anomaly, mask, voxel_ml, threshold)


def map_scores(anomaly: np.ndarray, mask: np.ndarray, voxel_ml: float, threshold: float) -> np.ndarray:
    """Return all K scores from a map in the order of `SCAN_SCORES`, (K,); arguments are those of `score_of_scan`."""
    return np.array([found(anomaly, mask, voxel_ml, threshold) for found in SCAN_SCORES.values()], np.float64)


def rank_among(scores: np.ndarray, healthy: np.ndarray) -> float:
    """Return the share of smaller scores among those of n healthy scans, an equal one counting half, averaged over K.

    The healthy scans have this rank too, each among all n including itself: for a single score, the p-value from these
    ranks is then that of the score.

    Args:
        scores: Scores of a scan, (K,).
        healthy: Those of the healthy scans, (n, K).
    """
    return float(np.mean((scores > healthy) + 0.5 * (scores == healthy)))


def _above(anomaly: np.ndarray, mask: np.ndarray, threshold: float) -> np.ndarray:
    return mask & (anomaly >= threshold) & (anomaly > 0)


def mean_of_highest(values: np.ndarray, count: float) -> float:
    """Return the mean of the highest values of (N,), of at least one; 0 without any."""
    count = min(max(round(count), 1), len(values))
    return float(np.partition(values, len(values) - count)[-count:].mean(dtype=np.float64)) if count else 0.0
