"""How long work tells what it is doing, and how it is asked to stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from .errors import Cancelled

ProgressCallback = Callable[[str, float, str], None]
"""Called as ``callback(stage, fraction, message)`` with the fraction of the whole job in [0, 1]."""


class Progress:
    """Reports progress, times each stage and carries the wish to cancel.

    Args:
        callback: Receives ``(stage, fraction, message)``; None reports nothing.
        cancelled: Asked at every report; when it returns True, `Cancelled` is raised.
    """

    def __init__(self, callback: ProgressCallback | None = None, cancelled: Callable[[], bool] | None = None):
        self._callback = callback
        self._cancelled = cancelled
        self._stage = ""
        self._started = time.perf_counter()
        self._window = (0.0, 1.0)
        self.seconds: dict[str, float] = {}

    def stage(self, name: str, start: float, stop: float, message: str = "") -> None:
        """Begin a stage that covers the fractions `start` to `stop` of the whole job.

        Args:
            name: Short stage name; it is the key in `seconds`.
            start: Fraction of the job done when the stage begins.
            stop: Fraction of the job done when the stage ends.
            message: What a person should read.

        Raises:
            Cancelled: If the user asked to stop.
        """
        self._close()
        self._stage, self._window = name, (start, stop)
        self.update(0.0, message)

    def update(self, fraction: float, message: str = "") -> None:
        """Report `fraction` in [0, 1] of the present stage.

        Raises:
            Cancelled: If the user asked to stop.
        """
        if self._cancelled is not None and self._cancelled():
            raise Cancelled()
        if self._callback is not None:
            start, stop = self._window
            self._callback(self._stage, start + (stop - start) * min(max(fraction, 0.0), 1.0), message)

    def finish(self) -> None:
        """End the last stage so that its seconds are recorded."""
        self._close()
        self._stage = ""

    def _close(self) -> None:
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._started
        self._started = now
