"""A detection from the client's side, whatever the worker says; time and process are made up."""

from __future__ import annotations

import json

import pytest
from support.fake_process import Listener, desk_of_a_client, state_of  # noqa: F401
from support.raised import raises

from MedADLib.detection import Settings
from MedADLib.errors import InputError, OutputError
from MedADLib.messages import Message
from MedADLib.slicer.worker.client import LOG_LINES, Job


def test_a_detection_from_start_to_end(desk):
    client = desk.client
    assert state_of(client) == "off" and not client.busy
    desk.detect(seed=3, threshold="1ml")
    assert state_of(client) == "starting" and client.busy and desk.process.arguments == ["worker"]
    assert not desk.process.requests
    desk.process.get_ready()
    assert state_of(client) == "busy" and desk.process.pid == 4711
    (request,) = desk.process.requests
    assert request == {
        "request": "detect",
        "id": desk.process.job,
        "input": "in.npy",
        "mask": None,
        "model": "brain-t1",
        "output": str(desk.folder / "out"),
        "settings": {**Settings().as_json(), "seed": 3, "threshold": "1ml"},
    }
    desk.say("progress", stage="restoration", fraction=0.25, message="imagining")
    desk.say("warning", message="odd")
    desk.say("alive")
    desk.say("done", output="there", seconds=1.5, warm=False)
    progress = ("progress", "restoration", 0.25, "imagining")
    assert desk.told == [progress, ("warning", "odd"), ("done", "there", 1.5)]
    assert state_of(client) == "idle" and not client.busy


def test_the_second_detection_uses_the_same_process(desk):
    desk.detect()
    desk.process.get_ready()
    desk.say("done", output="there", seconds=1, warm=False)
    desk.detect("out2")
    assert len(desk.processes) == 1 and len(desk.process.requests) == 2
    assert desk.process.requests[0]["id"] != desk.process.requests[1]["id"]


def test_a_second_detection_while_one_is_running_is_refused_and_the_first_goes_on(desk):
    first = desk.detect()
    second = Listener()
    for prepare in (lambda: None, desk.process.get_ready, desk.client.cancel):
        prepare()
        with raises(InputError, "busy"):
            desk.client.detect(desk.job("out2"), second)
    assert len(desk.process.requests) == 2 and not first.told and not second.told


def test_the_listener_may_ask_for_the_next_detection_at_the_end_of_the_first(desk):
    second = Listener()
    desk.detect(then=lambda name, *_: desk.client.detect(desk.job("out2"), second))
    desk.process.get_ready()
    desk.say("done", output="there", seconds=1, warm=False)
    assert desk.client.busy
    desk.say("done", output="here", seconds=1, warm=True)
    assert second.told == [("done", "here", 1)]


def test_a_failure_of_the_worker_is_passed_on_and_the_process_kept(desk):
    desk.computing()
    desk.say("failed", kind="ModelError", message="it is damaged. Get it again.")
    assert desk.told[-1] == ("failed", "ModelError", "it is damaged. Get it again.")
    assert state_of(desk.client) == "idle" and desk.process.running


def test_messages_with_a_known_code_can_be_translated(desk):
    desk.computing()
    message = Message("scan_moved", name="head")
    desk.say("warning", message=str(message), code=message.code, parameters=message.parameters)
    desk.say("warning", message="of a newer worker", code="unheard_of", parameters={})
    desk.say("failed", kind="InputError", message=str(message), code=message.code, parameters=message.parameters)
    (_, first), (_, second), (_, _, last) = desk.told[-3:]
    assert first.code == last.code == "scan_moved" and first == last == message
    assert second == "of a newer worker" and not isinstance(second, Message)


def test_output_that_is_in_use_is_refused_before_anything_starts(desk):
    (desk.folder / "out").mkdir()
    (desk.folder / "out" / "mine.txt").write_text("mine")
    with raises(OutputError, "exchange_folder_not_empty", folder=str(desk.folder / "out")):
        desk.detect()
    assert not desk.processes and not desk.client.busy


# What arrives.


def test_bytes_may_be_cut_anywhere(desk):
    desk.detect()
    ready = json.dumps({"event": "ready", "pid": 1, "protocol": 1}).encode() + b"\r\n\n"
    for number in ready:
        desk.process.output(bytes([number]))
    message = {"event": "warning", "id": desk.process.job, "message": "Zoë 日 \U0001f9e0"}
    for number in json.dumps(message, ensure_ascii=False).encode() + b"\n":
        desk.process.output(bytes([number]))
    assert desk.told == [("warning", "Zoë 日 \U0001f9e0")]


def test_what_is_no_event_goes_to_the_log(desk):
    heard = []
    desk.client.on_log = heard.append
    desk.detect()
    desk.process.output(b'\xff\xfe garbage\n[1]\n{"event": 3}\n')
    desk.process.get_ready()
    desk.process.say_log("Zo\u00eb 10 %\r20 %\nlast".encode())
    desk.say("done", output="there", seconds=1)
    assert desk.client.log == ["\ufffd\ufffd garbage", "[1]", '{"event": 3}', "Zo\u00eb 10 %", "20 %"] == heard
    desk.process.end()
    assert desk.client.log[5] == "last"


def test_the_log_does_not_grow_for_ever(desk):
    desk.detect()
    desk.process.say_log(b"".join(b"line %d\n" % number for number in range(LOG_LINES + 5)))
    assert len(desk.client.log) == LOG_LINES and desk.client.log[0] == "line 5"
    desk.process.say_log(b"x" * 3_000_000)
    assert len(desk.client.log[-1]) >= 1_000_000


def test_a_listener_that_fails_does_not_lose_the_end(desk):
    def stumble(name, *_):
        if name == "progress":
            raise KeyError("its own fault")

    desk.detect(then=stumble)
    desk.process.get_ready()
    lines = [{"event": "progress", "stage": "s", "fraction": 0.1, "message": ""}, {"event": "done", "output": "o"}]
    data = b"".join(json.dumps({**line, "id": desk.process.job, "seconds": 1}).encode() + b"\n" for line in lines)
    with pytest.raises(KeyError):
        desk.process.output(data)
    assert desk.told[-1] == ("done", "o", 1) and state_of(desk.client) == "idle"


def test_events_keep_their_order_when_a_listener_runs_the_event_loop(desk):
    def pump(name, *_):
        if name == "progress" and len(desk.told) == 1:
            desk.say("done", output="o", seconds=1)

    desk.detect(then=pump)
    desk.process.get_ready()
    lines = [{"event": "progress", "stage": str(n), "fraction": 0.1, "message": ""} for n in range(3)]
    desk.process.output(b"".join(json.dumps({**x, "id": desk.process.job}).encode() + b"\n" for x in lines))
    assert [what[:2] for what in desk.told] == [*(("progress", str(n)) for n in range(3)), ("done", "o")]


def test_events_of_an_earlier_detection_are_ignored(desk):
    desk.detect()
    desk.process.get_ready()
    old = desk.process.job
    desk.say("done", output="o", seconds=1)
    desk.detect("out2")
    desk.process.say("progress", id=old, stage="s", fraction=0.1, message="")
    desk.process.say("done", id=old, output="o", seconds=1)
    assert not desk.told and desk.client.busy


def test_paths_may_be_given_as_paths(desk):
    client, output = desk.client, desk.folder / "out"
    client.detect(Job(desk.folder / "in.npy", None, "brain-t1", output), Listener())
    desk.process.get_ready()
    assert desk.process.requests[0]["output"] == str(output)
