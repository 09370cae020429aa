"""QProcess and QTimer as the client uses them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from fake_slicer.strict_qt import LAUNCHER, event_loop, strict_application  # noqa: F401
from support.raised import raises
from support.workers import gone, posix_only

from MedADLib.errors import MedADError
from MedADLib.slicer.worker.process import NOT_STARTED, QtProcess, QtTimer, worker_program


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
    with raises(MedADError, "python_slicer_missing", folder=str(tmp_path / "bin")):
        worker_program()
    launcher.write_bytes(b"")
    launcher.chmod(0o755)
    assert Path(worker_program()) == launcher
