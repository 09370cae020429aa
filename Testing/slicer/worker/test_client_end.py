"""Cancelling, death, silence and the end, from the client's side; time and process are made up."""

from __future__ import annotations

from support.fake_process import PARTIAL, FakeProcess, Listener, desk_of_a_client, state_of  # noqa: F401

from MedADLib.slicer.worker.client import WorkerClient
from MedADLib.slicer.worker.process import NOT_STARTED


def test_cancelling_before_the_process_is_ready_is_immediate_and_lets_it_start(desk):
    desk.detect()
    desk.client.cancel()
    assert desk.told == [("cancelled",)] and not desk.client.busy
    desk.process.get_ready()
    assert state_of(desk.client) == "idle" and not desk.process.requests
    desk.detect("out2")
    assert len(desk.processes) == 1


def test_cancelling_in_the_middle_keeps_a_process_that_heeds_it(desk):
    desk.computing()
    desk.client.cancel()
    assert state_of(desk.client) == "cancelling"
    assert desk.process.requests[-1] == {"request": "cancel", "id": desk.process.job}
    desk.say("progress", stage="s", fraction=0.6, message="")
    desk.client.cancel()
    desk.clock.pass_by(0.5)
    desk.say("cancelled")
    assert desk.told[1:] == [("cancelled",)]
    assert state_of(desk.client) == "idle" and not (desk.folder / "out").exists()
    desk.clock.pass_by(100)
    assert not desk.process.killed


def test_a_computation_that_does_not_heed_it_is_killed_and_the_next_one_gets_a_new_process(desk):
    desk.computing()
    desk.client.cancel()
    desk.clock.pass_by(0.99)
    assert not desk.process.killed and not desk.listener.ended
    desk.clock.pass_by(0.02)
    assert desk.process.killed and desk.told[1:] == [("cancelled",)]
    assert state_of(desk.client) == "off" and not (desk.folder / "out").exists()
    desk.detect()
    assert len(desk.processes) == 2


def test_even_a_process_that_survives_its_killing_does_not_keep_the_user_waiting(desk):
    desk.computing()
    desk.process.dies_when_killed = False
    desk.client.cancel()
    desk.clock.pass_by(1.99)
    assert desk.told[1:] == [("cancelled",)] and state_of(desk.client) == "off"
    (desk.folder / "out" / PARTIAL).mkdir(parents=True)
    desk.process.say("done", id=desk.process.job, output="o", seconds=1)
    desk.process.end()
    assert desk.told[1:] == [("cancelled",)] and not (desk.folder / "out").exists()


def test_a_result_that_comes_too_late_is_thrown_away(desk):
    desk.computing()
    desk.client.cancel()
    (desk.folder / "out" / "detection.json").write_text("{}")
    desk.say("done", output=str(desk.folder / "out"), seconds=1)
    assert desk.told[1:] == [("cancelled",)] and not (desk.folder / "out").exists()
    assert state_of(desk.client) == "idle"


def test_a_failure_or_death_while_cancelling_is_a_cancellation(desk):
    desk.computing()
    desk.client.cancel()
    desk.process.end(9, "crashed with code 9")
    assert desk.told[1:] == [("cancelled",)]
    desk.detect("out2")
    desk.process.get_ready()
    desk.client.cancel()
    desk.say("failed", kind="InputError", message="m")
    assert desk.told == [("cancelled",)]


def test_cancelling_with_nothing_to_cancel_is_harmless(desk):
    desk.client.cancel()
    desk.computing()
    desk.say("done", output="o", seconds=1)
    desk.client.cancel()
    desk.clock.pass_by(10)
    assert desk.told[-1][0] == "done" and state_of(desk.client) == "idle" and not desk.process.killed


def test_cancelling_from_within_progress_works(desk):
    desk.detect(then=lambda name, *_: desk.client.cancel() if name == "progress" else None)
    desk.process.get_ready()
    desk.say("progress", stage="s", fraction=0.1, message="")
    desk.clock.pass_by(2)
    assert [what[0] for what in desk.told] == ["progress", "cancelled"]


# Death and silence.


def test_a_death_in_the_middle_is_explained_and_leaves_nothing(desk):
    desk.computing()
    desk.process.end(9, "crashed with code 9")
    kind, message = desk.told[-1][1:]
    assert kind == "WorkerDied" and message.code == "worker_died" and "code 9" in message
    assert state_of(desk.client) == "off" and not (desk.folder / "out").exists()
    desk.detect()
    assert len(desk.processes) == 2


