"""How long a run will still take, in words a person can rely on."""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST_WORD_SECONDS = 1.5
SMOOTHING = 0.3


class TimeLeft:
    """Estimates the rest from what is done; nothing is said before there is something to go by.

    Args:
        clock: Seconds that only ever grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._started = clock()
        self._first: tuple[float, float] | None = None
        self._end = 0.0

    def text(self, fraction: float) -> str:
        """For example ``about 20 s left``; empty while nobody can tell.

        Args:
            fraction: Part of the work that is done, in [0, 1].
        """
        now = self._clock()
        if self._first is None:
            # What was done before the first report (a process that starts, a model that loads) is no pace to go by.
            self._first = (now, fraction)
        since, before = now - self._first[0], self._first[1]
        if now - self._started < FIRST_WORD_SECONDS or fraction <= before or since <= 0:
            return ""
        end = now + since / (fraction - before) * (1.0 - fraction)
        self._end = end if self._end == 0 else self._end + SMOOTHING * (end - self._end)
        return _words(max(0.0, self._end - now))


def _words(seconds: float) -> str:
    if seconds < 3:
        return "almost done"
    if seconds < 60:
        step = 1 if seconds < 10 else 5
        return f"about {step * round(seconds / step)} s left"
    return f"about {round(seconds / 60)} min left"
