"""Child process and timer by Qt, and a watchdog for a worker without events."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ...errors import MedADError

NOT_STARTED = -1

OutputCallback = Callable[[bytes], None]
FinishedCallback = Callable[[int, str], None]

CHECKS = 10


class QtProcess:
    """A child process by QProcess, with output that arrives in the main thread while the event loop runs.

    Attributes:
        pid: Of the process that computes, once it is known. A launcher starts Slicer's Python and does not end its
            child when it is killed; `kill` ends this one too.
    """

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
        """Start a program.

        Args:
            arguments: Program and arguments.
            on_output: Called with chunks of stdout, which may end anywhere.
            on_log: Called with chunks of stderr.
            on_finished: Called once with the exit code and the kind of end in words; the code is `NOT_STARTED` if
                the program could not be started.
        """
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
        # A child with an unknown pid ends by itself when its stdin is closed.
        self._process.closeWriteChannel()
        if self.pid is not None:
            # Windows lacks SIGKILL; there SIGTERM ends a process at once.
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
        # After every other error, Qt emits finished().
        if error == self._qt.QProcess.FailedToStart:
            self._end(NOT_STARTED, str(self._process.errorString()))

    def _end(self, code: int, how: str) -> None:
        finished, self._finished = self._finished, None
        self._output = self._log = None
        if finished is not None:
            # Later, because this runs in a signal of the object to delete, and the owner may drop its last reference.
            self._qt.QTimer.singleShot(0, self._process.deleteLater)
            finished(code, how)


class QtTimer:
    """Timer with one callback, in the main thread."""

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
    """Return the Python program for the worker: Slicer's own inside Slicer, elsewhere the running one.

    Raises:
        MedADError: If Slicer's Python is missing.
    """
    home = os.environ.get("SLICER_HOME")
    if home is None:
        return sys.executable
    program = shutil.which("PythonSlicer", path=str(Path(home) / "bin")) or shutil.which("PythonSlicer")
    if program is None:
        # sys.executable may be Slicer itself here, which must not be started again.
        raise MedADError("python_slicer_missing", folder=Path(home) / "bin")
    return program


class Watch:
    """Watchdog for a worker without events; counts several short intervals instead of a long one.

    Timers go on while a computer sleeps; then only one of the intervals has passed without an event.

    Args:
        timer: For the intervals.
        seconds: Time without an event after which `on_silence` is called.
        on_silence: Called once.
    """

    def __init__(self, timer: QtTimer, seconds: float, on_silence: Callable[[], None]):
        self._timer, self._on_silence = timer, on_silence
        self.seconds = seconds
        self._passed = 0

    def start(self) -> None:
        """Start to watch."""
        self._passed = 0
        self._wait()

    def reset(self) -> None:
        """Start again, because an event has come."""
        self._passed = 0

    def stop(self) -> None:
        """Stop to watch."""
        self._timer.stop()

    def _wait(self) -> None:
        self._timer.start(self.seconds / CHECKS, self._check)

    def _check(self) -> None:
        self._passed += 1
        if self._passed < CHECKS:
            self._wait()
        else:
            self._on_silence()
