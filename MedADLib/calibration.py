"""What makes a number mean something: how a model's scores look on healthy scans it has never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .brain_grid import IN_PLANE_MM
from .errors import InputError, ModelError
from .healthy_places import Places
from .jsonvalues import finite_number
from .methods.method import Restoration
from .postprocessing import pool
from .preparation import Prepared, Template
from .progress import Progress
from .reference import ARRAYS, HealthyReference
from .threshold import Threshold
from .volume import Volume

CURVE_POINTS = 400
# Of the names of what was measured in fast mode.
FAST = "fast_"
FAST_NUMBERS = (FAST + "brain_ml", FAST + "mean_times", FAST + "spread_times")


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
class Fast:
    """What fast mode changes: its scores of healthy scans are others, and alike everywhere, but for their spread.

    Attributes:
        mean_times: Healthy means, as a multiple of those of the full method.
        spread_times: Healthy spreads likewise.
        reference: What the healthy scans scored.
    """

    mean_times: float
    spread_times: float
    reference: HealthyReference

    def __post_init__(self) -> None:
        if not (0 < self.mean_times < 1e3 and 0 < self.spread_times < 1e3):
            raise ModelError("the calibration of the fast mode is malformed")


@dataclass(frozen=True, eq=False)
class Calibration:
    """A model's scores on held-out healthy scans.

    Every number of a scan was found with places estimated from the *other* scans.

    Attributes:
        pooling: What is done to a raw score first.
        places: Healthy mean and spread in the model's space.
        reference: What the healthy scans scored.
        fast: The same in fast mode; None if the method has no such, or nobody looked.
    """

    pooling: Pooling
    places: Places
    reference: HealthyReference
    fast: Fast | None = None

    def __post_init__(self) -> None:
        if self.places.mean.shape != self.places.spread.shape or self.places.spread.min() <= 0:
            raise ModelError("the calibration's places are malformed")

    def read_by(self, fast: bool) -> HealthyReference:
        """What numbers are compared with, in fast mode or not."""
        return self.fast.reference if fast and self.fast else self.reference

    def anomaly_map(
        self,
        score: np.ndarray,
        mask: np.ndarray,
        spacing: Sequence[float],
        progress: Progress | None = None,
        fast: bool = False,
    ) -> np.ndarray:
        """A raw score map (Z, Y, X) in units of healthy spread; negative where less unusual than the mean.

        Args:
            score: The raw map.
            mask: What was examined.
            spacing: Along (x, y, z) in mm.
            progress: Times the steps.
            fast: Whether the map was made in fast mode.
        """
        progress = progress or Progress()
        with progress.timed("post-process"):
            pooled = pool(score, mask, spacing, self.pooling.minimum_mm, self.pooling.average_mm)
        with progress.timed("calibrate"):
            known = self.fast if fast else None
            places = self.places if known is None else self.places.times(known.mean_times, known.spread_times)
            return places.unusual(pooled, mask)

    def parameters(self) -> dict:
        """What is not an array, for JSON."""
        found = {
            "minimum_mm": self.pooling.minimum_mm,
            "average_mm": self.pooling.average_mm,
            "brain_ml": self.reference.brain_ml,
            "threshold": str(self.reference.threshold),
            "scale": self._scale,
        }
        if self.fast is None:
            return found
        numbers = (self.fast.reference.brain_ml, self.fast.mean_times, self.fast.spread_times)
        return found | dict(zip(FAST_NUMBERS, numbers))

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays, for safetensors; places in half precision, in units of the mean spread."""
        found = {
            "mean": (self.places.mean / self._scale).astype(np.float16),
            "spread": (self.places.spread / self._scale).astype(np.float16),
        }
        references = {"": self.reference} if self.fast is None else {"": self.reference, FAST: self.fast.reference}
        for prefix, reference in references.items():
            found |= {prefix + name: np.asarray(getattr(reference, name), np.float64) for name in ARRAYS}
        return found

    @property
    def _scale(self) -> float:
        return float(self.places.spread.mean())

    @classmethod
    def from_tensors(cls, parameters: dict, tensors: dict[str, np.ndarray]) -> Calibration:
        """The calibration of `parameters()` and `tensors()`.

        Raises:
            ModelError: If anything is missing or malformed.
        """
        wanted, names = {"minimum_mm", "average_mm", "brain_ml", "threshold", "scale"}, {"mean", "spread", *ARRAYS}
        is_fast = FAST_NUMBERS[0] in parameters
        if is_fast:
            wanted, names = wanted | set(FAST_NUMBERS), names | {FAST + name for name in ARRAYS}
        if set(parameters) != wanted or set(tensors) != names:
            raise ModelError(
                "the calibration is incomplete or has parts that this version does not know", "Update MedAD."
            )

        def reference(prefix: str) -> HealthyReference:
            return HealthyReference(
                **{name: tensors[prefix + name] for name in ARRAYS},
                brain_ml=finite_number(parameters[prefix + "brain_ml"], "brain_ml"),
                threshold=Threshold.parse(str(parameters["threshold"])),
            )

        try:
            scale = finite_number(parameters["scale"], "the calibration's scale")
            mean, spread = (tensors[name].astype(np.float32) * scale for name in ("mean", "spread"))
            fast = None
            if is_fast:
                fast = Fast(*(finite_number(parameters[name], name) for name in FAST_NUMBERS[1:]), reference(FAST))
            pooling = Pooling(*(finite_number(parameters[name], name) for name in ("minimum_mm", "average_mm")))
            return cls(pooling, Places(mean, spread), reference(""), fast)
        except (TypeError, ValueError, InputError) as error:
            raise ModelError(f"the calibration is malformed ({error})") from error


