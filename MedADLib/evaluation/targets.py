"""Summary of a comparison as Markdown: the wanted values of the default model beside what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .tables import POOLED, Row

Tables = Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class Target:
    """A wanted value.

    Attributes:
        title: What is measured.
        wanted: The wanted value, in words.
        measure: Reads the value of a detector from the tables; NaN where it was not measured.
        reached: Whether a value is as wanted.
    """

    title: str
    wanted: str
    measure: Callable[[Tables, str], float]
    reached: Callable[[float], bool]


def summary(tables: Tables, detectors: Sequence[str], cases: int) -> str:
    """Return a table of the targets with a column for each detector; bold where the target is reached.

    Values are those of the map as shipped where the detector is a model with its own calibration, otherwise of the map
    with pooling and voxelwise calibration.
    """
    lines = [
        "# Comparison",
        "",
        f"{cases} scans with or without a lesion, beside the calibration scans. Values are of the map as shipped or,",
        "for a detector without a calibration of its own, with pooling and voxelwise calibration. Bold: as wanted.",
        "",
        f"| | wanted | {' | '.join(detectors)} |",
        f"|---|---|{'---|' * len(detectors)}",
    ]
    for target in TARGETS:
        cells = [_cell(target, target.measure(tables, name)) for name in detectors]
        lines.append(f"| {target.title} | {target.wanted} | {' | '.join(cells)} |")
    lines += ["", "Intervals and all other values are in the tables: " + ", ".join(sorted(tables)) + "."]
    return "\n".join(lines) + "\n"


def _cell(target: Target, value: float) -> str:
    if math.isnan(value):
        return "n/a"
    shown = f"{value:.3g}"
    return f"**{shown}**" if target.reached(value) else shown


def _best_form(rows: Sequence[Row], detector: str, **wanted: str) -> list[Row]:
    """Return the rows of a detector as shipped or, without any, with pooling and voxelwise calibration."""
    found = [r for r in rows if r["detector"] == detector and all(r[key] == value for key, value in wanted.items())]
    for form in ("as shipped", "yes"):
        if chosen := [r for r in found if (r["pooling"], r["per-place"]) == (form, form)]:
            return chosen
    return []


def _value(table: str, column: str, **wanted: str) -> Callable[[Tables, str], float]:
    def measure(tables: Tables, detector: str) -> float:
        rows = _best_form(tables.get(table, ()), detector, **wanted)
        return float(rows[0][column]) if rows else math.nan

    return measure


def _restoration(scans: str, column: str) -> Callable[[Tables, str], float]:
    def measure(tables: Tables, detector: str) -> float:
        rows = tables.get("restorations.tsv", ())
        found = [row for row in rows if row["detector"] == detector and row["scans"] == scans]
        return float(found[0][column]) if found else math.nan

    return measure


def _healing(tables: Tables, detector: str) -> float:
    return max(_restoration(kind, "healing")(tables, detector) for kind in ("tumour", "cavity"))


def _farthest_energy(tables: Tables, detector: str) -> float:
    """Return the gradient energy that differs most from 1 along one of the axes."""
    values = [_restoration(POOLED, f"gradient energy {axis}")(tables, detector) for axis in "zyx"]
    return max(values, key=lambda value: abs(value - 1))


def _seconds(tables: Tables, detector: str) -> float:
    found = [row for row in tables.get("cost.tsv", ()) if row["detector"] == detector]
    return float(found[0]["median seconds"]) if found else math.nan


def _clear_spots(tables: Tables, detector: str) -> float:
    """Return the share of spots of medium and strong contrast that are hit at 1 %."""
    rows = _best_form(tables.get("contrasts.tsv", ()), detector, lesions="spots")
    parts = [str(row["lesions hit at 1%"]).split("/") for row in rows if row["contrast"] in ("medium", "strong")]
    hit, lesions = (sum(int(part[n]) for part in parts) for n in (0, 1))
    return hit / lesions if lesions else math.nan


def _most_false_regions(tables: Tables, detector: str) -> float:
    """Return the number of false regions in the healthy scan that has most."""
    rows = _best_form(tables.get("healthy.tsv", ()), detector)
    return max((float(row["false regions"]) for row in rows), default=math.nan)


def _mean_real(tables: Tables, detector: str) -> float:
    rows = _best_form(tables.get("real.tsv", ()), detector)
    return sum(float(row["AP"]) for row in rows) / len(rows) if rows else math.nan


def _at_least(least: float) -> Callable[[float], bool]:
    return lambda value: value >= least


def _at_most(most: float) -> Callable[[float], bool]:
    return lambda value: value <= most


SHOWN = {"shown": "yes"}
TARGETS = (
    Target("AP, pooled", "≥ 0.65", _value("comparison.tsv", "AP"), _at_least(0.65)),
    Target("spots, medium and strong, detected at 1 %", "≥ 0.5", _clear_spots, _at_least(0.5)),
    Target("texture, AP", "≥ 0.25", _value("kinds.tsv", "AP", lesions="texture"), _at_least(0.25)),
    Target("scan-level AUROC", "≥ 0.85", _value("scans.tsv", "AUROC", **SHOWN), _at_least(0.85)),
    Target("same head with lesion above without", "≥ 0.9", _value("scans.tsv", "paired order", **SHOWN),
           _at_least(0.9)),
    Target("false regions in a healthy scan, most", "≤ 1", _most_false_regions, _at_most(1)),
    Target("healing, worse of tumours and cavities", "≤ 0.35", _healing, _at_most(0.35)),
    Target("gradient energy outside lesions, farthest from 1 of the axes", "0.9 to 1.1", _farthest_energy,
           lambda value: 0.9 <= value <= 1.1),
    Target("PSNR outside lesions, dB", "≥ 35", _restoration(POOLED, "PSNR dB"), _at_least(35)),
    Target("real scans, mean AP", "≥ 0.45 for the MS patient", _mean_real, _at_least(0.45)),
    Target("seconds", "≤ 9", _seconds, _at_most(9)),
)  # fmt: skip
