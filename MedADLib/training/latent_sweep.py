"""The latent size of an autoencoder: one training a size, the curve as the paper draws it, and a choice without labels.

AE4AD (Cai et al. 2024) sweeps d over 1, 2, 4, ..., 128 and reports the size that is best on the test data. Here the
size comes from healthy validation scans alone; where labelled lesions exist they are drawn beside it, to be looked at.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from .distributed import Ranks

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
ERROR = "validation_error"
FEWEST = 3
# The noise of a training; errors of converged ones fall.
CLEARLY = 1.1

Row = dict[str, float]


def sweep(sizes: Sequence[int], measured: Callable[[int], Row], folder: Path) -> tuple[int, list[Row]]:
    """Try latent sizes, and write ``sweep.tsv`` and ``sweep.png``.

    Args:
        sizes: Increasing latent sizes, at least 3.
        measured: Trains with a size, and gives what was measured: ``validation_error``, which chooses, and whatever
            else is worth a column, such as ``slice_auroc`` or ``image_auroc``.
        folder: Where table and picture go; written anew after each size, the picture from the third on.

    Returns:
        The chosen size, and a row for each size with its ``latent``.

    Raises:
        InputError: If there are fewer than 3 sizes, or they do not increase.
    """
    check_sizes(sizes)
    rows: list[Row] = []
    speaks = Ranks.current().rank == 0
    for size in sizes:
        rows.append({"latent": size} | measured(size))
        if speaks:
            _write_table(folder / "sweep.tsv", rows)
        if len(rows) < FEWEST:
            continue
        # Of an interrupted sweep, the curve of the sizes so far is there to be looked at.
        chosen = elbow(sizes[: len(rows)], [row[ERROR] for row in rows])
        if speaks:
            draw(rows, chosen, folder / "sweep.png")
    return chosen, rows


def check_sizes(sizes: Sequence[int]) -> None:
    """Raise InputError if there are fewer than 3 sizes, or they do not increase."""
    if len(sizes) < FEWEST or min(sizes) < 1 or np.diff(sizes).min() <= 0:
        raise InputError("bad_latent_sizes", sizes=",".join(map(str, sizes)))


def elbow(sizes: Sequence[int], errors: Sequence[float]) -> int:
    """The latent size of largest curvature of healthy validation error against log size.

    The curve is scaled to the unit square, and the point farthest below the line between its ends is taken (the
    discrete largest curvature).

    Args:
        sizes: Increasing latent sizes, at least 3.
        errors: Validation errors.

    Raises:
        ValueError: If there are fewer than 3 sizes or they do not increase.
    """
    d, e = np.log(np.asarray(sizes, float)), np.asarray(errors, float)
    if len(d) < 3 or len(d) != len(e) or np.diff(d).min() <= 0:
        raise ValueError("the choice of a latent size needs at least 3 increasing sizes and their errors")
    d, e = (d - d[0]) / (d[-1] - d[0]), (e - e[-1]) / max(e[0] - e[-1], 1e-12)
    return int(sizes[int(np.argmax((1 - d) - e))])


def worse_with_more(rows: Sequence[Row]) -> tuple[int, int] | None:
    """Two latent sizes of which the larger has clearly the larger error, although it could do all that the smaller can.

    Then the networks were not trained for long enough to be compared, and neither the choice nor the curve of what
    labels say means much.

    Args:
        rows: As `sweep` gives them.

    Returns:
        The pair farthest apart; None if error does not rise by `CLEARLY`.
    """
    pairs = [(one, other) for n, one in enumerate(rows) for other in rows[n + 1 :]]
    smaller, larger = max(pairs, key=lambda pair: pair[1][ERROR] / pair[0][ERROR])
    clear = larger[ERROR] > CLEARLY * smaller[ERROR]
    return (int(smaller["latent"]), int(larger["latent"])) if clear else None


def draw(rows: Sequence[Row], chosen: int, path: Path) -> None:
    """Draw validation error, and below it what labels say where there are any, against the latent size.

    Args:
        rows: As `sweep` gives them.
        chosen: Marked by a dashed line.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labelled = [name for name in rows[0] if name.endswith(("auroc", "ap"))]
    figure = Figure(figsize=(6.4, 6 if labelled else 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2 if labelled else 1, 1, sharex=True, squeeze=False)[:, 0]
    sizes = [row["latent"] for row in rows]
    panels[0].plot(sizes, [row[ERROR] for row in rows], "o-", color="black", label="healthy validation scans")
    panels[0].set_ylabel("squared reconstruction error")
    for name in labelled:
        what, measure = name.rsplit("_", 1)
        panels[1].plot(sizes, [row[name] for row in rows], "o-", label=f"{what} {measure.upper()}")
    if labelled:
        panels[1].set_ylabel("labelled images" if labelled[0].startswith("image") else "simulated lesions")
    for axes in panels:
        axes.axvline(chosen, linestyle="--", color="grey", label=f"chosen without labels: {chosen}")
        # Above the axes, where it covers no curve.
        axes.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=5, frameon=False, borderaxespad=0)
    panels[-1].set_xscale("log", base=2)
    panels[-1].set_xticks(sizes, [str(size) for size in sizes])
    panels[-1].set_xlabel("latent size")
    figure.savefig(path, dpi=120)


def _write_table(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)
