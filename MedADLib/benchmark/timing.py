"""How long something takes, as a median of several runs with its spread."""

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
        median: Of all runs.
        least: Of the fastest.
        most: Of the slowest.
        runs: How many.
    """

    median: float
    least: float
    most: float
    runs: int

    @classmethod
    def of(cls, values: list[float]) -> Seconds:
        """Of the runs' seconds; at least one."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def times(self, factor: float) -> Seconds:
        """Of so many times the work."""
        return Seconds(self.median * factor, self.least * factor, self.most * factor, self.runs)


def timed(work: Callable[[], object], runs: int, device: str = "cpu") -> Seconds:
    """Do some work several times.

    Args:
        work: Takes as long in every run.
        runs: How often.
        device: Where; a GPU is waited for.
    """
    found = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        wait_for(device)
        found.append(time.perf_counter() - begin)
    return Seconds.of(found)


@contextmanager
def cores(count: int | None) -> Iterator[None]:
    """Within this, torch computes on so many cores; None leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
