"""QProcess and QTimer as the client uses them, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import brain_volume
from fake_worker import Listener
from immortal_none import keep_none_alive
from workers import STUB, WORKER, gone, posix_only

from MedADLib.errors import MedADError
from MedADLib.exchange import read_exchange, write_volume
from MedADLib.slicer.process import NOT_STARTED, QtProcess, QtTimer, worker_program
from MedADLib.slicer.worker_client import Job, WorkerClient, wait

pytest.importorskip("PySide6.QtCore", reason="PySide6 is not installed (pip install PySide6_Essentials)")
pytest.importorskip("slicer", reason="slicer-core is not installed (pip install trame-slicer[standalone])")

from bench import dialogs, errors, qt
from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QApplication

# A launcher as Slicer's: its child does the work, and its own death is not the child's.
LAUNCHER = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"


@contextmanager
def strict_qt():
    """Qt as scripts in Slicer see it; gives the application, and fails if a slot did."""
    keep_none_alive()
    before, sys.modules["qt"] = sys.modules.get("qt"), qt.module
    dialogs.use(dialogs.Dialogs())
    collector = errors.Collector()
    errors.use(collector)
    try:
        # Other tests of the same process may need widgets.
        yield QCoreApplication.instance() or QApplication([])
        assert not collector.slot_errors, collector.slot_errors
    finally:
        errors.use(None)
        dialogs.use(None)
        sys.modules.pop("qt") if before is None else sys.modules.update(qt=before)


@pytest.fixture(autouse=True)
def application():
    with strict_qt() as application:
        yield application


@pytest.fixture
def pump(application):
    def run(until, seconds=15.0):
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, "it took too long"
            application.processEvents()
            time.sleep(0.005)

    return run


class Heard:
    """Everything that a process says."""

    def __init__(self, process, *arguments):
        self.output, self.log, self.ends = b"", b"", []
        process.start(list(arguments), self._output, self._log, lambda code, how: self.ends.append((code, how)))

    def _output(self, data):
        self.output += data

    def _log(self, data):
        self.log += data


def test_a_process_hears_speaks_and_ends(pump):
    code = "import sys; sys.stderr.write('log é'); print(sys.stdin.read()[::-1]); sys.exit(3)"
    process = QtProcess()
    assert not process.running
    heard = Heard(process, sys.executable, "-X", "utf8", "-c", code)
    assert process.running
    process.write("日é".encode())
    process.close_input()
    pump(lambda: heard.ends)
    assert heard.ends == [(3, "ended with code 3")] and not process.running
    assert heard.output.decode().strip() == "é日" and heard.log.decode() == "log é"
    process.write(b"nobody hears this")
    process.close_input()
    process.kill()
    pump(lambda: True)


def test_a_program_that_is_not_there_is_said_once(pump):
    process = QtProcess()
    heard = Heard(process, "no-such-program-é")
    pump(lambda: heard.ends)
    pump(lambda: True)
    ((code, how),) = heard.ends
    assert code == NOT_STARTED and how and not process.running


@posix_only
def test_killing_ends_the_launcher_and_the_one_that_computes(pump):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    process = QtProcess()
    heard = Heard(process, sys.executable, "-c", LAUNCHER, "-c", code)
    pump(lambda: heard.output)
    process.pid = int(heard.output)
    process.kill()
    pump(lambda: heard.ends)
    assert gone(int(heard.output), 2.0)
    process.kill()
    assert len(heard.ends) == 1


def test_a_timer_calls_once_and_not_after_stop(pump):
    called, timer = [], QtTimer()
    timer.start(0.01, lambda: called.append("first"))
    timer.start(0.02, lambda: called.append("second"))
    pump(lambda: called)
    timer.start(0.01, lambda: called.append("third"))
    timer.stop()
    end = time.monotonic() + 0.1
    pump(lambda: time.monotonic() > end)
    assert called == ["second"]


def test_outside_slicer_the_worker_runs_in_this_python(monkeypatch):
    monkeypatch.delenv("SLICER_HOME", raising=False)
    assert worker_program() == sys.executable


def test_inside_slicer_the_worker_runs_in_slicers_python(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    name = "PythonSlicer.exe" if sys.platform == "win32" else "PythonSlicer"
    launcher = tmp_path / "bin" / name
    monkeypatch.setenv("SLICER_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    with pytest.raises(MedADError, match="PythonSlicer is missing in .*bin. Install Slicer again"):
        worker_program()
    launcher.write_bytes(b"")
    launcher.chmod(0o755)
    assert Path(worker_program()) == launcher


# The client with real processes.


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
from test_process import ClientBench, strict_qt
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
    root = str(WORKER.parents[1])
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
