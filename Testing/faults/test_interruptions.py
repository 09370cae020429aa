"""Cases 52 to 58: processes that are killed, cancelled or closed, and what an earlier one left."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.command_line import fake_detect, run
from support.fake_process import desk_of_a_client, state_of  # noqa: F401
from support.killed import KILLED, Commands, commands
from support.raised import raises
from support.stored_results import store
from support.training import one_thread, same_weights, stopping_after  # noqa: F401

from MedADLib.errors import Cancelled, InputError, MedADError
from MedADLib.io.reading import read_image
from MedADLib.io.sources import Source
from MedADLib.results.reading import reopen, stored_results
from MedADLib.results.writing import RESULT_SUFFIXES
from MedADLib.runtime.atomic_files import STAGING
from MedADLib.training import checkpoint as checkpoint_module
from MedADLib.training.checkpoint import load_checkpoint
from MedADLib.training.config import training_folder
from MedADLib.training.data import _refuse_changed as refuse_changed
from MedADLib.training.loop import Plan, fit

posix_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked for each command")
PLAN = Plan(12, 1e-2, every=4, seed=5)
# ``--model kill-N`` ends the process with SIGKILL before its Nth move of a file, ``--model busy`` never ends by itself.
PREPARE = """
import functools, signal
import MedADLib.results.writing
from MedADLib.cli import detect as _
from support.command_line import fake_detect
move, moved = os.replace, []
def detect(volume, model, settings, progress):
    if model == "busy":
        while True:
            time.sleep(0.01)
            progress.update(0.5)
    def killing(*names, **more):
        moved.append(names)
        if model == f"kill-{len(moved)}":
            os.kill(os.getpid(), signal.SIGKILL)
        return move(*names, **more)
    os.replace = killing
    return fake_detect(volume, model, settings, progress)
cli.main = functools.partial(cli.main, detect=detect, load_model=str)
"""


@pytest.fixture(scope="module")
def medad(tmp_path_factory) -> Iterator[Commands]:
    with commands(tmp_path_factory.mktemp("commands"), PREPARE) as started:
        yield started


class Line(torch.nn.Module):
    """A small network with dropout, so that the random numbers of a step matter."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))

    def loss(self, values, wanted):
        loss = (self.layers(values) - wanted).square().mean()
        return loss, {"squared": loss.detach()}


def batches(step: int) -> tuple[torch.Tensor, ...]:
    values = torch.randn(6, 3, generator=torch.Generator().manual_seed(step))
    return values, values.sum(1, keepdim=True)


def no_error(network: torch.nn.Module) -> dict[str, float]:
    return {"error": 0.0}


def content(out: Path) -> dict[str, bytes]:
    """The files of a result without their seconds, model and paths."""
    found = {path.name: path.read_bytes() for path in out.iterdir()}
    facts = json.loads(found["sound.json"])
    return found | {"sound.json": json.dumps({name: facts[name] for name in facts if name != "seconds"}).encode()}


@posix_only
def test_case_52_a_detection_killed_at_each_move_of_a_file(medad, sound, tmp_path):
    """Random points of time are in test_killed_detection.py and test_killed_training.py."""
    words = ("--no-picture", "--device", "cpu")
    assert medad.run("detect", sound, "-o", tmp_path / "expected", "--model", "quick", *words).code == 0
    expected, out = content(tmp_path / "expected"), tmp_path / "out"
    assert sorted(expected) == sorted(f"sound{suffix}" for suffix in RESULT_SUFFIXES if suffix != ".png")
    number = -2
    while True:
        number += 3
        ended = medad.run("detect", sound, "-o", out, "--model", f"kill-{number}", *words)
        if ended.code != KILLED:
            break
        # Either there is a result, which is complete, or nothing that is taken for one.
        if (out / "sound.json").exists():
            assert content(out).items() >= expected.items()
        assert medad.run("detect", sound, "-o", out, "--model", "quick", *words).code == 0
        assert content(out) == expected
        if number % 2:
            # Every other time, the folder holds the result of an earlier run.
            shutil.rmtree(out)
    assert number > 2 and ended.code == 0
    assert not [path for path in out.iterdir() if STAGING.fullmatch(path.name)]


