"""What the worker tells during a job: progress and warnings, as events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_REPORTS = 0.1


class Report:
    """Progress as events; of the whole job, and not too many.

    Args:
        emit: Sends an event.
        job: Its id.
    """

    def __init__(self, emit: Callable[..., None], job: str):
        self._emit, self._job = emit, job
        self._last = ("", 0.0)
        self.window = (0.0, 1.0)

    def __call__(self, stage: str, fraction: float, message: str) -> None:
        """Tell; `fraction` is of the present `window` of the whole."""
        now = time.monotonic()
        if self._last[0] == stage and now - self._last[1] < SECONDS_BETWEEN_REPORTS:
            return
        self._last = (stage, now)
        start, stop = self.window
        fraction = round(start + (stop - start) * fraction, 4)
        self._emit("progress", id=self._job, stage=stage, fraction=fraction, message=message)


class Warner(logging.Handler):
    """Passes on what the library warns of, each thing once.

    Attributes:
        said: All of it.
    """

    def __init__(self, emit: Callable[..., None], job: str):
        super().__init__(logging.WARNING)
        self._emit, self._job = emit, job
        self.said: list[str] = []

    def __call__(self, message: str) -> None:
        """Warn of something."""
        if message not in self.said:
            self.said.append(message)
            self._emit("warning", id=self._job, message=message)

    def emit(self, record: logging.LogRecord) -> None:
        """Warn of what is in the log."""
        self(record.getMessage())


@contextmanager
def warnings_of(emit: Callable[..., None], job: str) -> Iterator[Warner]:
    """Pass on the library's warnings while the block runs."""
    warner, logger = Warner(emit, job), logging.getLogger(__package__)
    logger.addHandler(warner)
    try:
        yield warner
    finally:
        logger.removeHandler(warner)
