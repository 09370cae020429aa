"""Calibration: voxelwise mean and SD of a model's scores on held-out healthy scans, and z-score maps by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError, ModelError
from ..preprocessing.brain_space import BrainSpace, PreparedBrain
from ..preprocessing.grids import IN_PLANE_MM
from ..runtime.progress import Progress
from ..runtime.strict_json import finite_number
from ..volume import Volume
from .healthy_reference import ARRAYS, HealthyReference, Threshold
from .pooling import pool, smooth
from .restoration import Restoration

PRIOR_SCANS = 4.0
STATISTICS_FWHM_MM = 6.0

CURVE_POINTS = 400
# Prefix of the names of the calibration in fast mode.
FAST = "fast_"
FAST_NUMBERS = (FAST + "brain_ml", FAST + "mean_times", FAST + "spread_times")


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
        mean = smooth(mean, seen, spacing, STATISTICS_FWHM_MM)
        variance = smooth(variance, seen, spacing, STATISTICS_FWHM_MM)
        overall = float(variance[seen].mean())
        weight = count / (1 + mirrored)
        variance = (weight * variance + PRIOR_SCANS * overall) / (weight + PRIOR_SCANS)
        mean = np.where(seen, mean, mean[seen].mean())
        return cls(mean.astype(np.float32), np.sqrt(np.maximum(variance, 1e-20)).astype(np.float32))

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


@dataclass(frozen=True)
class Pooling:
    """Pooling of a raw score map: minimum over a box, then mean over a box, both of edge lengths in mm."""

    minimum_mm: float = 0.0
    average_mm: float = 4.0

    def __post_init__(self) -> None:
        if not (0 <= self.minimum_mm <= 50 and 0 <= self.average_mm <= 50):
            raise ValueError("pooling sizes must be 0 to 50 mm")

    def replaced(self, minimum_mm: float | None, average_mm: float | None) -> Pooling:
        """Return the pooling with the given sizes replaced."""
        return Pooling(
            self.minimum_mm if minimum_mm is None else minimum_mm, self.average_mm if average_mm is None else average_mm
        )

    def shrunk(self, grid: Volume) -> Pooling:
        """Return the pooling scaled down to a field of view that is smaller than that of a brain."""
        scale = min(1.0, max(grid.array.shape[1:]) * float(grid.spacing[0]) / IN_PLANE_MM)
        return Pooling(round(scale * self.minimum_mm, 2), round(scale * self.average_mm, 2))


@dataclass(frozen=True, eq=False)
class Fast:
    """Calibration of the fast mode, relative to that of the full method.

    Attributes:
        mean_factor: Factor of the healthy means.
        sd_factor: Factor of the healthy SDs.
        reference: Scores of the healthy scans in fast mode.
    """

    mean_factor: float
    sd_factor: float
    reference: HealthyReference

    def __post_init__(self) -> None:
        if not (0 < self.mean_factor < 1e3 and 0 < self.sd_factor < 1e3):
            raise ModelError("calibration_fast")


@dataclass(frozen=True, eq=False)
class Calibration:
    """Calibration of a model on held-out healthy scans.

    The reference scores of each scan use mean and SD from the *other* scans.

    Attributes:
        pooling: Pooling of raw scores.
        voxelwise: Voxelwise healthy mean and SD in the model's space.
        reference: Scores of the healthy scans.
        fast: Calibration of the fast mode; None without one.
    """

    pooling: Pooling
    voxelwise: VoxelStatistics
    reference: HealthyReference
    fast: Fast | None = None

    def __post_init__(self) -> None:
        if self.voxelwise.mean.shape != self.voxelwise.sd.shape or self.voxelwise.sd.min() <= 0:
            raise ModelError("calibration_places")

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
        """Convert a raw score map (Z, Y, X) to z-scores; negative below the healthy mean.

        Args:
            score: The raw map, (Z, Y, X).
            mask: Examined part, bool (Z, Y, X).
            spacing: Voxel spacing along (x, y, z) in mm.
            progress: Times the steps.
            fast: Whether the map was made in fast mode.
        """
        progress = progress or Progress()
        with progress.timed("post-process"):
            pooled = pool(score, mask, spacing, self.pooling.minimum_mm, self.pooling.average_mm)
        with progress.timed("calibrate"):
            voxelwise, known = self.voxelwise, self.fast if fast else None
            if known is not None:
                voxelwise = voxelwise.scaled(known.mean_factor, known.sd_factor)
            return voxelwise.z_scores(pooled, mask)

    def parameters(self) -> dict:
        """Return what is not an array, for JSON."""
        found = {
            "minimum_mm": self.pooling.minimum_mm,
            "average_mm": self.pooling.average_mm,
            "brain_ml": self.reference.brain_ml,
            "threshold": str(self.reference.threshold),
            "scale": self._scale,
        }
        if self.fast is None:
            return found
        numbers = (self.fast.reference.brain_ml, self.fast.mean_factor, self.fast.sd_factor)
        return found | dict(zip(FAST_NUMBERS, numbers))

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays, for safetensors; voxelwise mean and SD in half precision, divided by the mean SD."""
        found = {
            "mean": (self.voxelwise.mean / self._scale).astype(np.float16),
            "spread": (self.voxelwise.sd / self._scale).astype(np.float16),
        }
        references = {"": self.reference} if self.fast is None else {"": self.reference, FAST: self.fast.reference}
        for prefix, reference in references.items():
            found |= {prefix + name: np.asarray(getattr(reference, name), np.float64) for name in ARRAYS}
        return found

    @property
    def _scale(self) -> float:
        return float(self.voxelwise.sd.mean())

    @classmethod
    def from_tensors(cls, parameters: dict, tensors: dict[str, np.ndarray]) -> Calibration:
        """Build the calibration from `parameters()` and `tensors()`.

        Raises:
            ModelError: If anything is missing or malformed.
        """
        wanted, names = {"minimum_mm", "average_mm", "brain_ml", "threshold", "scale"}, {"mean", "spread", *ARRAYS}
        is_fast = FAST_NUMBERS[0] in parameters
        if is_fast:
            wanted, names = wanted | set(FAST_NUMBERS), names | {FAST + name for name in ARRAYS}
        if set(parameters) != wanted or set(tensors) != names:
            raise ModelError("calibration_incomplete")

        def reference(prefix: str) -> HealthyReference:
            return HealthyReference(
                **{name: tensors[prefix + name] for name in ARRAYS},
                brain_ml=finite_number(parameters[prefix + "brain_ml"], "brain_ml"),
                threshold=Threshold.parse(str(parameters["threshold"])),
            )

        try:
            scale = finite_number(parameters["scale"], "the calibration's scale")
            mean, sd = (tensors[name].astype(np.float32) * scale for name in ("mean", "spread"))
            fast = None
            if is_fast:
                fast = Fast(*(finite_number(parameters[name], name) for name in FAST_NUMBERS[1:]), reference(FAST))
            pooling = Pooling(*(finite_number(parameters[name], name) for name in ("minimum_mm", "average_mm")))
            return cls(pooling, VoxelStatistics(mean, sd), reference(""), fast)
        except (TypeError, ValueError, InputError) as error:
            raise ModelError("calibration_malformed", detail=error) from error


