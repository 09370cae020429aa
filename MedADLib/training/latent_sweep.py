"""Choice of the latent size of an autoencoder without labels, from one training per size.

AE4AD (Cai et al. 2024) tries d = 1, 2, 4, ..., 128 and reports the best size on the test data. Here only healthy
validation scans determine the size; the figure also shows measurements on labelled lesions, if there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError, SettingError
from ..runtime.atomic_files import replacing
from ..runtime.tables import write_table
from .distributed import ProcessGroup

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
ERROR = "validation_error"
FEWEST = 3
# Factor above the noise of a training; the errors of converged trainings fall with the latent size.
CLEARLY = 1.1

Row = dict[str, float]


def sweep(sizes: Sequence[int], measured: Callable[[int], Row], folder: Path) -> tuple[int, list[Row]]:
    """Try latent sizes, and write ``sweep.tsv`` and ``sweep.png``.

    Args:
        sizes: Increasing latent sizes, at least 3.
        measured: Trains with a size and returns measurements: ``validation_error``, which determines the choice, and
            further columns such as ``slice_auroc`` or ``image_auroc``.
        folder: Folder for table and figure; each size replaces the table, and from the third size on the figure.

    Returns:
        The chosen size, and a row for each size with its ``latent`` and its measurements.

    Raises:
        InputError: If there are fewer than 3 sizes, or they do not increase.
    """
    check_sizes(sizes)
    rows: list[Row] = []
    writes = ProcessGroup.current().rank == 0
    if writes:
        folder.mkdir(parents=True, exist_ok=True)
    for size in sizes:
        rows.append({"latent": size} | measured(size))
        if writes:
            write_table(folder / "sweep.tsv", [{name: f"{n:.6g}" for name, n in row.items()} for row in rows])
        if len(rows) < FEWEST:
            continue
        # An interrupted sweep leaves the curve of the sizes so far.
        chosen = elbow(sizes[: len(rows)], [row[ERROR] for row in rows])
        if writes:
            draw(rows, chosen, folder / "sweep.png")
    return chosen, rows


def check_sizes(sizes: Sequence[int]) -> None:
    """Check latent sizes.

    Raises:
        InputError: If there are fewer than 3 sizes, or they do not increase.
    """
    if len(sizes) < FEWEST or min(sizes) < 1 or np.diff(sizes).min() <= 0:
        raise InputError("bad_latent_sizes", sizes=",".join(map(str, sizes)))


def elbow(sizes: Sequence[int], errors: Sequence[float]) -> int:
    """Find the latent size of largest curvature of healthy validation error over log size.

    The curve is scaled to the unit square; the result is the point farthest below the line between its ends, which
    approximates the largest curvature.

    Raises:
        ValueError: If there are fewer than 3 sizes or they do not increase.
    """
    d, e = np.log(np.asarray(sizes, float)), np.asarray(errors, float)
    if len(d) < 3 or len(d) != len(e) or np.diff(d).min() <= 0:
        raise SettingError("sweep_sizes")
    d, e = (d - d[0]) / (d[-1] - d[0]), (e - e[-1]) / max(e[0] - e[-1], 1e-12)
    return int(sizes[int(np.argmax((1 - d) - e))])


def worse_with_more(rows: Sequence[Row]) -> tuple[int, int] | None:
    """Find two latent sizes of which the larger has a clearly larger error.

    A larger latent can represent all that a smaller one can. Such a pair shows that the trainings were too short to
    compare the sizes, so that neither the choice nor the measurements on labels are reliable.

    Returns:
        The smaller and the larger size of the pair with the largest ratio; None if no error rises by `CLEARLY`.
    """
    pairs = [(one, other) for n, one in enumerate(rows) for other in rows[n + 1 :]]
    smaller, larger = max(pairs, key=lambda pair: pair[1][ERROR] / pair[0][ERROR])
    clear = larger[ERROR] > CLEARLY * smaller[ERROR]
    return (int(smaller["latent"]), int(larger["latent"])) if clear else None


def draw(rows: Sequence[Row], chosen: int, path: Path) -> None:
    """Draw the validation error, and below it any measurements on labels; a dashed line marks the choice."""
    from matplotlib.figure import Figure

    labelled = [name for name in rows[0] if name.endswith(("auroc", "ap"))]
    figure = Figure(figsize=(6.4, 6 if labelled else 3.2), layout="constrained")
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
        # Place the legend above the axes, where it covers no curve.
        axes.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=5, frameon=False, borderaxespad=0)
    panels[-1].set_xscale("log", base=2)
    panels[-1].set_xticks(sizes, [str(size) for size in sizes])
    panels[-1].set_xlabel("latent size")
    with replacing(path) as partial:
        figure.savefig(partial, dpi=120)
