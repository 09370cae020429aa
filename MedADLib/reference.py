"""What held-out healthy scans scored: all that is needed to read a number, without the model that it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InputError, ModelError
from .jsonvalues import finite_number
from .threshold import Threshold

ARRAYS = ("maxima", "sample_scores", "thresholds", "false_positive_ml")
MOST_VALUES = 100_000


@dataclass(frozen=True, eq=False)
class HealthyReference:
    """Scores of healthy scans that took no part in training.

    Attributes:
        maxima: Largest value of each healthy scan's anomaly map, (n,).
        sample_scores: Sample score of each healthy scan, (n,).
        thresholds: Increasing thresholds on the anomaly map, (T,).
        false_positive_ml: Mean volume of a healthy scan above each threshold, (T,).
        brain_ml: Mean volume examined in a healthy scan.
        threshold: The one used when nobody asks for another.
    """

    maxima: np.ndarray
    sample_scores: np.ndarray
    thresholds: np.ndarray
    false_positive_ml: np.ndarray
    brain_ml: float
    threshold: Threshold

    def __post_init__(self) -> None:
        if len(self.maxima) != len(self.sample_scores) or len(self.maxima) < 1:
            raise ModelError("the calibration does not say the same number of scans everywhere")
        points = len(self.thresholds)
        if points < 2 or points != len(self.false_positive_ml) or np.diff(self.thresholds).min() <= 0:
            raise ModelError("the calibration's thresholds are not increasing")
        if self.brain_ml <= 0:
            raise ModelError("the calibration's brain has no volume")

    @property
    def count(self) -> int:
        """Number n of healthy scans."""
        return len(self.maxima)

    @property
    def smallest_p(self) -> float:
        """No p-value is below 1 / (n + 1)."""
        return 1 / (self.count + 1)

    def sample_p_value(self, score: float) -> float:
        """(1 + #{healthy ≥ score}) / (n + 1)."""
        return (1 + int((self.sample_scores >= score).sum())) / (self.count + 1)

    def region_p_value(self, peak: float) -> float:
        """Chance that a healthy scan's largest value reaches `peak`: (1 + #{healthy ≥ peak}) / (n + 1)."""
        return (1 + int((self.maxima >= peak).sum())) / (self.count + 1)

    def value_of(self, threshold: Threshold) -> float:
        """The threshold on the anomaly map that a reader's threshold means."""
        if threshold.unit == "":
            return threshold.amount
        allowed = threshold.amount if threshold.unit == "ml" else threshold.amount / 100 * self.brain_ml
        enough = np.flatnonzero(self.false_positive_ml <= allowed)
        return float(self.thresholds[enough[0]] if len(enough) else self.thresholds[-1])

    def expected_false_positive_ml(self, value: float) -> float:
        """Mean volume of a healthy scan above a value of the anomaly map."""
        return float(np.interp(value, self.thresholds, self.false_positive_ml))

    def as_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        arrays = {name: np.asarray(getattr(self, name), np.float64).tolist() for name in ARRAYS}
        return {**arrays, "brain_ml": float(self.brain_ml), "threshold": str(self.threshold)}

    @classmethod
    def from_json(cls, values: Any) -> HealthyReference:
        """The reference of `as_json()`.

        Raises:
            ModelError: If anything is missing or malformed.
        """
        names = {*ARRAYS, "brain_ml", "threshold"}
        if not isinstance(values, dict) or set(values) != names:
            raise ModelError("the record of the healthy scans is incomplete")
        try:
            arrays = {name: _numbers(values[name], name) for name in ARRAYS}
            brain_ml = finite_number(values["brain_ml"], "brain_ml")
            return cls(**arrays, brain_ml=brain_ml, threshold=Threshold.parse(str(values["threshold"])))
        except (TypeError, ValueError, InputError) as error:
            raise ModelError(f"the record of the healthy scans is malformed ({error})") from error


def _numbers(values: Any, name: str) -> np.ndarray:
    if not isinstance(values, list) or len(values) > MOST_VALUES:
        raise ValueError(f"{name} is no list of numbers")
    return np.array([finite_number(value, name) for value in values], np.float64)
