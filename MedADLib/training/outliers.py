"""Outliers among the healthy scans of a training: each is compared with the others, so that a lesion is noticed.

The comparison needs no network: z-scores by the voxelwise mean and SD of the other scans, as the method `atlas` has.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..methods.slicewise import examined_slices
from ..preprocessing.space import ReferenceSpace
from ..runtime.numerics import evenly_spread
from ..runtime.progress import Progress
from ..runtime.tables import write_table
from ..scoring.pooling import pool
from ..scoring.scan_score import mean_of_highest
from ..scoring.voxelwise import Totals
from .data import Scan
from .plots import IMAGE_COLUMNS, montage

# Box of the mean over the intensities in mm, as the atlas pools.
AVERAGE_MM = 6.0
# The score of a scan is the mean of this share of its examined part, where it differs most.
HIGHEST = 0.01
# An outlier scores so many robust SD above the median, both of logarithms, because healthy scores are skewed. Below so
# many scans there is no typical score.
LIMIT, FEWEST = 4.0, 5
# The SD is at least this, so that nearly equal scans make no outlier of another one.
SMALLEST_SD = 0.1
SD_PER_MAD = 1.4826
# Outliers in the figure, the largest first, and the SD shown as white.
DRAWN, WHITE = 6, 8.0
# Columns that the labels of single slices need.
NARROWEST = 2


class LeftOut(NamedTuple):
    """How a scan compares with the others.

    Attributes:
        name: Name of the scan.
        score: Mean distance from the mean of the others where it is largest, in their SD.
        outlier: Whether that is far above the scores of the others.
    """

    name: str
    score: float
    outlier: bool


def left_out(
    names: Sequence[str], scans: Sequence[Scan], template: ReferenceSpace, progress: Progress
) -> list[LeftOut]:
    """Compare each scan with all others; takes about a second a scan.

    Args:
        names: Names of the scans.
        scans: Image (standard intensities) and mask of each, (Z, Y, X), in the space of the model.
        template: The space.
        progress: Receives each scan; may cancel.

    Returns:
        The scans, the highest score first.
    """
    totals = _totals(scans, template)
    scores = []
    for number, (name, (image, mask)) in enumerate(zip(names, scans)):
        progress.update(number / len(names), f"comparing {name} with the others")
        scores.append(mean_of_highest(_distance(totals, image, mask, template)[mask], HIGHEST * np.count_nonzero(mask)))
    limit = limit_of(scores)
    found = [LeftOut(name, score, score > limit) for name, score in zip(names, scores)]
    return sorted(found, key=lambda one: -one.score)


def limit_of(scores: Sequence[float]) -> float:
    """Return the score above which a scan is an outlier; infinite for a few scans."""
    if len(scores) < FEWEST:
        return float("inf")
    logs = np.log(np.maximum(scores, 1e-6))
    median = float(np.median(logs))
    spread = SD_PER_MAD * float(np.median(np.abs(logs - median)))
    return float(np.exp(median + LIMIT * max(spread, SMALLEST_SD)))


def write_outliers(
    found: Sequence[LeftOut], scans: dict[str, Scan], template: ReferenceSpace, table: Path, figure: Path
) -> list[str]:
    """Write the table of all scores and, if there are outliers, the figure of the largest ones.

    Args:
        found: The result of `left_out`.
        scans: The scans by name.
        template: Their space.
        table: File for the table.
        figure: File for the figure; one of an earlier run is removed.

    Returns:
        The outliers, as ``NAME (SCORE)``.
    """
    rows = [{"scan": one.name, "score": f"{one.score:.3f}", "outlier": "yes" if one.outlier else ""} for one in found]
    write_table(table, rows)
    figure.unlink(missing_ok=True)
    outliers = [one for one in found if one.outlier]
    if outliers:
        totals = _totals(list(scans.values()), template)
        drawn: list[tuple[str, list[np.ndarray], float]] = []
        for one in outliers[:DRAWN]:
            image, mask = scans[one.name]
            distance = _distance(totals, image, mask, template)
            used = examined_slices(mask)
            # The slice of the largest distance, and others.
            peak = int(np.argmax(distance.reshape(len(mask), -1).max(axis=1)))
            shown = sorted({peak, *used[evenly_spread(len(used), IMAGE_COLUMNS - 1)].tolist()})[:IMAGE_COLUMNS]
            drawn.append((one.name, [image[z] for z in shown], 1.0))
            drawn.append((f"distance: {one.score:.1f} SD", [distance[z] for z in shown], WHITE))
        montage(drawn, figure, max(NARROWEST, *(len(images) for _, images, _ in drawn)))
    return [f"{one.name} ({one.score:.1f})" for one in outliers]


def _totals(scans: Sequence[Scan], template: ReferenceSpace) -> Totals:
    totals = Totals(template.image.array.shape, template.symmetric)
    for image, mask in scans:
        totals.add(_pooled(image, mask, template), mask)
    return totals


def _pooled(image: np.ndarray, mask: np.ndarray, template: ReferenceSpace) -> np.ndarray:
    return pool(image, mask, template.image.spacing, 0.0, AVERAGE_MM)


def _distance(totals: Totals, image: np.ndarray, mask: np.ndarray, template: ReferenceSpace) -> np.ndarray:
    """Compute how far a scan of the totals is from the mean of the others, in their SD, (Z, Y, X)."""
    pooled = _pooled(image, mask, template)
    return np.abs(totals.without(pooled, mask, template.image.spacing).z_scores(pooled, mask))