def test_case_52_a_training_interrupted_at_random_steps(tmp_path):
    unbroken, draw = Line(), random.Random(52)
    fit(unbroken, batches, no_error, PLAN, tmp_path / "unbroken")
    for number in range(10):
        folder = tmp_path / str(number)
        for _ in range(draw.randint(1, 3)):
            with pytest.raises(Cancelled):
                fit(Line(), batches, no_error, PLAN, folder, progress=stopping_after(draw.randint(1, 4)))
        resumed = Line()
        fit(resumed, batches, no_error, PLAN, folder)
        assert same_weights(resumed, unbroken)


@posix_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_case_53_a_signal_ends_the_run(medad, sound, tmp_path, number):
    out = tmp_path / "out" / "results"
    ended = medad.run("detect", sound, "-o", out, "--model", "busy", after=1.5, number=number)
    assert ended.code == 130 and ended.seconds < 1.5 + 2
    assert ended.printed.splitlines()[-1] == "medad: cancelled"
    assert os.listdir(tmp_path) == []


def test_case_53_cancel_in_the_panel(desk):
    desk.computing()
    desk.client.cancel()
    # A computation that does not stop by itself is ended after a second.
    desk.clock.pass_by(1.99)
    assert desk.process.killed and desk.reported[1:] == [("cancelled",)]
    assert state_of(desk.client) == "off" and not (desk.folder / "out").exists()


@pytest.mark.parametrize("event", ["the volume is deleted", "the scene is closed", "Slicer is closed"])
def test_case_54_slicer_changes_in_the_middle_of_a_run(event, tmp_path, monkeypatch):
    fixtures = pytest.importorskip("fake_slicer.panel_fixtures", exc_type=ImportError)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv(fixtures.BEHAVIOUR, "slowly")
    monkeypatch.setattr(fixtures.installer, "SlicerInstaller", fixtures.Installed)
    client = fixtures.worker_client.WorkerClient
    command = {"command": fixtures.COMMAND, "hang_seconds": fixtures.HANG_SECONDS}
    monkeypatch.setattr(fixtures.worker_client, "WorkerClient", lambda: client(**command))
    (tmp_path / "home").mkdir()
    (tmp_path / "slicer").mkdir()
    with fixtures.FakeSlicer(tmp_path / "slicer") as app:
        volume = app.load_volume(fixtures.scan())
        app.open_module("MedAD")
        app.click("runButton")
        fixtures.wait_for_stage(app, "slice")
        pid = app.widget.logic.client._connection._process.pid
        if event == "the volume is deleted":
            app.scene.RemoveNode(volume)
        elif event == "the scene is closed":
            app.close_scene()
        else:
            app.quit()
        if event == "Slicer is closed":
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline and alive(pid):
                time.sleep(0.05)
            assert not alive(pid)
        else:
            fixtures.wait_for_end(app, 5)
            assert not fixtures.results(app) and not app.slot_errors
        assert not list(tmp_path.rglob("MedAD-*"))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_case_55_a_half_written_checkpoint(tmp_path, monkeypatch, share):
    unbroken = Line()
    fit(unbroken, batches, no_error, PLAN, tmp_path / "unbroken")
    with pytest.raises(Cancelled):
        fit(Line(), batches, no_error, PLAN, tmp_path, progress=stopping_after(6))
    path = tmp_path / "checkpoint.safetensors"
    before = path.read_bytes()

    def dies(tensors, partial, metadata):
        Path(partial).write_bytes(before[: int(share * len(before))])
        raise OSError(28, "No space left on device")

    # Checkpoints are not written in place: the one before is used.
    with monkeypatch.context() as patched, pytest.raises(OSError):
        patched.setattr(checkpoint_module, "save_file", dies)
        fit(Line(), batches, no_error, PLAN, tmp_path)
    assert path.read_bytes() == before and load_checkpoint(path, Line())["step"] == 6
    # One that was cut later, as by a crash of the computer, is not used at all; the result is the same.
    path.write_bytes(before[: int(share * len(before))])
    assert load_checkpoint(path, Line()) is None
    resumed = Line()
    fit(resumed, batches, no_error, PLAN, tmp_path)
    assert same_weights(resumed, unbroken)


