"""What detectors found and missed, in pictures: the slice with most of each lesion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from .benchmark_cases import KINDS
from .comparison_tables import Variant
from .simulation import CONTRASTS

if TYPE_CHECKING:
    from .comparison import Kept

COLUMNS = 6
TITLE = 24
# Of the overview: inches of a slice, and room for names in slices.
SIDE, NAMES = 1.1, 1.5


@dataclass(frozen=True)
class Tile:
    """One slice of a case; arrays (Y, X).

    Attributes:
        title: The lesion.
        values: The map, NaN outside the brain.
        truth: The lesion.
    """

    title: str
    values: np.ndarray
    truth: np.ndarray

    @classmethod
    def of(cls, case: Kept, values: np.ndarray) -> Tile:
        """The slice with most of the lesion; of a healthy scan, that with the largest value."""
        sizes = case.truth.sum(axis=(1, 2)) if case.truth.any() else np.where(case.mask, values, 0).max(axis=(1, 2))
        z = int(np.argmax(sizes))
        title = f"{case.kind} {case.contrast}"[:TITLE]
        return cls(title, np.where(case.mask[z], values[z], np.nan).astype(np.float32), case.truth[z])


@dataclass(frozen=True)
class Strip:
    """A few slices of a detector, the same of every detector.

    Attributes:
        name: The detector.
        threshold: Of the map.
        tiles: The slices.
    """

    name: str
    threshold: float
    tiles: tuple[Tile, ...]

    @classmethod
    def of(cls, name: str, variant: Variant) -> Strip:
        """For each kind of lesion the strongest contrast there is, first come."""
        chosen = []
        for kind in KINDS:
            cases = [pair for pair in variant.judged if pair[0].kind == kind]
            chosen += [max(cases, key=lambda pair: list(CONTRASTS).index(pair[0].contrast))] if cases else []
        return cls(name, variant.threshold, tuple(Tile.of(*pair) for pair in chosen))


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

    tiles = [Tile.of(case, values) for case, values in variant.judged]
    rows = -(-len(tiles) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * 2, rows * 2.2), facecolor="black")
    FigureCanvasAgg(figure)
    for number, tile in enumerate(tiles):
        axes = figure.add_subplot(rows, COLUMNS, number + 1)
        _draw(axes, tile, variant.threshold)
        axes.set_title(tile.title, color="white", fontsize=7, pad=1)
    figure.suptitle(f"{name}: map, lesion (green), above the 1 % healthy threshold (white)", color="white", fontsize=9)
    figure.subplots_adjust(0, 0, 1, 0.95, 0.02, 0.08)
    figure.savefig(path, dpi=90, facecolor="black")


def write_overview(path: Path, strips: Sequence[Strip]) -> None:
    """Draw the same lesions as every detector sees them, a row a detector; colours as in `write_picture`.

    Args:
        path: PNG to write.
        strips: Of each detector.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max((len(strip.tiles) for strip in strips), default=0)
    if not columns:
        return
    width, half = columns + NAMES, -(-len(strips) // 2)
    figure = Figure(figsize=(2 * width * SIDE, half * SIDE), facecolor="black")
    FigureCanvasAgg(figure)
    for number, strip in enumerate(strips):
        left, top = number // half * width, 1 - (number % half + 1) / half
        name = "\n".join(wrap(strip.name, 22))
        figure.text((left + NAMES - 0.1) / (2 * width), top + 0.5 / half, name, color="white", fontsize=7, ha="right",
                    va="center")  # fmt: skip
        for column, tile in enumerate(strip.tiles):
            place = (left + NAMES + column) / (2 * width), top, 1 / (2 * width), 1 / half
            axes = figure.add_axes(place)
            _draw(axes, tile, strip.threshold)
            if number % half == 0:
                axes.text(3, 3, tile.title, color="white", fontsize=6)
    figure.savefig(path, dpi=90, facecolor="black")


def _draw(axes, tile: Tile, threshold: float) -> None:
    axes.imshow(tile.values, cmap="inferno", vmin=0, vmax=max(4 * threshold, 1e-9), origin="lower")
    if tile.truth.any():
        axes.contour(tile.truth, [0.5], colors="lime", linewidths=0.8)
    above = np.nan_to_num(tile.values) > threshold
    if above.any():
        axes.contour(above, [0.5], colors="white", linewidths=0.4)
    axes.axis("off")
