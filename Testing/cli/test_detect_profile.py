"""The profile in the facts: every stage of ``medad detect``, also those that come after the detection itself."""

from __future__ import annotations

import json
import time

from support.phantoms import head
from support.source_code import ROOT
from support.synthetic import synthetic_detection

from MedADLib.cli.main import main
from MedADLib.results.writing import write_detection
from MedADLib.runtime.progress import Progress

AFTER = {"write", "picture"}
BEFORE = {
    *("reading", "loading the model", "import", "brain mask", "align", "resample", "bias field", "restoration"),
    *("post-process", "calibrate", "back to native", "regions"),
}


def seconds_in(folder) -> dict[str, float]:
    return json.loads((folder / "case.json").read_text())["seconds"]


def test_the_facts_are_written_last_and_tell_how_long_the_rest_and_the_picture_took(tmp_path):
    progress = Progress()
    progress.stage("writing", 0.0, 1.0)
    write_detection(synthetic_detection(), tmp_path, "case", progress=progress)
    found = seconds_in(tmp_path)
    assert set(found) >= AFTER and min(found[part] for part in AFTER) > 0
    assert found["brain mask"] == synthetic_detection().provenance["seconds"]["brain mask"]


def test_a_result_that_is_exported_later_keeps_the_profile_of_its_run(tmp_path):
    write_detection(synthetic_detection(), tmp_path, "case", figure=False)
    assert seconds_in(tmp_path) == synthetic_detection().provenance["seconds"]


def test_the_profile_of_the_command_line_holds_every_stage_and_adds_up_to_the_whole(tmp_path):
    scan, _ = head(8)
    scan.write(tmp_path / "case.nii.gz")
    model = ROOT / "MedAD" / "Resources" / "tiny.medad"
    began = time.perf_counter()
    assert main(["detect", str(tmp_path / "case.nii.gz"), "-o", str(tmp_path), "--model", str(model), "--quiet"]) == 0
    whole = time.perf_counter() - began
    found = seconds_in(tmp_path)
    assert set(found) >= BEFORE | AFTER
    assert 0.8 * whole < sum(found.values()) <= whole
