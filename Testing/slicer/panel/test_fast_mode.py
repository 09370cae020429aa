"""The panel's fast mode: set by a check box, saved with the scene, and stated in the result."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fake_slicer import FakeSlicer
from fake_slicer.panel_fixtures import InlineClient, run, scan, slicer
from PySide6 import QtCore, QtTest, QtWidgets
from support.raised import raises
from support.source_code import ROOT

from MedADLib import detect, load_model
from MedADLib.errors import InputError
from MedADLib.results.exchange import read_volume, write_exchange
from MedADLib.slicer.install.packages import Package
from MedADLib.slicer.request import again
from MedADLib.slicer.worker import client as worker_client


@pytest.fixture
def asked(monkeypatch) -> list[bool]:
    """Whether each run asked the worker for fast mode."""
    found, do = [], InlineClient.detect

    def note(client, job, listener):
        found.append(job.settings.fast)
        do(client, job, listener)

    monkeypatch.setattr(InlineClient, "detect", note)
    return found


@pytest.fixture
def panel(panel):
    """The open panel with a scan, and a model that has a fast mode."""
    choose(panel, "brain-t1-vqvae")
    return panel


def choose(panel, model: str) -> None:
    selector = panel.ui.modelSelector
    panel.choose("modelSelector", selector.itemText(selector.findData(model)))


def how_it_was_made(panel) -> str:
    texts = []
    panel.answers.append(lambda dialog: texts.append(dialog._object.findChild(QtWidgets.QTextBrowser).toPlainText()))
    panel.click("provenanceButton")
    return texts[0]


def test_a_tick_asks_for_fast_mode_and_the_result_states_it(panel, asked):
    run(panel)
    assert "fast mode: no" in how_it_was_made(panel)
    panel.click("advancedSection")
    panel.click("fastCheckBox")
    run(panel)
    assert "fast mode: yes" in how_it_was_made(panel)
    panel.click("fastCheckBox")
    run(panel)
    assert "fast mode: no" in how_it_was_made(panel)
    assert asked == [False, True, False]


def test_the_same_run_again_is_as_fast_as_the_result_was(panel, asked):
    panel.click("advancedSection")
    panel.click("fastCheckBox")
    run(panel)
    panel.click("fastCheckBox")
    panel.click("repeatButton")
    assert asked == [True, True] and panel.ui.fastCheckBox.checked is False


def test_a_result_from_before_there_was_a_fast_mode_is_repeated_without_it(panel, asked):
    run(panel)
    shown, detection = panel.widget.panel._shown, panel.widget.panel.result_panel.detection
    del detection.provenance["settings"]["fast"]
    assert again(shown, detection).settings.fast is False


def test_the_tick_is_saved_with_the_scene_and_each_scene_has_its_own(panel, asked, tmp_path):
    panel.save_scene(tmp_path / "plain.mrb")
    panel.click("advancedSection")
    panel.click("fastCheckBox")
    panel.save_scene(tmp_path / "fast.mrb")
    panel.close_scene()
    assert panel.ui.fastCheckBox.checked is False
    for name, ticked in (("fast", True), ("plain", False), ("fast", True)):
        panel.open_scene(tmp_path / f"{name}.mrb")
        assert panel.ui.fastCheckBox.checked is ticked
    run(panel)
    assert asked == [True]


def test_the_tick_survives_a_restart_that_the_installation_asks_for(app, planted_installer, asked, tmp_path):
    path = tmp_path / "patient.nii.gz"
    scan("patient").write(path)
    node = slicer.util.loadVolume(str(path))
    storage = app.scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    node.SetAndObserveStorageNodeID(storage.GetID())
    app.open_module("MedAD")
    choose(app, "brain-t1-vqvae")
    app.click("advancedSection")
    app.click("fastCheckBox")
    planted_installer.packages = [Package("torch", "runs the neural networks", 700, "torch>=2.3")]
    planted_installer.answer = False
    app.answers.extend([True, False])
    app.click("runButton")
    app.close()
    with FakeSlicer(tmp_path / "slicer") as after:
        after.answers.append(True)
        after.open_module("MedAD")
        assert asked == [True] and after.ui.fastCheckBox.checked is True


def test_the_box_comes_after_the_device_and_answers_to_space_and_its_letter(panel):
    panel.click("advancedSection")
    panel._find("deviceSelector").setFocus()
    QtTest.QTest.keyClick(QtWidgets.QApplication.focusWidget(), QtCore.Qt.Key.Key_Tab)
    focused = QtWidgets.QApplication.focusWidget()
    assert focused.objectName() == "fastCheckBox"
    QtTest.QTest.keyClick(focused, QtCore.Qt.Key.Key_Space)
    assert panel.widget._parameterNode.fast is True
    QtTest.QTest.keyClick(panel.window, QtCore.Qt.Key.Key_I, QtCore.Qt.KeyboardModifier.AltModifier)
    panel.wait(lambda: panel.widget._parameterNode.fast is False)
    interface = QtWidgets.QApplication.focusWidget().text().replace("&", "")
    assert interface == "Fast, slightly less exact" and "Fewer restorations" in panel.ui.fastCheckBox.toolTip


class RealEngine(InlineClient):
    """The library's own detection, in this process."""

    def detect(self, job, listener):
        Path(job.output).mkdir()
        # The synthetic scan does not fit the model.
        settings = replace(job.settings, force=True)
        write_exchange(detect(read_volume(job.input), load_model(job.model), settings), Path(job.output))
        listener.done(job.output, 0.1)