def fewest(mirrored: bool) -> int:
    """Return the smallest number of scans for a calibration: without one of them, the others must have an SD."""
    return 2 if mirrored else 3


def calibrate(
    healthy: Sequence[tuple[PreparedBrain, Restoration]],
    pooling: Pooling,
    threshold: Threshold,
    quick: Sequence[Restoration] | None = None,
) -> Calibration:
    """Calibrate on healthy scans that took no part in training.

    Args:
        healthy: Prepared scans and their restorations; at least 2, see `fewest`.
        pooling: Pooling of raw scores.
        threshold: The default threshold.
        quick: Restorations of the same scans in fast mode, if the method has one, for its calibration.

    Returns:
        The calibration; maxima and false positives are those of leave-one-out anomaly maps on the scans' own grids.

    Raises:
        InputError: If there are too few scans.
    """
    template = healthy[0][0].template if healthy else BrainSpace
    mirrored = template.symmetric
    if len(healthy) < fewest(mirrored):
        raise InputError("calibration_few_scans", count=len(healthy), fewest=fewest(mirrored))
    spacing, prepared = template.image.spacing, [scan for scan, _ in healthy]
    masks = [scan.mask for scan in prepared]

    def pooled_scores(restorations: Sequence[Restoration]) -> list[np.ndarray]:
        both = zip(restorations, masks)
        return [pool(r.score, mask, spacing, pooling.minimum_mm, pooling.average_mm) for r, mask in both]

    def all_statistics(pooled: Sequence[np.ndarray]) -> tuple[list[VoxelStatistics], VoxelStatistics]:
        """Return mean and SD without each of the scans, and of all scans."""
        whole = range(len(pooled))
        chosen = [[n for n in whole if n != left_out] for left_out in whole] + [list(whole)]
        parts = [([pooled[n] for n in few], [masks[n] for n in few]) for few in chosen]
        *without, of_all = (VoxelStatistics.of(*part, spacing, mirrored) for part in parts)
        return without, of_all

    restorations = [restoration for _, restoration in healthy]
    pooled = pooled_scores(restorations)
    without, voxelwise = all_statistics(pooled)
    reference, fast = _reference(prepared, pooled, without, restorations, threshold), None
    if quick is not None:
        pooled = pooled_scores(quick)
        without_quick, voxelwise_quick = all_statistics(pooled)
        some = np.any(masks, axis=0)
        scaled = [full.scaled(*full.factors_to(own, some)) for full, own in zip(without, without_quick)]
        factors = voxelwise.factors_to(voxelwise_quick, some)
        fast = Fast(*factors, _reference(prepared, pooled, scaled, quick, threshold))
    return Calibration(pooling, voxelwise, reference, fast)


def _reference(
    prepared: Sequence[PreparedBrain],
    pooled: Sequence[np.ndarray],
    others: Sequence[VoxelStatistics],
    restorations: Sequence[Restoration],
    threshold: Threshold,
) -> HealthyReference:
    """Score healthy scans, each with mean and SD of the other ones."""
    values = []
    for scan, score, voxelwise in zip(prepared, pooled, others):
        native = scan.map_to_native(voxelwise.z_scores(score, scan.mask))
        values.append((np.sort(native.array[scan.native_mask]), native.voxel_ml))
    maxima = np.array([v[-1] for v, _ in values], np.float64)
    thresholds = np.linspace(0.0, max(float(maxima.max()) * 1.05, 1.0), CURVE_POINTS)
    above = np.mean([(len(v) - np.searchsorted(v, thresholds, "right")) * ml for v, ml in values], axis=0)
    scores = np.array([restoration.sample_score for restoration in restorations], np.float64)
    brain_ml = float(np.mean([len(v) * ml for v, ml in values]))
    return HealthyReference(maxima, scores, thresholds, above, brain_ml, threshold)
