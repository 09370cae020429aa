"""Figures of a training: curves of its log, reconstructions of validation scans, and samples of the prior."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..methods.base import Method
from ..methods.slicewise import examined_slices
from ..runtime.atomic_files import replacing
from ..runtime.numerics import evenly_spread
from ..runtime.tables import read_table
from .data import HealthyData

CURVE_COLUMNS = 3
NOT_DRAWN = ("step", "seconds")

IMAGE_COLUMNS, SAMPLES = 8, 3


def draw_all_curves(folder: Path) -> list[Path]:
    """Draw ``curves.png`` beside every newer ``log.csv`` in a folder and its subfolders; return the figures."""
    written = []
    for log in sorted(folder.rglob("log.csv")):
        target = log.with_name("curves.png")
        if not log.stat().st_size:
            # Cut short, as after a crash of the computer; the next validation writes it again.
            continue
        if not target.is_file() or target.stat().st_mtime_ns < log.stat().st_mtime_ns:
            draw_curves(log, target)
            written.append(target)
    return written


def draw_curves(log: Path, target: Path) -> None:
    """Draw the columns of a log of `loop.fit`; values of both training and validation share axes."""
    rows = read_table(log, ",")
    panels: dict[str, list[str]] = {}
    for column in rows[0]:
        if column not in NOT_DRAWN:
            panels.setdefault(column.removeprefix("train_").removeprefix("validation_"), []).append(column)
    lines = -(-len(panels) // CURVE_COLUMNS)
    figure = Figure(figsize=(4 * CURVE_COLUMNS, 2.6 * lines), layout="tight")
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
    with replacing(target) as partial:
        figure.savefig(partial, dpi=80)


def write_figures(method: Method, data: HealthyData, folder: Path, name: str) -> list[Path]:
    """Write ``NAME-reconstructions.png`` and, for a method with a prior, ``NAME-samples.png``; return the files.

    The reconstructed validation scans are slices of the first volume, or the first single slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flat = len(data.validation[0][0]) == 1
    images, restored, scores, examined = [], [], [], []
    for image, mask in data.validation[: IMAGE_COLUMNS if flat else 1]:
        used = examined_slices(mask)
        middle = used if flat else used[int(len(used) * 0.08) : int(len(used) * 0.92) + 1]
        shown = middle[evenly_spread(len(middle), IMAGE_COLUMNS)]
        only = np.zeros_like(mask)
        only[shown] = mask[shown]
        result = method.restore(image, mask if method.unit == "volume" else only, seed=0)
        for kept, volume in ((images, image), (restored, result.restored), (scores, result.score)):
            kept += [volume[z] for z in shown]
        examined.append(result.score[only])
    top = float(np.percentile(np.concatenate(examined), 99.5))
    written = [folder / f"{name}-reconstructions.png"]
    rows = [("validation scan", images, 1.0), ("restored", restored, 1.0), ("raw score", scores, top)]
    montage(rows, written[0])
    if samples := method.prior_slices(SAMPLES, IMAGE_COLUMNS, flat):
        written.append(folder / f"{name}-samples.png")
        montage(
            [(f"sample of the prior {n + 1}", [column[n] for column in samples], 1.0) for n in range(SAMPLES)],
            written[1],
        )
    return written


def montage(rows: list[tuple[str, list[np.ndarray], float]], path: Path, columns: int = IMAGE_COLUMNS) -> None:
    """Draw labelled rows of slices; the last number of a row is the intensity shown as white."""
    figure = Figure(figsize=(columns * 1.5, len(rows) * 1.5 + 0.1), facecolor="black")
    for number, (label, images, white) in enumerate(rows):
        for column, image in enumerate(images):
            axes = figure.add_axes((column / columns, 1 - (number + 1) / len(rows), 1 / columns, 1 / len(rows)))
            axes.imshow(image, cmap="gray", vmin=0, vmax=white, origin="lower")
            axes.axis("off")
            if column == 0:
                axes.text(3, 3, label, color="white", fontsize=8)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=80, facecolor="black")
