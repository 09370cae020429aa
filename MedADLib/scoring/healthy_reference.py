"""Scores of healthy scans that the method did not see, and the p-values and thresholds that follow from them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError, ModelError
from ..runtime.strict_json import LARGEST_NUMBER, finite_number
from .scan_score import METHOD, NAMES

ARRAYS = ("maxima", "sample_scores", "thresholds", "false_positive_ml")
MOST_VALUES = 100_000
# A sum over the codes or voxels of a scan is below.
MOST_SCORE = 1e9
# From 0.1 mm to 4 m on each side.
LEAST_ML, MOST_ML = 1e-6, 6.4e7
# Units of an anomaly map: −log10 of the healthy exceedance, and that of earlier versions, SD above the healthy mean.
RARITY, Z_SCORE = UNITS = ("rarity", "z")

# The p-value that texts name, and the number of healthy scans it needs: with n scans, the smallest is 1 / (n + 1).
WANTED_P = 0.05
NEEDED = round(1 / WANTED_P) - 1
LEAST_PART = 1e-5
MOST_PART = 0.03


@dataclass(frozen=True)
class Threshold:
    """A threshold and its unit.

    Attributes:
        amount: The number.
        unit: ``""`` for values of the anomaly map, ``"ml"`` for the expected false positives in a healthy scan, ``"%"``
            for the same as a share of the examined volume.
    """

    amount: float
    unit: str = ""

    def __post_init__(self) -> None:
        if self.unit not in ("", "ml", "%") or not math.isfinite(self.amount) or self.amount < 0:
            raise InputError("bad_threshold", threshold=f"{self.amount}{self.unit}")

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Parse a text such as ``3.5``, ``1ml`` or ``0.1%``.

        Raises:
            InputError: If the text is none of these.
        """
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(ml|%)?\s*", text, re.IGNORECASE)
        if not match:
            raise InputError("bad_threshold", threshold=text)
        return cls(float(match[1]), (match[2] or "").lower())

    def __str__(self) -> str:
        from decimal import Decimal

        return f"{Decimal(repr(self.amount)).normalize():f}{self.unit}"


