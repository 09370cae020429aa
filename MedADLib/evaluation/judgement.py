"""Judgement of the cases of a comparison: each detector's map in each variant, reduced to counts.

The maps of 150 cases take gigabytes, so that each case is reduced to a histogram and a few numbers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ..masks import connected_components
from ..scoring.calibration import Calibration
from ..scoring.healthy_reference import Threshold
from ..scoring.scan_score import METHOD, NAMES, map_scores, rank_among
from ..scoring.voxelwise import VoxelStatistics
from .detectors import HEALTHY_FALSE_POSITIVES, Detector, Kept, pooled_map
from .histograms import Histogram, Histograms
from .stored_cases import centres, lesion_labels

# Upper ends of the classes of lesions, by the diameter of the sphere of the same volume in mm.
DIAMETERS_MM = (4.0, 8.0, 16.0)
SIZES = ("up to 4 mm", "4 to 8 mm", "8 to 16 mm", "above 16 mm")
# Share of a lesion that must be found.
OVERLAP = 0.1
SHIPPED, YES, NO = "as shipped", "yes", "no"
# Expected false positives in a healthy scan at the default threshold of a variant that no model file has.
DEFAULT_ML = 1.0
SMALLEST_REGION_ML = 0.05


@dataclass(frozen=True)
class Lesion:
    """A lesion of a case, and whether it was detected.

    Attributes:
        diameter_mm: Diameter of the sphere of the same volume.
        ml: Its volume.
        hit: Whether 10 % of it exceeds the threshold of 1 % healthy false positives.
        marked: The same at the default threshold.
        centre: A voxel (z, y, x) of it.
    """

    diameter_mm: float
    ml: float
    hit: bool
    marked: bool
    centre: tuple[int, int, int]

    @property
    def size(self) -> int:
        """Index in `SIZES`."""
        return int(np.searchsorted(DIAMETERS_MM, self.diameter_mm))


@dataclass(frozen=True)
class FalseAlarms:
    """What a map shows outside lesions at the default threshold.

    Attributes:
        regions: Number of regions of at least 0.05 mL.
        voxels: Number of voxels above the threshold.
        ml: Their volume.
        largest_ml: Volume of the largest region.
        centre: A voxel (z, y, x) of it; None without one.
    """

    regions: int
    voxels: int
    ml: float
    largest_ml: float
    centre: tuple[int, int, int] | None


@dataclass(frozen=True, eq=False)
class Judged:
    """A case in one variant of a detector.

    Attributes:
        kept: What was stored, without the arrays of the whole scan.
        histogram: Scores of the brain; classes are `SIZES`.
        voxels: Voxels of the brain.
        found: Voxels above the threshold.
        true: Those of them inside lesions.
        positives: Voxels of lesions.
        marked: Those of them above the default threshold.
        lesions: The lesions.
        alarms: False alarms.
        scan: The scores of the scan by name (`scan_score.NAMES`); empty unless the map is completely calibrated.
        slices: Slices of the map, float16 (Y, X), by index z: those with missed lesions and the largest false alarm.
        mask: The same slices of the brain, bool (Y, X).
        truth: The same slices of the lesion, bool (Y, X).
        height: Index z of the slice with most of the lesion, or of a healthy scan with the largest value.
    """

    kept: Kept
    histogram: Histogram
    voxels: int
    found: int
    true: int
    positives: int
    marked: int
    lesions: tuple[Lesion, ...]
    alarms: FalseAlarms
    scan: dict[str, float]
    slices: dict[int, np.ndarray]
    mask: dict[int, np.ndarray]
    truth: dict[int, np.ndarray]
    height: int

    @property
    def kind(self) -> str:
        """Kind of lesion, "healthy" or "real"."""
        return self.kept.kind

    @property
    def contrast(self) -> str:
        """Contrast of the lesion."""
        return self.kept.contrast

    @property
    def flagged(self) -> float:
        """Share of the brain above the threshold."""
        return self.found / max(self.voxels, 1)

    @property
    def subject(self) -> str:
        """Name of the scan."""
        return self.kept.subject


@dataclass(frozen=True, eq=False)
class Form:
    """A way from raw scores to a map, with its thresholds.

    Attributes:
        head: First columns of its rows.
        pooled: Whether the raw map is pooled.
        voxelwise: Voxelwise mean and SD for z-scores; None keeps the scores.
        shipped: Calibration of the model, which replaces the two above; None for the other forms.
        threshold: The value that 1 % of the healthy voxels exceed.
        alarm: The default threshold of the model, or the value that 1 mL of a healthy scan exceeds.
        healthy: Scores from the map of each healthy scan, (n, K), for the rank: those of the model if it is scored by
            the rank, else of the calibration scans of the split; None unless the map is completely calibrated.
    """

    head: dict[str, str]
    pooled: bool
    voxelwise: VoxelStatistics | None
    shipped: Calibration | None
    threshold: float
    alarm: float
    healthy: np.ndarray | None

    @property
    def complete(self) -> bool:
        """Whether the map is completely calibrated: by the scans of this split with pooling, or as shipped."""
        return self.shipped is not None or (self.pooled and self.voxelwise is not None)

    @property
    def own_score(self) -> str:
        """Name of the scan score that the user sees: that of the model file, or the method's own."""
        return METHOD if self.shipped is None else self.shipped.scan_score


