"""docs/PERFORMANCE.md has the times of the present models that docs/benchmark/runs-2.1.0.tsv has."""

from __future__ import annotations

import csv
import re
from decimal import ROUND_HALF_UP, Decimal

from support.source_code import ROOT

PAGE = (ROOT / "docs" / "PERFORMANCE.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.replace("**", "").split())
SECTION = PAGE.partition("## Whole detections\n")[2].partition("\n## ")[0]
COLD, WARM = "cold command", "warm worker"
MODELS = {
    "`brain-t1` 2.1.0": ("brain-t1", ""),
    "`brain-t1-vqvae` 1.3.0": ("brain-t1-vqvae", ""),
    "`brain-t1-vqvae` 1.3.0, `--fast`": ("brain-t1-vqvae", ", fast"),
}


def runs() -> dict[tuple[str, str], dict[str, str]]:
    with open(ROOT / "docs" / "benchmark" / "runs-2.1.0.tsv", newline="", encoding="utf-8") as handle:
        return {(row["way"], row["model"]): row for row in csv.DictReader(handle, delimiter="\t")}


RUNS = runs()


def tenth(value: str) -> str:
    return str(Decimal(value).quantize(Decimal("0.1"), ROUND_HALF_UP))


def seconds(way: str, model: str) -> str:
    row = RUNS[way, model]
    return f"{tenth(row['seconds'])} s ({tenth(row['least'])}–{tenth(row['most'])})"


def test_whole_detections_are_those_of_the_table():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in SECTION.splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows] == list(MODELS)
    for name, cold, warm, memory in rows:
        model, mode = MODELS[name]
        assert (cold, warm) == (seconds(COLD + mode, model), seconds(WARM + mode, model))
        peak = max(int(RUNS[way + mode, model]["peak_mb"]) for way in (COLD, WARM))
        assert memory == f"{(Decimal(peak) / 1000).quantize(Decimal('0.01'), ROUND_HALF_UP)} GB"


def test_the_restoration_of_the_default_model_meets_its_target():
    parts = dict(re.findall(r"([a-z -]+) ([\d.]+)(?:, |$)", RUNS[WARM, "brain-t1"]["parts"]))
    restored, whole = tenth(parts["restoration"]), tenth(RUNS[WARM, "brain-t1"]["seconds"])
    assert f"restores within {restored} s on 2 cores, and a warm worker needs {whole} s from the request" in WORDS
    assert float(restored) <= 9 and f"| restoration, warm, 2 cores | ≤ 9 s | {restored} s;" in PAGE


def test_the_profile_adds_up_to_the_cold_detection():
    head, values = re.search(r"2\.1\.0, cold, divide into:\n\n(\|.*)\n\|[-|]*\n(\|.*)\n", SECTION).groups()
    numbers = [Decimal(cell) for cell in values.split("|")[1:-1]]
    assert head.count("|") == len(numbers) + 1
    assert sum(numbers) == Decimal(tenth(RUNS[COLD, "brain-t1"]["seconds"]))
    parts = RUNS[COLD, "brain-t1"]["parts"]
    for name, key in (("restoration", "restoration"), ("imports", "import"), ("alignment", "align")):
        shown = numbers[[cell.strip() for cell in head.split("|")[1:-1]].index(name)]
        assert str(shown) == tenth(re.search(rf"(?:^|, ){key} ([\d.]+)", parts)[1])
