from __future__ import annotations

import numpy as np
import pytest

from MedADLib.scoring.metrics import Curve, intervals

MEASURES = {"auroc": Curve.auroc, "ap": Curve.average_precision}


def auroc_interval(score: np.ndarray, truth: np.ndarray, seed: int, rounds: int) -> tuple[float, float]:
    return intervals(score, truth, MEASURES, seed, rounds)["auroc"]


def scores(count: int, apart: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    truth = np.arange(count) < count // 3
    return np.random.default_rng(seed).normal(truth * apart, 1.0), truth


def test_the_interval_is_that_of_a_plain_loop_with_scikit_learn():
    from sklearn.metrics import average_precision_score, roc_auc_score

    score, truth = scores(90)
    random, values = np.random.default_rng(5), {"auroc": [], "ap": []}
    for _ in range(50):
        drawn = np.concatenate([random.choice(np.flatnonzero(truth == sick), (truth == sick).sum()) for sick in (0, 1)])
        values["auroc"].append(roc_auc_score(truth[drawn], score[drawn]))
        values["ap"].append(average_precision_score(truth[drawn], score[drawn]))
    found = intervals(score, truth, MEASURES, 5, 50)
    for name, drawn in values.items():
        assert found[name] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))


def test_the_interval_is_as_wide_as_theory_says():
    score, truth = scores(300)
    low, high = auroc_interval(score, truth, 0, 400)
    area, sick, well = Curve.of(score, truth).auroc(), truth.sum(), (~truth).sum()
    # Hanley and McNeil 1982.
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (sick - 1) * (one - area**2) + (well - 1) * (two - area**2)) / (sick * well)
    assert low < area < high and high - low == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.15)


def test_a_seed_repeats_and_perfect_scores_leave_no_doubt():
    score, truth = scores(60)
    assert auroc_interval(score, truth, 1, 50) == auroc_interval(score, truth, 1, 50)
    assert auroc_interval(score, truth, 1, 50) != auroc_interval(score, truth, 2, 50)
    assert auroc_interval(truth * 1.0, truth, 1, 50) == (1.0, 1.0)


def test_few_images_say_less_than_many():
    widths = [high - low for low, high in (auroc_interval(*scores(n), 0, 200) for n in (30, 300))]
    assert widths[0] > 2 * widths[1]