@dataclass(frozen=True, eq=False)
class Variant:
    """A detector with or without pooling and voxelwise calibration, or as it ships.

    Attributes:
        form: The form of its map.
        judged: Each case outside the calibration.
    """

    form: Form
    judged: list[Judged]

    @property
    def head(self) -> dict[str, str]:
        """First columns of its rows."""
        return self.form.head

    @property
    def threshold(self) -> float:
        """The value that 1 % of the healthy voxels exceed."""
        return self.form.threshold

    def histograms(self) -> Histograms:
        """Return the histograms of all cases on common bins."""
        return Histograms.of([judged.histogram for judged in self.judged])


def variants(detector: Detector, kept: Iterable[Kept], spacing: Sequence[float]) -> list[Variant]:
    """Judge all cases by the variants of a detector: without and with pooling and voxelwise calibration.

    Pooling and voxelwise calibration use the calibration scans of the split, each judged by the others. The last of the
    four has both. A fifth, as shipped, is the map that the user of the model sees, with the model's own calibration;
    it is the only one of an ensemble.

    Args:
        detector: The detector.
        kept: What was stored, the calibration scans first; read one by one.
        spacing: Voxel spacing along (x, y, z) in mm.
    """
    kept, healthy, first = iter(kept), [], []
    for one in kept:
        if one.kind != "calibration":
            first = [one]
            break
        healthy.append(one)
    forms = list(_forms(detector, healthy, spacing))
    judged: list[list[Judged]] = [[] for _ in forms]
    for one in chain(first, kept):
        for found, form, values in zip(judged, forms, _maps(detector, forms, one, spacing)):
            found.append(_judged(form, one, values, spacing))
    return [Variant(form, found) for form, found in zip(forms, judged)]


def left_out_maps(
    maps: Sequence[np.ndarray], masks: Sequence[np.ndarray], spacing: Sequence[float]
) -> list[np.ndarray]:
    """Return each healthy map as z-scores of the voxelwise mean and SD of the others."""
    found = []
    for n in range(len(maps)):
        others = [m for m in range(len(maps)) if m != n]
        voxelwise = VoxelStatistics.of([maps[m] for m in others], [masks[m] for m in others], spacing)
        found.append(voxelwise.z_scores(maps[n], masks[n]))
    return found


def millilitres(spacing: Sequence[float]) -> float:
    """Return the volume of a voxel in mL."""
    return float(np.prod(spacing)) / 1000


def _forms(detector: Detector, healthy: Sequence[Kept], spacing: Sequence[float]) -> Iterator[Form]:
    masks, voxel_ml = [k.mask for k in healthy], millilitres(spacing)

    def scores(maps: Sequence[np.ndarray], alarm: float) -> np.ndarray:
        return np.array([map_scores(m, k.mask, voxel_ml, alarm) for m, k in zip(maps, healthy)])

    # The maps of the members of an ensemble have different units, so only the model's own calibration joins them.
    several = detector.calibration is not None and detector.calibration.member_count > 1
    for pooled in () if several else (False, True):
        made = [pooled_map(detector, k, pooled, spacing) for k in healthy]
        for calibrated in (False, True):
            voxelwise = VoxelStatistics.of(made, masks, spacing) if calibrated else None
            maps = left_out_maps(made, masks, spacing) if calibrated else made
            values = np.concatenate([m[mask] for m, mask in zip(maps, masks)])
            threshold = float(np.quantile(values, 1 - HEALTHY_FALSE_POSITIVES))
            share = min(DEFAULT_ML / voxel_ml * len(healthy) / len(values), 1.0)
            alarm = float(np.quantile(values, 1 - share))
            head = {"detector": detector.name, "pooling": (NO, YES)[pooled], "per-place": (NO, YES)[calibrated]}
            known = scores(maps, alarm) if pooled and calibrated else None
            yield Form(head, pooled, voxelwise, None, threshold, alarm, known)
    if detector.calibration is not None:
        reference = detector.calibration.reference
        threshold = reference.value_of(Threshold(100 * HEALTHY_FALSE_POSITIVES, "%"))
        alarm = reference.value_of(reference.threshold)
        known = detector.calibration.map_scores
        if known is None:
            known = scores([detector.calibration.anomaly_map(k.score, k.mask, spacing) for k in healthy], alarm)
        head = {"detector": detector.name, "pooling": SHIPPED, "per-place": SHIPPED}
        yield Form(head, True, None, detector.calibration, threshold, alarm, known)


