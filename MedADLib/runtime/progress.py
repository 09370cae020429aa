"""Report progress of long work, cancel it, and time its parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from ..errors import Cancelled

DECIMALS = 3

# Called as ``callback(stage, fraction, message)`` with the fraction of the whole job in [0, 1].
ProgressCallback = Callable[[str, float, str], None]


class Stopwatch:
    """Timer of nested parts of work; each moment counts for the innermost part that runs.

    Args:
        clock: Monotonic clock in seconds.

    Attributes:
        seconds: Time of each part that has begun, without its inner parts. The sum is the time since the first part
            began, without the gaps between parts.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._running: list[str] = []
        self._since = clock()
        self.seconds: dict[str, float] = {}

    def begin(self, part: str) -> None:
        """Begin a part inside the present one."""
        self._charge()
        self._running.append(part)
        self.seconds.setdefault(part, 0.0)

    def end(self) -> None:
        """End the present part, if there is one."""
        self._charge()
        if self._running:
            self._running.pop()

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Time the block as a part; the seconds of blocks of the same name add up."""
        depth = len(self._running)
        self.begin(part)
        try:
            yield
        finally:
            self._charge()
            del self._running[depth:]

    def credit(self, part: str, seconds: float) -> None:
        """Move seconds from the present part to another one, which was timed elsewhere."""
        self._charge()
        if self._running:
            self.seconds[self._running[-1]] -= seconds
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds

    def _charge(self) -> None:
        now = self._clock()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


def rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    """Round the seconds of parts to milliseconds, for files."""
    return {part: round(value, DECIMALS) for part, value in seconds.items()}


class Progress:
    """Progress of a job in stages: reports, times and cancellation.

    Args:
        callback: Receives ``(stage, fraction, message)``; None for no reports.
        cancelled: Called at every report; if it returns True, `Cancelled` is raised.
    """

    def __init__(self, callback: ProgressCallback | None = None, cancelled: Callable[[], bool] | None = None):
        self._callback = callback
        self._cancelled = cancelled
        self._stage = ""
        self._window = (0.0, 1.0)
        self._stopwatch = Stopwatch()

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each stage and each timed part, without its inner parts."""
        return self._stopwatch.seconds

    def timed(self, part: str) -> AbstractContextManager[None]:
        """Time a part of the present stage, for the profile in the result.

        Each moment counts once, for the innermost part that runs: the time of a part is not counted for its stage, so
        that all `seconds` add up to the whole. Blocks of the same name, such as one for each slice, add up. A part
        belongs to one thread, and the stage must not change within it. On a GPU, wait for the device at the end of
        the block. Methods share names, so that profiles can be compared: ``encode``, ``nll``, ``restore`` and
        ``decode`` for a method with codes, ``restore`` for others.

            with progress.timed("encode"):
                codes = network.encode(batch)

        Args:
            part: Name of the part; the key in `seconds`.
        """
        return self._stopwatch.timed(part)

    def credit(self, part: str, seconds: float) -> None:
        """Move seconds from the present stage to a part that was timed elsewhere, see `parallel`."""
        self._stopwatch.credit(part, seconds)

    def stage(self, name: str, start: float, stop: float, message: str = "") -> None:
        """Begin a stage that covers the fractions `start` to `stop` of the whole job.

        Args:
            name: Short name of the stage; the key in `seconds`.
            start: Fraction of the job done when the stage begins.
            stop: Fraction of the job done when the stage ends.
            message: Text for the user.

        Raises:
            Cancelled: If the user has requested cancellation.
        """
        self.finish()
        self._stage, self._window = name, (start, stop)
        self._stopwatch.begin(name)
        self.update(0.0, message)

    def update(self, fraction: float, message: str = "") -> None:
        """Report the fraction of the present stage, in [0, 1].

        Raises:
            Cancelled: If the user has requested cancellation.
        """
        if self._cancelled is not None and self._cancelled():
            raise Cancelled()
        if self._callback is not None:
            start, stop = self._window
            self._callback(self._stage, start + (stop - start) * min(max(fraction, 0.0), 1.0), message)

    @contextmanager
    def part(self, start: float, stop: float) -> Iterator[None]:
        """Let updates within the block count for the fractions `start` to `stop` of the present stage."""
        low, high = window = self._window
        self._window = (low + (high - low) * start, low + (high - low) * stop)
        try:
            yield
        finally:
            self._window = window

    def finish(self) -> None:
        """End the last stage so that its seconds are recorded."""
        if self._stage:
            self._stopwatch.end()
        self._stage = ""
