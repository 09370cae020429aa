"""Rows of the comparison: each detector with and without pooling and voxelwise calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..scoring.metrics import Curve, LesionCounts, count_lesions
from ..scoring.voxelwise import VoxelStatistics
from .detectors import HEALTHY_FALSE_POSITIVES, Detector, Kept, pooled_map
from .lesion_cases import KINDS
from .overlap import dice


@dataclass(frozen=True, eq=False)
class Variant:
    """A detector with or without pooling and voxelwise calibration.

    Attributes:
        head: First columns of its rows.
        threshold: The value that 1 % of the healthy voxels of the calibration scans exceed.
        judged: Each case outside the calibration, with its map (Z, Y, X).
    """

    head: dict[str, str]
    threshold: float
    judged: list[tuple[Kept, np.ndarray]]


def variants(detector: Detector, kept: Sequence[Kept], spacing: Sequence[float]) -> Iterator[Variant]:
    """Generate the four variants of a detector; the last has both pooling and voxelwise calibration."""
    healthy = [k for k in kept if k.kind == "calibration"]
    cases = [k for k in kept if k.kind != "calibration"]
    for pooled in (False, True):
        # Pooling takes most of the time; both variants use the same maps.
        made = [[pooled_map(detector, k, pooled, spacing) for k in part] for part in (healthy, cases)]
        for calibrated in (False, True):
            references, maps = made
            if calibrated:
                masks = [k.mask for k in healthy]
                voxelwise = VoxelStatistics.of(references, masks, spacing)
                maps = [voxelwise.z_scores(m, k.mask) for m, k in zip(maps, cases)]
                references = left_out_maps(references, masks, spacing)
            values = np.concatenate([m[k.mask] for m, k in zip(references, healthy)])
            threshold = float(np.quantile(values, 1 - HEALTHY_FALSE_POSITIVES))
            head = {"detector": detector.name, "pooling": _yes(pooled), "per-place": _yes(calibrated)}
            yield Variant(head, threshold, list(zip(cases, maps)))


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


def rows_of(found: Sequence[Variant], voxel_ml: float) -> list[dict]:
    """Return the rows of a detector, pooled over all lesion cases.

    Columns: pixel AP, AUROC, best Dice and FPR at 95 % recall; Dice and lesions hit at the threshold that 1 % of the
    healthy calibration voxels exceed; the share of healthy voxels of the benchmark above it; and the sample AUROC of
    scans with a lesion against untouched scans.
    """
    rows = []
    for variant in found:
        cases = [(k, m) for k, m in variant.judged if k.kind != "real"]
        abnormal = np.array([k.kind != "healthy" for k, _ in cases])
        flagged = [float((m[k.mask] > variant.threshold).mean()) for k, m in cases]
        samples = Curve.of(np.array([k.sample for k, _ in cases]), abnormal).auroc()
        measures = _measures([case for case, a in zip(cases, abnormal) if a], variant.threshold, voxel_ml)
        healthy = float(np.mean([f for f, a in zip(flagged, abnormal) if not a]))
        rows.append(variant.head | measures | {"healthy flagged": _rounded(healthy), "sample AUROC": _rounded(samples)})
    return rows


def kind_rows(found: Sequence[Variant], voxel_ml: float) -> list[dict]:
    """Return the measures for each kind of lesion and for each contrast."""
    rows = []
    for variant in found:
        cases = [(k, m) for k, m in variant.judged if k.kind in KINDS]
        contrasts = tuple(dict.fromkeys(k.contrast for k, _ in cases))
        for group in (*KINDS, *contrasts):
            chosen = [(k, m) for k, m in cases if group in (k.kind, k.contrast)]
            rows.append(variant.head | {"lesions": group} | _measures(chosen, variant.threshold, voxel_ml))
    return rows


def real_rows(found: Sequence[Variant], voxel_ml: float) -> list[dict]:
    """Return the measures for each real scan."""
    return [
        {"scan": kept.contrast} | variant.head | _measures([(kept, values)], variant.threshold, voxel_ml)
        for variant in found
        for kept, values in variant.judged
        if kept.kind == "real"
    ]


def _measures(chosen: Sequence[tuple[Kept, np.ndarray]], threshold: float, voxel_ml: float) -> dict:
    """Return the columns that describe several cases together."""
    curve, overlap, counts = _judged(chosen, threshold, voxel_ml)
    return {
        "AP": _rounded(curve.average_precision()),
        "AUROC": _rounded(curve.auroc()),
        "best Dice": _rounded(curve.maximum_dice()[0]),
        "FPR95": _rounded(curve.false_positive_rate_at(0.95)),
        "Dice at 1%": _rounded(overlap),
        "lesions hit at 1%": f"{counts.hit}/{counts.lesions}",
        "prevalence": _rounded(curve.prevalence),
    }


def _judged(
    chosen: Sequence[tuple[Kept, np.ndarray]], threshold: float, voxel_ml: float
) -> tuple[Curve, float, LesionCounts]:
    """Return the pooled curve over brain voxels, the pooled Dice at the threshold, and lesion counts."""
    scores = np.concatenate([m[k.mask] for k, m in chosen])
    truth = np.concatenate([k.truth[k.mask] for k, _ in chosen])
    counts = LesionCounts(0, 0, 0, 0.0)
    for k, m in chosen:
        counts = counts + count_lesions((m > threshold) & k.mask, k.truth, voxel_ml)
    return Curve.of(scores, truth), dice(scores > threshold, truth), counts


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _rounded(value: float) -> float:
    return round(value, 4)
