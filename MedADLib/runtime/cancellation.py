"""Cancel on Ctrl-C and SIGTERM within two seconds, whatever the process computes, and end child processes."""

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


class Interruption:
    """Signal handler that requests cancellation while its ``with`` block runs.

    Work that reports its progress is cancelled at the next report. Python runs no signal handler during a long call
    into a C library, so a thread waits for the signals too: if the block has not ended after the grace period, or a
    second signal comes, the thread cleans up and ends the process.

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
        return self

    def __exit__(self, *_: object) -> None:
        if not self._previous:
            return
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
            try:
                overdue = self._wait_for_signal()
            except TimeoutError:
                overdue = True
        if overdue and not self._finished.is_set():
            self._clean_up()
            with suppress(OSError):
                os.write(2, b"medad: cancelled\n")
            os._exit(EXIT_CODE)

    def _wait_for_signal(self) -> bool:
        """Wait for one of `SIGNALS`; return False once the block has ended."""
        while number := self._reader.recv(1):
            if number[0] in SIGNALS:
                return True
        return False
