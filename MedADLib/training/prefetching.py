"""Batches of a training, made in other processes while the network computes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator

import torch
from torch.utils.data import DataLoader, Dataset

from .loop import Batch

# One process makes several batches in the time that a step takes on the same cores.
CORES_A_WORKER, MOST_WORKERS = 2, 12
AHEAD = 3


class _Numbered(Dataset):
    """Batches by their number."""

    def __init__(self, batches: Callable[[int], Batch], steps: int):
        self._batches, self._steps = batches, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, number: int) -> Batch:
        return self._batches(number)


class Prefetched:
    """Batches of a training, the next ones made by worker processes; equal to those without workers.

    It is a context manager: at its end, the processes stop.

    Args:
        batches: Returns a batch by its number, without global random numbers.
        steps: Number of batches.
        workers: Number of processes; 0 makes the batches in this process, None chooses.
    """

    def __init__(self, batches: Callable[[int], Batch], steps: int, workers: int | None = None):
        self._batches, self._steps = batches, steps
        self._workers = usual_workers() if workers is None else workers
        self._next, self._ready = -1, iter(())

    def __enter__(self) -> Prefetched:
        return self

    def __exit__(self, *_: object) -> None:
        # The iterator of the loader stops its processes when it is deleted.
        self._next, self._ready = -1, iter(())

    def __call__(self, number: int) -> Batch:
        """Return a batch; the processes go on with the following ones."""
        if not self._workers:
            return self._batches(number)
        if number != self._next:
            self._ready = self._started(number)
        self._next = number + 1
        return tuple(next(self._ready))

    def _started(self, first: int) -> Iterator[Batch]:
        loader = DataLoader(
            _Numbered(self._batches, self._steps),
            batch_size=None,
            sampler=range(first, self._steps),
            num_workers=self._workers,
            prefetch_factor=AHEAD,
            multiprocessing_context="fork",
            # Otherwise the loader takes a number from the global generator, and a resumed training another one.
            generator=torch.Generator(),
        )
        return iter(loader)


def usual_workers() -> int:
    """Return one process for every two cores; 0 where processes cannot share the memory of this one."""
    if "fork" not in multiprocessing.get_all_start_methods():
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores // CORES_A_WORKER, MOST_WORKERS)