def test_the_box_is_disabled_and_states_why_for_a_model_without_fast_mode(panel):
    panel.click("advancedSection")
    assert panel.ui.fastCheckBox.enabled
    plain = panel.ui.fastCheckBox.text, panel.ui.fastCheckBox.toolTip
    for model in ("brain-t1", "brain-t1-ae", "brain-t1-atlas"):
        choose(panel, model)
        assert not panel.ui.fastCheckBox.enabled, model
        assert panel.ui.fastCheckBox.text == "Fast: not with this model"
        assert "The chosen model has no fast mode: it runs as usual." in panel.ui.fastCheckBox.toolTip
        choose(panel, "brain-t1-vqvae")
        assert panel.ui.fastCheckBox.enabled and (panel.ui.fastCheckBox.text, panel.ui.fastCheckBox.toolTip) == plain


def test_the_tick_waits_for_a_model_with_fast_mode(panel, asked):
    panel.click("advancedSection")
    panel.click("fastCheckBox")
    choose(panel, "brain-t1")
    choose(panel, "brain-t1-vqvae")
    run(panel)
    assert asked == [True] and panel.ui.fastCheckBox.checked is True


@pytest.mark.slow
def test_with_a_model_without_a_faster_mode_the_panel_states_that_it_ran_as_usual(app, own_home, monkeypatch):
    monkeypatch.setattr(worker_client, "WorkerClient", RealEngine)
    models = own_home / ".medad" / "models"
    models.mkdir(parents=True)
    shutil.copy(ROOT / "MedAD" / "Resources" / "tiny.medad", models)
    app.load_volume(scan())
    app.open_module("MedAD")
    selector = app.ui.modelSelector
    app.choose("modelSelector", selector.itemText(selector.findData("tiny")))
    run(app, 60)
    assert "faster" not in app.ui.warningsLabel.text and app.ui.warningsLabel.text
    # A tick from a scene, or from a model before.
    app.widget._parameterNode.fast = True
    run(app, 60)
    assert "tiny has no faster mode; it ran as usual" in app.ui.warningsLabel.text.replace("\u200b", "")


def test_fast_of_another_type_is_refused_in_scripts(panel):
    for fast in ("yes", 1, None):
        with raises(InputError, "bad_fast"):
            panel.widget.logic.process(panel.scan, fast=fast)
