"""Healthy tail: how rare a value is in healthy scans, from their pooled voxels and a fitted tail beyond them.

The rarity of a value is −log10 of the healthy exceedance, the share of healthy voxels with at least this value:
3 means one healthy voxel in a thousand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ModelError, SettingError
from ..runtime.strict_json import LARGEST_NUMBER

KNOTS = 256
MOST_KNOTS = 4096
LARGEST_RARITY = 20.0
# With a smaller scale, the rarity of a value could become infinite.
LEAST_SCALE = 1e-12
# The tail is fitted to this share of the values, and to no fewer than this number of them. With a larger share, a shape
# of 0 in place of a negative one underestimates the rarity of the largest values more.
TAIL_SHARE = 1e-4
FEWEST_EXCESSES = 50
# Points of a stored curve that a tail is fitted to, at least.
FEWEST_POINTS = 3
# Quantiles of each scan at which the pooled exceedance is computed.
QUANTILES = 1024
# Names of the stored arrays.
PARTS = ("tail_values", "tail_rarities", "tail_beyond")


@dataclass(frozen=True, eq=False)
class HealthyTail:
    """The share of healthy voxels that reach a value, as its rarity.

    Up to the last knot, which about one value in ten thousand exceeds, the rarity is that of the healthy values, linear
    between the knots. Beyond, excesses follow a generalised Pareto distribution (Pickands 1975, Ann. Stat. 3:119).
    Its shape is not negative, so it has no end point, and rarity increases strictly with the value.

    The values of adjacent voxels are correlated, since maps are pooled over millimetres, and those of one scan share
    its quality and anatomy. The rarest values thus come from a few places in a few scans: the tail has the precision
    of this smaller number of independent observations, not of the number of voxels. It is an estimate up to `limit`.
    Beyond, the distribution would give rarities such as 30, which no number of scans supports: there, a rarity r of the
    distribution counts as limit + ln(1 + r − limit), which only ranks the voxels. A rarity is no p-value; p-values
    count scans.

    Attributes:
        values: Knots, increasing, float64 (K,).
        rarities: Rarity at the knots, increasing from 0, float64 (K,).
        scale: Scale of the generalised Pareto distribution of the excesses over the last knot, in units of the values.
        shape: Its shape ξ, 0 to 1.
        limit: Rarity of the largest healthy value; rarities above it are compressed.

    Raises:
        ModelError: If the knots do not increase, or a number is out of range.
    """

    values: np.ndarray
    rarities: np.ndarray
    scale: float
    shape: float
    limit: float

    def __post_init__(self) -> None:
        values, rarities = (np.asarray(array, np.float64) for array in (self.values, self.rarities))
        if values.ndim != 1 or values.shape != rarities.shape or not 1 <= len(values) <= MOST_KNOTS:
            raise ModelError("calibration_tail")
        known = np.concatenate([values, rarities, [self.scale, self.shape, self.limit]])
        increasing = (np.diff(values) > 0).all() and (np.diff(rarities) > 0).all()
        if not (np.isfinite(known).all() and increasing and rarities[0] == 0 and rarities[-1] <= LARGEST_RARITY):
            raise ModelError("calibration_tail")
        if np.abs(values).max() > LARGEST_NUMBER or not LEAST_SCALE <= self.scale <= LARGEST_NUMBER:
            raise ModelError("calibration_tail")
        if not (0 <= self.shape <= 1 and 0 <= self.limit <= LARGEST_RARITY):
            raise ModelError("calibration_tail")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "rarities", rarities)

    @classmethod
    def of(cls, scans: Sequence[np.ndarray]) -> HealthyTail:
        """Estimate the tail from the values of healthy scans, each of which counts the same whatever its size.

        Args:
            scans: Values of each scan, each of shape (N,), finite.

        Raises:
            ValueError: If there is no value.
        """
        ordered = [np.sort(np.asarray(scan, np.float32), axis=None) for scan in scans if scan.size]
        if not ordered:
            raise SettingError("tail_without_values")
        total = sum(len(scan) for scan in ordered)
        share = min(max(TAIL_SHARE, FEWEST_EXCESSES / total), 0.5)
        candidates = np.unique(np.concatenate([scan[_quantiles(len(scan))] for scan in ordered]))
        exceedance = _exceedance(ordered, candidates)
        last = max(int((exceedance >= share).sum()) - 1, 0)
        knots, rarities = _thinned(candidates[: last + 1], exceedance[: last + 1])
        tails = [scan[np.searchsorted(scan, knots[-1], "right") :] for scan in ordered]
        higher = np.unique(np.concatenate(tails))
        scale, shape = _pareto(higher - knots[-1], _exceedance(ordered, higher) / exceedance[last])
        return cls._with_limit(max(scan[-1] for scan in ordered), knots, rarities, scale, shape)

    @classmethod
    def of_curve(
        cls, thresholds: np.ndarray, false_positive_ml: np.ndarray, brain_ml: float, largest: float
    ) -> HealthyTail:
        """Build the tail from the volume of a healthy scan above each threshold, as earlier model files hold it.

        Below the first threshold, the rarity falls in a straight line to 0.

        Args:
            thresholds: Increasing, shape (T,), T ≥ 2.
            false_positive_ml: Mean volume above each threshold in mL, not increasing, shape (T,).
            brain_ml: Mean examined volume in mL.
            largest: The largest healthy value.

        Raises:
            ModelError: If the volumes increase, or nothing is above the first threshold.
        """
        exceedance = np.asarray(false_positive_ml, np.float64) / brain_ml
        if (np.diff(exceedance) > 0).any() or not 0 < exceedance[0] < np.inf or exceedance[-1] < 0:
            raise ModelError("calibration_tail")
        values, exceedance = np.asarray(thresholds, np.float64), np.minimum(exceedance, 1.0)
        # Of thresholds with the same volume above them, the last counts: the volume is that of values above it.
        distinct = np.append(np.diff(exceedance) < 0, True) & (exceedance > 0)
        known, rarities = values[distinct], -np.log10(exceedance[distinct])
        few = max(len(known) - FEWEST_POINTS, 0)
        last = min(int((exceedance[distinct] > TAIL_SHARE).sum()), few) if len(known) > 1 else 0
        beyond = values > known[last]
        shares = np.append(1.0, exceedance[beyond] / exceedance[distinct][last])
        scale, shape = _pareto(values[beyond] - known[last], (shares[1:] + shares[:-1]) / 2)
        known, rarities = known[: last + 1], rarities[: last + 1]
        if rarities[0] > 0:
            slope = (rarities[1] - rarities[0]) / (known[1] - known[0]) if len(known) > 1 else 1 / (np.log(10) * scale)
            known, rarities = np.append(known[0] - rarities[0] / slope, known), np.append(0.0, rarities)
        return cls._with_limit(largest, known, np.abs(rarities), scale, shape)

    @classmethod
    def _with_limit(cls, largest: float, *fitted: Any) -> HealthyTail:
        """Build the tail with the rarity of the largest healthy value as its limit."""
        found = cls(*fitted, limit=LARGEST_RARITY)
        return replace(found, limit=float(found.rarity(np.array([largest], np.float64))[0]))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> HealthyTail:
        """Build the tail from `tensors()`; raises ModelError if they are malformed."""
        values, rarities, beyond = (np.asarray(tensors[name], np.float64) for name in PARTS)
        if beyond.shape != (3,):
            raise ModelError("calibration_tail")
        return cls(values, rarities, *beyond.tolist())

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the knots, their rarities, and scale, shape and limit, for safetensors."""
        return dict(zip(PARTS, (self.values, self.rarities, np.array([self.scale, self.shape, self.limit]))))

    def rarity(self, values: np.ndarray) -> np.ndarray:
        """Return the rarity of values of any shape, in their floating-point type; 0 up to the smallest healthy value.

        Args:
            values: Finite values of the kind that the tail was estimated from.
        """
        found = np.interp(values, self.values, self.rarities)
        beyond = values > self.values[-1]
        excess = (np.asarray(values, np.float64)[beyond] - self.values[-1]) / self.scale
        # The limit of log(1 + ξx)/ξ for small ξ is x.
        logarithm = np.log1p(self.shape * excess) / self.shape if self.shape > 1e-9 else excess
        found[beyond] += logarithm / np.log(10)
        past = found > self.limit
        found[past] = self.limit + np.log1p(found[past] - self.limit)
        return found.astype(np.result_type(values, np.float32), copy=False)


