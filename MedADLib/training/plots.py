"""Figures of a training: curves, reconstructions, and samples of the prior.

Pictures drawn from what a method has learned alone, of no scan: whether its prior knows healthy anatomy.

Draws a training's log: one picture of all that was measured, against the steps.

Pictures that show whether a model has learned: reconstructions of unseen scans, and samples of its prior.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..methods.base import Method, prior_slices
from ..methods.slicewise import examined_slices
from .data import HealthyData

CURVE_COLUMNS = 3
NOT_DRAWN = ("step", "seconds")

IMAGE_COLUMNS, DRAWS = 8, 3


def draw_all_curves(folder: Path) -> list[Path]:
    """Draw ``curves.png`` beside every ``log.csv`` of a folder that is newer.

    Args:
        folder: Searched with its subfolders.

    Returns:
        The pictures drawn.
    """
    drawn = []
    for log in sorted(folder.rglob("log.csv")):
        picture = log.with_name("curves.png")
        if not picture.is_file() or picture.stat().st_mtime_ns < log.stat().st_mtime_ns:
            draw_curves(log, picture)
            drawn.append(picture)
    return drawn


def draw_curves(log: Path, picture: Path) -> None:
    """Draw the columns of a log; what is measured in training and validation shares its axes.

    Args:
        log: As `loop.fit` writes it.
        picture: PNG to write.
    """
    with open(log, newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    panels: dict[str, list[str]] = {}
    for column in rows[0]:
        if column not in NOT_DRAWN:
            panels.setdefault(column.removeprefix("train_").removeprefix("validation_"), []).append(column)
    lines = -(-len(panels) // CURVE_COLUMNS)
    figure = Figure(figsize=(4 * CURVE_COLUMNS, 2.6 * lines), layout="tight")
    FigureCanvasAgg(figure)
    for number, (name, columns) in enumerate(panels.items()):
        axes = figure.add_subplot(lines, CURVE_COLUMNS, number + 1)
        for column in columns:
            points = [(int(row["step"]), float(row[column])) for row in rows if row[column]]
            label = column.split("_")[0] if column != name else None
            axes.plot(*zip(*points), marker="." if len(points) < 20 else None, label=label)
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.tick_params(labelsize=7)
        if any(column != name for column in columns):
            axes.legend(fontsize=7)
    partial = picture.with_name(f".partial-{picture.name}")
    figure.savefig(partial, dpi=80, format="png")
    partial.replace(picture)


def write_pictures(method: Method, data: HealthyData, folder: Path, name: str) -> list[Path]:
    """Write ``NAME-reconstructions.png`` and, for a method whose latents have a prior, ``NAME-samples.png``.

    Args:
        method: Trained.
        data: Slices of the first validation scan are reconstructed, or, of single slices, the first scans.
        folder: Where to write.
        name: The model's name.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flat = len(data.validation[0][0]) == 1
    images, restored, scores, examined = [], [], [], []
    for image, mask in data.validation[: IMAGE_COLUMNS if flat else 1]:
        used = examined_slices(mask)
        shown = used if flat else used[np.linspace(len(used) * 0.08, len(used) * 0.92, IMAGE_COLUMNS).astype(int)]
        only = np.zeros_like(mask)
        only[shown] = mask[shown]
        result = method.restore(image, mask if getattr(method, "unit", "slice") == "volume" else only, seed=0)
        for kept, volume in ((images, image), (restored, result.restored), (scores, result.score)):
            kept += [volume[z] for z in shown]
        examined.append(result.score[only])
    top = float(np.percentile(np.concatenate(examined), 99.5))
    written = [folder / f"{name}-reconstructions.png"]
    rows = [("unseen healthy scan", images, 1.0), ("restored", restored, 1.0), ("raw score", scores, top)]
    _montage(rows, written[0])
    if drawn := prior_slices(method, DRAWS, IMAGE_COLUMNS, flat):
        written.append(folder / f"{name}-samples.png")
        _montage([(f"drawn from the prior {n + 1}", [d[n] for d in drawn], 1.0) for n in range(DRAWS)], written[1])
    return written


def _montage(rows: list[tuple[str, list[np.ndarray], float]], path: Path) -> None:
    """Rows of slices with a label each; the last number is the white of the row."""
    figure = Figure(figsize=(IMAGE_COLUMNS * 1.5, len(rows) * 1.5 + 0.1), facecolor="black")
    FigureCanvasAgg(figure)
    for number, (label, pictures, white) in enumerate(rows):
        for column, picture in enumerate(pictures):
            axes = figure.add_axes(
                (column / IMAGE_COLUMNS, 1 - (number + 1) / len(rows), 1 / IMAGE_COLUMNS, 1 / len(rows))
            )
            axes.imshow(picture, cmap="gray", vmin=0, vmax=white, origin="lower")
            axes.axis("off")
            if column == 0:
                axes.text(3, 3, label, color="white", fontsize=8)
    figure.savefig(path, dpi=80, facecolor="black")
