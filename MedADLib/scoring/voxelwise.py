"""Voxelwise mean and SD of healthy scores, of all scans or without one of them, and z-scores by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .pooling import smooth

PRIOR_SCANS = 4.0
STATISTICS_FWHM_MM = 6.0


@dataclass(frozen=True, eq=False)
class VoxelStatistics:
    """Voxelwise mean and SD of the pooled score of healthy scans, in the model's space.

    Attributes:
        mean: float32 (Z, Y, X).
        sd: SD, float32 (Z, Y, X), positive.
    """

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def of(
        cls, scores: Sequence[np.ndarray], masks: Sequence[np.ndarray], spacing: Sequence[float], mirrored: bool = True
    ) -> VoxelStatistics:
        """Estimate mean and SD from pooled scores of healthy scans and, if they are healthy too, their mirror images.

        A few scans give a poor estimate for a single voxel. Mean and variance are therefore smoothed, and the variance
        is shrunk towards that of the whole brain with the weight of `PRIOR_SCANS` scans.

        Args:
            scores: Pooled scores, each (Z, Y, X).
            masks: Brains, each bool (Z, Y, X).
            spacing: Voxel spacing along (x, y, z) in mm.
            mirrored: Whether mirror images of the scans are healthy scans too.
        """
        totals = Totals(scores[0].shape, mirrored)
        for score, mask in zip(scores, masks):
            totals.add(score, mask)
        return totals.statistics(spacing)

    @property
    def size(self) -> float:
        """Mean SD, the unit in which model files store mean and SD."""
        return float(self.sd.mean())

    def scaled(self, mean: float, sd: float) -> VoxelStatistics:
        """Return mean and SD multiplied by factors."""
        return VoxelStatistics(self.mean * np.float32(mean), self.sd * np.float32(sd))

    def factors_to(self, other: VoxelStatistics, mask: np.ndarray) -> tuple[float, float]:
        """Return the factors to another mean, by least squares, and SD, by the geometric mean, within a mask."""
        ours, theirs = (voxelwise.mean[mask].astype(np.float64) for voxelwise in (self, other))
        ratio = np.log(other.sd[mask].astype(np.float64) / self.sd[mask])
        return float((ours @ theirs) / max(ours @ ours, 1e-300)), float(np.exp(ratio.mean()))

    def z_scores(self, pooled: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Convert a pooled score (Z, Y, X) to z-scores, SD above the healthy mean; 0 outside the mask."""
        return np.where(mask, (pooled - self.mean) / self.sd, 0).astype(np.float32)


class Totals:
    """Sums over healthy scans, in double precision, that give mean and SD with or without one of the scans.

    Args:
        shape: Shape of the maps, (Z, Y, X).
        mirrored: Whether mirror images of the scans count too.
    """

    def __init__(self, shape: tuple[int, ...], mirrored: bool = True):
        self._count, self._total, self._squares = (np.zeros(shape) for _ in range(3))
        self._mirrored = mirrored

    def add(self, score: np.ndarray, mask: np.ndarray, times: int = 1) -> None:
        """Add the pooled score of a scan (Z, Y, X) within its mask (Z, Y, X); `times` -1 removes it again."""
        for s, m in ((score, mask), (score[:, :, ::-1], mask[:, :, ::-1]))[: 1 + self._mirrored]:
            values = np.where(m, s.astype(np.float64), 0.0)
            self._count += times * m
            self._total += times * values
            self._squares += times * values**2

    def statistics(self, spacing: Sequence[float]) -> VoxelStatistics:
        """Return mean and SD, see `VoxelStatistics.of`."""
        count = self._count
        seen = count > 0
        safe = np.maximum(count, 1)
        mean = (self._total / safe).astype(np.float32)
        variance = np.maximum(self._squares / safe - (self._total / safe) ** 2, 0).astype(np.float32)
        mean = smooth(mean, seen, spacing, STATISTICS_FWHM_MM)
        variance = smooth(variance, seen, spacing, STATISTICS_FWHM_MM)
        overall = float(variance[seen].mean())
        weight = count / (1 + self._mirrored)
        variance = (weight * variance + PRIOR_SCANS * overall) / (weight + PRIOR_SCANS)
        mean = np.where(seen, mean, mean[seen].mean())
        return VoxelStatistics(mean.astype(np.float32), np.sqrt(np.maximum(variance, 1e-20)).astype(np.float32))

    def without(self, score: np.ndarray, mask: np.ndarray, spacing: Sequence[float]) -> VoxelStatistics:
        """Return mean and SD of the other scans than one of those that were added."""
        self.add(score, mask, -1)
        found = self.statistics(spacing)
        self.add(score, mask)
        return found
