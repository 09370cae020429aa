"""Exact metrics of detection, with percentile bootstrap intervals (Efron and Tibshirani 1993).

There is no binning, subsampling or search: voxels with equal scores count together, as in scikit-learn, and a voxel is
found if its score is at or above a threshold. Without a positive in the reference, average precision, AUROC, Dice,
recall and the false-positive rate at a recall are NaN (not 0 or 1), and means over cases must leave such cases out;
false alarms still count. Without a negative, AUROC and false-positive rates are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..masks import connected_components

ROUNDS, LEVEL = 1000, 0.95


@dataclass(frozen=True, eq=False)
class Curve:
    """Numbers of positives and negatives at or above each score of a positive.

    All measures below improve only at such scores, so the scores of negatives need not be kept.

    Attributes:
        thresholds: Distinct scores of the positives, descending, shape (K,), float64.
        true_positives: Positives at or above each threshold, shape (K,), float64.
        false_positives: Negatives at or above each threshold, shape (K,), float64.
        ties: Negatives exactly at each threshold, shape (K,), float64.
        positives: Number of positives.
        negatives: Number of negatives.
    """

    thresholds: np.ndarray
    true_positives: np.ndarray
    false_positives: np.ndarray
    ties: np.ndarray
    positives: int
    negatives: int

    @classmethod
    def of(cls, score: np.ndarray, truth: np.ndarray) -> Curve:
        """Rank scores (any shape; larger is more anomalous) against a reference, True or non-zero where positive.

        Raises:
            InputError: If the shapes differ or a score is NaN.
        """
        score, truth = np.asarray(score), np.asarray(truth).astype(bool)
        if score.shape != truth.shape:
            raise InputError("map_not_on_mask", shape=score.shape, mask=truth.shape)
        if score.dtype != np.float32:
            score = score.astype(np.float64)
        if np.isnan(score).any():
            raise InputError("score_not_a_number")
        negative = np.sort(score[~truth])
        thresholds, count = np.unique(score[truth], return_counts=True)
        at_or_above = len(negative) - np.searchsorted(negative, thresholds, side="left")
        above = len(negative) - np.searchsorted(negative, thresholds, side="right")
        return cls(
            thresholds=thresholds[::-1].astype(np.float64),
            true_positives=np.cumsum(count[::-1]).astype(np.float64),
            false_positives=at_or_above[::-1].astype(np.float64),
            ties=(at_or_above - above)[::-1].astype(np.float64),
            positives=int(count.sum()),
            negatives=len(negative),
        )

    @classmethod
    def of_counts(cls, scores: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> Curve:
        """Build the curve from the number of positives and negatives with each score; scores increase, (N,)."""
        some = np.flatnonzero(positives)[::-1]
        at_or_above = np.cumsum(negatives[::-1].astype(np.float64))[::-1]
        return cls(
            thresholds=scores[some].astype(np.float64),
            true_positives=np.cumsum(positives[some].astype(np.float64)),
            false_positives=at_or_above[some],
            ties=negatives[some].astype(np.float64),
            positives=int(positives.sum()),
            negatives=int(negatives.sum()),
        )

    @property
    def prevalence(self) -> float:
        """Share of positives, equal to the average precision of random scores; NaN without elements."""
        total = self.positives + self.negatives
        return self.positives / total if total else math.nan

    def average_precision(self) -> float:
        """Return the sum of precision times gain in recall over all thresholds; NaN without positives."""
        if not self.positives:
            return math.nan
        precision = self.true_positives / (self.true_positives + self.false_positives)
        return float((np.diff(self.true_positives, prepend=0.0) * precision).sum() / self.positives)

    def auroc(self) -> float:
        """Return the probability that a positive scores above a negative, ties as half; NaN if either is missing."""
        if not (self.positives and self.negatives):
            return math.nan
        below = self.negatives - self.false_positives + self.ties / 2
        return float((np.diff(self.true_positives, prepend=0.0) * below).sum() / self.positives / self.negatives)

    def maximum_dice(self) -> tuple[float, float]:
        """Return the best Dice at any threshold, and the highest threshold with it; NaN without positives."""
        if not self.positives:
            return math.nan, math.nan
        dice = 2 * self.true_positives / (self.true_positives + self.false_positives + self.positives)
        best = int(np.argmax(dice))
        return float(dice[best]), float(self.thresholds[best])

    def false_positive_rate_at(self, recall: float = 0.95) -> float:
        """Return the smallest false-positive rate with at least this recall in (0, 1]; NaN if a class is missing."""
        if not (self.positives and self.negatives):
            return math.nan
        first = int(np.searchsorted(self.true_positives, recall * self.positives * (1 - 1e-12)))
        return float(self.false_positives[min(first, len(self.thresholds) - 1)] / self.negatives)


@dataclass(frozen=True)
class LesionCounts:
    """Lesion-wise agreement of a binary finding with a reference.

    Attributes:
        lesions: Connected lesions in the reference.
        hit: Number of them that were found.
        false_regions: Connected regions of the finding that touch no lesion voxel.
        false_ml: Volume of all found voxels outside the reference, in mL.
    """

    lesions: int
    hit: int
    false_regions: int
    false_ml: float

    @property
    def recall(self) -> float:
        """Share of the lesions that were found; NaN without lesions."""
        return self.hit / self.lesions if self.lesions else math.nan

    def __add__(self, other: LesionCounts) -> LesionCounts:
        return LesionCounts(
            self.lesions + other.lesions,
            self.hit + other.hit,
            self.false_regions + other.false_regions,
            self.false_ml + other.false_ml,
        )


def count_lesions(found: np.ndarray, truth: np.ndarray, voxel_ml: float, overlap: float = 0.1) -> LesionCounts:
    """Count detected lesions and false alarms; connectivity is by face, edge or corner.

    Args:
        found: Mask of shape (Z, Y, X).
        truth: Reference mask of the same shape.
        voxel_ml: Volume of one voxel in mL.
        overlap: Share of a lesion's voxels that must be found for a hit; with 0, one voxel is enough.

    Raises:
        InputError: If the shapes differ.
    """
    found, truth = np.asarray(found, dtype=bool), np.asarray(truth, dtype=bool)
    if found.shape != truth.shape:
        raise InputError("map_not_on_mask", shape=found.shape, mask=truth.shape)
    lesion, region = connected_components(truth), connected_components(found)
    size = np.bincount(lesion.ravel())[1:]
    covered = np.bincount(lesion[found], minlength=len(size) + 1)[1:]
    regions = int(region.max(initial=0))
    touching = np.count_nonzero(np.bincount(region[truth], minlength=regions + 1)[1:])
    return LesionCounts(
        lesions=len(size),
        hit=int(np.count_nonzero(covered >= np.maximum(overlap * size * (1 - 1e-12), 1))),
        false_regions=regions - touching,
        false_ml=float(np.count_nonzero(found & ~truth) * voxel_ml),
    )


def intervals(
    score: np.ndarray,
    truth: np.ndarray,
    measures: Mapping[str, Callable[[Curve], float]],
    seed: int,
    rounds: int = ROUNDS,
) -> dict[str, tuple[float, float]]:
    """Compute percentile bootstrap intervals at `LEVEL` for each measure.

    Positives and negatives are resampled separately, because average precision depends on their shares. The same seed
    resamples the same images for every score, so that intervals of several scores can be compared.

    Args:
        score: One number per image, (N,); larger is more anomalous.
        truth: Whether each is a positive, bool (N,).
        measures: Functions by name, such as `Curve.auroc`.
        seed: Random seed.
        rounds: Number of bootstrap samples.

    Returns:
        Lower and upper ends, by name.
    """
    random = np.random.default_rng(seed)
    groups = [np.flatnonzero(~truth), np.flatnonzero(truth)]
    values: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        sample = np.concatenate([random.choice(group, len(group)) for group in groups])
        curve = Curve.of(score[sample], truth[sample])
        for name, measure in measures.items():
            values[name].append(measure(curve))
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return {name: tuple(np.quantile(found, ends).tolist()) for name, found in values.items()}
