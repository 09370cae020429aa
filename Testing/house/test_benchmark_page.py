"""The part of docs/RESULTS.md on the development benchmark agrees with the tables under docs/benchmark."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from support.source_code import ROOT

from MedADLib.evaluation.targets import TARGETS

FOLDER = ROOT / "docs" / "benchmark"
PAGE = (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8")
PART = PAGE.partition("## The development benchmark")[2].partition("\n## Every method")[0]
WORDS = " ".join(PART.replace("**", "").split())
# The folders of the two comparisons, and of the models before version 2.0.0.
MANY, FEW, EARLIER = "144-cases", "24-cases", "earlier"
DETECTORS = {
    "`brain-t1`": "synthetic_restoration",
    "`mahalanobis`": "mahalanobis",
    "`brain-t1-atlas`": "atlas",
    "`brain-t1-ae`": "autoencoder",
    "`brain-t1-vqvae`": "latent_restoration",
    "its plain reconstruction": "latent_restoration: plain reconstruction",
    "intensity deviation": "intensity deviation",
}
RESTORER, REST = DETECTORS["`brain-t1`"], DETECTORS["`brain-t1-vqvae`"]
KINDS = ("tumour", "spots", "cavity", "texture")
CONTRASTS = ("weak", "medium", "strong")
Row = dict[str, str]
Values = list[list[str]]


def table(folder: str, name: str) -> list[Row]:
    with open(FOLDER / folder / f"{name}.tsv", newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def best(folder: str, name: str, detector: str, **wanted: str) -> Row:
    """The row of a detector as shipped or, without a model file, with pooling and voxelwise calibration."""
    rows = [row for row in table(folder, name) if row["detector"] == detector]
    rows = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    for form in ("as shipped", "yes"):
        if chosen := [row for row in rows if (row["pooling"], row["per-place"]) == (form, form)]:
            (row,) = chosen
            return row
    raise AssertionError((folder, name, detector, wanted))


def only(folder: str, name: str, **wanted: str) -> Row:
    (row,) = [row for row in table(folder, name) if all(row[key] == value for key, value in wanted.items())]
    return row


def tables_of_the_page() -> dict[str, tuple[list[str], list[list[str]]]]:
    """Heads and rows by the first cell of the head."""
    found: dict[str, tuple[list[str], list[list[str]]]] = {}
    for block in re.findall(r"(?:^\|.*\|\n)+", PART.replace("**", ""), re.M):
        head, rule, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()]
        assert set("".join(rule)) == {"-"} and head[0] not in found
        assert all(len(row) == len(head) for row in rows)
        found[head[0]] = head[1:], rows
    return found


TABLES = tables_of_the_page()


def numbers(cell: str) -> list[str]:
    return re.findall(r"\d+/\d+|(?<![\d.])-?\d+(?:\.\d+)?", cell.replace("−", "-"))


def close(shown: str, value: str) -> bool:
    """Whether a number is a rounding of the kept value, which is rounded itself."""
    if "/" in value or "/" in shown:
        return shown == value
    step = Decimal(1).scaleb(Decimal(shown).as_tuple().exponent)
    return abs(Decimal(shown) - Decimal(value)) <= step / 2


def main(folder: str) -> Callable[[str], Values]:
    def values(detector: str) -> Values:
        whole, cost = best(folder, "comparison", detector), only(folder, "cost", detector=detector)
        scan = best(folder, "scans", detector, shown="yes")
        alarms = best(folder, "healthy", detector, scan="mean")
        found = [[whole["AP"], whole["AP low"], whole["AP high"]]]
        found += [[whole[key]] for key in ("AUROC", "best Dice", "Dice at 1%", "lesions hit at 1%")]
        found += [[scan[key]] for key in ("AUROC", "paired order")]
        found += [[alarms[key]] for key in ("false regions", "false mL")]
        return [*found, [cost["median seconds"]]]

    return values


def by_kind(folder: str) -> Callable[[str], Values]:
    def values(detector: str) -> Values:
        rows = [best(folder, "kinds", detector, lesions=kind) for kind in (*KINDS, *CONTRASTS)]
        return [[row["AP"], row["lesions hit at 1%"]] for row in rows]

    return values


def by_contrast(kind: str) -> Values:
    rows = [best(MANY, "contrasts", RESTORER, lesions=kind, contrast=contrast) for contrast in CONTRASTS]
    return [[row["AP"], row["lesions hit at 1%"]] for row in rows]


def by_size(detector: str) -> Values:
    rows = [best(MANY, "sizes", detector, lesions=size) for size in TABLES["by size"][0]]
    return [[row["hit at 1%"], row["AP"]] for row in rows]


def unseen(detector: str) -> Values:
    pairs = [(kind, contrast) for kind in ("tubes", "thickness") for contrast in ("all", "strong")]
    rows = [best(MANY, "unseen", detector, lesions=kind, contrast=contrast) for kind, contrast in pairs]
    return [[row["AP"], row["lesions hit at 1%"]] for row in rows]


def real(detector: str) -> Values:
    row = best(FEW if detector.startswith(REST) else MANY, "real", detector)
    return [[row[key]] for key in ("AP", "AUROC", "best Dice", "Dice at 1%", "lesions hit at 1%")]


def restorations(folder: str) -> Callable[[str], Values]:
    def values(detector: str) -> Values:
        rows = [only(folder, "restorations", detector=detector, scans=kind) for kind in (*KINDS, "all")]
        sharp = [[rows[-1][key]] for key in ("gradient energy z", "gradient energy y", "gradient energy x", "PSNR dB")]
        return [[row["healing"]] for row in rows[:-1]] + sharp

    return values


def minus(folder: str) -> Callable[[str], Values]:
    def values(detector: str) -> Values:
        found = []
        for group in ("all", *KINDS):
            rows = [row for row in table(folder, "differences") if row["lesions"] == group]
            rows = [row for row in rows if {row["detector"], row["minus"]} == {RESTORER, detector}]
            (row,) = [row for row in rows if (row["pooling"], row["per-place"]) == ("as shipped", "as shipped")]
            parts = [Decimal(row[key]) for key in ("AP difference", "low", "high")]
            if row["minus"] == RESTORER:
                parts = [-parts[0], -parts[2], -parts[1]]
            found.append([str(part) for part in parts])
        return found

    return values


# What the tables of the page show, by the first cell of their head; the rows have names of detectors or kinds.
SHOWN: dict[str, Callable[[str], Values]] = {
    "144 cases": main(MANY),
    "144 cases, by kind and contrast": by_kind(MANY),
    "`brain-t1`, 144 cases": by_contrast,
    "by size": by_size,
    "144 cases, `brain-t1` minus": minus(MANY),
    "24 cases": main(FEW),
    "24 cases, by kind and contrast": by_kind(FEW),
    "24 cases, `brain-t1` minus": minus(FEW),
    "36 cases": unseen,
    "MS, one scan": real,
    "144 cases, restorations": restorations(MANY),
    "24 cases, restorations": restorations(FEW),
}


def test_every_table_of_the_part_is_checked():
    assert list(TABLES) == [*SHOWN, "target"] or set(TABLES) == {*SHOWN, "target"}


@pytest.mark.parametrize("name", SHOWN)
def test_a_table_is_that_of_the_files(name):
    _, rows = TABLES[name]
    assert len(rows) >= 4 and len({row[0] for row in rows}) == len(rows)
    for label, *cells in rows:
        wanted = SHOWN[name](DETECTORS.get(label, label))
        for cell, values in zip(cells, wanted, strict=True):
            found = numbers(cell)
            assert len(found) == len(values) and all(map(close, found, values)), (label, cell, values)


@pytest.mark.parametrize(("folder", "name"), [(MANY, "144 cases"), (FEW, "24 cases")])
def test_the_page_leaves_no_detector_out(folder, name):
    assert {DETECTORS[row[0]] for row in TABLES[name][1]} == {row["detector"] for row in table(folder, "comparison")}


def test_the_targets_have_the_values_of_the_tables():
    files = {path.name: table(MANY, path.stem) for path in sorted((FOLDER / MANY).glob("*.tsv"))}
    rows = TABLES["target"][1]
    assert len(rows) == len(TARGETS)
    for (_, wanted, _, now, reached), target in zip(rows, TARGETS):
        value = target.measure(files, RESTORER)
        assert numbers(wanted)[0] == numbers(target.wanted)[0], target.title
        assert close(now, f"{value:.6f}") and reached == ("yes" if target.reached(value) else "no"), target.title