def test_case_56_what_an_earlier_run_left_of_another_model_or_of_other_settings(sound, tmp_path, capsys):
    called = []

    def detect(volume, model, settings, progress):
        called.append((model, settings.seed))
        detection = fake_detect(volume, model, settings, progress)
        return replace(detection, provenance={**detection.provenance, "model": {"name": model}})

    out = tmp_path / "out"
    for model, seed in (("one", 0), ("two", 0), ("two", 1)):
        assert run("detect", sound, "-o", out, "--model", model, "--seed", seed, "--no-picture", detect=detect) == 0
        (stored,) = stored_results(out)
        assert stored.facts["model"]["name"] == f"model {model}"
    assert called == [("model one", 0), ("model two", 0), ("model two", 1)]
    # Every other setting of a method trains in a folder of its own, and other steps are refused.
    assert training_folder(tmp_path, "vae", {"kl_weight": 5}) != training_folder(tmp_path, "vae", {})
    fit(Line(), batches, no_error, PLAN, tmp_path / "work")
    with raises(MedADError, "checkpoint_of_other_plan"):
        fit(Line(), batches, no_error, replace(PLAN, steps=20), tmp_path / "work")


@pytest.mark.parametrize("suffix", ["_anomaly.nii.gz", "_examined.nii.gz", ".json"])
def test_case_57_a_truncated_result(tmp_path, capsys, suffix):
    """A file that exists is not taken for a finished one."""
    store(tmp_path)
    scan, out = tmp_path / "in" / "scan.nii.gz", tmp_path / "out"
    path = out / f"scan{suffix}"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with raises(InputError, "no_results" if suffix == ".json" else "compressed_data_cut_short"):
        reopen(stored_results(out)[0])
    words = ("detect", scan, "-o", out, "--no-picture", "--json-log")
    if suffix == ".json":
        # Nothing tells any more that the files are results of MedAD, so they are not replaced.
        assert run(*words) == 1
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["code"] == "not_our_file"
        shutil.rmtree(out)
    assert run(*words) == 0
    assert len(stored_results(out)) == 1
    for map_ in out.glob("*.nii.gz"):
        assert read_image(map_, uniform=True).array.shape == read_image(scan).array.shape


def test_case_58_clocks_and_renames(sound, tmp_path):
    """Neither times nor places of files decide: the content does."""
    path = tmp_path / "scans" / "a.nii.gz"
    path.parent.mkdir()
    shutil.copy(sound, path)
    work, names = tmp_path / "work", SimpleNamespace(train=["a"], validation=[])
    work.mkdir()
    refuse_changed({"a": Source(path, "a", "a")}, names, work)
    for moment in (1, time.time_ns() + 10**15):
        os.utime(path, ns=(moment, moment))
        refuse_changed({"a": Source(path, "a", "a")}, names, work)
    moved = tmp_path / "renamed" / "a.nii.gz"
    path.parent.rename(moved.parent)
    refuse_changed({"a": Source(moved, "a", "a")}, names, work)
    content = bytearray(moved.read_bytes())
    content[-9] ^= 1
    moved.write_bytes(content)
    os.utime(moved, ns=(moment + 1, moment + 1))
    with raises(InputError, "work_of_changed_scans"):
        refuse_changed({"a": Source(moved, "a", "a")}, names, work)
    # What a killed process left is known by its lock, not by its age.
    out = tmp_path / "out"
    stale = out / ".medad-abcdefgh"
    stale.mkdir(parents=True)
    (stale / "owner.lock").touch()
    os.utime(stale, ns=(time.time_ns() + 10**15,) * 2)
    assert run("detect", sound, "-o", out, "--no-picture") == 0
    assert not stale.exists() and len(stored_results(out)) == 1
