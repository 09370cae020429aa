"""The client, QProcess and the real worker together; the computation is a stand-in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from fake_slicer.strict_qt import LAUNCHER, event_loop, strict_application  # noqa: F401
from support.fake_process import Listener, state_of
from support.synthetic import brain_volume
from support.workers import FAKE_WORKER, WORKER, LiveClient, gone, posix_only

from MedADLib.results.exchange import read_exchange, write_volume
from MedADLib.slicer.worker.client import Job, WorkerClient


@pytest.fixture
def live(tmp_path, application, pump):
    # The stand-in for Slicer's launcher is for POSIX.
    start = (
        [sys.executable, str(FAKE_WORKER)]
        if sys.platform == "win32"
        else [sys.executable, "-c", LAUNCHER, str(FAKE_WORKER)]
    )
    folder = tmp_path / "é 日"
    folder.mkdir()
    live = LiveClient(folder, application, start)
    yield live
    connection = live.client._connection
    pid = connection._process.pid if connection else None
    live.client.stop()
    pump(lambda: not live.client._ending)
    assert state_of(live.client) == "off" and (pid is None or gone(pid, 2.0))


def begun(live, listener, pump):
    pump(lambda: any(what[:2] == ("progress", "restoration") for what in listener.told))
    time.sleep(0.1)


def test_a_detection_arrives_and_the_next_uses_the_same_process(live):
    pids = []
    for output in ("one", "two"):
        listener = live.detect("quickly", output)
        live.wait()
        name, folder, seconds = listener.told[-1]
        assert name == "done" and seconds > 0
        assert len(read_exchange(folder, brain_volume()).regions) == 2
        pids.append(live.client._connection._process.pid)
    assert pids[0] == pids[1]


@pytest.mark.parametrize("moment", ["early", "starting", "middle"])
def test_cancelling_a_cooperative_computation(live, pump, moment):
    listener = live.detect("slowly")
    if moment == "starting":
        pump(lambda: state_of(live.client) == "busy")
    elif moment == "middle":
        begun(live, listener, pump)
    assert live.cancel() < 2.0 and listener.told[-1] == ("cancelled",)
    assert live.files() == live.before and state_of(live.client) in ("starting", "idle")


@posix_only
@pytest.mark.parametrize("do", ["stubbornly", "in_c"])
def test_cancelling_a_stubborn_computation_ends_its_process_and_the_next_works(live, pump, do):
    listener = live.detect(do)
    begun(live, listener, pump)
    pid = live.client._connection._process.pid
    assert 0.9 < live.cancel() < 2.0 and listener.told[-1] == ("cancelled",)
    assert live.files() == live.before and gone(pid, 2.0)
    listener = live.detect("quickly")
    live.wait()
    assert listener.told[-1][0] == "done"


def test_cancelling_at_any_moment_leaves_nothing_or_a_whole_result(live, pump):
    moment = 0.0
    while moment < 0.3:
        listener = live.detect("quickly", f"out{moment}")
        end = time.monotonic() + moment
        pump(lambda end=end: time.monotonic() > end)
        live.cancel()
        if listener.told[-1][0] == "done":
            assert read_exchange(listener.told[-1][1], brain_volume()).regions
        else:
            assert listener.told[-1] == ("cancelled",) and live.files() == live.before
        moment += 0.02


@posix_only
def test_a_worker_killed_by_the_system_is_explained(live, pump):
    listener = live.detect("stubbornly")
    begun(live, listener, pump)
    os.kill(live.client._connection._process.pid, signal.SIGKILL)
    live.wait()
    assert listener.told[-1][:2] == ("failed", "WorkerDied") and listener.told[-1][2].code == "worker_died"
    assert live.files() == live.before
    live.detect("quickly")
    live.wait()


@posix_only
def test_a_worker_that_hangs_is_ended(live):
    listener = live.detect("frozen")
    live.wait()
    assert listener.told[-1][:2] == ("failed", "WorkerHung")
    assert live.files() == live.before


@posix_only
def test_a_full_disk_is_said_and_leaves_nothing(live):
    listener = live.detect("on_a_full_disk")
    live.wait()
    assert listener.told[-1][:2] == ("failed", "OutputError")
    assert listener.told[-1][2].code == "exchange_result_unwritable"
    assert live.files() == live.before


def test_stopping_in_the_middle_ends_it_and_leaves_nothing(live, pump):
    listener = live.detect("stubbornly")
    begun(live, listener, pump)
    pid = live.client._connection._process.pid
    live.client.stop()
    assert listener.told[-1] == ("cancelled",)
    pump(lambda: not live.client._ending)
    assert gone(pid, 2.0) and live.files() == live.before


SLICER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/Testing"]
from fake_slicer.strict_qt import strict_qt
from support.workers import LiveClient
with strict_qt() as application:
    live = LiveClient(Path(sys.argv[2]), application, sys.argv[3:])
    listener = live.detect("stubbornly")
    while not any(what[:2] == ("progress", "restoration") for what in listener.told):
        application.processEvents()
    print(live.client._connection._process.pid, flush=True)
    while True:
        application.processEvents()
"""


@posix_only
@pytest.mark.parametrize("launcher", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_worker_does_not_outlive_a_slicer_that_was_killed(tmp_path, launcher):
    command = [sys.executable, *(["-c", LAUNCHER] if launcher else []), str(FAKE_WORKER)]
    root = str(WORKER.parents[2])
    slicer = subprocess.Popen([sys.executable, "-c", SLICER, root, str(tmp_path), *command], stdout=subprocess.PIPE)
    pid = int(slicer.stdout.readline())
    assert (tmp_path / "out").is_dir()
    slicer.kill()
    slicer.wait()
    assert gone(pid, 2.0) and not (tmp_path / "out").exists()


def test_the_client_starts_the_worker_of_this_library(application, monkeypatch, tmp_path):
    monkeypatch.delenv("SLICER_HOME", raising=False)
    client, folder = WorkerClient(), tmp_path / "out"
    write_volume(brain_volume(), tmp_path / "scan")
    client.detect(Job(str(tmp_path / "scan"), None, "no-such-model", str(folder)), Listener())
    end = time.monotonic() + 20
    while client.busy or not any("no-such-model" in line for line in client.log):
        application.processEvents()
        assert time.monotonic() < end, client.log
    assert state_of(client) == "idle"
    client.stop()
    while client._ending:
        application.processEvents()
