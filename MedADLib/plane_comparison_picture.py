"""One picture of a comparison of 2-D models: examples with what each model made of them, and the ROC curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .device import resolve
from .metrics import Curve

if TYPE_CHECKING:
    from .labelled_images import LabelledImage
    from .modelfile import Model

SHOWN = 4
INCH = 1.35


def write_picture(
    path: Path,
    models: Sequence[Model],
    images: Sequence[LabelledImage],
    scores: Mapping[str, np.ndarray],
    rows: Sequence[Mapping],
    device: str,
) -> None:
    """Draw healthy and abnormal examples, restored images and anomaly maps of each model, and below them ROC curves.

    Examples are spread evenly over the images, not chosen by their scores. All maps of a model have one scale.

    Args:
        path: PNG to write.
        models: Whose restorations are shown.
        images: Healthy and abnormal ones.
        scores: By detector, one number an image, (N,).
        rows: Of the table, for the legend.
        device: Where to restore.
    """
    truth = np.array([image.abnormal for image in images])
    groups = [np.flatnonzero(~truth), np.flatnonzero(truth)]
    chosen = [g[n] for g in groups for n in np.unique(np.linspace(0, len(g) - 1, min(SHOWN, len(g))).astype(int))]
    shown = [images[n] for n in chosen]
    columns, lines = len(shown), 1 + 2 * len(models)
    figure = Figure(figsize=(INCH * columns + 1.2, INCH * lines + 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    strip, below = figure.subfigures(2, 1, height_ratios=(INCH * lines, 4.6))
    grid = strip.subplots(lines, columns, squeeze=False)
    _row(grid[0], "image", [image.image for image in shown], "gray", 1.0)
    for axes, image in zip(grid[0], shown):
        axes.set_title("abnormal" if image.abnormal else "healthy", fontsize=8)
    for number, model in enumerate(models):
        restored, maps = _made(model, shown, resolve(device))
        top = float(np.percentile(np.concatenate([m[i.mask] for m, i in zip(maps, shown)]), 99.5))
        _row(grid[1 + 2 * number], f"{model.name}\nrestored", restored, "gray", 1.0)
        _row(grid[2 + 2 * number], f"{model.name}\nmap", maps, "inferno", max(top, 1e-9))
    _curves(below.subplots(), scores, truth, rows)
    partial = path.with_name(f".partial-{path.name}")
    figure.savefig(partial, dpi=100, format="png")
    partial.replace(path)


def _made(model: Model, shown: Sequence[LabelledImage], device: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Restored images and anomaly maps, each (1, Y, X)."""
    results = [model.method.restore(image.image, image.mask, seed=0, device=device) for image in shown]
    spacing = model.template.image.spacing
    maps = [model.calibration.anomaly_map(r.score, i.mask, spacing) for r, i in zip(results, shown)]
    return [result.restored for result in results], maps


def _row(line: Sequence, label: str, pictures: Sequence[np.ndarray], colours: str, white: float) -> None:
    for axes, picture in zip(line, pictures):
        axes.imshow(picture[0], cmap=colours, vmin=0, vmax=white, origin="lower")
        axes.set_xticks([])
        axes.set_yticks([])
    line[0].set_ylabel(label, fontsize=7)


def _curves(axes, scores: Mapping[str, np.ndarray], truth: np.ndarray, rows: Sequence[Mapping]) -> None:
    """ROC curves; the chance of a find against that of a false alarm at each score."""
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
