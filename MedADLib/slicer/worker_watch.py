"""Notices when the worker has been silent for too long."""

from __future__ import annotations

from collections.abc import Callable

from .process import Timer

CHECKS = 10


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