@dataclass(frozen=True, eq=False)
class HealthyReference:
    """Scores of healthy scans, each by a method that was trained without the scan.

    Attributes:
        maxima: Largest value of each healthy scan's anomaly map, (n,).
        sample_scores: Sample score of each healthy scan, (n,).
        thresholds: Increasing thresholds on the anomaly map, (T,).
        false_positive_ml: Mean volume in mL of a healthy scan above each threshold, (T,).
        brain_ml: Mean examined volume of a healthy scan, in mL.
        threshold: The default threshold.
        unit: Unit of the anomaly map, its maxima and thresholds: `RARITY`, or `Z_SCORE` in results of earlier versions.
        scan_score: Name of the sample score, see `scan_score`.
    """

    maxima: np.ndarray
    sample_scores: np.ndarray
    thresholds: np.ndarray
    false_positive_ml: np.ndarray
    brain_ml: float
    threshold: Threshold
    unit: str = RARITY
    scan_score: str = METHOD

    def __post_init__(self) -> None:
        arrays = [np.asarray(getattr(self, name)) for name in ARRAYS]
        if any(array.ndim != 1 or len(array) > MOST_VALUES for array in arrays):
            raise ModelError("calibration_numbers")
        if not all(np.isfinite(array).all() and np.abs(array).max(initial=0) <= LARGEST_NUMBER for array in arrays):
            raise ModelError("calibration_numbers")
        if len(self.maxima) != len(self.sample_scores) or len(self.maxima) < 1:
            raise ModelError("calibration_counts")
        points = len(self.thresholds)
        if points < 2 or points != len(self.false_positive_ml) or np.diff(self.thresholds).min() <= 0:
            raise ModelError("calibration_thresholds")
        if not LEAST_ML <= self.brain_ml <= MOST_ML:
            raise ModelError("calibration_no_volume")
        # Scores from the map are never negative; the method's own may be.
        least = -MOST_SCORE if self.scan_score == METHOD else 0.0
        if not least <= self.sample_scores.min() <= self.sample_scores.max() <= MOST_SCORE:
            raise ModelError("calibration_numbers")
        above = self.false_positive_ml
        if above.min() < 0 or above.max() > self.brain_ml * (1 + 1e-6):
            raise ModelError("calibration_numbers")
        if self.threshold.amount > LARGEST_NUMBER:
            raise ModelError("calibration_numbers")
        if self.unit not in UNITS or self.scan_score not in NAMES:
            raise ModelError("calibration_unit")

    @property
    def count(self) -> int:
        """Number n of healthy scans."""
        return len(self.maxima)

    @property
    def smallest_p(self) -> float:
        """The smallest possible p-value, 1 / (n + 1)."""
        return 1 / (self.count + 1)

    @property
    def largest(self) -> float:
        """The largest healthy value of the anomaly map; rarities above it only rank voxels."""
        return float(self.maxima.max())

    def sample_p_value(self, score: float) -> float:
        """Return the p-value of a sample score: (1 + #{healthy ≥ score}) / (n + 1)."""
        return (1 + int((self.sample_scores >= score).sum())) / (self.count + 1)

    def region_p_value(self, peak: float) -> float:
        """Return the p-value of a region from the healthy maxima: (1 + #{healthy ≥ peak}) / (n + 1)."""
        return (1 + int((self.maxima >= peak).sum())) / (self.count + 1)

    def value_of(self, threshold: Threshold) -> float:
        """Convert a threshold of any unit to a value of the anomaly map."""
        if threshold.unit == "":
            return threshold.amount
        allowed = threshold.amount if threshold.unit == "ml" else threshold.amount / 100 * self.brain_ml
        enough = np.flatnonzero(self.false_positive_ml <= allowed)
        return float(self.thresholds[enough[0]] if len(enough) else self.thresholds[-1])

    def expected_false_positive_ml(self, value: float) -> float:
        """Return the mean volume in mL of a healthy scan above a value of the anomaly map."""
        return float(np.interp(value, self.thresholds, self.false_positive_ml))

    def as_json(self) -> dict[str, Any]:
        """Return the reference as plain JSON values."""
        arrays = {name: np.asarray(getattr(self, name), np.float64).tolist() for name in ARRAYS}
        named = {"unit": self.unit, "scan_score": self.scan_score}
        return {**arrays, "brain_ml": float(self.brain_ml), "threshold": str(self.threshold), **named}

    @classmethod
    def from_json(cls, values: Any) -> HealthyReference:
        """Build the reference from `as_json()`.

        Earlier versions wrote neither unit nor scan score: their maps are z-scores, scored by the method.

        Raises:
            ModelError: If anything is missing or malformed.
        """
        names, named = {*ARRAYS, "brain_ml", "threshold"}, {"unit": Z_SCORE, "scan_score": METHOD}
        if not isinstance(values, dict) or not names <= set(values) <= names | set(named):
            raise ModelError("reference_incomplete")
        try:
            arrays = {name: _numbers(values[name], name) for name in ARRAYS}
            brain_ml = finite_number(values["brain_ml"], "brain_ml")
            named = {name: str(values.get(name, earlier)) for name, earlier in named.items()}
            return cls(**arrays, brain_ml=brain_ml, threshold=Threshold.parse(str(values["threshold"])), **named)
        except (TypeError, ValueError, InputError) as error:
            raise ModelError("reference_malformed", detail=error) from error


def _numbers(values: Any, name: str) -> np.ndarray:
    if not isinstance(values, list) or len(values) > MOST_VALUES:
        raise ValueError(f"{name} is not a list of numbers")
    return np.array([finite_number(value, name) for value in values], np.float64)


@dataclass(frozen=True)
class ThresholdScale:
    """Scale of a slider: positions in [0, 1] for expected false positives in mL, logarithmic except at 0.

    Attributes:
        least_ml: Volume just above position 0; position 0 itself means no false positive at all.
        most_ml: Volume at position 1.
    """

    least_ml: float
    most_ml: float

    @classmethod
    def of(cls, reference: HealthyReference) -> ThresholdScale:
        """Choose the scale for a reference: at most 0.001 % to 3 % of the examined volume."""
        curve = reference.false_positive_ml
        positive = curve[curve > 0]
        largest = float(positive.max()) if len(positive) else reference.brain_ml * MOST_PART
        smallest = float(positive.min()) if len(positive) else 0.0
        most = min(largest, reference.brain_ml * MOST_PART)
        return cls(min(max(smallest, reference.brain_ml * LEAST_PART), most / 2.0), most)

    def ml(self, position: float) -> float:
        """Return the volume in mL at a position; positions beyond an end count as the end."""
        if position <= 0.0:
            return 0.0
        return float(self.least_ml * (self.most_ml / self.least_ml) ** min(position, 1.0))

    def position(self, ml: float) -> float:
        """Return the position of a volume in mL; volumes beyond an end are at the end."""
        if ml <= 0.0:
            return 0.0
        position = math.log(ml / self.least_ml) / math.log(self.most_ml / self.least_ml)
        return min(max(position, 0.0), 1.0)
