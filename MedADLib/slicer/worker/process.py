"""A child process and a timer by Qt, and the watch for a silent worker.

A child process and a timer, as little of them as the worker's client needs, and both by Qt.

Notices when the worker has been silent for too long.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from ...errors import MedADError

NOT_STARTED = -1

OutputCallback = Callable[[bytes], None]
FinishedCallback = Callable[[int, str], None]

CHECKS = 10


class Process(Protocol):
    """A child process whose output arrives in the main thread while the event loop runs.

    Attributes:
        pid: Of the process that computes, once it is known. Slicer's Python is started by a launcher, which does not
            end its child when it is killed itself; `kill` ends this one too.
    """

    pid: int | None

    @property
    def running(self) -> bool:
        """Whether it was started and has not finished."""

    def start(
        self, arguments: list[str], on_output: OutputCallback, on_log: OutputCallback, on_finished: FinishedCallback
    ) -> None:
        """Start the program `arguments[0]`.

        Args:
            arguments: Program and arguments.
            on_output: Gets what it writes to stdout, cut anywhere.
            on_log: The same for stderr.
            on_finished: Called once with the exit code and how it ended in words; the code is `NOT_STARTED` if it
                could not be started.
        """

    def write(self, data: bytes) -> None:
        """Write to its stdin; without effect once it has finished."""

    def close_input(self) -> None:
        """End its stdin after what was written."""

    def kill(self) -> None:
        """End it and its children at once; without effect once it has finished."""


class Timer(Protocol):
    """Calls back once after a while, in the main thread."""

    def start(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back after so long; an earlier call is forgotten."""

    def stop(self) -> None:
        """Do not call back."""


class QtProcess:
    """A `Process` by QProcess."""

    def __init__(self) -> None:
        import qt

        self.pid: int | None = None
        self._qt = qt
        self._process = qt.QProcess()
        self._finished: FinishedCallback | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not finished."""
        return self._finished is not None

    def start(
        self, arguments: list[str], on_output: OutputCallback, on_log: OutputCallback, on_finished: FinishedCallback
    ) -> None:
        """Start the program `arguments[0]`; see `Process.start`."""
        self._output, self._log, self._finished = on_output, on_log, on_finished
        process = self._process
        process.connect("readyReadStandardOutput()", self._on_output)
        process.connect("readyReadStandardError()", self._on_log)
        process.connect("finished(int,QProcess::ExitStatus)", self._on_finished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._on_error)
        process.setProgram(arguments[0])
        process.setArguments(arguments[1:])
        process.start()

    def write(self, data: bytes) -> None:
        """Write to its stdin; without effect once it has finished."""
        if self.running:
            self._process.write(data)

    def close_input(self) -> None:
        """End its stdin after what was written."""
        if self.running:
            self._process.closeWriteChannel()

    def kill(self) -> None:
        """End it and its children at once; without effect once it has finished."""
        if not self.running:
            return
        # A child that never said its pid ends by itself when its stdin does.
        self._process.closeWriteChannel()
        if self.pid is not None:
            # On Windows there is no SIGKILL, and every signal but the console's ends a process at once.
            with suppress(OSError):
                os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        self._process.kill()

    def _on_output(self) -> None:
        if self.running and (data := bytes(self._process.readAllStandardOutput().data())):
            self._output(data)

    def _on_log(self) -> None:
        if self.running and (data := bytes(self._process.readAllStandardError().data())):
            self._log(data)

    def _on_finished(self, code: int, status: object) -> None:
        self._on_output()
        self._on_log()
        crashed = status == self._qt.QProcess.CrashExit
        self._end(int(code), f"{'crashed' if crashed else 'ended'} with code {int(code)}")

    def _on_error(self, error: object) -> None:
        # Qt says finished() after every other error.
        if error == self._qt.QProcess.FailedToStart:
            self._end(NOT_STARTED, str(self._process.errorString()))

    def _end(self, code: int, how: str) -> None:
        finished, self._finished = self._finished, None
        self._output = self._log = None
        if finished is not None:
            # Not now: we are in a signal of the object that is to be deleted, and our owner may let go of us.
            self._qt.QTimer.singleShot(0, self._process.deleteLater)
            finished(code, how)


class QtTimer:
    """A `Timer` by QTimer."""

    def __init__(self) -> None:
        import qt

        self._callback: Callable[[], None] | None = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._on_timeout)

    def start(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back after so long; an earlier call is forgotten."""
        self._callback = callback
        self._timer.start(int(1000 * seconds))

    def stop(self) -> None:
        """Do not call back."""
        self._callback = None
        self._timer.stop()

    def _on_timeout(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


def worker_program() -> str:
    """The Python to compute with: Slicer's own inside Slicer, elsewhere the one that runs this.

    Raises:
        MedADError: If Slicer has lost its Python.
    """
    home = os.environ.get("SLICER_HOME")
    if home is None:
        return sys.executable
    program = shutil.which("PythonSlicer", path=str(Path(home) / "bin")) or shutil.which("PythonSlicer")
    if program is None:
        # sys.executable may be Slicer itself here, and starting that again helps nobody.
        raise MedADError("python_slicer_missing", folder=Path(home) / "bin")
    return program


class Watch:
    """Waits for a silence, in several short waits and not a long one.

    Timers go on while a computer sleeps, and then only one of the waits has passed unheard.

    Args:
        timer: For the waits.
        seconds: How long a silence is too long.
        on_silence: Called then, once.
    """

    def __init__(self, timer: Timer, seconds: float, on_silence: Callable[[], None]):
        self._timer, self._on_silence = timer, on_silence
        self.seconds = seconds
        self._unheard = 0

    def start(self) -> None:
        """Listen from now on."""
        self._unheard = 0
        self._wait()

    def heard(self) -> None:
        """It said something."""
        self._unheard = 0

    def stop(self) -> None:
        """Listen no more."""
        self._timer.stop()

    def _wait(self) -> None:
        self._timer.start(self.seconds / CHECKS, self._check)

    def _check(self) -> None:
        self._unheard += 1
        if self._unheard < CHECKS:
            self._wait()
        else:
            self._on_silence()
