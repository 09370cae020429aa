"""Cancel on Ctrl-C and SIGTERM within two seconds, whatever the process computes, and end child processes.

A step of a training is finished first, so that its checkpoint is kept; a second signal ends that too.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from ..messages import Message

_running: list[subprocess.Popen] = []
# Blocks of `finishing_first` that run.
_unfinished: list[object] = []
_active: list[Interruption] = []

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 0.8
EXIT_CODE = 130


@contextmanager
def ended(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """Kill the process at the end of the block if it still runs, and in `end_all` if this process ends first."""
    _running.append(process)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        _running.remove(process)


def end_all() -> None:
    """Kill all child processes of `ended` blocks, just before this process is ended."""
    for process in list(_running):
        process.kill()


@contextmanager
def finishing_first() -> Iterator[None]:
    """Let the work of the block go on after a signal until it asks for cancellation itself, and keep its state.

    Without this, a step that takes longer than the grace period is lost.
    """
    _unfinished.append(block := object())
    try:
        yield
    finally:
        _unfinished.remove(block)


def _leave_signals_to_parent() -> None:
    """Forget the handler of the parent process after a fork.

    Ctrl-C in a terminal reaches the worker processes of a training too. They share the socket of the handler, so the
    parent would take their signals for a second one of the user.
    """
    if _active:
        _active.clear()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_signals_to_parent)


class Interruption:
    """Signal handler that requests cancellation while its ``with`` block runs.

    Work that reports its progress is cancelled at the next report. Python runs no signal handler during a long call
    into a C library, so a thread waits for the signals too: if the block has not ended after the grace period, or a
    second signal comes, the thread cleans up and ends the process. Within `finishing_first` only a second signal does.

    Args:
        clean_up: Removes the files of an unfinished run; called in the watching thread before the process ends.
    """

    def __init__(self, clean_up: Callable[[], None]):
        self._clean_up = clean_up
        self._requested = threading.Event()
        self._finished = threading.Event()
        self._previous: dict[int, object] = {}

    def cancelled(self) -> bool:
        """Return whether the user has requested cancellation."""
        return self._requested.is_set()

    def __enter__(self) -> Interruption:
        # Only the main thread can set signal handlers.
        if threading.current_thread() is not threading.main_thread():
            return self
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        threading.Thread(target=self._watch, name="interruption", daemon=True).start()
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._handle)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        _active.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        # A forked process has no active handler, and leaves the one of its parent alone.
        if not self._previous or self not in _active:
            return
        _active.remove(self)
        self._finished.set()
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
        self._writer.close()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._requested.set()

    def _watch(self) -> None:
        with self._reader:
            if not self._wait_for_signal():
                return
            self._requested.set()
            self._reader.settimeout(GRACE_SECONDS)
            overdue = self._overdue()
        if overdue and not self._finished.is_set():
            self._clean_up()
            _say("cancelled")
            os._exit(EXIT_CODE)

    def _overdue(self) -> bool:
        """Wait for a second signal or the end of the grace period; return False once the block has ended."""
        said = False
        while True:
            try:
                return self._wait_for_signal()
            except TimeoutError:
                if not _unfinished:
                    return True
            if not said:
                _say("finishing_step")
                said = True

    def _wait_for_signal(self) -> bool:
        """Wait for one of `SIGNALS`; return False once the block has ended."""
        while number := self._reader.recv(1):
            if number[0] in SIGNALS:
                return True
        return False


def _say(code: str) -> None:
    """Write a line to stderr from the watching thread, also while the main thread computes."""
    with suppress(OSError):
        os.write(2, f"medad: {Message(code)}\n".encode())
