"""Figures of a comparison: lesions and maps of each detector, misses, 2-D examples and ROC curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from ..preprocessing.space import CEILING
from ..runtime.atomic_files import replacing
from ..runtime.device import resolve
from ..runtime.numerics import evenly_spread
from ..scoring.metrics import Curve
from .judgement import Judged, Variant
from .simulation.insertion import CONTRASTS
from .tables import KINDS

if TYPE_CHECKING:
    from ..modelfile.model import Model
    from ..volume import Volume
    from .image_cases import LabelledImage
    from .stored_cases import StoredCase

COLUMNS = 6
TITLE = 24
# Of the overview: width of a slice in inches, and width of the names in slices.
SIDE, NAMES = 1.1, 1.5

SHOWN = 4
INCH = 1.35

# Of the misses: how many misses and false positives, half the edge of a tile in voxels, and the intensity shown white.
MISSES, FALSE, HALF, BRIGHT = 8, 4, 40, 1.0
# Most cases of the figure of all cases; more are spread evenly.
MOST_CASES = 60


@dataclass(frozen=True)
class Tile:
    """One slice of a case; arrays (Y, X).

    Attributes:
        title: The lesion.
        values: The map, NaN outside the brain.
        truth: The lesion, bool.
    """

    title: str
    values: np.ndarray
    truth: np.ndarray

    @classmethod
    def of(cls, case: Judged) -> Tile:
        """Select the slice with most of the lesion, or of a healthy scan the slice with the largest value."""
        z, values = case.height, case.slices[case.height].astype(np.float32)
        return cls(f"{case.kind} {case.contrast}"[:TITLE], np.where(case.mask[z], values, np.nan), case.truth[z])


@dataclass(frozen=True)
class Strip:
    """A few slices of a detector, the same for every detector.

    Attributes:
        name: Name of the detector.
        threshold: Threshold of the map.
        tiles: The slices.
    """

    name: str
    threshold: float
    tiles: tuple[Tile, ...]

    @classmethod
    def of(cls, name: str, variant: Variant) -> Strip:
        """Select the first case with the strongest contrast for each kind of lesion."""
        chosen = []
        for kind in KINDS:
            cases = [case for case in variant.judged if case.kind == kind]
            chosen += [max(cases, key=lambda case: list(CONTRASTS).index(case.contrast))] if cases else []
        return cls(name, variant.threshold, tuple(Tile.of(case) for case in chosen))


def write_cases(path: Path, name: str, variant: Variant) -> None:
    """Draw the cases of a variant of a detector, at most `MOST_CASES`, as a PNG with the detector's name as title.

    Colours show the map up to four times the 1 % threshold; the lesion is outlined in green, the part above the
    threshold in white.
    """
    chosen = evenly_spread(len(variant.judged), min(MOST_CASES, len(variant.judged)))
    tiles = [Tile.of(variant.judged[number]) for number in chosen]
    rows = -(-len(tiles) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * 2, rows * 2.2), facecolor="black")
    for number, tile in enumerate(tiles):
        axes = figure.add_subplot(rows, COLUMNS, number + 1)
        _draw(axes, tile, variant.threshold)
        axes.set_title(tile.title, color="white", fontsize=7, pad=1)
    figure.suptitle(f"{name}: map, lesion (green), above the 1 % healthy threshold (white)", color="white", fontsize=9)
    figure.subplots_adjust(0, 0, 1, 0.95, 0.02, 0.08)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=90, facecolor="black")


def write_overview(path: Path, strips: Sequence[Strip]) -> None:
    """Draw the maps of all detectors for the same lesions, a row for each detector; colours as in `write_cases`."""
    columns = max((len(strip.tiles) for strip in strips), default=0)
    if not columns:
        return
    width, half = columns + NAMES, -(-len(strips) // 2)
    figure = Figure(figsize=(2 * width * SIDE, half * SIDE), facecolor="black")
    for number, strip in enumerate(strips):
        left, top = number // half * width, 1 - (number % half + 1) / half
        name = "\n".join(wrap(strip.name, 22))
        figure.text((left + NAMES - 0.1) / (2 * width), top + 0.5 / half, name, color="white", fontsize=7, ha="right",
                    va="center")  # fmt: skip
        for column, tile in enumerate(strip.tiles):
            box = (left + NAMES + column) / (2 * width), top, 1 / (2 * width), 1 / half
            axes = figure.add_axes(box)
            _draw(axes, tile, strip.threshold)
            if number % half == 0:
                axes.text(3, 3, tile.title, color="white", fontsize=6)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=90, facecolor="black")


def write_misses(path: Path, name: str, variant: Variant, cases: Sequence[StoredCase], grid: Volume) -> None:
    """Draw what a detector misses and its largest false positives in untouched scans, as a PNG.

    Missed are lesions of which less than 10 % exceeds the threshold of 1 % healthy false positives, those of the
    strongest contrast first, then the largest. Each column has the scan, the map and the restoration around one place,
    with its volume and its position in the model's space in the title; colours as in `write_cases`.

    Args:
        path: The file.
        name: Name of the detector, for the title.
        variant: The detector's variant.
        cases: All cases, with their scans.
        grid: The model's grid.
    """
    strengths = ["", *CONTRASTS]
    missed = [
        (strengths.index(case.contrast) if case.contrast in strengths else 0, lesion.ml, lesion.centre, case)
        for case in variant.judged
        for lesion in case.lesions
        if not lesion.hit
    ]
    missed = sorted(missed, key=lambda found: found[:2], reverse=True)[:MISSES]
    false = [(case.alarms.largest_ml, case.alarms.centre, case) for case in variant.judged if case.kind == "healthy"]
    false = sorted((found for found in false if found[1]), key=lambda found: found[0], reverse=True)[:FALSE]
    shown = [(f"missed: {case.kind} {case.contrast}", ml, centre, case) for _, ml, centre, case in missed]
    shown += [("false positive", ml, centre, case) for ml, centre, case in false]
    if not shown:
        return
    by_label = {case.label: case for case in cases}
    lines = 3 if any(case.kept.slices for *_, case in shown) else 2
    figure = Figure(figsize=(1.6 * max(len(shown), 4), 1.6 * lines + 0.8), facecolor="black")
    tiles = figure.subplots(lines, len(shown), squeeze=False)
    for column, (what, ml, centre, case) in zip(tiles.T, shown):
        z, truth = centre[0], _around(case.truth[centre[0]], centre, False)
        image = _around(by_label[case.kept.label].case().prepared.image[z], centre, 0)
        column[0].imshow(image, cmap="gray", vmin=0, vmax=BRIGHT, origin="lower")
        values = np.where(case.mask[z], case.slices[z].astype(np.float32), np.nan)
        _draw(column[1], Tile("", _around(values, centre, np.nan), truth), variant.threshold)
        if z in case.kept.slices:
            restored = _around(case.kept.slices[z], centre, 0) * (CEILING / 255)
            column[2].imshow(restored, cmap="gray", vmin=0, vmax=BRIGHT, origin="lower")
        if truth.any():
            column[0].contour(truth, [0.5], colors="lime", linewidths=0.6)
        position = grid.ras_from_voxels(np.array([centre]))[0]
        named = zip(("RL", "AP", "SI"), position)
        place = ", ".join(f"{sides[int(value < 0)]} {abs(value):.0f}" for sides, value in named) + " mm"
        column[0].set_title(f"{what}\n{case.subject}, {ml:.2f} mL\n{place}", color="white", fontsize=6, pad=2)
        for axes in column:
            axes.axis("off")
    rows = "scan, map and restoration" if lines == 3 else "scan and map"
    title = f"{name}: {rows}; lesion (green), above the 1 % healthy threshold (white)"
    figure.suptitle(title, color="white", fontsize=8, y=0.99)
    figure.subplots_adjust(0.005, 0.005, 0.995, 1 - 0.75 / (1.6 * lines + 0.8), 0.02, 0.02)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, facecolor="black")


def _around(image: np.ndarray, centre: Sequence[int], fill: float) -> np.ndarray:
    """Return the part of a slice (Y, X) within `HALF` of a voxel (z, y, x), filled beyond the edge."""
    padded = np.pad(image, HALF, constant_values=fill)
    row, column = centre[1:]
    return padded[row : row + 2 * HALF, column : column + 2 * HALF]


def _draw(axes, tile: Tile, threshold: float) -> None:
    axes.imshow(tile.values, cmap="inferno", vmin=0, vmax=max(4 * threshold, 1e-9), origin="lower")
    if tile.truth.any():
        axes.contour(tile.truth, [0.5], colors="lime", linewidths=0.8)
    above = np.nan_to_num(tile.values) > threshold
    if above.any():
        axes.contour(above, [0.5], colors="white", linewidths=0.4)
    axes.axis("off")


def write_examples(
    path: Path,
    models: Sequence[Model],
    images: Sequence[LabelledImage],
    scores: Mapping[str, np.ndarray],
    rows: Sequence[Mapping],
    device: str,
) -> None:
    """Draw healthy and abnormal examples with restored images and anomaly maps of each model, and ROC curves below, as
    a PNG.

    Examples are spread evenly over the images and do not depend on their scores. All maps of a model have one scale.
    `scores` holds one score per image, (N,), by detector; `rows` of the table give the legend.
    """
    truth = np.array([image.abnormal for image in images])
    groups = [np.flatnonzero(~truth), np.flatnonzero(truth)]
    chosen = [number for group in groups for number in group[evenly_spread(len(group), SHOWN)]]
    shown = [images[n] for n in chosen]
    columns, lines = len(shown), 1 + 2 * len(models)
    figure = Figure(figsize=(INCH * columns + 1.2, INCH * lines + 4.6), layout="constrained")
    strip, below = figure.subfigures(2, 1, height_ratios=(INCH * lines, 4.6))
    grid = strip.subplots(lines, columns, squeeze=False)
    _row(grid[0], "image", [image.image for image in shown], "gray", 1.0)
    for axes, image in zip(grid[0], shown):
        axes.set_title("abnormal" if image.abnormal else "healthy", fontsize=8)
    for number, model in enumerate(models):
        restored, maps = _restored(model, shown, resolve(device))
        top = float(np.percentile(np.concatenate([m[i.mask] for m, i in zip(maps, shown)]), 99.5))
        _row(grid[1 + 2 * number], f"{model.name}\nrestored", restored, "gray", 1.0)
        _row(grid[2 + 2 * number], f"{model.name}\nmap", maps, "inferno", max(top, 1e-9))
    _curves(below.subplots(), scores, truth, rows)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100)


def _restored(model: Model, shown: Sequence[LabelledImage], device: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return restored images and anomaly maps, each (1, Y, X)."""
    results = [model.method.restore(image.image, image.mask, seed=0, device=device) for image in shown]
    spacing = model.template.image.spacing
    maps = [model.calibration.anomaly_map(r.score, i.mask, spacing) for r, i in zip(results, shown)]
    return [result.restored for result in results], maps


