"""A judgement from the client's side, for any events of the worker; time and process are fakes."""

from __future__ import annotations

import pytest
from support.fake_process import desk_of_a_client, state_of  # noqa: F401
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.messages import Message
from MedADLib.worker.protocol import Judged, Subject

SUBJECT = Subject("in.npy", None, "brain-t1")
FOUND = Judged("unfit", (Message("fit_no_brain"),), Message("worker_died", exit_code=3), False)


class Heard:
    """Record of the end of a judgement."""

    def __init__(self):
        self.ends = []

    def judged(self, found):
        self.ends.append(found)

    def failed(self, kind, message):
        self.ends.append((kind, message))

    def cancelled(self):
        self.ends.append("cancelled")


@pytest.fixture
def heard(desk):
    """A judgement that the worker has begun."""
    heard = Heard()
    desk.client.judge(SUBJECT, heard)
    desk.process.get_ready()
    return heard


def last(desk, request="judge") -> str:
    return [one["id"] for one in desk.process.requests if one["request"] == request][-1]


def test_a_judgement_from_start_to_end(desk, heard):
    assert not desk.client.busy
    assert desk.process.requests == [
        {"request": "judge", "id": last(desk), "input": "in.npy", "mask": None, "model": "brain-t1"}
    ]
    desk.process.say("judged", id=last(desk), **FOUND.as_json())
    assert heard.ends == [FOUND] and heard.ends[0].reasons[0].code == "fit_no_brain"
    assert desk.process.running and not any(timer.callback for timer in desk.clock.timers)


def test_a_detection_may_begin_meanwhile_and_shows_how_far_the_judgement_is(desk, heard):
    listener = desk.detect()
    with raises(InputError, "busy"):
        desk.client.judge(SUBJECT, Heard())
    desk.process.say("progress", id=last(desk), stage="preparation", fraction=0.1, message="aligning")
    assert listener.reported == [("progress", "preparation", 0.1, "aligning")]
    desk.process.say("judged", id=last(desk), **FOUND.as_json())
    desk.say("done", output="there", seconds=1, warm=True)
    assert heard.ends == [FOUND] and listener.reported[-1] == ("done", "there", 1)


def test_a_cancelled_judgement_is_not_heard_of_again(desk, heard):
    first = last(desk)
    desk.client.cancel_judgement()
    assert desk.process.requests[-1] == {"request": "cancel", "id": first}
    second = Heard()
    desk.client.judge(SUBJECT, second)
    desk.process.say("cancelled", id=first)
    desk.process.say("judged", id=last(desk), **FOUND.as_json())
    assert heard.ends == [] and second.ends == [FOUND] and not desk.process.killed


def test_a_process_that_dies_fails_the_judgement_and_is_started_for_the_next(desk, heard):
    desk.process.say("alive", id=last(desk))
    desk.process.end(9, "crashed with code 9")
    assert [kind for kind, _ in heard.ends] == ["WorkerDied"] and state_of(desk.client) == "off"
    desk.client.judge(SUBJECT, Heard())
    assert len(desk.processes) == 2


def test_a_process_that_ended_while_idle_is_started_again(desk, heard):
    desk.process.say("judged", id=last(desk), **FOUND.as_json())
    again = Heard()
    desk.client.judge(SUBJECT, again)
    desk.process.end()
    assert not again.ends and len(desk.processes) == 2
    desk.process.get_ready()
    desk.process.say("judged", id=last(desk), **FOUND.as_json())
    assert again.ends == [FOUND]


def test_a_judgement_that_hangs_is_ended(desk, heard):
    desk.clock.pass_by(301)
    assert [kind for kind, _ in heard.ends] == ["WorkerHung"] and desk.process.killed
    desk.clock.pass_by(1000)
    assert state_of(desk.client) == "off" and len(heard.ends) == 1


@pytest.mark.parametrize("dies", [True, False])
def test_the_process_of_a_cancelled_run_that_does_not_listen_is_ended_with_the_judgement(desk, heard, dies):
    listener = desk.detect()
    desk.process.dies_when_killed = dies
    desk.client.cancel()
    desk.clock.pass_by(2)
    assert desk.process.killed and heard.ends == ["cancelled"] and listener.reported == [("cancelled",)]
    assert not desk.client.busy and state_of(desk.client) == "off"


def test_slicer_ends_during_a_judgement(desk, heard):
    desk.client.stop()
    assert desk.process.closed and heard.ends == ["cancelled"]
    desk.clock.pass_by(1)
    assert desk.process.killed