def _maps(detector: Detector, forms: Sequence[Form], kept: Kept, spacing: Sequence[float]) -> Iterator[np.ndarray]:
    """Generate the map of a case in each form; forms with the same pooling share it."""
    made: dict[bool, np.ndarray] = {}
    for form in forms:
        if form.shipped is not None:
            yield form.shipped.anomaly_map(kept.score, kept.mask, spacing)
            continue
        if form.pooled not in made:
            made[form.pooled] = pooled_map(detector, kept, form.pooled, spacing)
        values = made[form.pooled]
        yield values if form.voxelwise is None else form.voxelwise.z_scores(values, kept.mask)


def _judged(form: Form, kept: Kept, values: np.ndarray, spacing: Sequence[float]) -> Judged:
    """Reduce the map of a case to numbers."""
    mask, voxel_ml = kept.mask, millilitres(spacing)
    labels = lesion_labels(kept.kind, kept.truth) if kept.truth.any() else np.zeros(mask.shape, np.uint8)
    above = (values > form.threshold) & mask
    lesions = _lesions(labels, above, (values > form.alarm) & mask, voxel_ml)
    size_of = np.array([0, *(lesion.size + 1 for lesion in lesions)], np.int64)
    alarms = _false_alarms((values > form.alarm) & mask & ~kept.truth, voxel_ml)
    heights = {lesion.centre[0] for lesion in lesions if not lesion.hit}
    if kept.kind == "healthy":
        heights = {alarms.centre[0]} if alarms.centre else set()
    # The tiles of the overview show the slice with most of the lesion.
    sizes = kept.truth.sum(axis=(1, 2)) if kept.truth.any() else np.where(mask, values, 0).max(axis=(1, 2))
    height = int(sizes.argmax())
    heights.add(height)
    scan = {}
    if form.healthy is not None:
        scores = map_scores(values, mask, voxel_ml, form.alarm)
        scan = dict(zip(NAMES, (kept.sample, *scores.tolist(), rank_among(scores, form.healthy)), strict=True))
    small = Kept(
        kept.kind, kept.contrast, np.empty(0, bool), np.empty(0, bool), np.empty(0, np.float32), kept.sample,
        kept.subject, kept.label, kept.sums, kept.seconds, kept.peak_mb, kept.slices,
    )  # fmt: skip
    return Judged(
        small,
        Histogram.of(values[mask], size_of[labels[mask]], len(SIZES)),
        int(mask.sum()),
        int(above.sum()),
        int((above & kept.truth).sum()),
        int((kept.truth & mask).sum()),
        int(((values > form.alarm) & mask & kept.truth).sum()),
        lesions,
        alarms,
        scan,
        {z: values[z].astype(np.float16) for z in heights},
        {z: mask[z].copy() for z in heights},
        {z: kept.truth[z].copy() for z in heights},
        height,
    )


def _lesions(labels: np.ndarray, above: np.ndarray, marked: np.ndarray, voxel_ml: float) -> tuple[Lesion, ...]:
    """Return the numbered lesions (Z, Y, X), and whether the masks of the two thresholds find each."""
    count = int(labels.max(initial=0))
    if not count:
        return ()
    size = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    enough = np.maximum(OVERLAP * size * (1 - 1e-12), 1)
    hit, found = (np.bincount(labels[mask], minlength=count + 1)[1:] >= enough for mask in (above, marked))
    return tuple(
        Lesion(float((6 * n * voxel_ml * 1000 / np.pi) ** (1 / 3)), float(n * voxel_ml), bool(h), bool(f), centre)
        for n, h, f, centre in zip(size, hit, found, centres(labels))
    )


def _false_alarms(above: np.ndarray, voxel_ml: float) -> FalseAlarms:
    """Return the regions of a mask (Z, Y, X) outside lesions."""
    labels = connected_components(above)
    voxels = np.bincount(labels.ravel())[1:]
    sizes = voxels * voxel_ml
    if not len(sizes):
        return FalseAlarms(0, 0, 0.0, 0.0, None)
    largest = int(sizes.argmax())
    centre = centres((labels == largest + 1).astype(np.uint8))[0]
    regions = int(np.count_nonzero(sizes >= SMALLEST_REGION_ML))
    return FalseAlarms(regions, int(voxels.sum()), float(sizes.sum()), float(sizes[largest]), centre)