def _row(line: Sequence, label: str, images: Sequence[np.ndarray], colours: str, white: float) -> None:
    for axes, image in zip(line, images):
        axes.imshow(image[0], cmap=colours, vmin=0, vmax=white, origin="lower")
        axes.set_xticks([])
        axes.set_yticks([])
    line[0].set_ylabel(label, fontsize=7)


def _curves(axes, scores: Mapping[str, np.ndarray], truth: np.ndarray, rows: Sequence[Mapping]) -> None:
    """Draw the ROC curve of each detector."""
    for row in rows:
        curve = Curve.of(scores[row["detector"]], truth)
        false = np.concatenate([[0.0], curve.false_positives / curve.negatives, [1.0]])
        true = np.concatenate([[0.0], curve.true_positives / curve.positives, [1.0]])
        label = f"{row['detector']}: AUROC {row['AUROC']:.2f} ({row['AUROC low']:.2f} to {row['AUROC high']:.2f})"
        axes.plot(false, true, drawstyle="steps-post", label=label)
    axes.plot([0, 1], [0, 1], ":", color="grey", label="chance")
    axes.set_aspect("equal")
    axes.set_xlabel("healthy images called abnormal")
    axes.set_ylabel("abnormal images found")
    axes.legend(fontsize=7, loc="lower right")
