"""The module's panel in the fake Slicer, with a worker that is quick and a model that is tiny."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.mrml import slicer
from support.synthetic import brain_volume

pytest.importorskip("PySide6", reason="PySide6 is not installed (pip install PySide6_Essentials)")

from support.fake_worker import BEHAVIOUR
from support.two_blobs import two_blobs
from support.workers import FAKE_WORKER

from fake_slicer import FakeSlicer
from MedADLib.results import writing
from MedADLib.results.exchange import read_volume, write_exchange
from MedADLib.slicer.install import installer
from MedADLib.slicer.worker import client as worker_client
from MedADLib.volume import Volume

COMMAND = [sys.executable, str(FAKE_WORKER)]
# Longer than a busy computer needs to start a worker.
HANG_SECONDS = 60.0


class Installed:
    """An installer with nothing to do, or with whatever a test plants; by default no scan is judged before a run."""

    def __init__(self, packages=()):
        self.packages = list(packages)
        self.answer: bool | Exception = True
        self.judges = False
        self.printed: list[str] = ["Collecting safetensors", "Successfully installed safetensors"]

    def missing(self):
        return self.packages

    def installed(self):
        return self.judges and not self.packages

    def install(self, packages, log):
        for line in self.printed:
            log(line)
        if isinstance(self.answer, Exception):
            raise self.answer
        self.packages = []
        return self.answer


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """The user's folder of models is the test's own, and nothing is in it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv(BEHAVIOUR, "quickly")
    return home


@pytest.fixture
def planted_installer(monkeypatch) -> Installed:
    planted = Installed()
    monkeypatch.setattr(installer, "SlicerInstaller", lambda: planted)
    return planted


class InlineClient:
    """Offers what WorkerClient does, in this process and at once."""

    def __init__(self):
        self.busy, self.on_log, self.idle_seconds = False, None, 600

    def detect(self, job, listener):
        settings = replace(job.settings, mask=None if job.mask is None else read_volume(job.mask))
        listener.progress("restoration", 0.5, "restoring")
        Path(job.output).mkdir()
        write_exchange(two_blobs(read_volume(job.input), settings, job.model), Path(job.output))
        listener.done(job.output, 0.1)

    def cancel(self):
        raise AssertionError("there is nothing to cancel")

    def cancel_judgement(self):
        raise AssertionError("there is nothing to cancel")

    def stop(self):
        pass


@pytest.fixture
def stub_client(monkeypatch):
    """Runs end within the click that began them."""
    monkeypatch.setattr(worker_client, "WorkerClient", InlineClient)


@pytest.fixture
def stub_process(monkeypatch):
    """Runs are done by a process, as in Slicer."""
    client = functools.partial(worker_client.WorkerClient, command=COMMAND, hang_seconds=HANG_SECONDS)
    monkeypatch.setattr(worker_client, "WorkerClient", client)


@pytest.fixture
def no_drawing(monkeypatch):
    """Write an empty file as the figure of an export, for tests of the other files."""
    monkeypatch.setattr(writing, "_draw", lambda detection, path: path.touch())


@pytest.fixture
def app(tmp_path, planted_installer, stub_client) -> Iterator[FakeSlicer]:
    """Slicer with nothing loaded; the module is not open yet."""
    (tmp_path / "slicer").mkdir()
    with FakeSlicer(tmp_path / "slicer") as app:
        yield app


@pytest.fixture
def panel(app) -> FakeSlicer:
    """The open panel with a scan."""
    app.scan = app.load_volume(scan())
    app.open_module("MedAD")
    return app


@pytest.fixture
def done(panel) -> FakeSlicer:
    """The panel after a detection."""
    run(panel)
    return panel


def scan(name: str = "scan", affine: np.ndarray | None = None) -> Volume:
    """A made-up brain of 1.5 litres on a coarse grid."""
    return brain_volume((40, 48, 44), (3.5, 3.5, 3.5), affine, name)


def behave(behaviour: str) -> None:
    """Tell workers that start from now on how to behave."""
    os.environ[BEHAVIOUR] = behaviour


def run(app: FakeSlicer, seconds: float = 20) -> None:
    """Click Run Detection and wait for the end."""
    app.click("runButton")
    wait_for_end(app, seconds)


def wait_for_end(app: FakeSlicer, seconds: float = 20) -> None:
    def the_run_has_ended():
        return not app.widget.panel.running

    app.wait(the_run_has_ended, seconds)


def catch_up(app: FakeSlicer) -> None:
    """Wait until the panel has done what a change of the scene makes it do after a pause."""
    app.run_events(0)

    def the_panel_has_caught_up():
        panel = app.widget.panel
        return not (panel._later.active or panel._watch._timer.active)

    app.wait(the_panel_has_caught_up)


def wait_for_stage(app: FakeSlicer, text: str, seconds: float = 20) -> None:
    def the_stage_is_reached():
        return text in app.ui.stageLabel.text.lower()

    app.wait(the_stage_is_reached, seconds)


def results(app: FakeSlicer) -> list:
    """All nodes of ours in the scene."""
    return [node for node in app.scene.GetNodes() if node.GetAttribute("MedAD.role")]


def snapshot(app: FakeSlicer) -> list[tuple[str, str]]:
    """What a user would notice if it changed: every node that is not the panel's own memory."""
    return [(n.GetID(), n.GetName()) for n in app.scene.GetNodes() if not n.IsA("vtkMRMLScriptedModuleNode")]


def overlay(app: FakeSlicer):
    """The slice view's layers: background, foreground, opacity of the foreground."""
    node = app.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    return (
        app.scene.GetNodeByID(node.GetBackgroundVolumeID() or ""),
        app.scene.GetNodeByID(node.GetForegroundVolumeID() or ""),
        node.GetForegroundOpacity(),
    )


def column(app: FakeSlicer, number: int) -> list[str]:
    """The texts of a column of the regions table, from the top."""
    table = app.ui.regionsTable
    return [table.item(row, number).text() for row in range(table.rowCount)]


def slice_centre(app: FakeSlicer) -> np.ndarray:
    """World RAS mm in the middle of the red slice."""
    node = app.scene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    return np.array([node.GetSliceToRAS().GetElement(row, 3) for row in range(3)])


def changed_part(before: np.ndarray, after: np.ndarray) -> float:
    """Return the share of pixels that differ clearly."""
    return float((np.abs(before.astype(int) - after).max(axis=-1) > 16).mean())


def difference(before: np.ndarray, after: np.ndarray) -> float:
    """Mean difference of two images in grey values."""
    return float(np.abs(before.astype(int) - after).mean())


__all__ = [
    "app",
    "done",
    "no_drawing",
    "own_home",
    "panel",
    "planted_installer",
    "slicer",
    "stub_client",
    "stub_process",
]
