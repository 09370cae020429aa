"""Histograms of the scores of many cases: curves without sorting, and a bootstrap over subjects or cases.

The voxels of 150 brains are too many to sort for each variant and each bootstrap sample. A bin holds the scores with
equal first `BITS` of their single-precision number, so its width is at most 1/1024 of the score, without a choice of
edges; measures of a curve are those of the scores rounded down to the edge of their bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..scoring.metrics import LEVEL, ROUNDS, Curve

BITS = 19
DROPPED = 32 - BITS
OFFSET = 1 << (BITS - 1)
# Most bins of the bootstrap, of about equal numbers of positives.
COARSE = 4096


def bins_of(scores: np.ndarray) -> np.ndarray:
    """Return the bin of each score (N,), int32, increasing with the score.

    Raises:
        InputError: If a score is NaN.
    """
    # The sum turns -0 into 0.
    scores = scores.astype(np.float32) + np.float32(0)
    if np.isnan(scores).any():
        raise InputError("score_not_a_number")
    return (_ordered(scores.view(np.int32)) >> DROPPED) + OFFSET


def edges_of(bins: np.ndarray) -> np.ndarray:
    """Return the lower edge of each bin (N,), float64."""
    return _ordered((bins.astype(np.int32) - OFFSET) << DROPPED).view(np.float32).astype(np.float64)


def _ordered(bits: np.ndarray) -> np.ndarray:
    """Map the bits of single-precision numbers to integers in the same order, or back."""
    return bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of the scores of a case.

    Attributes:
        bins: Bins with negatives, increasing, int32 (K,).
        negatives: Voxels without a lesion in each bin, int32 (K,).
        positive_bins: Bins with voxels of lesions, int32 (P,).
        classes: Class of these lesions, from 0, int32 (P,).
        positives: Number of these voxels, int32 (P,).
        class_count: Number of classes.
    """

    bins: np.ndarray
    negatives: np.ndarray
    positive_bins: np.ndarray
    classes: np.ndarray
    positives: np.ndarray
    class_count: int

    @classmethod
    def of(cls, scores: np.ndarray, classes: np.ndarray, class_count: int) -> Histogram:
        """Count scores (N,) by class (N,): 0 for no lesion, 1 to `class_count` for the classes of lesions."""
        bins, inside = bins_of(scores), classes > 0
        negatives = np.bincount(bins[~inside], minlength=1)
        occupied = np.flatnonzero(negatives)
        keys, counts = np.unique(bins[inside].astype(np.int64) * class_count + classes[inside] - 1, return_counts=True)
        parts = occupied, negatives[occupied], keys // class_count, keys % class_count, counts
        return cls(*(part.astype(np.int32) for part in parts), class_count)


@dataclass(frozen=True, eq=False)
class Histograms:
    """Counts of the scores of several cases on common bins: those with a lesion in any case, and all between two.

    Attributes:
        bins: Bins, not decreasing, int32 (K,); a bin that stands for all between two others has no positives.
        negatives: Voxels without a lesion, int32 (C, K).
        positives: Voxels of lesions of each class, int32 (C, S, K).
    """

    bins: np.ndarray
    negatives: np.ndarray
    positives: np.ndarray

    @classmethod
    def of(cls, cases: Sequence[Histogram]) -> Histograms:
        """Combine the histograms of at least one case."""
        own = np.unique(np.concatenate([case.positive_bins for case in cases]))
        size = 2 * len(own) + 1
        bins = np.zeros(size, np.int32)
        bins[1::2], bins[:-1:2], bins[-1:] = own, own - 1, (own[-1] + 1 if len(own) else 0)
        negatives = np.zeros((len(cases), size), np.int32)
        positives = np.zeros((len(cases), cases[0].class_count, size), np.int32)
        for number, case in enumerate(cases):
            where = np.searchsorted(own, case.bins)
            exact = np.append(own, -1)[where] == case.bins
            negatives[number] = np.bincount(2 * where + exact, case.negatives, size)
            positives[number, case.classes, 2 * np.searchsorted(own, case.positive_bins) + 1] = case.positives
        return cls(bins, negatives, positives)

    def select(self, cases: Sequence[int] | np.ndarray, classes: Sequence[int] | None = None) -> Histograms:
        """Return some of the cases, with the lesions of some classes (from 0) only; others count as nothing."""
        positives = self.positives[np.asarray(cases, int)]
        kept = positives if classes is None else positives[:, list(classes)]
        return Histograms(self.bins, self.negatives[np.asarray(cases, int)], kept)

    def curve(self) -> Curve:
        """Return the curve of all cases together."""
        return Curve.of_counts(edges_of(self.bins), self.positives.sum(axis=(0, 1)), self.negatives.sum(axis=0))

    def bootstrap_average_precision(self, weights: np.ndarray) -> np.ndarray:
        """Return the average precision of each bootstrap sample (R,), NaN without positives.

        `weights` (R, C) say how often a sample contains each case. Bins are merged to `COARSE`.
        """
        positives, negatives = self.positives.sum(axis=1)[:, ::-1], self.negatives[:, ::-1]
        reached = np.cumsum(positives.sum(axis=0, dtype=np.int64))
        if not len(reached) or not reached[-1]:
            return np.full(len(weights), np.nan)
        occupied = np.flatnonzero(np.diff(reached, prepend=0))
        if len(occupied) > COARSE:
            occupied = np.unique(np.searchsorted(reached, np.linspace(0, reached[-1], COARSE + 1)[1:]))
        starts, stop = np.concatenate([[0], occupied[:-1] + 1]), occupied[-1] + 1
        gain, false = (
            weights.astype(np.float64) @ np.add.reduceat(part[:, :stop], starts, axis=1, dtype=np.float64)
            for part in (positives, negatives)
        )
        true, false = np.cumsum(gain, axis=1), np.cumsum(false, axis=1)
        total = true[:, -1]
        area = (gain * true / np.maximum(true + false, 1)).sum(axis=1)
        return np.where(total > 0, area / np.maximum(total, 1), np.nan)


def resampled(units: Sequence[str], seed: int, rounds: int = ROUNDS) -> np.ndarray:
    """Draw bootstrap samples of units, such as the subject of each case.

    Args:
        units: Unit of each case; the cases of a unit stay together.
        seed: Random seed; the same units and seed give the same samples.
        rounds: Number of samples R.

    Returns:
        How often each case is in each sample, int64 (R, C).
    """
    names, unit = np.unique(np.asarray(units), return_inverse=True)
    counts = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), rounds)
    return counts[:, unit]


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the percentile interval at `LEVEL` of bootstrap values; NaN values do not count."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    return tuple(np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist())
