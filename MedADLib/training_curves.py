"""Draws a training's log: one picture of all that was measured, against the steps."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLUMNS = 3
NOT_DRAWN = ("step", "seconds")


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
        log: As `training.fit` writes it.
        picture: PNG to write.
    """
    with open(log, newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    panels: dict[str, list[str]] = {}
    for column in rows[0]:
        if column not in NOT_DRAWN:
            panels.setdefault(column.removeprefix("train_").removeprefix("validation_"), []).append(column)
    lines = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 2.6 * lines), layout="tight")
    FigureCanvasAgg(figure)
    for number, (name, columns) in enumerate(panels.items()):
        axes = figure.add_subplot(lines, COLUMNS, number + 1)
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
