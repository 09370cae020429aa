"""Histograms of scores against scikit-learn, and their bootstrap against curves of resampled voxels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.evaluation.histograms import Histogram, Histograms, bins_of, edges_of, interval, resampled
from MedADLib.scoring.metrics import Curve


def case(random: np.random.Generator, size: int, share: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores and classes (0 to 2) of a case."""
    classes = np.where(random.random(size) < share, random.integers(1, 3, size), 0)
    return (random.gumbel(size=size) + shift * classes).astype(np.float32), classes


CASES = [case(np.random.default_rng(n), 4000 + 100 * n, 0.01 * (n + 1), 1.0 + 0.2 * n) for n in range(6)]
COUNTED = Histograms.of([Histogram.of(scores, classes, 2) for scores, classes in CASES])


def test_bins_are_in_the_order_of_the_scores_and_narrow():
    scores = np.array([-3e5, -2.0, -1.001, -1e-9, -0.0, 0.0, 1e-9, 0.5, 1.0, 1.002, 7e7], np.float32)
    bins = bins_of(scores)
    assert (np.diff(bins) >= 0).all() and bins[4] == bins[5] and len(set(bins)) == 10
    edges = edges_of(bins)
    assert (edges <= scores).all() and (np.abs(edges - scores) <= np.abs(scores) / 1000).all()
    with raises(InputError, "score_not_a_number"):
        bins_of(np.array([np.nan], np.float32))


@pytest.mark.parametrize("chosen", [range(6), [0], [2, 4, 4]])
def test_a_curve_is_that_of_the_voxels(chosen):
    chosen = list(chosen)
    scores, truth = (np.concatenate(part) for part in zip(*(CASES[n] for n in chosen)))
    curve, exact = COUNTED.select(chosen).curve(), Curve.of(scores, truth)
    assert curve.average_precision() == pytest.approx(average_precision_score(truth > 0, scores), abs=2e-3)
    assert curve.auroc() == pytest.approx(roc_auc_score(truth > 0, scores), abs=2e-4)
    assert curve.maximum_dice()[0] == pytest.approx(exact.maximum_dice()[0], abs=2e-3)
    assert curve.false_positive_rate_at(0.95) == pytest.approx(exact.false_positive_rate_at(0.95), abs=2e-3)
    assert (curve.positives, curve.negatives) == (exact.positives, exact.negatives)


def test_a_class_of_lesions_is_compared_with_healthy_voxels_only():
    scores, classes = CASES[5]
    chosen = classes != 1
    found = COUNTED.select([5], [1]).curve().average_precision()
    assert found == pytest.approx(average_precision_score(classes[chosen] == 2, scores[chosen]), abs=2e-3)


def test_bootstrap_values_are_those_of_repeated_cases():
    weights = np.array([[1, 1, 1, 1, 1, 1], [2, 0, 0, 3, 0, 1]])
    found = COUNTED.bootstrap_average_precision(weights)
    for value, row in zip(found, weights):
        repeated = [CASES[n] for n, times in enumerate(row) for _ in range(times)]
        scores, truth = (np.concatenate(part) for part in zip(*repeated))
        assert value == pytest.approx(average_precision_score(truth > 0, scores), abs=3e-3)
    nothing = Histograms.of([Histogram.of(CASES[0][0], np.zeros_like(CASES[0][1]), 2)])
    assert np.isnan(nothing.bootstrap_average_precision(np.ones((2, 1)))).all()


def test_samples_keep_the_cases_of_a_subject_together_and_repeat():
    drawn = resampled(["b", "a", "b", "c"], 3, 200)
    assert drawn.shape == (200, 4) and (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, [0, 1, 3]].sum(axis=1) == 3).all() and len(np.unique(drawn, axis=0)) > 5
    assert (resampled(["b", "a", "b", "c"], 3, 200) == drawn).all()


def test_an_interval_covers_the_middle_and_leaves_out_what_is_unknown():
    low, high = interval(np.append(np.arange(1001.0), np.nan))
    assert (low, high) == pytest.approx((25, 975))
    assert np.isnan(interval(np.array([np.nan]))).all()
