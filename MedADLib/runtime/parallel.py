"""Pieces of work side by side on a CPU, each on one core, which goes further than all cores on one piece at a time.

Networks on small pieces have too little to share among threads, and between their layers all threads but one wait. Of
several pieces each is computed by one thread whatever the computer has, so that results do not depend on its cores.
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
# More than these would mostly fill the memory.
MOST_LANES = 8
# Seconds between two reports.
EVERY = 0.05


def side_by_side(
    pieces: Sequence[Piece],
    work: Callable[[Piece, Progress], Result],
    progress: Progress,
    describe: Callable[[float], str],
    weights: Sequence[float],
    device: str,
) -> list[Result]:
    """Work on all pieces, on a CPU several at a time.

    What the pieces time, see `Progress.timed`, is counted in `progress` as if the lanes had shared it evenly, so that
    all `seconds` still add up to the whole.

    Args:
        pieces: What to work on.
        work: Called with a piece and its own progress, in some thread; must tell the progress again and again.
        progress: Of the whole; told in this thread only.
        describe: What is told of a part done, in [0, 1].
        weights: How much work each piece is.
        device: On another than ``cpu``, and for a single piece, all is done in this thread, with all cores.

    Returns:
        The results, in the order of the pieces.

    Raises:
        Cancelled: If the user asked to stop; no work goes on then. What a piece raises is raised likewise.
    """
    whole = sum(weights)
    parts = [weight / whole for weight in weights]
    progress.update(0.0, describe(0.0))
    lanes = min(torch.get_num_threads(), len(pieces), MOST_LANES) if device == "cpu" else 1
    if lanes < 2:
        return _in_a_row(pieces, work, progress, describe, parts)
    before, stop, done = torch.get_num_threads(), threading.Event(), [0.0] * len(pieces)

    def one(number: int) -> tuple[Result, dict[str, float]]:
        own = Progress(lambda _, fraction, __: done.__setitem__(number, fraction), stop.is_set)
        result = work(pieces[number], own)
        done[number] = 1.0
        return result, own.seconds

    try:
        with ThreadPoolExecutor(lanes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            futures = [pool.submit(one, number) for number in range(len(pieces))]
            try:
                waiting = set(futures)
                while waiting:
                    finished, waiting = wait(waiting, EVERY, FIRST_EXCEPTION)
                    for future in finished:
                        for part, seconds in future.result()[1].items():
                            progress.credit(part, seconds / lanes)
                    fraction = sum(part * told for part, told in zip(parts, done))
                    progress.update(fraction, describe(fraction))
            finally:
                stop.set()
                for future in futures:
                    future.cancel()
    finally:
        # A thread's own number becomes that of threads that begin later.
        torch.set_num_threads(before)
    return [future.result()[0] for future in futures]


def _in_a_row(
    pieces: Sequence[Piece],
    work: Callable[[Piece, Progress], Result],
    progress: Progress,
    describe: Callable[[float], str],
    parts: Sequence[float],
) -> list[Result]:
    results: list[Result] = []
    for number, piece in enumerate(pieces):
        start, part = sum(parts[:number]), parts[number]

        def tell(_: str, fraction: float, __: str, start: float = start, part: float = part) -> None:
            progress.update(start + part * fraction, describe(start + part * fraction))

        own = Progress(tell)
        results.append(work(piece, own))
        for timed, seconds in own.seconds.items():
            progress.credit(timed, seconds)
    return results
