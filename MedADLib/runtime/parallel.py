"""Parallel map on a CPU: several pieces of work at a time, each on one core.

This is faster than all cores on one piece at a time: networks on small pieces have too little work for several
threads, and between their layers all threads but one wait. One thread computes each piece on any computer, so that
results do not depend on the number of cores.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from .progress import Progress

Piece = TypeVar("Piece")
Result = TypeVar("Result")
# More threads would mostly need more memory.
MOST_THREADS = 8
SECONDS_BETWEEN_REPORTS = 0.05


def parallel_map(
    pieces: Sequence[Piece],
    work: Callable[[Piece, Progress], Result],
    progress: Progress,
    describe: Callable[[float], str],
    weights: Sequence[float],
    device: str,
) -> list[Result]:
    """Map `work` over all pieces, on a CPU in several threads.

    The times that the pieces measure, see `Progress.timed`, are divided by the number of threads and credited to
    `progress`, so that its `seconds` still add up to the whole.

    Args:
        pieces: The arguments of `work`.
        work: Called with a piece and its own progress, in any thread; must report progress often.
        progress: Progress of the whole; called in this thread only.
        describe: Makes the message from the fraction done, in [0, 1].
        weights: Relative amount of work of each piece.
        device: On a device other than ``cpu``, and for a single piece, this thread does all work with all cores.

    Returns:
        The results, in the order of the pieces.

    Raises:
        Cancelled: If the user has requested cancellation; all threads have stopped. An exception of `work` is raised
            in the same way.
    """
    whole = sum(weights)
    parts = [weight / whole for weight in weights]
    progress.update(0.0, describe(0.0))
    threads = min(torch.get_num_threads(), len(pieces), MOST_THREADS) if device == "cpu" else 1
    if threads < 2:
        return _sequential(pieces, work, progress, describe, parts)
    before, stop, done = torch.get_num_threads(), threading.Event(), [0.0] * len(pieces)

    def run(number: int) -> tuple[Result, dict[str, float]]:
        own = Progress(lambda _, fraction, __: done.__setitem__(number, fraction), stop.is_set)
        result = work(pieces[number], own)
        done[number] = 1.0
        return result, own.seconds

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            futures = [pool.submit(run, number) for number in range(len(pieces))]
            try:
                waiting = set(futures)
                while waiting:
                    finished, waiting = wait(waiting, SECONDS_BETWEEN_REPORTS, FIRST_EXCEPTION)
                    for future in finished:
                        for part, seconds in future.result()[1].items():
                            progress.credit(part, seconds / threads)
                    fraction = sum(part * fraction for part, fraction in zip(parts, done))
                    progress.update(fraction, describe(fraction))
            finally:
                stop.set()
                for future in futures:
                    future.cancel()
    finally:
        # Threads that start later inherit the number of torch's threads set in the pool.
        torch.set_num_threads(before)
    return [future.result()[0] for future in futures]


def _sequential(
    pieces: Sequence[Piece],
    work: Callable[[Piece, Progress], Result],
    progress: Progress,
    describe: Callable[[float], str],
    parts: Sequence[float],
) -> list[Result]:
    """Work on one piece after the other in this thread."""
    results: list[Result] = []
    for number, piece in enumerate(pieces):
        start, part = sum(parts[:number]), parts[number]

        def report(_: str, fraction: float, __: str, start: float = start, part: float = part) -> None:
            progress.update(start + part * fraction, describe(start + part * fraction))

        own = Progress(report)
        results.append(work(piece, own))
        for timed, seconds in own.seconds.items():
            progress.credit(timed, seconds)
    return results
