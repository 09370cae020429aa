"""How far a measure of a few images can be trusted: percentile bootstrap intervals (Efron and Tibshirani 1993)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .metrics import Curve

ROUNDS, LEVEL = 1000, 0.95


def interval(
    score: np.ndarray, truth: np.ndarray, measure: Callable[[Curve], float], seed: int, rounds: int = ROUNDS
) -> tuple[float, float]:
    """The interval that holds `LEVEL` of a measure's values on images drawn with replacement.

    Positives and negatives are drawn apart, so that their shares, on which average precision depends, stay. The same
    seed draws the same images for every score, so that intervals of several scores can be compared.

    Args:
        score: One number an image, (N,); larger is more unusual.
        truth: Whether each is a positive, bool (N,).
        measure: Such as `Curve.auroc`.
        seed: Of the draws.
        rounds: How many draws.

    Returns:
        Lower and upper end.
    """
    random = np.random.default_rng(seed)
    groups = [np.flatnonzero(~truth), np.flatnonzero(truth)]
    values = []
    for _ in range(rounds):
        drawn = np.concatenate([random.choice(group, len(group)) for group in groups])
        values.append(measure(Curve.of(score[drawn], truth[drawn])))
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
