"""Calibration: how rare a score is at each voxel of held-out healthy scans, at one or more scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError, ModelError, SettingError
from ..preprocessing.grids import IN_PLANE_MM
from ..runtime.progress import Progress
from ..runtime.strict_json import LARGEST_NUMBER, finite_number
from ..volume import Volume
from .healthy_reference import ARRAYS, RARITY, HealthyReference, Threshold
from .healthy_tail import PARTS as TAIL_PARTS
from .healthy_tail import HealthyTail
from .level import Level
from .pooling import pool
from .scan_score import RANK, SCAN_SCORES, score_of_scan
from .voxelwise import VoxelStatistics

# Mean pooling of the fine scale beside a coarser one: structures thinner than a coarse minimum show in it alone.
FINE_MM = 2.5
MOST_SCALES = 8
LEAST_SD = 1e-20
# How the rarities of the members of an ensemble are joined.
LARGEST, MEAN = COMBINATIONS = ("max", "mean")
# In half precision, the rounding of a mean of this many SD is below 0.05 SD.
MOST_SD = 100.0
# Names on disk: prefixes of the fast mode and of the tail of the largest rarity, and the numbers of a scale.
FAST, COMBINED = "fast_", "combined_"
SCALE_NUMBERS = ("minimum_mm", "average_mm", "scale")
MEMBER, COMBINATION = "member", "combination"
FAST_FACTORS = ("mean_times", "spread_times")
LEVEL = ("level", "highest_level")
MAP_SCORES = "map_scores"
# Of fewer healthy scans, the highest level is no limit: another healthy scan is often above it.
ENOUGH_SCANS = 10


@dataclass(frozen=True)
class Pooling:
    """Pooling of a raw score map: minimum over a box, then mean over a box, both of edge lengths in mm.

    Attributes:
        minimum_mm: Edge of the box of the minimum.
        average_mm: Edge of the box of the mean.
        member: Number of the map that is pooled, among those of the members of an ensemble.
    """

    minimum_mm: float = 0.0
    average_mm: float = 4.0
    member: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.minimum_mm <= 50 and 0 <= self.average_mm <= 50):
            raise SettingError("pooling_out_of_range")

    def replaced(self, minimum_mm: float | None, average_mm: float | None) -> Pooling:
        """Return the pooling with the given sizes replaced."""
        minimum_mm = self.minimum_mm if minimum_mm is None else minimum_mm
        return Pooling(minimum_mm, self.average_mm if average_mm is None else average_mm, self.member)

    def applied(self, score: np.ndarray, mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
        """Pool a raw score map, (Z, Y, X) or of an ensemble (M, Z, Y, X), within a mask; see `pooling.pool`."""
        own = score[self.member] if score.ndim == 4 else score
        return pool(own, mask, spacing, self.minimum_mm, self.average_mm)

    def shrunk(self, grid: Volume) -> Pooling:
        """Return the pooling scaled down to a field of view that is smaller than that of a brain."""
        scale = min(1.0, max(grid.array.shape[1:]) * float(grid.spacing[0]) / IN_PLANE_MM)
        return self.replaced(round(scale * self.minimum_mm, 2), round(scale * self.average_mm, 2))

    def with_fine(self, fine_mm: float = FINE_MM) -> tuple[Pooling, ...]:
        """Return the poolings of a model, fine before coarse: this one and, unless it is as fine, a mean over a box.

        Args:
            fine_mm: Edge of the box; 0 for a single scale.
        """
        fine = self.replaced(0.0, fine_mm)
        return (fine, self) if fine_mm > 0 and (self.minimum_mm > 0 or self.average_mm > fine_mm) else (self,)


@dataclass(frozen=True, eq=False)
class Scale:
    """One scale of a calibration.

    Attributes:
        pooling: Pooling of raw scores.
        voxelwise: Voxelwise healthy mean and SD of the pooled score, in the model's space.
        tail: Tail of the z-scores of healthy scans, brought to the level.
        level: Level of the z-scores of healthy scans; None in files of earlier versions, which bring no scan down.
    """

    pooling: Pooling
    voxelwise: VoxelStatistics
    tail: HealthyTail
    level: Level | None = None

    def __post_init__(self) -> None:
        mean, sd = self.voxelwise.mean, self.voxelwise.sd
        if mean.shape != sd.shape or mean.ndim != 3 or not mean.size:
            raise ModelError("calibration_places")
        # Within these limits, the z-score of a score of up to `LARGEST_NUMBER` is finite in single precision.
        if not (sd.min() >= LEAST_SD and max(sd.max(), np.abs(mean).max()) <= LARGEST_NUMBER):
            raise ModelError("calibration_places")


@dataclass(frozen=True, eq=False)
class FastScale:
    """Calibration of a scale in fast mode, relative to that of the full method.

    Attributes:
        mean_factor: Factor of the healthy means.
        sd_factor: Factor of the healthy SDs.
        tail: Tail of the z-scores of healthy scans in fast mode, brought to the level.
        level: As in `Scale`.
    """

    mean_factor: float
    sd_factor: float
    tail: HealthyTail
    level: Level | None = None

    def __post_init__(self) -> None:
        if not (1e-6 < self.mean_factor < 1e3 and 1e-6 < self.sd_factor < 1e3):
            raise ModelError("calibration_fast")


@dataclass(frozen=True, eq=False)
class Fast:
    """Calibration of the fast mode.

    Attributes:
        scales: One for each scale of the full method.
        combined: As in `Calibration`.
        reference: Scores of the healthy scans in fast mode.
        map_scores: As in `Calibration`.
    """

    scales: tuple[FastScale, ...]
    combined: HealthyTail | None
    reference: HealthyReference
    map_scores: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Rarities:
    """Rarities of a scan, before those of members are joined.

    Attributes:
        of_members: Rarity of each member inside the mask, the largest over its scales, float32 (N,).
        excess: By how much the scan was brought down at each scale, in healthy SD; empty without levels.
        beyond_healthy: Whether that is more, at a scale, than any healthy scan of the calibration would be; never with
            fewer than `ENOUGH_SCANS` scans.
    """

    of_members: tuple[np.ndarray, ...]
    excess: tuple[float, ...]
    beyond_healthy: bool


@dataclass(frozen=True, eq=False)
class Calibration:
    """Calibration of a model on held-out healthy scans.

    The score is pooled and standardised voxelwise at each scale, to a z-score, brought down to the level of healthy
    scans (`Level`), and converted to its rarity in them (`HealthyTail`). With several scales, the largest rarity
    is calibrated once more by its own tail. An ensemble has one map and its own scales for each member; the rarity
    of a member is its largest over its scales, and the largest or the mean over the members is calibrated once
    more. The reference scores of each scan, and the values behind all tails, use mean and SD from the *other*
    scans.

    Attributes:
        scales: Scales of each member in order, from fine to coarse; 1 to `MOST_SCALES` in all.
        combined: Tail of the joined rarity in healthy scans; None for a single scale.
        reference: Scores of the healthy scans.
        fast: Calibration of the fast mode; None without one.
        combination: How the rarities of members are joined, one of `COMBINATIONS`.
        map_scores: Scores from the map of each healthy scan, float64 (n, K), see `scan_score.map_scores`; None unless
            the scan score is `RANK`.
    """

    scales: tuple[Scale, ...]
    combined: HealthyTail | None
    reference: HealthyReference
    fast: Fast | None = None
    combination: str = LARGEST
    map_scores: np.ndarray | None = None

    def __post_init__(self) -> None:
        count, shapes = len(self.scales), {scale.voxelwise.mean.shape for scale in self.scales}
        if not 1 <= count <= MOST_SCALES or len(shapes) != 1 or (self.combined is None) != (count == 1):
            raise ModelError("calibration_scales")
        in_order = self.members == sorted(self.members) and set(self.members) == set(range(self.member_count))
        if not in_order or self.combination not in COMBINATIONS:
            raise ModelError("calibration_members")
        if self.reference.unit != RARITY:
            raise ModelError("calibration_unit")
        for mode in (self, self.fast):
            # A rarity is never negative.
            if mode is not None and mode.reference.maxima.min() < 0:
                raise ModelError("calibration_numbers")
            if mode is not None and not _fits(mode.map_scores, mode.reference):
                raise ModelError("calibration_numbers")
        if self.fast is None:
            return
        reference = self.fast.reference
        if len(self.fast.scales) != count or (self.fast.combined is None) != (count == 1):
            raise ModelError("calibration_fast")
        if (reference.unit, reference.scan_score) != (RARITY, self.scan_score):
            raise ModelError("calibration_unit")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the model's grid, (Z, Y, X)."""
        return self.coarse.voxelwise.mean.shape

    @property
    def coarse(self) -> Scale:
        """The coarsest scale, or the only one."""
        return self.scales[-1]

    @property
    def poolings(self) -> tuple[Pooling, ...]:
        """The pooling of each scale."""
        return tuple(scale.pooling for scale in self.scales)

    @property
    def members(self) -> list[int]:
        """The number of the member that each scale belongs to."""
        return [pooling.member for pooling in self.poolings]

    @property
    def member_count(self) -> int:
        """Number of members; 1 for a single method."""
        return max(self.members) + 1

    @property
    def scan_score(self) -> str:
        """Name of the score of a whole scan, see `scan_score`."""
        return self.reference.scan_score

    def reference_of(self, fast: bool) -> HealthyReference:
        """Return the reference of the full method or, if calibrated, of the fast mode."""
        return self.fast.reference if fast and self.fast else self.reference

    def anomaly_map(
        self,
        score: np.ndarray,
        mask: np.ndarray,
        spacing: Sequence[float],
        progress: Progress | None = None,
        fast: bool = False,
    ) -> np.ndarray:
        """Convert a raw score map to an anomaly map: −log10 of the healthy exceedance, 0 outside the mask.

        Args:
            score: The raw map, (Z, Y, X); of an ensemble the maps of its members, (M, Z, Y, X).
            mask: Examined part, bool (Z, Y, X).
            spacing: Voxel spacing along (x, y, z) in mm.
            progress: Times the steps.
            fast: Whether the map was made in fast mode.

        Returns:
            float32 (Z, Y, X), 0 or more.
        """
        progress = progress or Progress()
        found = self.rarities(score, mask, spacing, progress, fast)
        with progress.timed("calibrate"):
            return self.joined(found.of_members, mask, fast)

    def rarities(
        self,
        score: np.ndarray,
        mask: np.ndarray,
        spacing: Sequence[float],
        progress: Progress | None = None,
        fast: bool = False,
    ) -> Rarities:
        """Return the rarity of each member inside the mask; arguments are those of `anomaly_map`."""
        progress, mode = progress or Progress(), self.fast if fast else None
        found: list[np.ndarray] = []
        excess: list[float] = []
        beyond = False
        for number, scale in enumerate(self.scales):
            with progress.timed("post-process"):
                pooled = scale.pooling.applied(score, mask, spacing)
            with progress.timed("calibrate"):
                voxelwise, tail, level = scale.voxelwise, scale.tail, scale.level
                if mode is not None:
                    quick = mode.scales[number]
                    voxelwise = voxelwise.scaled(quick.mean_factor, quick.sd_factor)
                    tail, level = quick.tail, quick.level
                z_scores = voxelwise.z_scores(pooled, mask)[mask]
                if level is not None:
                    excess.append(level.excess(z_scores))
                    beyond |= self.reference.count >= ENOUGH_SCANS and excess[-1] > level.most
                    z_scores -= np.float32(excess[-1])
                add_scale(found, scale.pooling.member, tail.rarity(z_scores))
        return Rarities(tuple(found), tuple(excess), beyond)

    def joined(self, rarities: Sequence[np.ndarray], mask: np.ndarray, fast: bool = False) -> np.ndarray:
        """Join the rarities of the members to the anomaly map, float32 (Z, Y, X); see `rarities`."""
        mode, found = self.fast if fast and self.fast else self, join(rarities, self.combination)
        return on_grid(found if mode.combined is None else mode.combined.rarity(found), mask)

    def score_of(
        self, anomaly: np.ndarray, mask: np.ndarray, voxel_ml: float, sample_score: float, fast: bool = False
    ) -> float:
        """Score a whole scan by `scan_score`, for the p-value of the reference.

        Args:
            anomaly: Anomaly map on the model's grid, (Z, Y, X).
            mask: Examined part, bool (Z, Y, X).
            voxel_ml: Volume of a voxel of that grid in mL.
            sample_score: The method's own score.
            fast: Whether the map was made in fast mode.
        """
        reference = self.reference_of(fast)
        threshold = reference.value_of(reference.threshold)
        healthy = self.fast.map_scores if fast and self.fast else self.map_scores
        return score_of_scan(self.scan_score, anomaly, mask, voxel_ml, threshold, sample_score, healthy)

    def parameters(self) -> dict:
        """Return what is not an array, for JSON."""
        scales, several = [], self.member_count > 1
        for number, scale in enumerate(self.scales):
            sizes = (scale.pooling.minimum_mm, scale.pooling.average_mm, scale.voxelwise.size)
            scales.append(dict(zip(SCALE_NUMBERS, sizes)))
            if several:
                scales[-1][MEMBER] = scale.pooling.member
            scales[-1] |= _level_numbers(scale.level, "")
            if self.fast is not None:
                fast = self.fast.scales[number]
                scales[-1] |= dict(zip(FAST_FACTORS, (fast.mean_factor, fast.sd_factor)))
                scales[-1] |= _level_numbers(fast.level, FAST)
        found = {
            "scales": scales,
            "brain_ml": self.reference.brain_ml,
            "threshold": str(self.reference.threshold),
            "unit": self.reference.unit,
            "scan_score": self.scan_score,
        }
        # Files of a single method have the same entries as before there were ensembles.
        found |= {COMBINATION: self.combination} if several else {}
        return found if self.fast is None else found | {FAST + "brain_ml": self.fast.reference.brain_ml}

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays, for safetensors; voxelwise mean and SD in half precision, divided by the mean SD.

        Means of many SD, of a score that hardly varies, need single precision.
        """
        found = {}
        for number, scale in enumerate(self.scales):
            prefix, size = f"scale{number}_", scale.voxelwise.size
            mean = scale.voxelwise.mean / size
            found[prefix + "mean"] = mean.astype(np.float16 if np.abs(mean).max() < MOST_SD else np.float32)
            found[prefix + "spread"] = (scale.voxelwise.sd / size).astype(np.float16)
        for mode, prefix in ((self, ""), (self.fast, FAST)):
            if mode is None:
                continue
            tails = {f"scale{number}_": scale.tail for number, scale in enumerate(mode.scales)}
            if mode.combined is not None:
                tails[COMBINED] = mode.combined
            for name, tail in tails.items():
                found |= {prefix + name + part: array for part, array in tail.tensors().items()}
            found |= {prefix + name: np.asarray(getattr(mode.reference, name), np.float64) for name in ARRAYS}
            if mode.map_scores is not None:
                found[prefix + MAP_SCORES] = mode.map_scores
        return found

    @classmethod
    def from_tensors(cls, parameters: dict, tensors: dict[str, np.ndarray]) -> Calibration:
        """Build the calibration from `parameters()` and `tensors()`, of this version or an earlier one.

        Raises:
            ModelError: If anything is missing or malformed.
        """
        try:
            return _stored(parameters, tensors) if "scales" in parameters else _earlier(parameters, tensors)
        except (TypeError, ValueError, InputError) as error:
            raise ModelError("calibration_malformed", detail=error) from error


def add_scale(found: list[np.ndarray], member: int, rarity: np.ndarray) -> None:
    """Add the rarity at a scale to those of the members in order, in place: the largest over the scales of each."""
    if member < len(found):
        np.maximum(found[member], rarity, out=found[member])
    else:
        found.append(rarity)


def join(rarities: Sequence[np.ndarray], combination: str) -> np.ndarray:
    """Return the largest or the mean rarity over members, (N,)."""
    return np.mean(rarities, axis=0) if combination == MEAN else np.maximum.reduce(rarities)


def _level_numbers(level: Level | None, mode: str) -> dict[str, float]:
    return {} if level is None else {mode + name: value for name, value in zip(LEVEL, (level.mean, level.highest))}


def _fits(map_scores: np.ndarray | None, reference: HealthyReference) -> bool:
    """Whether scores from maps are there if the rank needs them, one row a healthy scan, and are usable numbers."""
    if map_scores is None or reference.scan_score != RANK:
        return map_scores is None and reference.scan_score != RANK
    usable = np.isfinite(map_scores).all() and np.abs(map_scores).max(initial=0) <= LARGEST_NUMBER
    return map_scores.shape == (reference.count, len(SCAN_SCORES)) and bool(usable)


def on_grid(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a float32 map (Z, Y, X) with values (N,) inside a mask of N voxels and 0 outside."""
    found = np.zeros(mask.shape, np.float32)
    found[mask] = values
    return found