def fewest(mirrored: bool) -> int:
    """Scans that calibration needs: without one of them, the others must still show a spread."""
    return 2 if mirrored else 3


def calibrate(
    healthy: Sequence[tuple[Prepared, Restoration]],
    pooling: Pooling,
    threshold: Threshold,
    quick: Sequence[Restoration] | None = None,
) -> Calibration:
    """Calibrate on healthy scans that took no part in training.

    Args:
        healthy: Prepared scans and what the method made of them; at least 2, see `fewest`.
        pooling: What is done to raw scores first.
        threshold: The default threshold.
        quick: What the method made of the same scans in fast mode, if it has one; that is calibrated too, with the
            places of the full method, scaled.

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
    spacing, prepared = template.image.spacing, [scan for scan, _ in healthy]
    masks = [scan.mask for scan in prepared]

    def pooled_scores(restorations: Sequence[Restoration]) -> list[np.ndarray]:
        both = zip(restorations, masks)
        return [pool(r.score, mask, spacing, pooling.minimum_mm, pooling.average_mm) for r, mask in both]

    def all_places(pooled: Sequence[np.ndarray]) -> tuple[list[Places], Places]:
        """Places without each of the scans, and of all."""
        whole = range(len(pooled))
        chosen = [[n for n in whole if n != left_out] for left_out in whole] + [list(whole)]
        found = [Places.of([pooled[n] for n in few], [masks[n] for n in few], spacing, mirrored) for few in chosen]
        return found[:-1], found[-1]

    restorations = [restoration for _, restoration in healthy]
    pooled = pooled_scores(restorations)
    without, places = all_places(pooled)
    reference, fast = _reference(prepared, pooled, without, restorations, threshold), None
    if quick is not None:
        pooled = pooled_scores(quick)
        without_quick, places_quick = all_places(pooled)
        some = np.any(masks, axis=0)
        scaled = [full.times(*full.times_of(own, some)) for full, own in zip(without, without_quick)]
        times = places.times_of(places_quick, some)
        fast = Fast(*times, _reference(prepared, pooled, scaled, quick, threshold))
    return Calibration(pooling, places, reference, fast)


def _reference(
    prepared: Sequence[Prepared],
    pooled: Sequence[np.ndarray],
    others: Sequence[Places],
    restorations: Sequence[Restoration],
    threshold: Threshold,
) -> HealthyReference:
    """What healthy scans score, each with the places of the other ones."""
    values = []
    for scan, score, places in zip(prepared, pooled, others):
        native = scan.map_to_native(places.unusual(score, scan.mask))
        values.append((np.sort(native.array[scan.native_mask]), native.voxel_ml))
    maxima = np.array([v[-1] for v, _ in values], np.float64)
    thresholds = np.linspace(0.0, max(float(maxima.max()) * 1.05, 1.0), CURVE_POINTS)
    above = np.mean([(len(v) - np.searchsorted(v, thresholds, "right")) * ml for v, ml in values], axis=0)
    scores = np.array([restoration.sample_score for restoration in restorations], np.float64)
    brain_ml = float(np.mean([len(v) * ml for v, ml in values]))
    return HealthyReference(maxima, scores, thresholds, above, brain_ml, threshold)
