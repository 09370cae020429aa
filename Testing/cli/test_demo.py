"""The demo on synthetic heads: its files, its lines and its exit codes."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from support.phantoms import head, one_alignment, with_lesion  # noqa: F401
from support.source_code import ROOT

from MedADLib import read_image
from MedADLib.cli import demo
from MedADLib.evaluation.simulation.insertion import LesionSpec

MODEL = ROOT / "MedAD" / "Resources" / "tiny.medad"
RESULTS = ("anomaly.nii.gz", "restored.nii.gz", "regions.nii.gz", "regions.seg.nrrd", "regions.tsv", "examined.nii.gz")


def run(folder, *words):
    return demo.main([*map(str, words), "--output", str(folder), "--model", str(MODEL), "--device", "cpu"])


@pytest.fixture
def toy_brain(monkeypatch):
    """The demo inserts its lesion into a synthetic head."""
    monkeypatch.setattr(demo, "mni152_brain", lambda: head(50)[0])


@pytest.fixture
def without_slicer(monkeypatch):
    monkeypatch.setitem(sys.modules, "MedADLib.slicer.headless.render", None)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_lesion_that_is_found_is_measured_and_shown_in_a_scene(toy_brain, tmp_path, capfd):
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    assert run(tmp_path / "out") == 0
    lines = capfd.readouterr().out.splitlines()
    scan, truth, labels = (read_image(tmp_path / "out" / f"mni152{end}.nii.gz") for end in ("", "_lesion", "_regions"))
    lesion = truth.array > 0
    right = truth.ras_from_voxels(np.argwhere(lesion)).mean(axis=0)[0]
    assert lines[0].startswith(f"the lesion is at {abs(right):.0f} mm {'right' if right > 0 else 'left'}, ")
    assert lines[0].endswith(f": {lesion.sum() * truth.voxel_ml:.1f} mL")
    rank = int(re.match(r"it was found as region (\d+) of \d+, ", lines[1])[1])
    assert (lesion & (labels.array == rank)).any() and not (lesion & (labels.array > 0) & (labels.array < rank)).any()
    covered = (lesion & (labels.array > 0)).sum() / lesion.sum()
    dice = 2 * (lesion & (labels.array > 0)).sum() / (lesion.sum() + (labels.array > 0).sum())
    assert f", {covered:.0%} of the lesion covered; all regions together: Dice {dice:.2f}" in lines[2]
    assert scan.same_grid(truth)

    results = [*(f"mni152_{end}" for end in RESULTS), "mni152.json", "mni152.png"]
    written = [*results, "demo.png", "demo.mrb", "mni152.nii.gz", "mni152_lesion.nii.gz"]
    assert names(tmp_path / "out") == sorted(written)
    assert sorted(lines[-1].removeprefix("written: ").split(", ")) == sorted(str(tmp_path / "out" / n) for n in written)
    assert lines[-2].startswith("seconds: ") and " align " in lines[-2]


def test_a_lesion_that_is_not_found_is_said_so(toy_brain, without_slicer, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "LESION", LesionSpec("spots", "weak", radius_mm=2.0))
    assert run(tmp_path / "out") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "no scene written: slicer-core is missing; install the demo extra"
    assert lines[1].startswith("the lesion is at ") and lines[2] == "it was NOT found at this threshold"
    assert "demo.mrb" not in names(tmp_path / "out") and "mni152_lesion.nii.gz" in names(tmp_path / "out")


def test_a_scan_of_the_user_has_no_known_lesion(without_slicer, tmp_path, capsys):
    with_lesion(head(51)[0], (30.0, 10.0, 12.0), 14.0)[0].write(tmp_path / "my head.nii.gz")
    assert run(tmp_path / "out", tmp_path / "my head.nii.gz") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("score ")
    first = next(number for number, line in enumerate(lines) if re.match(r"\d+ regions?, ", line))
    assert re.match("  1. .* R, peak at", lines[first + 1])
    assert not any("lesion is" in line or "overlap" in line for line in lines)
    assert names(tmp_path / "out") == sorted([*(f"my head_{end}" for end in RESULTS), "my head.json", "my head.png"])


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [(None, 1, r"medad: error: .*missing\.nii\.gz"), (KeyboardInterrupt, 130, "medad: cancelled")],
)
def test_a_failure_is_one_line_and_leaves_no_folder(tmp_path, capsys, monkeypatch, error, code, line):
    def interrupted(path):
        raise error

    if error:
        monkeypatch.setattr(demo, "read_image", interrupted)
    assert run(tmp_path / "out", tmp_path / "missing.nii.gz") == code
    printed = capsys.readouterr()
    assert re.match(line, printed.err) and printed.err.count("\n") == 1 and printed.out == ""
    assert names(tmp_path) == []
