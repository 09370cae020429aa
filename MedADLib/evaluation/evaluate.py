"""Agreement of anomaly maps with reference masks: one row per case and one for all voxels together."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from ..errors import InputError, OutputError
from ..io.reading import read_if_lacking, read_mask_by_header
from ..io.reading_options import AS_THE_HEADER_SAYS, READING, ReadingOptions
from ..runtime.atomic_files import write_text
from ..runtime.progress import Progress
from ..runtime.tables import table_text
from ..scoring.metrics import Curve, LesionCounts, count_lesions
from ..volume import in_order_of, stem
from .overlap import dice

RECALL = 0.95
POOLED = "pooled"


@dataclass(frozen=True)
class Row:
    """Measures of one case or of all together; NaN where a measure is undefined, None where not requested.

    Attributes:
        case: Stem of the map's file name, or "pooled".
        voxels: Number of examined voxels.
        lesion_ml: Volume of the reference inside the mask.
        unexamined_lesion_ml: Volume of the reference outside the mask, which no measure counts.
        prevalence: Share of reference voxels, which is the average precision of a random map.
        average_precision: Area under precision over recall, as a sum over all thresholds.
        auroc: Probability that a reference voxel scores above another voxel.
        maximum_dice: Best Dice over all thresholds; optimistic, since the reference selects the threshold.
        maximum_dice_threshold: Its threshold.
        fpr_at_95_recall: Smallest false-positive rate at a recall of 95 %.
        dice: Dice at the given threshold.
        lesions: Connected lesions of the reference.
        lesions_hit: Lesions of which at least 10 % is found at the given threshold.
        false_regions: Regions at the given threshold that touch no lesion.
        false_ml: Volume outside the reference at or above the given threshold.
    """

    case: str
    voxels: int
    lesion_ml: float
    unexamined_lesion_ml: float
    prevalence: float
    average_precision: float
    auroc: float
    maximum_dice: float
    maximum_dice_threshold: float
    fpr_at_95_recall: float
    dice: float | None
    lesions: int | None
    lesions_hit: int | None
    false_regions: int | None
    false_ml: float | None


@dataclass(frozen=True)
class Evaluation:
    """Agreement of maps with references.

    Attributes:
        rows: One per case, in the given order.
        pooled: All examined voxels of all cases as one image; lesions are summed.
        threshold: Threshold of Dice and lesion counts, in the units of the maps; None if not requested.
        region: "mask" if only voxels in the given masks were examined, else "whole grid".
        options: What the user said about the files beyond their headers.
    """

    rows: tuple[Row, ...]
    pooled: Row
    threshold: float | None
    region: str
    options: ReadingOptions = AS_THE_HEADER_SAYS

    def lines(self, digits: int = 6) -> list[str]:
        """Format header, cases and the pooled row as tab-separated lines; n/a for a missing value."""
        rows = [[_text(value, digits) for value in asdict(row).values()] for row in (*self.rows, self.pooled)]
        return table_text([field.name for field in fields(Row)], rows).splitlines()


@dataclass(frozen=True, eq=False)
class _Case:
    """The examined voxels of one case, shape (N,), and the lesion counts on its grid."""

    name: str
    score: np.ndarray
    truth: np.ndarray
    voxel_ml: float
    unexamined: int
    lesions: LesionCounts | None


def evaluate(
    maps: Sequence[Path],
    truths: Sequence[Path],
    masks: Sequence[Path] | None = None,
    threshold: float | None = None,
    progress: Progress | None = None,
    options: ReadingOptions = AS_THE_HEADER_SAYS,
) -> Evaluation:
    """Compare anomaly maps with reference masks, pairwise in the given order.

    Args:
        maps: Image files with larger values where more anomalous.
        truths: Image files on the same grids, 0.5 or more inside a lesion; an empty one is a healthy case.
        masks: Image files on the same grids, 0.5 or more in the examined part; None examines the whole grid, where the
            background adds true negatives, so that AUROC and false-positive rates are too good.
        threshold: Also measure Dice and lesions for voxels at or above this value.
        progress: Receives each case; may cancel.
        options: What the user says about masks beyond their headers, and about maps that cannot be read without it.

    Returns:
        The measures per case and pooled.

    Raises:
        InputError: If the numbers of files differ, a file cannot be read, or a pair is not on one grid.
        Cancelled: If the user asked to stop.
    """
    if not maps:
        raise InputError("no_maps")
    if len(truths) != len(maps):
        raise InputError("reference_mask_count", maps=len(maps), masks=len(truths))
    if masks is not None and len(masks) != len(maps):
        raise InputError("examined_mask_count", maps=len(maps), masks=len(masks))
    if threshold is not None and not math.isfinite(threshold):
        raise InputError("evaluation_threshold", threshold=threshold)
    progress = progress or Progress()
    progress.stage("evaluate", 0.0, 1.0)
    cases = []
    for number, path in enumerate(maps):
        progress.update(number / len(maps), stem(path))
        mask = Path(masks[number]) if masks else None
        cases.append(_load(Path(path), Path(truths[number]), mask, threshold, options))
    rows = tuple(_row(case.name, [case], threshold) for case in cases)
    pooled = _row(POOLED, cases, threshold)
    progress.finish()
    return Evaluation(rows, pooled, threshold, "mask" if masks else "whole grid", options)


def write_tsv(evaluation: Evaluation, path: str | os.PathLike) -> None:
    """Write a table with one line per case and the pooled line last; n/a for a missing value.

    Raises:
        OutputError: If it cannot be written; no partial file is left.
    """
    _write(Path(path), "\n".join(evaluation.lines()) + "\n")


def write_json(evaluation: Evaluation, path: str | os.PathLike) -> None:
    """Write threshold, examined region, rows and pooled row as one JSON object; null for a missing value.

    Raises:
        OutputError: If it cannot be written; no partial file is left.
    """

    def plain(row: Row) -> dict:
        return {name: None if _missing(value) else value for name, value in asdict(row).items()}

    document = {
        "threshold": evaluation.threshold,
        "region": evaluation.region,
        **({READING: evaluation.options.as_json()} if evaluation.options != AS_THE_HEADER_SAYS else {}),
        "pooled": plain(evaluation.pooled),
        "cases": [plain(row) for row in evaluation.rows],
    }
    _write(Path(path), json.dumps(document, indent=2, allow_nan=False) + "\n")


def _load(
    map_path: Path, truth_path: Path, mask_path: Path | None, threshold: float | None, options: ReadingOptions
) -> _Case:
    """Read one case and keep its examined voxels."""
    # A map or mask may be uniform, such as the reference of a healthy case.
    score = read_if_lacking(map_path, options, uniform=True)
    truth = read_mask_by_header(truth_path, score, options)
    mask = read_mask_by_header(mask_path, score, options) if mask_path else None
    ordered = [other and in_order_of(other, score) for other in (truth, mask)]
    for other, found, other_path in zip((truth, mask), ordered, (truth_path, mask_path)):
        if other is not None and found is None:
            raise InputError("evaluation_mask_not_on_grid", mask=other_path, image=map_path)
    truth, mask = ordered
    lesion = truth.array >= 0.5
    examined = np.ones(lesion.shape, bool) if mask is None else mask.array >= 0.5
    lesions = None
    if threshold is not None:
        lesions = count_lesions((score.array >= threshold) & examined, lesion & examined, score.voxel_ml)
    return _Case(
        name=stem(map_path),
        score=score.array[examined],
        truth=lesion[examined],
        voxel_ml=score.voxel_ml,
        unexamined=int(np.count_nonzero(lesion & ~examined)),
        lesions=lesions,
    )


def _row(name: str, cases: list[_Case], threshold: float | None) -> Row:
    """Measure the voxels of several cases together."""
    truth = np.concatenate([case.truth for case in cases])
    score = np.concatenate([case.score for case in cases])
    curve = Curve.of(score, truth)
    best, best_threshold = curve.maximum_dice()
    overlap, counts = None, None
    if threshold is not None:
        counts = sum((case.lesions for case in cases), LesionCounts(0, 0, 0, 0.0))
        overlap = dice(score >= threshold, truth)
    return Row(
        case=name,
        voxels=len(score),
        lesion_ml=float(sum(np.count_nonzero(case.truth) * case.voxel_ml for case in cases)),
        unexamined_lesion_ml=float(sum(case.unexamined * case.voxel_ml for case in cases)),
        prevalence=curve.prevalence,
        average_precision=curve.average_precision(),
        auroc=curve.auroc(),
        maximum_dice=best,
        maximum_dice_threshold=best_threshold,
        fpr_at_95_recall=curve.false_positive_rate_at(RECALL),
        dice=overlap,
        lesions=counts and counts.lesions,
        lesions_hit=counts and counts.hit,
        false_regions=counts and counts.false_regions,
        false_ml=counts and counts.false_ml,
    )


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _text(value: object, digits: int) -> str:
    if _missing(value):
        return "n/a"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _write(path: Path, text: str) -> None:
    """Write a text file atomically."""
    try:
        write_text(path, text)
    except OSError as error:
        raise OutputError("table_unwritable", path=path, reason=error.strerror or error) from error
