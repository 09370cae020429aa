"""One worker process as a stream of events, from its start to its end."""

from __future__ import annotations

import codecs
import json
import re
from collections import deque
from collections.abc import Callable
from typing import Any

from ...messages import Message
from .process import NOT_STARTED, Process

LONGEST_LINE = 1 << 20


class Connection:
    """Starts a worker and talks to it.

    Args:
        process: Not started yet.
        on_event: Gets this connection and each event.
        on_log: Gets each line of the log, and whatever on stdout is no event.
        on_ended: Called once with this connection, the exit code and how it ended in words.

    Attributes:
        ready: Whether the worker has said that it is.
    """

    def __init__(
        self,
        process: Process,
        on_event: Callable[[Connection, dict[str, Any]], None],
        on_log: Callable[[str], None],
        on_ended: Callable[[Connection, int, str], None],
    ):
        self._process = process
        self._on_event, self._on_log, self._on_ended = on_event, on_log, on_ended
        self._output, self._errors = _Lines(), _Lines()
        self._waiting: deque[str] = deque()
        self._last_line = ""
        self.ready = False

    def start(self, arguments: list[str]) -> None:
        """Start the worker; `on_ended` may be called before this returns."""
        self._process.start(arguments, self._hear, self._note, self._end)

    def send(self, request: str, **fields: Any) -> None:
        """Ask for something."""
        self._process.write(json.dumps({"request": request, **fields}).encode("ascii") + b"\n")

    def close(self) -> None:
        """Tell the worker to end."""
        self._process.close_input()

    def kill(self) -> None:
        """End the worker by force."""
        self._process.kill()

    def why(self, code: int, how: str) -> tuple[str, str]:
        """What to tell the user about an end that nobody asked for: a kind and a message."""
        if self.ready:
            return "WorkerDied", Message("worker_died", exit_code=code)
        if code == NOT_STARTED:
            return "WorkerNotStarted", Message("worker_not_started", reason=how)
        if self._last_line:
            return "WorkerNotStarted", Message("worker_not_ready", exit_code=code, line=self._last_line)
        return "WorkerNotStarted", Message("worker_not_ready_silent", exit_code=code)

    def _hear(self, data: bytes) -> None:
        # A handler may run the event loop and so bring us here again; the lines stay in their order.
        self._waiting.extend(self._output.feed(data))
        problems: list[Exception] = []
        while self._waiting:
            try:
                self._handle(self._waiting.popleft())
            except Exception as error:
                # One handler's fault must not swallow the events behind it, among which may be the end of the job.
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
    """Lines of text from bytes that are cut anywhere, also inside a character."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._part = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete now, without empty ones."""
        # Progress bars go back to the start of their line instead of beginning another one.
        *lines, self._part = re.split(r"[\r\n]", self._part + self._decoder.decode(data))
        if len(self._part) > LONGEST_LINE:
            lines, self._part = [*lines, self._part], ""
        return [line for line in lines if line.strip()]

    def rest(self) -> list[str]:
        """What came after the last end of a line."""
        part, self._part = self._part + self._decoder.decode(b"", True), ""
        return [part] if part.strip() else []
