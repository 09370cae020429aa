"""Processes that must not outlive us, however we end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

_running: list[subprocess.Popen] = []


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
