"""The module's panel on the bench, with a worker that is quick and a model that is tiny."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import brain_volume
from mrml import slicer

pytest.importorskip("PySide6", reason="PySide6 is not installed (pip install PySide6_Essentials)")

from bench import Bench
from stub_detection import two_blobs

from MedADLib.results.exchange import read_volume, write_exchange
from MedADLib.slicer.install import installer
from MedADLib.slicer.worker import client as worker_client
from MedADLib.volume import Volume

STUB = [sys.executable, str(Path(__file__).resolve().parent / "stub_worker.py")]
HANG_SECONDS = 6.0


class Installed:
    """An installer with nothing to do, or with whatever a test plants."""

    def __init__(self, packages=()):
        self.packages = list(packages)
        self.answer: bool | Exception = True
        self.said: list[str] = ["Collecting safetensors", "Successfully installed safetensors"]

    def missing(self):
        return self.packages

    def install(self, packages, log):
        for line in self.said:
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
    monkeypatch.delenv("MEDAD_STUB", raising=False)
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

    def stop(self):
        pass


@pytest.fixture
def stub_client(monkeypatch):
    """Runs end within the click that began them."""
    monkeypatch.setattr(worker_client, "WorkerClient", InlineClient)


@pytest.fixture
def stub_process(monkeypatch):
    """Runs are done by a process, as in Slicer."""
    client = functools.partial(worker_client.WorkerClient, command=STUB, hang_seconds=HANG_SECONDS)
    monkeypatch.setattr(worker_client, "WorkerClient", client)


@pytest.fixture
def bench(tmp_path, planted_installer, stub_client) -> Iterator[Bench]:
    """Slicer with nothing loaded; the module is not open yet."""
    (tmp_path / "slicer").mkdir()
    with Bench(tmp_path / "slicer") as bench:
        yield bench


@pytest.fixture
def panel(bench) -> Bench:
    """The open panel with a scan."""
    bench.scan = bench.load_volume(scan())
    bench.open_module("MedAD")
    return bench


@pytest.fixture
def done(panel) -> Bench:
    """The panel after a detection."""
    run(panel)
    return panel


def scan(name: str = "scan", affine: np.ndarray | None = None) -> Volume:
    """A made-up brain of 1.5 litres on a coarse grid."""
    return brain_volume((40, 48, 44), (3.5, 3.5, 3.5), affine, name)


def behave(behaviour: str) -> None:
    """Tell workers that start from now on how to behave."""
    os.environ["MEDAD_STUB"] = behaviour


def run(bench: Bench, seconds: float = 20) -> None:
    """Click Run Detection and wait for the end."""
    bench.click("runButton")
    wait_for_end(bench, seconds)


def wait_for_end(bench: Bench, seconds: float = 20) -> None:
    def the_run_has_ended():
        return not bench.widget.panel.running

    bench.wait(the_run_has_ended, seconds)


def wait_for_stage(bench: Bench, text: str, seconds: float = 20) -> None:
    def the_stage_is_reached():
        return text in bench.ui.stageLabel.text.lower()

    bench.wait(the_stage_is_reached, seconds)


def results(bench: Bench) -> list:
    """All nodes of ours in the scene."""
    return [node for node in bench.scene.GetNodes() if node.GetAttribute("MedAD.role")]


def snapshot(bench: Bench) -> list[tuple[str, str]]:
    """What a user would notice if it changed: every node that is not the panel's own memory."""
    return [(n.GetID(), n.GetName()) for n in bench.scene.GetNodes() if not n.IsA("vtkMRMLScriptedModuleNode")]


def overlay(bench: Bench):
    """The slice view's layers: background, foreground, opacity of the foreground."""
    node = bench.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    return (
        bench.scene.GetNodeByID(node.GetBackgroundVolumeID() or ""),
        bench.scene.GetNodeByID(node.GetForegroundVolumeID() or ""),
        node.GetForegroundOpacity(),
    )


def column(bench: Bench, number: int) -> list[str]:
    """The texts of a column of the regions table, from the top."""
    table = bench.ui.regionsTable
    return [table.item(row, number).text() for row in range(table.rowCount)]


def slice_centre(bench: Bench) -> np.ndarray:
    """World RAS mm in the middle of the red slice."""
    node = bench.scene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    return np.array([node.GetSliceToRAS().GetElement(row, 3) for row in range(3)])


def changed_part(before: np.ndarray, after: np.ndarray) -> float:
    """Which part of a picture's pixels is clearly different."""
    return float((np.abs(before.astype(int) - after).max(axis=-1) > 16).mean())


def difference(before: np.ndarray, after: np.ndarray) -> float:
    """Mean difference of two pictures in grey values."""
    return float(np.abs(before.astype(int) - after).mean())


__all__ = ["bench", "done", "own_home", "panel", "planted_installer", "slicer", "stub_client", "stub_process"]
