"""Scores of a whole scan, by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from MedADLib.scoring.scan_score import (
    METHOD,
    NAMES,
    RANK,
    SCAN_SCORES,
    TITLES,
    map_scores,
    rank_among,
    score_of_scan,
)

SHAPE, VOXEL_ML = (8, 9, 10), 0.02


@pytest.fixture(scope="module")
def scan() -> tuple[np.ndarray, np.ndarray]:
    """A map with values outside its mask, which must not count."""
    anomaly = np.random.default_rng(3).exponential(0.8, SHAPE).astype(np.float32)
    mask = np.ones(SHAPE, bool)
    mask[:2] = False
    anomaly[:2] = 50
    return anomaly, mask


def score(name: str, anomaly: np.ndarray, mask: np.ndarray, threshold: float = 3.0) -> float:
    return score_of_scan(name, anomaly, mask, VOXEL_ML, threshold, -7.0)


def test_the_highest_part_of_the_map_is_averaged(scan):
    anomaly, mask = scan
    ordered = np.sort(anomaly[mask])[::-1]
    assert score("top_1ml", anomaly, mask) == pytest.approx(ordered[:50].mean())
    assert score("top_1pct", anomaly, mask) == pytest.approx(ordered[:5].mean())
    tiny = np.zeros(SHAPE, bool)
    tiny[4, 4, 4] = True
    assert score("top_1ml", anomaly, tiny) == score("top_1pct", anomaly, tiny) == anomaly[4, 4, 4]


def test_regions_above_the_threshold_are_measured(scan):
    anomaly, mask = scan
    above = mask & (anomaly >= 1.5)
    labels, count = scipy.ndimage.label(above, np.ones((3, 3, 3)))
    sums = scipy.ndimage.sum(np.where(above, anomaly - 1.5, 0), labels, range(1, count + 1))
    sizes = np.bincount(labels.ravel())[1:] * VOXEL_ML
    assert count > 3
    assert score("volume", anomaly, mask, 1.5) == pytest.approx(above.sum() * VOXEL_ML)
    assert score("largest", anomaly, mask, 1.5) == pytest.approx(sums.max() * VOXEL_ML)
    assert score("regions", anomaly, mask, 1.5) == np.count_nonzero((sizes >= 0.01) & (sizes <= 1.0))


def test_the_score_of_the_method_is_kept(scan):
    assert score(METHOD, *scan) == -7.0


@pytest.mark.parametrize("name", SCAN_SCORES)
def test_a_map_without_anything_has_the_score_zero(name):
    anomaly, mask = np.zeros(SHAPE, np.float32), np.ones(SHAPE, bool)
    assert score(name, anomaly, mask) == 0
    assert score(name, anomaly, mask, 0.0) == 0, "a threshold of 0 marks positive values only"
    assert score(name, anomaly + 5, ~mask) == 0


def test_the_rank_is_the_mean_share_of_healthy_scans_with_smaller_scores_from_the_map(scan):
    anomaly, mask = scan
    own = map_scores(anomaly, mask, VOXEL_ML, 1.5)
    assert own.tolist() == [score(name, anomaly, mask, 1.5) for name in SCAN_SCORES]
    # Two healthy scans score less in everything, one more, and one the same.
    healthy = np.stack([own - 1, own - 2, own + 1, own])
    assert score_of_scan(RANK, anomaly, mask, VOXEL_ML, 1.5, -7.0, healthy) == pytest.approx(2.5 / 4)
    healthy[2, :2] -= 5
    assert rank_among(own, healthy) == pytest.approx((2 * 3.5 + 3 * 2.5) / 20)
    assert rank_among(own + 9, healthy) == 1 and rank_among(own - 9, healthy) == 0


def test_each_score_has_a_title():
    assert tuple(TITLES) == NAMES
