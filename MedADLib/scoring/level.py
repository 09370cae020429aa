"""Level of the z-scores of healthy scans, to which scans of another scanner are brought down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import SettingError


@dataclass(frozen=True)
class Level:
    """Level of healthy scans at one scale.

    A scan of another scanner, resolution or noise may score higher everywhere. Half of its voxels, at least, are taken
    to be healthy, so its median shows by how much: a lesion hardly moves it.

    Attributes:
        mean: Mean over healthy scans of the median z-score of a scan.
        highest: The highest of these medians.
    """

    mean: float
    highest: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and self.mean <= self.highest < math.inf):
            raise SettingError("calibration_level")

    @classmethod
    def of(cls, scans: Sequence[np.ndarray]) -> Level:
        """Measure the level of healthy scans from the z-scores of each, (N,)."""
        medians = [_median(z_scores) for z_scores in scans]
        return cls(float(np.mean(medians)), max(medians))

    @property
    def most(self) -> float:
        """Excess of the healthy scan that scores highest."""
        return self.highest - self.mean

    def excess(self, z_scores: np.ndarray) -> float:
        """Return by how much the median of a scan is above the mean level, 0 or more, in healthy SD.

        Args:
            z_scores: Those of the examined part of the scan, (N,).
        """
        return max(_median(z_scores) - self.mean, 0.0)


def _median(z_scores: np.ndarray) -> float:
    return float(np.median(z_scores)) if z_scores.size else 0.0
