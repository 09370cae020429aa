"""Cancellation by signals, and child processes that end with their parent.

Processes that must not outlive us, however we end.

Ctrl-C and SIGTERM: a wish to stop that is heeded within two seconds, whatever the process is busy with.
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

_running: list[subprocess.Popen] = []

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 0.8
EXIT_CODE = 130


@contextmanager
def ended(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """After this block a process is not running any more, even if the block, or this process, is cut short."""
    _running.append(process)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        _running.remove(process)


def end_all() -> None:
    """Kill them; for a process about to be ended from outside."""
    for process in list(_running):
        process.kill()


class Interruption:
    """Turns signals into a wish to cancel while its ``with`` block runs.

    Work that reports its progress sees the wish and unwinds by itself. Python runs no signal handler during a long
    call into a C library, so a watching thread hears of the signal too; if the block has not ended after the grace
    period, or a second signal comes, it cleans up and ends the process.

    Args:
        clean_up: Removes what an unfinished run has on disk; called in the watching thread before the process ends.
    """

    def __init__(self, clean_up: Callable[[], None]):
        self._clean_up = clean_up
        self._wanted = threading.Event()
        self._finished = threading.Event()
        self._previous: dict[int, object] = {}

    def cancelled(self) -> bool:
        """Whether the user asked to stop."""
        return self._wanted.is_set()

    def __enter__(self) -> Interruption:
        # Only the main thread may set handlers; elsewhere whoever runs that thread decides when to stop.
        if threading.current_thread() is not threading.main_thread():
            return self
        self._ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._theirs = theirs
        threading.Thread(target=self._watch, name="interruption", daemon=True).start()
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._handle)
        self._wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        if not self._previous:
            return
        self._finished.set()
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
        self._theirs.close()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._wanted.set()

    def _watch(self) -> None:
        with self._ours:
            if not self._heard():
                return
            self._wanted.set()
            self._ours.settimeout(GRACE_SECONDS)
            try:
                overdue = self._heard()
            except TimeoutError:
                overdue = True
        if overdue and not self._finished.is_set():
            self._clean_up()
            with suppress(OSError):
                os.write(2, b"medad: cancelled\n")
            os._exit(EXIT_CODE)

    def _heard(self) -> bool:
        """Wait for one of our signals; False once the block has ended."""
        while number := self._ours.recv(1):
            if number[0] in SIGNALS:
                return True
        return False