def _stored(parameters: dict, tensors: dict[str, np.ndarray]) -> Calibration:
    """Build a calibration from what `Calibration.parameters` and `Calibration.tensors` return."""
    described = parameters["scales"]
    if not isinstance(described, list) or not 1 <= len(described) <= MOST_SCALES:
        raise ModelError("calibration_scales")
    modes = ("", FAST) if FAST + "brain_ml" in parameters else ("",)
    several = COMBINATION in parameters
    keys = {*SCALE_NUMBERS, *(FAST_FACTORS if FAST in modes else ()), *([MEMBER] if several else [])}
    # Files of earlier versions have no levels.
    levels = {mode + name for mode in modes for name in LEVEL}
    if not all(isinstance(scale, dict) and set(scale) in (keys, keys | levels) for scale in described):
        raise ModelError("calibration_incomplete")
    scales = [f"scale{number}_" for number in range(len(described))]
    tails = [*scales, *([COMBINED] if len(scales) > 1 else [])]
    wanted = {scale + name for scale in scales for name in ("mean", "spread")}
    wanted |= {mode + name for mode in modes for name in ARRAYS}
    wanted |= {mode + tail + part for mode in modes for tail in tails for part in TAIL_PARTS}
    ranked = str(parameters.get("scan_score")) == RANK
    wanted |= {mode + MAP_SCORES for mode in modes if ranked}
    numbers = {"scales", "threshold", "unit", "scan_score", *(mode + "brain_ml" for mode in modes)}
    numbers |= {COMBINATION} if several else set()
    if set(parameters) != numbers or set(tensors) != wanted:
        raise ModelError("calibration_incomplete")

    def tail(name: str) -> HealthyTail:
        return HealthyTail.from_tensors({part: tensors[name + part] for part in TAIL_PARTS})

    def combined(mode: str) -> HealthyTail | None:
        return tail(mode + COMBINED) if len(scales) > 1 else None

    def level(given: dict, mode: str) -> Level | None:
        names = [mode + name for name in LEVEL]
        return Level(*(finite_number(given[name], name) for name in names)) if names[0] in given else None

    found, fast_scales = [], []
    for name, given in zip(scales, described):
        minimum, average, size = (finite_number(given[key], key) for key in SCALE_NUMBERS)
        voxelwise = _voxelwise(tensors[name + "mean"], tensors[name + "spread"], size)
        member = given[MEMBER] if several else 0
        if type(member) is not int or not 0 <= member < MOST_SCALES:
            raise ModelError("calibration_members")
        found.append(Scale(Pooling(minimum, average, member), voxelwise, tail(name), level(given, "")))
        if FAST in modes:
            factors = (finite_number(given[key], key) for key in FAST_FACTORS)
            fast_scales.append(FastScale(*factors, tail(FAST + name), level(given, FAST)))
    references = {mode: _reference(parameters, tensors, mode) for mode in modes}
    named = {"unit": str(parameters["unit"]), "scan_score": str(parameters["scan_score"])}
    references = {mode: replace(reference, **named) for mode, reference in references.items()}
    of_maps = {mode: np.asarray(tensors[mode + MAP_SCORES], np.float64) if ranked else None for mode in modes}
    fast = Fast(tuple(fast_scales), combined(FAST), references[FAST], of_maps[FAST]) if FAST in modes else None
    combination = str(parameters.get(COMBINATION, LARGEST))
    return Calibration(tuple(found), combined(""), references[""], fast, combination, of_maps[""])


