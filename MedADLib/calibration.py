"""What makes a number mean something: how a model's scores look on healthy scans it has never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .brain_grid import IN_PLANE_MM
from .errors import InputError, ModelError
from .jsonvalues import finite_number
from .methods.method import Restoration
from .postprocessing import pool, smooth
from .preparation import Prepared, Template
from .progress import Progress
from .reference import ARRAYS, HealthyReference
from .threshold import Threshold
from .volume import Volume

PRIOR_SCANS = 4.0
PLACE_FWHM_MM = 6.0
CURVE_POINTS = 400


@dataclass(frozen=True)
class Pooling:
    """How a raw score map is smoothed before it is compared: minimum over a box, then mean over a box, in mm."""

    minimum_mm: float = 0.0
    average_mm: float = 4.0

    def __post_init__(self) -> None:
        if not (0 <= self.minimum_mm <= 50 and 0 <= self.average_mm <= 50):
            raise ValueError("pooling sizes must be 0 to 50 mm")

    def replaced(self, minimum_mm: float | None, average_mm: float | None) -> Pooling:
        """The same pooling but for what is given."""
        return Pooling(
            self.minimum_mm if minimum_mm is None else minimum_mm, self.average_mm if average_mm is None else average_mm
        )

    def shrunk(self, grid: Volume) -> Pooling:
        """The same pooling for a smaller field of view than the brain's, smaller by as much; never a larger one."""
        scale = min(1.0, max(grid.array.shape[1:]) * float(grid.spacing[0]) / IN_PLANE_MM)
        return Pooling(round(scale * self.minimum_mm, 2), round(scale * self.average_mm, 2))


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

    def unusual(self, pooled: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The pooled score in units of the healthy spread above the healthy mean, 0 outside the mask."""
        return np.where(mask, (pooled - self.mean) / self.spread, 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Calibration:
    """A model's scores on held-out healthy scans.

    Every number of a scan was found with places estimated from the *other* scans.

    Attributes:
        pooling: What is done to a raw score first.
        places: Healthy mean and spread in the model's space.
        reference: What the healthy scans scored.
    """

    pooling: Pooling
    places: Places
    reference: HealthyReference

    def __post_init__(self) -> None:
        if self.places.mean.shape != self.places.spread.shape or self.places.spread.min() <= 0:
            raise ModelError("the calibration's places are malformed")

    def anomaly_map(
        self, score: np.ndarray, mask: np.ndarray, spacing: Sequence[float], progress: Progress | None = None
    ) -> np.ndarray:
        """A raw score map (Z, Y, X) in units of healthy spread; negative where less unusual than the mean."""
        progress = progress or Progress()
        with progress.timed("post-process"):
            pooled = pool(score, mask, spacing, self.pooling.minimum_mm, self.pooling.average_mm)
        with progress.timed("calibrate"):
            return self.places.unusual(pooled, mask)

    def parameters(self) -> dict:
        """What is not an array, for JSON."""
        return {
            "minimum_mm": self.pooling.minimum_mm,
            "average_mm": self.pooling.average_mm,
            "brain_ml": self.reference.brain_ml,
            "threshold": str(self.reference.threshold),
            "scale": self._scale,
        }

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays, for safetensors; places in half precision, in units of the mean spread."""
        return {
            "mean": (self.places.mean / self._scale).astype(np.float16),
            "spread": (self.places.spread / self._scale).astype(np.float16),
            "maxima": np.asarray(self.reference.maxima, np.float64),
            "sample_scores": np.asarray(self.reference.sample_scores, np.float64),
            "thresholds": np.asarray(self.reference.thresholds, np.float64),
            "false_positive_ml": np.asarray(self.reference.false_positive_ml, np.float64),
        }

    @property
    def _scale(self) -> float:
        return float(self.places.spread.mean())

    @classmethod
    def from_tensors(cls, parameters: dict, tensors: dict[str, np.ndarray]) -> Calibration:
        """The calibration of `parameters()` and `tensors()`.

        Raises:
            ModelError: If anything is missing or malformed.
        """
        names = {"mean", "spread", *ARRAYS}
        if set(parameters) != {"minimum_mm", "average_mm", "brain_ml", "threshold", "scale"} or set(tensors) != names:
            raise ModelError(
                "the calibration is incomplete or has parts that this version does not know", "Update MedAD."
            )
        try:
            scale = finite_number(parameters["scale"], "the calibration's scale")
            mean, spread = (tensors[name].astype(np.float32) * scale for name in ("mean", "spread"))
            reference = HealthyReference(
                **{name: tensors[name] for name in ARRAYS},
                brain_ml=finite_number(parameters["brain_ml"], "brain_ml"),
                threshold=Threshold.parse(str(parameters["threshold"])),
            )
            pooling = Pooling(*(finite_number(parameters[name], name) for name in ("minimum_mm", "average_mm")))
            return cls(pooling, Places(mean, spread), reference)
        except (TypeError, ValueError, InputError) as error:
            raise ModelError(f"the calibration is malformed ({error})") from error


def fewest(mirrored: bool) -> int:
    """Scans that calibration needs: without one of them, the others must still show a spread."""
    return 2 if mirrored else 3


def calibrate(healthy: Sequence[tuple[Prepared, Restoration]], pooling: Pooling, threshold: Threshold) -> Calibration:
    """Calibrate on healthy scans that took no part in training.

    Args:
        healthy: Prepared scans and what the method made of them; at least 2, see `fewest`.
        pooling: What is done to raw scores first.
        threshold: The default threshold.

    Returns:
        The calibration; maxima and false positives are those of leave-one-out anomaly maps on the scans' own grids.

    Raises:
        InputError: If there are too few scans.
    """
    template = healthy[0][0].template if healthy else Template
    mirrored = template.symmetric
    if len(healthy) < fewest(mirrored):
        remedy = f"Give at least {fewest(mirrored)} healthy scans, better 20."
        raise InputError(f"{len(healthy)} scans are too few to calibrate", remedy)
    spacing = template.image.spacing
    masks = [prepared.mask for prepared, _ in healthy]
    pooled = [pool(r.score, m, spacing, pooling.minimum_mm, pooling.average_mm) for (_, r), m in zip(healthy, masks)]
    values = []
    for left_out, (prepared, _) in enumerate(healthy):
        others = [n for n in range(len(healthy)) if n != left_out]
        places = Places.of([pooled[n] for n in others], [masks[n] for n in others], spacing, mirrored)
        native = prepared.map_to_native(places.unusual(pooled[left_out], prepared.mask))
        values.append((np.sort(native.array[prepared.native_mask]), native.voxel_ml))
    maxima = np.array([v[-1] for v, _ in values], np.float64)
    thresholds = np.linspace(0.0, max(float(maxima.max()) * 1.05, 1.0), CURVE_POINTS)
    above = np.mean([(len(v) - np.searchsorted(v, thresholds, "right")) * ml for v, ml in values], axis=0)
    scores = np.array([restoration.sample_score for _, restoration in healthy], np.float64)
    brain_ml = float(np.mean([len(v) * ml for v, ml in values]))
    reference = HealthyReference(maxima, scores, thresholds, above, brain_ml, threshold)
    return Calibration(pooling, Places.of(pooled, masks, spacing, mirrored), reference)
