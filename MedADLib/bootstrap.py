"""How far a measure of a few images can be trusted: percentile bootstrap intervals (Efron and Tibshirani 1993)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .metrics import Curve

ROUNDS, LEVEL = 1000, 0.95


def intervals(
    score: np.ndarray,
    truth: np.ndarray,
    measures: Mapping[str, Callable[[Curve], float]],
    seed: int,
    rounds: int = ROUNDS,
) -> dict[str, tuple[float, float]]:
    """For each measure the interval that holds `LEVEL` of its values on images drawn with replacement.

    Positives and negatives are drawn apart, so that their shares, on which average precision depends, stay. The same
    seed draws the same images for every score, so that intervals of several scores can be compared.

    Args:
        score: One number an image, (N,); larger is more unusual.
        truth: Whether each is a positive, bool (N,).
        measures: By name, such as `Curve.auroc`.
        seed: Of the draws.
        rounds: How many draws.

    Returns:
        Lower and upper ends, by name.
    """
    random = np.random.default_rng(seed)
    groups = [np.flatnonzero(~truth), np.flatnonzero(truth)]
    values: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        drawn = np.concatenate([random.choice(group, len(group)) for group in groups])
        curve = Curve.of(score[drawn], truth[drawn])
        for name, measure in measures.items():
            values[name].append(measure(curve))
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return {name: tuple(np.quantile(found, ends).tolist()) for name, found in values.items()}
