"""Progress of long work, its cancellation, and the time of each part.

Where the time goes: every moment counts for the innermost part of the work that runs, so that parts add up.

How long work tells what it is doing, and how it is asked to stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from ..errors import Cancelled

DECIMALS = 3

ProgressCallback = Callable[[str, float, str], None]


class Stopwatch:
    """Times parts of work that may hold other parts.

    Args:
        clock: Seconds that only ever grow.

    Attributes:
        seconds: Of each part that has begun, without the parts inside it; their sum is the time since the first began,
            but for what lies between two parts.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._running: list[str] = []
        self._since = clock()
        self.seconds: dict[str, float] = {}

    def begin(self, part: str) -> None:
        """Begin a part within the present one."""
        self._charge()
        self._running.append(part)
        self.seconds.setdefault(part, 0.0)

    def end(self) -> None:
        """End the present part; harmless without one."""
        self._charge()
        if self._running:
            self._running.pop()

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """The block is a part; of the same name there may be many, whose seconds add up."""
        depth = len(self._running)
        self.begin(part)
        try:
            yield
        finally:
            self._charge()
            del self._running[depth:]

    def credit(self, part: str, seconds: float) -> None:
        """Count seconds that the present part has had for another one, which was timed by somebody else."""
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
    """Seconds of parts, to the millisecond, as they go into files."""
    return {part: round(value, DECIMALS) for part, value in seconds.items()}


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
        self._window = (0.0, 1.0)
        self._stopwatch = Stopwatch()

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each stage and of each timed part, without the parts inside it."""
        return self._stopwatch.seconds

    def timed(self, part: str) -> AbstractContextManager[None]:
        """Time a part of the present stage, for the profile that goes into the result.

        Every moment counts once, for the innermost part that runs: what a part takes is not counted for its stage, so
        that all `seconds` add up to the whole. A part that begins several times, such as one of each slice, adds up.
        Parts are of one thread, and stages must not change within them. On a GPU, whoever times must wait for the
        device at the end of the block. Names are shared, so that profiles can be compared: ``encode``, ``nll``,
        ``restore`` and ``decode`` of a method with codes, ``restore`` of others.

            with progress.timed("encode"):
                codes = network.encode(batch)

        Args:
            part: Its name; it is the key in `seconds`.
        """
        return self._stopwatch.timed(part)

    def credit(self, part: str, seconds: float) -> None:
        """Count seconds of the present stage for a part that was timed elsewhere, see `lanes`."""
        self._stopwatch.credit(part, seconds)

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
        self.finish()
        self._stage, self._window = name, (start, stop)
        self._stopwatch.begin(name)
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
        if self._stage:
            self._stopwatch.end()
        self._stage = ""