def _quantiles(count: int) -> np.ndarray:
    """Return indices into sorted values that are dense at the upper end, (Q,)."""
    above = np.unique(np.round(np.geomspace(1, count, QUANTILES)).astype(np.int64))
    evenly = np.round(np.linspace(1, count, QUANTILES // 4)).astype(np.int64)
    return count - np.union1d(above, evenly)


def _exceedance(ordered: Sequence[np.ndarray], values: np.ndarray) -> np.ndarray:
    """Return the mean over scans of the share of their sorted values that reach each value, float32 like them."""
    return np.mean([1 - np.searchsorted(scan, values, "left") / len(scan) for scan in ordered], axis=0)


def _thinned(values: np.ndarray, exceedance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Select knots at about equal steps of rarity; return them and their rarities."""
    rarities = -np.log10(exceedance)
    steps = np.linspace(rarities[0], rarities[-1], KNOTS)
    kept = np.unique(np.clip(np.searchsorted(rarities, steps), 0, len(values) - 1))
    return values[kept].astype(np.float64), np.maximum(rarities[kept], 0.0)


def _pareto(excesses: np.ndarray, survival: np.ndarray) -> tuple[float, float]:
    """Fit a generalised Pareto distribution by probability-weighted moments (Hosking and Wallis 1987).

    With survival S, the moments are E[X] = ∫ S and E[X·S(X)] = ½ ∫ S². A negative shape counts as 0, with the mean
    excess as the scale. Technometrics 29:339.

    Args:
        excesses: Increasing positive values, (N,).
        survival: Share of all excesses beyond the value before, up to each of them, (N,).

    Returns:
        Scale and shape ξ.
    """
    if not len(excesses):
        return 1.0, 0.0
    steps = np.diff(excesses.astype(np.float64), prepend=0.0)
    mean, weighted = float(survival @ steps), float(survival**2 @ steps) / 2
    if not (mean > 0 and mean > 2 * weighted):
        return (mean, 0.0) if mean > 0 else (1.0, 0.0)
    shape = 2 - mean / (mean - 2 * weighted)
    if shape <= 0:
        return mean, 0.0
    return 2 * mean * weighted / (mean - 2 * weighted), min(shape, 1.0)
