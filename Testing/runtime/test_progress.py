"""The profile of a run: parts within parts, each moment counted once."""

from __future__ import annotations

import pytest

from MedADLib.errors import Cancelled
from MedADLib.runtime.progress import Progress, Stopwatch, rounded


class Clock:
    """Time that passes when it is told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


def test_each_moment_counts_for_the_innermost_part():
    clock = Clock()
    watch = Stopwatch(clock)
    with watch.timed("prepare"):
        clock.passes(1)
        with watch.timed("align"):
            clock.passes(5)
        clock.passes(2)
    clock.passes(50)
    assert watch.seconds == {"prepare": 3, "align": 5}


def test_parts_that_come_again_add_up_and_keep_the_order_of_their_first_time():
    clock = Clock()
    watch = Stopwatch(clock)
    for _ in range(3):
        for part, seconds in (("encode", 1), ("decode", 2)):
            with watch.timed(part):
                clock.passes(seconds)
    assert list(watch.seconds.items()) == [("encode", 3), ("decode", 6)]


def test_a_part_that_fails_ends_with_all_within_it():
    clock = Clock()
    watch = Stopwatch(clock)
    with pytest.raises(ZeroDivisionError), watch.timed("write"):
        watch.begin("picture")
        clock.passes(1)
        raise ZeroDivisionError
    clock.passes(7)
    with watch.timed("write"):
        clock.passes(2)
    assert watch.seconds == {"write": 2, "picture": 1}


def test_the_parts_of_a_stage_are_not_counted_for_the_stage_again():
    progress = Progress()
    progress.stage("preparation", 0.0, 0.5)
    with progress.timed("align"):
        sum(range(200_000))
    progress.stage("restoration", 0.5, 1.0)
    progress.finish()
    assert list(progress.seconds) == ["preparation", "align", "restoration"]
    assert progress.seconds["align"] > 10 * progress.seconds["preparation"]


def test_cancelling_within_a_part_leaves_the_next_stage_in_order():
    wanted = []
    progress = Progress(cancelled=lambda: bool(wanted))
    progress.stage("restoration", 0.0, 1.0)
    wanted.append(True)
    with pytest.raises(Cancelled), progress.timed("encode"):
        progress.update(0.5)
    wanted.clear()
    progress.stage("writing", 0.0, 1.0)
    progress.finish()
    progress.finish()
    assert list(progress.seconds) == ["restoration", "encode", "writing"]


def test_a_profile_is_rounded_to_milliseconds():
    assert rounded({"align": 1.23456789}) == {"align": 1.235}
