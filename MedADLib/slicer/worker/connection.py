"""Connection to one worker process: requests, events and log lines, from its start to its end."""

from __future__ import annotations

import codecs
import json
import re
from collections import deque
from collections.abc import Callable
from typing import Any

from ...messages import Message
from .process import NOT_STARTED, QtProcess

LONGEST_LINE = 1 << 20


class Connection:
    """One worker process: sends requests and receives events.

    Args:
        process: Not started yet.
        on_event: Called with this connection and each event.
        on_log: Called with each line of the log, and each line on stdout that is not an event.
        on_ended: Called once with this connection, the exit code and the kind of end in words.
    """

    def __init__(
        self,
        process: QtProcess,
        on_event: Callable[[Connection, dict[str, Any]], None],
        on_log: Callable[[str], None],
        on_ended: Callable[[Connection, int, str], None],
    ):
        self._process = process
        self._on_event, self._on_log, self._on_ended = on_event, on_log, on_ended
        self._output, self._errors = _Lines(), _Lines()
        self._waiting: deque[str] = deque()
        self._last_line = ""
        # Whether the event ``ready`` has come.
        self.ready = False

    def start(self, arguments: list[str]) -> None:
        """Start the worker; `on_ended` may be called before this returns."""
        self._process.start(arguments, self._receive, self._note, self._end)

    def send(self, request: str, **fields: Any) -> None:
        """Send a request."""
        self._process.write(json.dumps({"request": request, **fields}).encode("ascii") + b"\n")

    def close(self) -> None:
        """Close the worker's stdin, which ends it."""
        self._process.close_input()

    def kill(self) -> None:
        """Kill the worker."""
        self._process.kill()

    def why(self, code: int, how: str) -> tuple[str, str]:
        """Kind and message of an unexpected end."""
        if self.ready:
            return "WorkerDied", Message("worker_died", exit_code=code)
        if code == NOT_STARTED:
            return "WorkerNotStarted", Message("worker_not_started", reason=how)
        if self._last_line:
            return "WorkerNotStarted", Message("worker_not_ready", exit_code=code, line=self._last_line)
        return "WorkerNotStarted", Message("worker_not_ready_silent", exit_code=code)

    def _receive(self, data: bytes) -> None:
        # A handler may run the event loop and so call this method again; the lines stay in their order.
        self._waiting.extend(self._output.feed(data))
        problems: list[Exception] = []
        while self._waiting:
            try:
                self._handle(self._waiting.popleft())
            except Exception as error:
                # An error in one handler must not drop the events behind it, which may include the end of the job.
                problems.append(error)
        if problems:
            raise problems[0]

    def _handle(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            self._on_log(line)
            return
        if event["event"] == "ready":
            self.ready = True
            if type(event.get("pid")) is int:
                self._process.pid = event["pid"]
        self._on_event(self, event)

    def _note(self, data: bytes) -> None:
        for line in self._errors.feed(data):
            self._last_line = line
            self._on_log(line)

    def _end(self, code: int, how: str) -> None:
        for line in (*self._output.rest(), *self._errors.rest()):
            self._on_log(line)
        self._on_ended(self, code, how)


class _Lines:
    """Splitter of a byte stream into lines of text; chunks may end anywhere, also inside a character."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._part = ""

    def feed(self, data: bytes) -> list[str]:
        """Add bytes and return the lines that are complete now, without empty ones."""
        # Progress bars go back to the start of their line instead of beginning another one.
        *lines, self._part = re.split(r"[\r\n]", self._part + self._decoder.decode(data))
        if len(self._part) > LONGEST_LINE:
            lines, self._part = [*lines, self._part], ""
        return [line for line in lines if line.strip()]

    def rest(self) -> list[str]:
        """Return the text after the last line end."""
        part, self._part = self._part + self._decoder.decode(b"", True), ""
        return [part] if part.strip() else []
