"""Wall-clock times as the median of several runs with their range."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from ..runtime.device import wait_for


@dataclass(frozen=True)
class Seconds:
    """Wall-clock seconds of several runs of the same work.

    Attributes:
        median: Median of all runs.
        least: Seconds of the fastest run.
        most: Seconds of the slowest run.
        runs: Number of runs.
    """

    median: float
    least: float
    most: float
    runs: int

    @classmethod
    def of(cls, values: list[float]) -> Seconds:
        """Summarise the seconds of at least one run."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def times(self, factor: float) -> Seconds:
        """Scale to this multiple of the work."""
        return Seconds(self.median * factor, self.least * factor, self.most * factor, self.runs)

    def cells(self, form: str = ".4g") -> tuple[str, str, str, int]:
        """Format median, least and most, and return them with the number of runs."""
        return f"{self.median:{form}}", f"{self.least:{form}}", f"{self.most:{form}}", self.runs


def timed(work: Callable[[], object], runs: int, device: str = "cpu") -> Seconds:
    """Measure the wall-clock seconds of several runs of some work; a GPU is synchronised after each run."""
    found = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        wait_for(device)
        found.append(time.perf_counter() - begin)
    return Seconds.of(found)


@contextmanager
def cores(count: int | None) -> Iterator[None]:
    """Limit torch to this number of cores within the block; None keeps the present limit."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
