"""Where the time goes: every moment counts for the innermost part of the work that runs, so that parts add up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

DECIMALS = 3


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
