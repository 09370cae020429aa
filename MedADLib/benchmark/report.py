"""Report of ``medad benchmark``: tables, a figure and a page."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.axis import Axis
from matplotlib.figure import Figure

from ..detection import versions
from ..runtime.atomic_files import replacing, write_text
from ..runtime.tables import table_text
from .device_check import MEAN, SHARE, DeviceRun
from .micro import Product, VolumeRace
from .samplers import PUBLISHED_SAMPLES, Race
from .scaling import FEW, Growth
from .whole_runs import WholeRun

RACE_COLUMNS = ("slices", "way", "codes_drawn", "seconds_a_slice", "least", "most", "runs", "times_engine", "measured")
RUN_COLUMNS = ("way", "model", "seconds", "least", "most", "runs", "peak_mb", "parts")
GPU_COLUMNS = ("model", "memory", "computed_on", "seconds", "least", "most", "runs", "cpu_seconds", "peak_mb",
               "largest_difference", "mean_difference", "threshold_differs", "sample_score_differs", "agrees",
               "notes")  # fmt: skip
PRODUCT_COLUMNS = ("tokens", "from", "to", "linear_ms", "convolution_ms", "times_linear")
VOLUME_COLUMNS = ("codes", "drawn", "samples", "way", "seconds", "least", "most", "runs", "times_segment")
GROWTH_COLUMNS = ("what", "value", "part", "seconds", "least", "most", "runs", "codes_drawn")
# Ticks of the axis of seconds.
TICKS = [digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5)]
NOTES = {
    "volumes.tsv": "A prior with random weights; resampled codes all over the volume.",
    "products.tsv": "Milliseconds of the fastest of 30 runs.",
    "gpu.tsv": "Anomaly maps against those of the CPU, with all memory, half of what a restoration takes, and none. "
    f"They agree if the mean difference is at most {MEAN} in the unit of the map, and at most {SHARE:.1%} of the "
    "examined voxels are above the threshold in only one of them.",
}
TITLES = {
    "slices": f"networks, S = {PUBLISHED_SAMPLES}",
    "samples": f"networks, {FEW} slices",
    "λ": f"networks, {FEW} slices, S = {PUBLISHED_SAMPLES}",
    "threads": f"networks, {FEW} slices, S = {PUBLISHED_SAMPLES}",
    "voxels along a side": "a whole detection, the model's own S",
}


@dataclass
class Measured:
    """All measurements; those that were not requested are empty.

    Attributes:
        scan: Description of the scan; empty if none was needed.
        model: Description of the model.
        race: Samplers.
        volumes: Samplers on the codes of a volume.
        runs: Whole detections.
        growth: Scaling curves.
        gpu: Models on a GPU, or another device, against the CPU.
        products: Layers of the prior in two forms.
    """

    scan: str
    model: str
    race: list[Race] = field(default_factory=list)
    volumes: list[VolumeRace] = field(default_factory=list)
    runs: list[WholeRun] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    gpu: list[DeviceRun] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)


def machine() -> str:
    """Describe processor, cores, system and versions."""
    from ..runtime.threads import physical_cores

    found = versions()
    processor = _processor() or platform.machine()
    shown = ", ".join(f"{name} {found[name]}" for name in ("medad", "python", "torch", "numpy", "SimpleITK"))
    return f"{processor}, {physical_cores()} cores, {platform.system()}; {shown}"


def write_report(measured: Measured, folder: Path) -> list[Path]:
    """Write a table of each kind, ``scaling.png``, and ``report.md`` with all tables to a folder; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = _tables(measured)
    written = []
    for name, (columns, rows) in tables.items():
        if rows:
            write_text(folder / name, table_text(columns, rows))
            written.append(folder / name)
    if measured.growth:
        draw_growth(measured.growth, folder / "scaling.png")
        written.append(folder / "scaling.png")
    where = f"on {measured.scan}, " if measured.scan else ""
    lines = [f"Measured {where}with {measured.model}, on {machine()}.", ""]
    for name, (columns, rows) in tables.items():
        if rows:
            lines += [f"**{name}** {NOTES.get(name, '')}".rstrip(), "", *markdown(columns, rows), ""]
    write_text(folder / "report.md", "\n".join(lines))
    return [*written, folder / "report.md"]


