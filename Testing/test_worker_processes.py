"""The client, QProcess and the real worker together; the computation is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import brain_volume
from fake_worker import Listener
from strict_qt import LAUNCHER, event_loop, strict_application  # noqa: F401
from workers import STUB, WORKER, gone, posix_only

from MedADLib.results.exchange import read_exchange, write_volume
from MedADLib.slicer.worker.client import Job, WorkerClient, wait


class ClientBench:
    """A client with a real worker that pretends to compute."""

    def __init__(self, folder, application, command):
        self.folder, self.application = folder, application
        self.client = WorkerClient(command=command, hang_seconds=3)
        write_volume(brain_volume(), folder / "input.npy")
        self.before = self.files()

    def detect(self, do, output="out"):
        model = self.folder / "model.medad"
        model.write_text(json.dumps({"do": do}), "utf-8")
        self.before = self.files()
        listener = Listener()
        job = Job(str(self.folder / "input.npy"), None, str(model), str(self.folder / output))
        self.client.detect(job, listener)
        return listener

    def files(self):
        return sorted(self.folder.rglob("*"))

    def wait(self):
        end = time.monotonic() + 20

        def pump():
            self.application.processEvents()
            assert time.monotonic() < end, self.client.log

        wait(self.client, pump)

    def cancel(self):
        """Cancel; how long that took."""
        asked = time.monotonic()
        self.client.cancel()
        self.wait()
        return time.monotonic() - asked


@pytest.fixture
def bench(tmp_path, application, pump):
    # The stand-in for Slicer's launcher is for POSIX.
    start = [sys.executable, str(STUB)] if sys.platform == "win32" else [sys.executable, "-c", LAUNCHER, str(STUB)]
    folder = tmp_path / "é 日"
    folder.mkdir()
    bench = ClientBench(folder, application, start)
    yield bench
    connection = bench.client._connection
    pid = connection._process.pid if connection else None
    bench.client.stop()
    pump(lambda: not bench.client._ending)
    assert bench.client.state == "off" and (pid is None or gone(pid, 2.0))


def begun(bench, listener, pump):
    pump(lambda: any(what[:2] == ("progress", "restoration") for what in listener.told))
    time.sleep(0.1)


def test_a_detection_arrives_and_the_next_uses_the_same_process(bench):
    pids = []
    for output in ("one", "two"):
        listener = bench.detect("quickly", output)
        bench.wait()
        name, folder, seconds = listener.told[-1]
        assert name == "done" and seconds > 0
        assert len(read_exchange(folder, brain_volume()).regions) == 2
        pids.append(bench.client._connection._process.pid)
    assert pids[0] == pids[1]


@pytest.mark.parametrize("moment", ["early", "starting", "middle"])
def test_cancelling_a_cooperative_computation(bench, pump, moment):
    listener = bench.detect("slowly")
    if moment == "starting":
        pump(lambda: bench.client.state == "busy")
    elif moment == "middle":
        begun(bench, listener, pump)
    assert bench.cancel() < 2.0 and listener.told[-1] == ("cancelled",)
    assert bench.files() == bench.before and bench.client.state in ("starting", "idle")


@posix_only
@pytest.mark.parametrize("do", ["stubbornly", "in_c"])
def test_cancelling_a_stubborn_computation_ends_its_process_and_the_next_works(bench, pump, do):
    listener = bench.detect(do)
    begun(bench, listener, pump)
    pid = bench.client._connection._process.pid
    assert 0.9 < bench.cancel() < 2.0 and listener.told[-1] == ("cancelled",)
    assert bench.files() == bench.before and gone(pid, 2.0)
    listener = bench.detect("quickly")
    bench.wait()
    assert listener.told[-1][0] == "done"


def test_cancelling_at_any_moment_leaves_nothing_or_a_whole_result(bench, pump):
    moment = 0.0
    while moment < 0.3:
        listener = bench.detect("quickly", f"out{moment}")
        end = time.monotonic() + moment
        pump(lambda end=end: time.monotonic() > end)
        bench.cancel()
        if listener.told[-1][0] == "done":
            assert read_exchange(listener.told[-1][1], brain_volume()).regions
        else:
            assert listener.told[-1] == ("cancelled",) and bench.files() == bench.before
        moment += 0.02


@posix_only
def test_a_worker_killed_by_the_system_is_explained(bench, pump):
    listener = bench.detect("stubbornly")
    begun(bench, listener, pump)
    os.kill(bench.client._connection._process.pid, signal.SIGKILL)
    bench.wait()
    assert listener.told[-1][:2] == ("failed", "WorkerDied") and "too little memory" in listener.told[-1][2]
    assert bench.files() == bench.before
    bench.detect("quickly")
    bench.wait()


@posix_only
def test_a_worker_that_hangs_is_ended(bench):
    listener = bench.detect("frozen")
    bench.wait()
    assert listener.told[-1][:2] == ("failed", "WorkerHung")
    assert bench.files() == bench.before


@posix_only
def test_a_full_disk_is_said_and_leaves_nothing(bench):
    listener = bench.detect("on_a_full_disk")
    bench.wait()
    assert listener.told[-1][:2] == ("failed", "OutputError") and "Free some space" in listener.told[-1][2]
    assert bench.files() == bench.before


def test_stopping_in_the_middle_ends_it_and_leaves_nothing(bench, pump):
    listener = bench.detect("stubbornly")
    begun(bench, listener, pump)
    pid = bench.client._connection._process.pid
    bench.client.stop()
    assert listener.told[-1] == ("cancelled",)
    pump(lambda: not bench.client._ending)
    assert gone(pid, 2.0) and bench.files() == bench.before


SLICER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/Testing"]
from strict_qt import strict_qt
from test_worker_processes import ClientBench
with strict_qt() as application:
    bench = ClientBench(Path(sys.argv[2]), application, sys.argv[3:])
    listener = bench.detect("stubbornly")
    while not any(what[:2] == ("progress", "restoration") for what in listener.told):
        application.processEvents()
    print(bench.client._connection._process.pid, flush=True)
    while True:
        application.processEvents()
"""


@posix_only
@pytest.mark.parametrize("launcher", [False, True])
def test_the_worker_does_not_outlive_a_slicer_that_was_killed(tmp_path, launcher):
    command = [sys.executable, *(["-c", LAUNCHER] if launcher else []), str(STUB)]
    root = str(WORKER.parents[2])
    slicer = subprocess.Popen([sys.executable, "-c", SLICER, root, str(tmp_path), *command], stdout=subprocess.PIPE)
    pid = int(slicer.stdout.readline())
    assert (tmp_path / "out").is_dir()
    slicer.kill()
    slicer.wait()
    assert gone(pid, 2.0) and not (tmp_path / "out").exists()


def test_the_client_starts_the_worker_of_this_library(application, monkeypatch):
    monkeypatch.delenv("SLICER_HOME", raising=False)
    client = WorkerClient()
    client.warm_up("no-such-model")
    end = time.monotonic() + 20
    while not any("no-such-model" in line for line in client.log):
        application.processEvents()
        assert time.monotonic() < end, client.log
    assert client.state == "idle"
    client.stop()
    while client._ending:
        application.processEvents()
