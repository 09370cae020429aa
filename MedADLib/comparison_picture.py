"""What a detector found and missed: for each lesion case the slice with most of the lesion, map beside scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .comparison_tables import Variant

COLUMNS = 6
TITLE = 24


def write_picture(path: Path, name: str, variant: Variant) -> None:
    """Draw all cases of a detector's variant: heat is the map up to four times the 1 % threshold, the true
    outline is green, what exceeds the threshold is outlined in white.

    Args:
        path: PNG to write.
        name: The detector, for the title.
        variant: Its maps.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    threshold = variant.threshold
    rows = -(-len(variant.judged) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * 2, rows * 2.2), facecolor="black")
    FigureCanvasAgg(figure)
    for number, (case, values) in enumerate(variant.judged):
        axes = figure.add_subplot(rows, COLUMNS, number + 1)
        sizes = case.truth.sum(axis=(1, 2)) if case.truth.any() else np.where(case.mask, values, 0).max(axis=(1, 2))
        z = int(np.argmax(sizes))
        axes.imshow(
            np.where(case.mask[z], values[z], np.nan),
            cmap="inferno",
            vmin=0,
            vmax=max(4 * threshold, 1e-9),
            origin="lower",
        )
        if case.truth[z].any():
            axes.contour(case.truth[z], [0.5], colors="lime", linewidths=0.8)
        above = (values[z] > threshold) & case.mask[z]
        if above.any():
            axes.contour(above, [0.5], colors="white", linewidths=0.4)
        axes.set_title(f"{case.kind} {case.contrast}"[:TITLE], color="white", fontsize=7, pad=1)
        axes.axis("off")
    figure.suptitle(f"{name}: map, lesion (green), above the 1 % healthy threshold (white)", color="white", fontsize=9)
    figure.subplots_adjust(0, 0, 1, 0.95, 0.02, 0.08)
    figure.savefig(path, dpi=90, facecolor="black")
