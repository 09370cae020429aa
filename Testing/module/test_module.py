"""The module as Slicer loads it: its self test, its logic in scripts, its help, its sample data, its reload."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path

import pytest
from fake_slicer.panel_fixtures import app, column, own_home, panel, planted_installer, run, stub_client
from support.mrml import slicer, voxels
from support.source_code import ROOT

__all__ = ["app", "own_home", "panel", "planted_installer", "stub_client"]


@pytest.fixture
def module(app):
    """The Python module MedAD, with its panel open."""
    app.open_module("MedAD")
    return sys.modules["MedAD"]


def self_test(module, name) -> unittest.TestResult:
    outcome = unittest.TestResult()
    module.MedADTest(name).run(outcome)
    return outcome


@pytest.mark.slow
def test_the_self_test_passes(app, monkeypatch):
    monkeypatch.undo()
    app.open_module("MedAD")
    outcome = self_test(sys.modules["MedAD"], "runTest")
    assert outcome.wasSuccessful() and outcome.testsRun == 1, outcome.errors + outcome.failures


@pytest.mark.parametrize("name", ["test_resultIsInTheScene", "test_failureLeavesSceneAlone"])
def test_the_self_test_notices_a_lost_region(module, monkeypatch, name):
    import dataclasses

    from MedADLib.slicer import selftest

    found = selftest.find_cube

    def blind(volume):
        detection = found(volume)
        nothing = detection.labels.with_array(detection.labels.array * 0)
        return dataclasses.replace(detection, labels=nothing, regions=())

    assert self_test(module, name).wasSuccessful()
    monkeypatch.setattr(selftest, "find_cube", blind)
    monkeypatch.setattr(selftest.CubeClient, "detect", lambda client, job, listener: listener.cancelled())
    assert not self_test(module, name).wasSuccessful()


def test_opening_the_panel_imports_nothing_heavy():
    code = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "Testing")!r}]
import tempfile
from pathlib import Path
from fake_slicer import FakeSlicer
with FakeSlicer(Path(tempfile.mkdtemp())) as app:
    app.open_module("MedAD")
    heavy = {{"torch", "monai", "scipy", "matplotlib", "sklearn", "deepbet", "SimpleITK"}} & set(sys.modules)
print("heavy:", sorted(heavy))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "heavy: []" in done.stdout


def test_the_help_says_what_it_does_and_whom_to_cite(module):
    parent = slicer.modules.MedADInstance.parent
    assert "Run Detection" in parent.helpText and "not a medical device" in parent.helpText
    assert "without contrast agent" in parent.helpText and "No lesion is known" in parent.helpText
    assert "Apache" in parent.acknowledgementText and "10.1007/978-3-031-72120-5_51" in parent.acknowledgementText


def test_sample_data_is_offered_when_slicer_has_started(app):
    app.open_module("MedAD")
    names = [entry["sampleName"] for entry in app.packages.sample_data]
    assert len(names) == 1 and all("MedAD" in entry["category"] for entry in app.packages.sample_data)


def test_the_library_is_found_from_the_source_tree(module, monkeypatch):
    import importlib.util

    for name in [name for name in sys.modules if name.partition(".")[0] == "MedADLib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry and Path(entry).resolve() != ROOT])
    module._findLibrary()
    assert importlib.util.find_spec("MedADLib") is not None
    before = list(sys.path)
    module._findLibrary()
    assert sys.path == before


def test_a_reload_keeps_the_result(panel):
    run(panel)
    panel.reload_module()
    assert column(panel, 1) == ["Region 1", "Region 2"]
    panel.drag("thresholdSlider", 950)
    assert len(column(panel, 1)) == 3


def test_a_volume_that_is_no_result_is_the_default_input(panel):
    run(panel)
    panel.scene.RemoveNode(panel.scan)
    panel.leave_module()
    panel.enter_module()
    assert panel.ui.inputSelector.currentNode() is None


def test_the_self_test_s_cube_is_where_it_says(module):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    import numpy as np

    slicer.util.updateVolumeFromArray(node, np.arange(990.0).reshape(9, 10, 11))
    result = module.MedADTest("runTest").logic().process(node)
    assert voxels(result.labels)[3:6, 4:7, 5:8].all()