def _tables(measured: Measured) -> dict[str, tuple[tuple[str, ...], list[tuple]]]:
    """Return columns and rows of each table, by file name."""
    return {
        "samplers.tsv": (RACE_COLUMNS, [
            (row.slices, row.way, f"{row.codes:.1f}", *row.seconds.cells(), f"{row.ratio:.3g}", row.share)
            for row in measured.race
        ]),
        "volumes.tsv": (VOLUME_COLUMNS, [
            (row.length, row.resampled, row.samples, row.way, *row.seconds.cells(), f"{row.ratio:.3g}")
            for row in measured.volumes
        ]),
        "runs.tsv": (RUN_COLUMNS, [
            (row.way, row.model, *row.seconds.cells(".2f"), round(row.peak_bytes / 1e6),
             ", ".join(f"{name} {value:.2f}" for name, value in row.parts.items()))
            for row in measured.runs
        ]),
        "scaling.tsv": (GROWTH_COLUMNS, [
            (row.what, f"{row.value:.4g}", row.part, *row.seconds.cells(), f"{row.codes:.1f}")
            for row in measured.growth
        ]),
        "products.tsv": (PRODUCT_COLUMNS, [
            (row.rows, *row.wide, *(f"{1e3 * each.least:.3g}" for each in (row.linear, row.convolution)),
             f"{row.ratio:.2f}")
            for row in measured.products
        ]),
        "gpu.tsv": (GPU_COLUMNS, [
            (row.model, row.memory, row.computed_on, *row.seconds.cells(), f"{row.cpu_seconds.median:.4g}",
             round(row.peak_bytes / 1e6), *(f"{value:.2g}" for value in (row.largest, row.mean, row.share, row.sample)),
             "yes" if row.agrees else "NO", "; ".join(row.notes))
            for row in measured.gpu
        ]),
    }  # fmt: skip


def markdown(columns: Sequence[str], rows: Sequence[tuple]) -> list[str]:
    """Format a table in Markdown."""
    head = [name.replace("_", " ") for name in columns]
    return [f"| {' | '.join(str(cell) for cell in row)} |" for row in (head, ["---"] * len(head), *rows)]


def draw_growth(rows: Sequence[Growth], path: Path) -> None:
    """Draw a log-log plot of seconds for each varied quantity, a line for each part."""
    names = list(dict.fromkeys(row.what for row in rows))
    figure = Figure(figsize=(4 * len(names), 3.8), layout="constrained")
    for number, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), number + 1)
        for part in dict.fromkeys(row.part for row in rows if row.what == name):
            points = sorted((row.value, row.seconds) for row in rows if (row.what, row.part) == (name, part))
            values, seconds = zip(*points)
            wide = 2.5 if part == "all" else 1.2
            axes.plot(values, [s.median for s in seconds], marker="o", label=part, linewidth=wide)
            axes.fill_between(values, [s.least for s in seconds], [s.most for s in seconds], alpha=0.25, linewidth=0)
        axes.set(xscale="log", yscale="log", xlabel=name, ylabel="seconds" if number == 0 else "")
        axes.set_title(TITLES.get(name, ""), fontsize=9)
        _label(axes.xaxis, sorted({row.value for row in rows if row.what == name}))
        low, high = axes.get_ylim()
        _label(axes.yaxis, [tick for tick in TICKS if low <= tick <= high])
        axes.grid(alpha=0.3)
        if number == 0:
            axes.legend(fontsize=8)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100)


def _label(axis: Axis, ticks: Sequence[float]) -> None:
    axis.set_ticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axis.set_ticks([], minor=True)


def _processor() -> str:
    """Return the name of the processor; empty if it is unknown."""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
        return names[0] if names else ""
    return platform.processor()
