"""Metrics: against scikit-learn and brute force, with heavy ties and with empty references."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage

from MedADLib.errors import InputError
from MedADLib.evaluation.overlap import dice
from MedADLib.scoring.metrics import Curve, LesionCounts, count_lesions


def scores(levels: int | None, prevalence: float, number: int, dtype=np.float32) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([levels or 0, int(prevalence * 1000), number])
    truth = rng.random(number) < prevalence
    truth[:2] = True, False
    score = rng.normal(size=number) + truth
    return (score if levels is None else np.round(score * levels) / levels).astype(dtype), truth


CASES = [
    scores(None, 0.3, 200),
    scores(None, 0.01, 800),
    scores(2, 0.3, 500),
    scores(1, 0.05, 2000, np.float64),
    scores(1, 0.95, 400, np.int16),
    (np.full(50, 0.25, np.float32), np.arange(50) < 7),
    (np.float32([0, 0, 0, 1, 1, 2]), np.array([1, 0, 0, 1, 0, 0], bool)),
]


@pytest.mark.parametrize("score, truth", CASES)
def test_area_measures_agree_with_scikit_learn(score, truth):
    from sklearn.metrics import average_precision_score, roc_auc_score

    curve = Curve.of(score, truth)
    assert curve.average_precision() == pytest.approx(average_precision_score(truth, score), abs=1e-12)
    assert curve.auroc() == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    assert curve.prevalence == pytest.approx(truth.mean())


@pytest.mark.parametrize("score, truth", CASES)
def test_maximum_dice_agrees_with_trying_every_threshold(score, truth):
    from sklearn.metrics import f1_score

    best, threshold = Curve.of(score, truth).maximum_dice()
    tried = {t: f1_score(truth, score >= t) for t in np.unique(score)}
    assert best == pytest.approx(max(tried.values()), abs=1e-12)
    assert threshold == max(t for t, value in tried.items() if np.isclose(value, best, atol=1e-12))
    # MONAI computes in single precision.
    assert dice(score >= threshold, truth) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("recall", [0.5, 0.95, 1.0])
@pytest.mark.parametrize("score, truth", CASES)
def test_false_positive_rate_agrees_with_the_roc_curve(score, truth, recall):
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    expected = fpr[tpr >= recall - 1e-12].min()
    assert Curve.of(score, truth).false_positive_rate_at(recall) == pytest.approx(expected, abs=1e-12)


def test_a_recall_that_is_met_exactly_is_met():
    score = np.arange(40.0)
    truth = score >= 20
    truth[0], truth[39] = True, False
    curve = Curve.of(score, truth)
    assert curve.positives == 20
    assert curve.false_positive_rate_at(0.95) == 1 / 20
    assert curve.false_positive_rate_at(0.951) == 1.0


def test_measures_ignore_the_scale_and_do_not_depend_on_shape_or_order():
    score, truth = CASES[1]
    curve = Curve.of(score, truth)
    other = Curve.of((1e6 * score - 5e6).astype(np.float64).reshape(20, 40), truth.reshape(20, 40).astype(np.uint8))
    order = np.random.default_rng(0).permutation(len(score))
    third = Curve.of(score[order], truth[order])
    for measure in ("average_precision", "auroc", "false_positive_rate_at"):
        assert getattr(curve, measure)() == getattr(third, measure)() == getattr(other, measure)()


def test_without_positives_there_is_nothing_to_measure():
    curve = Curve.of(np.arange(5.0), np.zeros(5, bool))
    assert np.isnan(
        [curve.average_precision(), curve.auroc(), *curve.maximum_dice(), curve.false_positive_rate_at()]
    ).all()
    assert curve.prevalence == 0
    assert np.isnan(dice(np.ones(3, bool), np.zeros(3, bool)))


def test_dice_of_a_large_mask_keeps_six_digits():
    found, truth = np.ones(30_000_000, bool), np.zeros(30_000_000, bool)
    truth[:20_000_001] = True
    assert dice(found, truth) == pytest.approx(2 * 20_000_001 / 50_000_001, abs=1e-6)
    assert dice(truth.astype(np.uint8).reshape(100, -1), truth.reshape(100, -1)) == 1.0


def test_without_negatives_everything_found_is_right():
    curve = Curve.of(np.arange(5.0), np.ones(5, bool))
    assert (curve.average_precision(), curve.maximum_dice()) == (1.0, (1.0, 0.0))
    assert np.isnan([curve.auroc(), curve.false_positive_rate_at()]).all()


def test_scores_that_cannot_be_ranked_are_refused():
    with pytest.raises(InputError):
        Curve.of(np.array([1.0, np.nan]), np.array([True, False]))
    with pytest.raises(InputError):
        Curve.of(np.zeros(3), np.zeros(4, bool))


def test_a_rare_lesion_among_millions_is_measured_in_seconds():
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    score = rng.random(4_000_000, np.float32)
    truth = np.zeros(len(score), bool)
    truth[:4000] = True
    score[:4000] += 0.5
    start = time.process_time()
    curve = Curve.of(score, truth)
    measured = curve.average_precision()
    assert time.process_time() - start < 6
    assert measured == pytest.approx(average_precision_score(truth, score), abs=1e-10)


def blobs(seed: int, level: float) -> np.ndarray:
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(20, 24, 22)), 1.5) > level


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.5])
def test_lesion_counts_agree_with_a_lesion_by_lesion_reference(overlap):
    truth, found = blobs(0, 0.10), blobs(1, 0.09) | (blobs(0, 0.14) & (np.arange(22) < 11))
    cube = np.ones((3, 3, 3))
    lesion, lesions = ndimage.label(truth, cube)
    region, regions = ndimage.label(found, cube)
    hit = sum(found[lesion == k].mean() >= max(overlap, 1e-9) for k in range(1, lesions + 1))
    alarms = sum(not truth[region == k].any() for k in range(1, regions + 1))
    assert 0 < hit < lesions and 0 < alarms < regions
    counts = count_lesions(found, truth, 0.002, overlap)
    assert counts == LesionCounts(lesions, hit, alarms, pytest.approx((found & ~truth).sum() * 0.002))
    assert counts.recall == hit / lesions


def test_the_share_of_a_lesion_that_must_be_found():
    truth = np.zeros((3, 3, 12), bool)
    truth[1, 1, 1:11] = True
    found = np.zeros_like(truth)
    found[1, 1, 1] = True
    assert count_lesions(found, truth, 1.0, 0.1).hit == 1
    assert count_lesions(found, truth, 1.0, 0.11).hit == 0
    assert count_lesions(found, truth, 1.0, 0.0).hit == 1
    assert count_lesions(~truth, truth, 1.0, 0.0).hit == 0


def test_empty_masks_have_no_lesions_but_false_alarms_count():
    nothing, something = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    something[0, 0, 0] = something[3, 3, 3] = True
    assert count_lesions(nothing, nothing, 1.0) == LesionCounts(0, 0, 0, 0.0)
    assert count_lesions(nothing, something, 1.0) == LesionCounts(2, 0, 0, 0.0)
    healthy = count_lesions(something, nothing, 0.5)
    assert healthy == LesionCounts(0, 0, 2, 1.0) and np.isnan(healthy.recall)
    assert healthy + LesionCounts(2, 1, 0, 0.5) == LesionCounts(2, 1, 2, 1.5)