def test_a_process_that_ended_by_itself_just_before_it_was_asked_is_replaced_once(desk):
    desk.detect()
    desk.process.get_ready()
    desk.say("done", output="o", seconds=1)
    desk.detect("out2")
    desk.process.end(0)
    assert not desk.told and len(desk.processes) == 2
    desk.process.get_ready()
    desk.say("done", output="o2", seconds=1)
    assert desk.told == [("done", "o2", 1)]
    desk.detect("out3")
    desk.process.end(0)
    desk.process.get_ready()
    desk.process.end(9, "crashed with code 9")
    assert desk.told[-1][:2] == ("failed", "WorkerDied") and len(desk.processes) == 3


def test_a_process_that_ends_while_idle_is_replaced_when_needed(desk):
    desk.computing()
    desk.say("done", output="o", seconds=1)
    desk.process.end(0)
    assert state_of(desk.client) == "off" and desk.told[-1][0] == "done"
    desk.detect("out2")
    assert len(desk.processes) == 2


def test_a_process_that_cannot_start_says_why(desk):
    desk.detect()
    desk.process.end(NOT_STARTED, "no such file")
    assert desk.told[-1][1] == "WorkerNotStarted" and "no such file" in desk.told[-1][2]
    desk.detect()
    desk.process.say_log(b"Traceback\nModuleNotFoundError: No module named 'numpy'\n")
    desk.process.end(1, "ended with code 1")
    assert desk.told[-1][1] == "WorkerNotStarted" and "No module named 'numpy'" in desk.told[-1][2]


def test_a_process_that_fails_within_start_is_no_trouble(desk):
    class Stillborn(FakeProcess):
        def start(self, *arguments):
            super().start(*arguments)
            self.end(NOT_STARTED, "no such file")

    client = WorkerClient(Stillborn, desk.clock.timer, command=["worker"])
    listener = Listener()
    client.detect(desk.job(), listener)
    assert listener.told[-1][1] == "WorkerNotStarted" and state_of(client) == "off"


def test_a_silent_process_is_taken_for_dead(desk):
    desk.computing()
    for _ in range(5):
        desk.clock.pass_by(250)
        desk.say("alive")
    assert not desk.listener.ended
    desk.clock.pass_by(331)
    assert desk.process.killed
    kind, message = desk.told[-1][1:]
    assert kind == "WorkerHung" and message.code == "worker_hung" and "300 s" in message
    assert state_of(desk.client) == "off" and not (desk.folder / "out").exists()


def test_a_process_that_never_gets_ready_is_taken_for_dead(desk):
    desk.detect()
    desk.clock.pass_by(301)
    assert desk.process.killed and desk.told[-1][1] == "WorkerHung"


def test_a_night_in_which_the_computer_slept_is_no_silence(desk):
    desk.computing()
    desk.clock.sleep_of_the_computer(30_000)
    desk.say("alive")
    desk.clock.pass_by(200)
    desk.say("done", output="o", seconds=1)
    assert desk.told[-1][0] == "done"


def test_nobody_watches_an_idle_process(desk):
    desk.computing()
    desk.say("done", output="o", seconds=1)
    desk.clock.pass_by(10_000)
    assert not desk.process.killed and state_of(desk.client) == "idle"


# The end.


def test_stopping_closes_the_input_and_kills_if_that_is_not_enough(desk):
    desk.computing()
    desk.say("done", output="o", seconds=1)
    desk.client.stop()
    desk.client.stop()
    assert desk.process.closed and not desk.process.killed and state_of(desk.client) == "off"
    desk.clock.pass_by(0.6)
    assert desk.process.killed


def test_stopping_during_a_detection_cancels_it(desk):
    desk.computing()
    desk.client.stop()
    assert desk.told[-1] == ("cancelled",) and not (desk.folder / "out").exists()
    (desk.folder / "out" / PARTIAL).mkdir(parents=True)
    desk.say("progress", stage="s", fraction=0.6, message="")
    desk.process.end(0)
    assert not (desk.folder / "out").exists(), "what it wrote until it ended is removed too"
    desk.clock.pass_by(10)
    assert not desk.process.killed


def test_after_stopping_one_may_start_again(desk):
    desk.computing()
    desk.client.stop()
    listener = desk.detect("out2")
    desk.processes[0].end(0)
    desk.process.get_ready()
    desk.say("done", output="o", seconds=1)
    assert listener.told == [("done", "o", 1)] and len(desk.processes) == 2


def test_stopping_what_was_never_started_is_harmless(desk):
    desk.client.stop()
    assert state_of(desk.client) == "off"