def _earlier(parameters: dict, tensors: dict[str, np.ndarray]) -> Calibration:
    """Build a calibration from a file of an earlier version, which has one scale, z-scores as unit, and no tail.

    The volume of a healthy scan above each threshold, divided by the examined volume, is the healthy exceedance.
    """
    wanted, names = {"minimum_mm", "average_mm", "brain_ml", "threshold", "scale"}, {"mean", "spread", *ARRAYS}
    factors = [FAST + key for key in FAST_FACTORS]
    is_fast = FAST + "brain_ml" in parameters
    if is_fast:
        wanted, names = wanted | {FAST + "brain_ml", *factors}, names | {FAST + name for name in ARRAYS}
    if set(parameters) != wanted or set(tensors) != names:
        raise ModelError("calibration_incomplete")

    def converted(mode: str) -> tuple[HealthyTail, HealthyReference]:
        stored = _reference(parameters, tensors, mode)
        tail = HealthyTail.of_curve(stored.thresholds, stored.false_positive_ml, stored.brain_ml, stored.largest)
        threshold = stored.threshold
        if not threshold.unit:
            threshold = Threshold(float(tail.rarity(np.array([threshold.amount]))[0]))
        maxima, thresholds = tail.rarity(stored.maxima), tail.rarity(stored.thresholds)
        return tail, replace(stored, maxima=maxima, thresholds=thresholds, threshold=threshold)

    size = finite_number(parameters["scale"], "the calibration's scale")
    pooling = Pooling(*(finite_number(parameters[name], name) for name in ("minimum_mm", "average_mm")))
    tail, reference = converted("")
    fast = None
    if is_fast:
        fast_tail, fast_reference = converted(FAST)
        numbers = (finite_number(parameters[name], name) for name in factors)
        fast = Fast((FastScale(*numbers, fast_tail),), None, fast_reference)
    voxelwise = _voxelwise(tensors["mean"], tensors["spread"], size)
    return Calibration((Scale(pooling, voxelwise, tail),), None, reference, fast)


def _voxelwise(mean: np.ndarray, sd: np.ndarray, size: float) -> VoxelStatistics:
    # A factor beyond single precision must not become infinite with a warning; `Scale` checks the result.
    size = float(np.clip(size, -LARGEST_NUMBER, LARGEST_NUMBER))
    return VoxelStatistics(mean.astype(np.float32) * size, sd.astype(np.float32) * size)


def _reference(parameters: dict, tensors: dict[str, np.ndarray], mode: str) -> HealthyReference:
    arrays = {name: np.asarray(tensors[mode + name], np.float64) for name in ARRAYS}
    brain_ml = finite_number(parameters[mode + "brain_ml"], "brain_ml")
    return HealthyReference(**arrays, brain_ml=brain_ml, threshold=Threshold.parse(str(parameters["threshold"])))
