"""The panel stays readable: narrow, dark, with large letters, long names and many regions, in every state."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import numpy as np
import pytest
from fake_slicer import FakeSlicer, panel_fixtures
from fake_slicer.panel_fixtures import InlineClient, own_home, planted_installer, scan, stub_client
from PySide6 import QtCore, QtWidgets
from support.synthetic import brain_volume
from support.two_blobs import two_blobs

from MedADLib.modelfile import store
from MedADLib.modelfile.model import save_model
from MedADLib.scoring.regions import find_regions
from MedADLib.slicer.install.packages import InstallError, Package
from MedADLib.slicer.panel.texts import breakable, tooltip
from MedADLib.slicer.worker import client

__all__ = ["own_home", "planted_installer", "stub_client"]

LOOKS = {
    "narrowest": ({}, 330),
    "narrow and dark": ({"dark": True}, 360),
    "large letters": ({"font_points": 16}, 530),
}
# Dark colours change no size; `test_letters_stand_out_in_the_dark` is their quick test.
LOOKS_MARKED = [pytest.param(name, marks=pytest.mark.slow if "dark" in name else ()) for name in LOOKS]
STATES = ("before", "without a scan", "running", "result", "many regions", "error", "install", "long names")
LONG_NAME = "Schädel-MRT_Größe_Иванов_" + "sub-0001_ses-20310203_acq-mprage_rec-norm_T1w" * 2
MANY = 7


def many_blobs(volume, settings, model):
    """Hundreds of regions, most of them far below the default threshold."""
    found = two_blobs(volume, settings, model)
    random, array = np.random.default_rng(0), np.full(volume.array.shape, 0.4, np.float32)
    radius = min(5, min(volume.array.shape) // (2 * MANY + 4))
    steps = np.arange(-radius, radius + 1)
    ball = 1 - sum(part**2 for part in np.meshgrid(steps, steps, steps, indexing="ij")) / radius**2
    sides = [np.linspace(radius + 1, size - radius - 2, MANY).astype(int) for size in array.shape]
    for z, y, x in np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 3):
        box = np.s_[z - radius : z + radius + 1, y - radius : y + radius + 1, x - radius : x + radius + 1]
        array[box] = np.maximum(array[box], (1.8 + 6 * random.random()) * ball)
    anomaly = volume.with_array(array)
    labels, regions = find_regions(anomaly, found.threshold, found.reference.region_p_value, 0.05)
    return replace(found, anomaly=anomaly, labels=volume.with_array(labels), regions=regions)


class Unfinished(InlineClient):
    """Works for ever."""

    def detect(self, job, listener):
        self.busy, self.listener = True, listener
        listener.progress("restoration", 0.4, "restoring the pseudo-healthy image, slice 12 of 48")

    def cancel(self):
        self.busy = False
        self.listener.cancelled()


class Fails(InlineClient):
    """Fails with a long sentence and a path that has no place to break at."""

    def detect(self, job, listener):
        path = "/mnt/archive/" + "verylongfolder" * 8 + "/model.medad"
        listener.failed("ModelError", f"{path}: models/method.safetensors was changed. Get the model file again.")


def prepare(app, state, monkeypatch, planted_installer, folder):
    """Bring the panel into a state as a user would."""
    if state == "without a scan":
        app.open_module("MedAD")
        return
    if state == "long names":
        from support.model_files import REGISTRY, forge, model

        path = folder / "long.medad"
        facts = {"description": "Δ knee, schräg " * 33, "modality": "T2-weighted MR of the knee " * 8}
        save_model(model(name="x" * 60, **facts), path, REGISTRY)
        store.add(forge(path, method={"name": "atlas", "parameters": {}}))
    if state in ("running", "error"):
        monkeypatch.setattr(client, "WorkerClient", Unfinished if state == "running" else Fails)
    if state == "many regions":
        monkeypatch.setattr(panel_fixtures, "two_blobs", many_blobs)
    app.load_volume(scan(LONG_NAME if state == "long names" else "scan"))
    app.open_module("MedAD")
    if state == "install":
        planted_installer.packages = [Package("torch", "runs the neural networks", 700, "torch>=2.3")]
        planted_installer.answer = InstallError("install_no_connection", packages="torch")
        planted_installer.said = ["Collecting torch from a place with a very long address " * 4] * 30
        app.answers.append(True)
    if state == "long names":
        app.choose("modelSelector", app.ui.modelSelector.itemText(3))
    if state != "before":
        app.click("runButton")
    if state == "many regions":
        app.type("thresholdBox", "30")
    if state == "long names":
        app.cell("regionsTable", 0, 1).type("a suspicious place " * 10)


def wait_for_scrolling(app):
    """After a run the panel scrolls to the verdict, which would move a section away under the mouse."""
    app.run_events(0)

    def the_panel_has_scrolled():
        return not app.widget.panel.run_panel._later.active

    app.wait(the_panel_has_scrolled)


def unreadable(app):
    """Widgets whose text does not fit into them."""
    panel = app.window.widget()
    for child in panel.findChildren(QtWidgets.QWidget):
        if not child.isVisible() or not child.objectName():
            continue
        if isinstance(child, QtWidgets.QLabel) and child.wordWrap():
            if child.heightForWidth(child.width()) > child.height() + 1:
                yield f"{child.objectName()} is too low for {child.text()!r}"
            if child.minimumSizeHint().width() > child.width() + 1:
                yield f"{child.objectName()} has a word that is too long"
        elif isinstance(child, (QtWidgets.QLabel, QtWidgets.QAbstractButton)) and not hasattr(child, "_header"):
            wanted = child.fontMetrics().size(QtCore.Qt.TextFlag.TextShowMnemonic, child.text())
            if wanted.width() > child.width() or wanted.height() > child.height() + 1:
                yield f"{child.objectName()} cuts {child.text()!r}"
        elif isinstance(child, QtWidgets.QAbstractSpinBox):
            wanted = child.fontMetrics().horizontalAdvance(child.text())
            if wanted > child.lineEdit().width():
                yield f"{child.objectName()} cuts {child.text()!r}"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("looks", LOOKS_MARKED)
def test_everything_can_be_read(tmp_path, monkeypatch, stub_client, planted_installer, looks, state):
    options, width = LOOKS[looks]
    (tmp_path / "slicer").mkdir()
    with FakeSlicer(tmp_path / "slicer", **options) as app:
        prepare(app, state, monkeypatch, planted_installer, tmp_path)
        wait_for_scrolling(app)
        app.click("modelsSection")
        app.click("advancedSection")
        # Slicer makes the panel as wide as its widest section wants to be.
        assert app.needed_width() <= width
        app.window.resize(width, 900)
        app.run_events(0.05)
        app.grab(tmp_path / "panel.png", width)
        assert app.sideways_cut() == [] and list(unreadable(app)) == []
        if state == "running":
            app.click("cancelButton")


def test_the_check_finds_a_cut_text(tmp_path, stub_client, planted_installer):
    with FakeSlicer(tmp_path / "slicer") as app:
        app.open_module("MedAD")
        app.click("modelsSection")
        app.click("advancedSection")
        assert list(unreadable(app)) == []
        app.ui.logCheckBox._object.setFixedWidth(30)
        assert list(unreadable(app)) == ["logCheckBox cuts 'Show &log'"]


def test_letters_stand_out_in_the_dark(tmp_path, stub_client, planted_installer):
    (tmp_path / "slicer").mkdir()
    with FakeSlicer(tmp_path / "slicer", dark=True) as app:
        app.load_volume(scan())
        app.open_module("MedAD")
        app.click("runButton")
        pixels = app.grab().max(axis=2)
        assert np.median(pixels) < 90 and (pixels > 200).mean() > 0.01


def test_long_words_break_and_long_tips_wrap():
    assert breakable("a short text") == "a short text"
    path = "/archive/somebody/models/knee-t2.medad"
    assert breakable(path) != path and breakable(path).replace("\u200b", "") == path
    assert tooltip("short") == "short"
    assert tooltip("<img src='x'>") == "<p>&lt;img src='x'&gt;</p>" and tooltip("word " * 40).startswith("<p>")


def test_the_names_of_a_stranger_are_shown_as_they_are_and_not_as_markup(tmp_path, stub_client, planted_installer):
    with FakeSlicer(tmp_path / "slicer") as app:
        app.open_module("MedAD")
        for label in app.window.widget().findChildren(QtWidgets.QLabel):
            if label.objectName() and label.wordWrap():
                assert label.textFormat() == QtCore.Qt.TextFormat.PlainText or label.objectName() == "modelsNote"


def test_hundreds_of_regions_follow_the_slider(tmp_path, monkeypatch, stub_client, planted_installer):
    monkeypatch.setattr(panel_fixtures, "two_blobs", many_blobs)
    (tmp_path / "slicer").mkdir()
    with FakeSlicer(tmp_path / "slicer") as app:
        app.load_volume(brain_volume((128, 128, 128), (1.4, 1.4, 1.4)))
        app.open_module("MedAD")
        app.click("runButton")
        wait_for_scrolling(app)
        slider, table, seconds = app.ui.thresholdSlider._object, app.ui.regionsTable, []
        for position in (1000, 880, 940, 700, 860, 990, 910):
            # Of the processor, so that a busy computer does not count.
            started = time.process_time()
            slider.setValue(position)
            QtWidgets.QApplication.processEvents()
            seconds.append(time.process_time() - started)
        detection = app.widget.panel.result_panel.detection
        assert len(detection.regions) > 250 and table.rowCount == 200
        assert "more regions are not listed" in app.ui.regionsNote.text
        assert statistics.median(seconds) < 0.15, seconds


LONG_SERIES = "SAG_T1_MPRAGE_GRAPPA2_ISO_1.0mm_p2_ND_HEAD_NECK_20CH_study_of_the_second_visit_of_patient"


@pytest.mark.parametrize("earlier", [True, False])
def test_a_long_name_does_not_make_the_panel_wide(tmp_path, stub_client, planted_installer, earlier):
    assert len(LONG_SERIES) > 85
    with FakeSlicer(tmp_path / "slicer") as app:
        if earlier:
            app.load_volume(scan(LONG_SERIES))
        app.open_module("MedAD")
        if not earlier:
            app.select_node("inputSelector", app.load_volume(scan(LONG_SERIES)))
            app.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", LONG_SERIES)
        assert app.needed_width() <= 340
        app.click("runButton")
        assert app.needed_width() <= 340


def squeezed(app):
    """What is squeezed once the panel has had time to notice."""
    app.run_events(0.1)
    return app.squeezed()


def test_the_panel_is_not_squeezed_after_a_visit_to_another_module(tmp_path, stub_client, planted_installer):
    with FakeSlicer(tmp_path / "slicer") as app:
        app.load_volume(scan())
        app.open_module("MedAD")
        app.widget.height._timer.setInterval(20)
        app.window.resize(420, 700)
        assert squeezed(app) == []
        app.select_module("Data")
        app.select_module("MedAD")
        assert squeezed(app) == []
        app.click("runButton")
        assert squeezed(app) == []
        app.select_module("Data")
        app.select_module("MedAD")
        assert squeezed(app) == []
        app.click("modelsSection")
        app.click("advancedSection")
        assert squeezed(app) == []
        app.click("modelsSection")
        assert squeezed(app) == []
