"""What healthy scans score at each place of the model's space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .postprocessing import smooth

PRIOR_SCANS = 4.0
PLACE_FWHM_MM = 6.0


@dataclass(frozen=True, eq=False)
class Places:
    """Mean and spread of the pooled score of healthy scans at each place of the model's space.

    Attributes:
        mean: float32 (Z, Y, X).
        spread: float32 (Z, Y, X), positive.
    """

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(
        cls, scores: Sequence[np.ndarray], masks: Sequence[np.ndarray], spacing: Sequence[float], mirrored: bool = True
    ) -> Places:
        """Estimate from pooled scores of healthy scans and, where that is a healthy scan too, of their mirror images.

        A handful of scans says little about a single voxel, so mean and variance are smoothed over neighbours, and
        the variance is pulled towards the brain's as if `PRIOR_SCANS` more scans had shown that.

        Args:
            scores: Pooled scores, each (Z, Y, X).
            masks: Brains, each bool (Z, Y, X).
            spacing: Voxel spacing along (x, y, z) in mm.
            mirrored: Whether mirror images count.
        """
        shape = scores[0].shape
        count, total, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for score, mask in zip(scores, masks):
            for s, m in ((score, mask), (score[:, :, ::-1], mask[:, :, ::-1]))[: 1 + mirrored]:
                values = np.where(m, s.astype(np.float64), 0.0)
                count, total, squares = count + m, total + values, squares + values**2
        seen = count > 0
        safe = np.maximum(count, 1)
        mean = (total / safe).astype(np.float32)
        variance = np.maximum(squares / safe - (total / safe) ** 2, 0).astype(np.float32)
        mean = smooth(mean, seen, spacing, PLACE_FWHM_MM)
        variance = smooth(variance, seen, spacing, PLACE_FWHM_MM)
        overall = float(variance[seen].mean())
        weight = count / (1 + mirrored)
        variance = (weight * variance + PRIOR_SCANS * overall) / (weight + PRIOR_SCANS)
        mean = np.where(seen, mean, mean[seen].mean())
        return cls(mean.astype(np.float32), np.sqrt(np.maximum(variance, 1e-20)).astype(np.float32))

    def times(self, mean: float, spread: float) -> Places:
        """The same places where scores are so many times as large."""
        return Places(self.mean * np.float32(mean), self.spread * np.float32(spread))

    def times_of(self, other: Places, mask: np.ndarray) -> tuple[float, float]:
        """How many times as large means and spreads of other places are, within a mask.

        The first in the sense of least squares, the second in the geometric mean.
        """
        ours, theirs = (places.mean[mask].astype(np.float64) for places in (self, other))
        ratio = np.log(other.spread[mask].astype(np.float64) / self.spread[mask])
        return float((ours @ theirs) / max(ours @ ours, 1e-300)), float(np.exp(ratio.mean()))

    def unusual(self, pooled: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The pooled score in units of the healthy spread above the healthy mean, 0 outside the mask."""
        return np.where(mask, (pooled - self.mean) / self.spread, 0).astype(np.float32)
