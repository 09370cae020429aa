"""A process and timers for the worker's client that do what the test says, at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from MedADLib.detection import Settings
from MedADLib.slicer.worker.client import Job, WorkerClient

PARTIAL = ".medad-x"


class Clock:
    """Time that passes when the test says so; `timer` makes timers that live by it."""

    def __init__(self):
        self.now = 0.0
        self.timers: list[FakeTimer] = []

    def timer(self) -> FakeTimer:
        self.timers.append(FakeTimer(self))
        return self.timers[-1]

    def pass_by(self, seconds: float):
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.callback and timer.due <= end]:
            first = min(due, key=lambda timer: timer.due)
            self.now = first.due
            callback, first.callback = first.callback, None
            callback()
        self.now = end

    def sleep_of_the_computer(self, seconds: float):
        """Every timer that is due meanwhile fires once, afterwards."""
        self.now += seconds
        for timer in [timer for timer in self.timers if timer.callback and timer.due <= self.now]:
            callback, timer.callback = timer.callback, None
            callback()


class FakeTimer:
    """A timer of a `Clock`."""

    def __init__(self, clock: Clock):
        self.clock, self.due, self.callback = clock, 0.0, None

    def start(self, seconds, callback):
        self.due, self.callback = self.clock.now + seconds, callback

    def stop(self):
        self.callback = None


class FakeProcess:
    """A process that says what the test makes it say."""

    def __init__(self):
        self.pid = None
        self.running = self.closed = self.killed = False
        self.dies_when_killed = True
        self.requests: list[dict] = []

    def start(self, arguments, on_output, on_log, on_finished):
        self.arguments, self.output, self.say_log, self._finished = arguments, on_output, on_log, on_finished
        self.running = True

    def write(self, data):
        assert self.running and not self.closed
        self.requests += [json.loads(line) for line in data.decode("ascii").splitlines()]

    def close_input(self):
        self.closed = True

    def kill(self):
        self.killed = True
        if self.dies_when_killed and self.running:
            self.end(9, "crashed with code 9")

    def end(self, code=0, how="ended with code 0"):
        self.running = False
        self._finished(code, how)

    def say(self, event, **fields):
        self.output(json.dumps({"event": event, **fields}).encode() + b"\n")

    def get_ready(self):
        self.say("ready", pid=4711, versions={}, protocol=1)

    @property
    def job(self) -> str:
        """The id of the last detection asked for."""
        return [request["id"] for request in self.requests if request["request"] == "detect"][-1]


class Listener:
    """Writes down what it is told and fails if it is told anything after the end."""

    def __init__(self, then=None):
        self.told: list[tuple] = []
        self.then = then

    def _note(self, *what):
        assert not self.ended, f"{what} after {self.told}"
        self.told.append(what)
        if self.then is not None:
            self.then(*what)

    @property
    def ended(self) -> bool:
        return bool(self.told) and self.told[-1][0] in ("done", "failed", "cancelled")

    def progress(self, stage, fraction, message):
        self._note("progress", stage, fraction, message)

    def warning(self, message):
        self._note("warning", message)

    def done(self, folder, seconds):
        self._note("done", folder, seconds)

    def failed(self, kind, message):
        self._note("failed", kind, message)

    def cancelled(self):
        self._note("cancelled")


def state_of(client: WorkerClient) -> str:
    """What the client does: ``off``, ``starting``, ``idle``, ``busy`` or ``cancelling``."""
    if client.busy and client._running.outcome is not None:
        return "cancelling"
    if client._connection is None:
        return "off"
    if not client._connection.ready:
        return "starting"
    return "busy" if client.busy else "idle"


class Desk:
    """A client, its processes, its clock and a folder."""

    def __init__(self, folder: Path):
        self.folder, self.clock, self.processes = folder, Clock(), []
        self.client = WorkerClient(self._process, self.clock.timer, command=["worker"], hang_seconds=300)
        self.listener = None

    def _process(self):
        self.processes.append(FakeProcess())
        return self.processes[-1]

    @property
    def process(self):
        return self.processes[-1]

    def job(self, name="out", **settings):
        return Job("in.npy", None, "brain-t1", str(self.folder / name), Settings.from_json(settings))

    def detect(self, name="out", then=None, **settings):
        self.listener = Listener(then)
        self.client.detect(self.job(name, **settings), self.listener)
        return self.listener

    def computing(self):
        """A detection in the middle, with what a worker has on the disk by then."""
        listener = self.detect()
        self.process.get_ready()
        self.say("progress", stage="restoration", fraction=0.5, message="m")
        (self.folder / "out" / PARTIAL).mkdir(parents=True)
        return listener

    def say(self, event, **fields):
        self.process.say(event, id=self.process.job, **fields)

    @property
    def told(self):
        return self.listener.told


@pytest.fixture(name="desk")
def desk_of_a_client(tmp_path):
    return Desk(tmp_path)
