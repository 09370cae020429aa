"""Pieces side by side: the same results as one after the other, quickly stopped, and every second counted once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from MedADLib.errors import Cancelled
from MedADLib.runtime.parallel import parallel_map
from MedADLib.runtime.progress import Progress


@pytest.fixture(params=[1, 3], ids=["one core", "three cores"])
def cores(request) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def described(done: float) -> str:
    return f"{done:.2f} done"


def run(pieces, work, progress=None, device="cpu"):
    return parallel_map(pieces, work, progress or Progress(), described, [1.0] * len(pieces), device)


def test_results_come_in_the_order_of_the_pieces(cores):
    def work(piece: int, told: Progress) -> int:
        time.sleep(0.02 * (5 - piece))
        return 10 * piece

    assert run(range(6), work) == [0, 10, 20, 30, 40, 50]
    assert run([], work) == []


def test_pieces_are_computed_by_one_thread_each_and_the_threads_are_as_before_afterwards(cores):
    used = run(range(6), lambda piece, told: (torch.get_num_threads(), threading.get_ident()))
    assert [threads for threads, _ in used] == [1] * 6
    assert (threading.get_ident() in {ident for _, ident in used}) == (cores == 1)
    assert torch.get_num_threads() == cores
    found = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [cores], "threads that begin later are not slowed down"


def test_a_gpu_and_a_single_piece_have_all_cores(cores):
    seen = [run(range(2), lambda piece, told: torch.get_num_threads(), device="cuda:0")]
    seen.append(run(range(1), lambda piece, told: torch.get_num_threads()))
    assert seen == [[cores] * 2, [cores]]


def test_progress_grows_from_none_to_all_and_is_told_in_the_callers_thread(cores):
    told: list[tuple[float, str, int]] = []

    def work(piece: int, own: Progress) -> None:
        for step in range(4):
            own.update(step / 4)
            time.sleep(0.03)

    run(range(4), work, Progress(lambda _, fraction, message: told.append((fraction, message, threading.get_ident()))))
    fractions = [fraction for fraction, _, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and len(set(fractions)) > 4
    assert cores == 1 or fractions[-1] == pytest.approx(1)
    assert all(message == described(fraction) for fraction, message, _ in told)
    assert {ident for _, _, ident in told} == {threading.get_ident()}


def test_cancelling_stops_all_lanes_within_a_piece(cores):
    wanted, steps = threading.Event(), []

    def work(piece: int, own: Progress) -> None:
        for step in range(1000):
            own.update(step / 1000)
            steps.append(piece)
            time.sleep(0.01)
            if step == 3:
                wanted.set()

    with pytest.raises(Cancelled):
        run(range(4), work, Progress(cancelled=wanted.is_set))
    count = len(steps)
    assert count < 100
    time.sleep(0.05)
    assert len(steps) == count, "nothing goes on in the background"
    assert torch.get_num_threads() == cores


def test_what_a_piece_raises_reaches_the_caller_and_stops_the_others(cores):
    begun = []

    def work(piece: int, own: Progress) -> None:
        begun.append(piece)
        if piece == 1:
            raise MemoryError("no room")
        for step in range(100):
            own.update(step / 100)
            time.sleep(0.01)

    with pytest.raises(MemoryError, match="no room"):
        run(range(20), work)
    assert len(begun) <= 4


def test_seconds_of_parts_add_up_to_the_whole(cores):
    progress = Progress()

    def work(piece: int, own: Progress) -> None:
        with own.timed("encode"):
            time.sleep(0.06)
        with own.timed("decode"):
            time.sleep(0.03)

    started = time.perf_counter()
    progress.stage("restoration", 0.0, 1.0)
    run(range(6), work, progress)
    progress.finish()
    whole = time.perf_counter() - started
    seconds = progress.seconds
    assert sum(seconds.values()) == pytest.approx(whole, abs=0.02)
    assert seconds["encode"] == pytest.approx(6 * 0.06 / cores, rel=0.2)
    assert seconds["decode"] == pytest.approx(6 * 0.03 / cores, rel=0.3)
    assert seconds["restoration"] < 0.1
