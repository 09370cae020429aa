"""Client of the worker process: starts it, runs one job at a time, cancels jobs and ends the process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from ...errors import InputError
from ...messages import Message, from_json
from ...results.exchange import Leftovers, check_empty
from ...runtime.strict_json import plain
from ...worker.protocol import Job
from .connection import Connection
from .process import QtProcess, QtTimer, Watch, worker_program

IDLE_SECONDS = 600.0
HANG_SECONDS = 300.0
CANCEL_SECONDS = 1.0
STOP_SECONDS = 0.5
DEATH_SECONDS = 0.5
LOG_LINES = 2000


class JobListener(Protocol):
    """Callbacks of a job, in the main thread; `done`, `failed` or `cancelled` is the last one."""

    def progress(self, stage: str, fraction: float, message: str) -> None:
        """Report progress; `fraction` of the whole job in [0, 1] is done."""

    def warning(self, message: str) -> None:
        """Report a warning for the reader; a `Message` if it has a code."""

    def done(self, folder: str, seconds: float) -> None:
        """Report success: the result is in the folder."""

    def failed(self, kind: str, message: str) -> None:
        """Report a failure, with its kind and a message on cause and remedy; a `Message` if it has a code."""

    def cancelled(self) -> None:
        """Report that the job was cancelled."""


@dataclass
class RunningJob:
    """A job in progress.

    Attributes:
        id: Identifier in its events.
        job: The detection.
        listener: Its callbacks.
        leftovers: Files that a killed process leaves behind.
        reused: Whether the process was started before the job, so that it may have been about to end.
        sent: Whether the request was sent.
        answered: Whether the worker has sent an event of the job.
        outcome: The last callback, once the job is being ended.
    """

    id: str
    job: Job
    listener: JobListener
    leftovers: Leftovers
    reused: bool
    sent: bool = False
    answered: bool = False
    outcome: Callable[[], None] | None = None


class WorkerClient:
    """Keeps one worker process and gives it one job at a time.

    Args:
        process_factory: Makes the process.
        timer_factory: Makes the timers.
        command: Program and arguments; None for the worker of this library.
        hang_seconds: Time without an event after which the process is killed.

    Attributes:
        on_log: Called with each line of the log.
        idle_seconds: Time without work after which the next process that starts ends by itself.
    """

    def __init__(
        self,
        process_factory: Callable[[], QtProcess] = QtProcess,
        timer_factory: Callable[[], QtTimer] = QtTimer,
        command: list[str] | None = None,
        hang_seconds: float = HANG_SECONDS,
    ):
        self.on_log: Callable[[str], None] | None = None
        self._process_factory, self._timer_factory = process_factory, timer_factory
        self.idle_seconds = IDLE_SECONDS
        self._command, self._hang_seconds = command, hang_seconds
        self._connection: Connection | None = None
        self._running: RunningJob | None = None
        # Processes that are being ended: the timer that kills one, and files that it may leave behind.
        self._ending: dict[Connection, tuple[QtTimer, Leftovers | None]] = {}
        self._watch: Watch | None = None
        self._timer: QtTimer | None = None
        self._numbers = count(1)
        self._log: deque[str] = deque(maxlen=LOG_LINES)

    @property
    def busy(self) -> bool:
        """Whether a job is in progress."""
        return self._running is not None

    @property
    def log(self) -> list[str]:
        """The last lines of the worker's output other than events."""
        return list(self._log)

    def detect(self, job: Job, listener: JobListener) -> None:
        """Start a job; the listener gets its events.

        Raises:
            InputError: If another job is running.
            OutputError: If the output folder is not empty.
            MedADError: If there is no Python to start.
        """
        if self.busy:
            raise InputError("busy")
        check_empty(Path(job.output))
        arguments = self._arguments()
        reused = self._connection is not None
        self._running = RunningJob(str(next(self._numbers)), job, listener, Leftovers(job.output), reused)
        if self._watch is None:
            self._watch = Watch(self._timer_factory(), self._hang_seconds, self._on_silence)
            self._timer = self._timer_factory()
        self._watch.start()
        if self._connection is None:
            self._open(arguments)
        elif self._connection.ready:
            self._submit()

    def cancel(self) -> None:
        """Cancel the job, if there is one: the listener's `cancelled` follows within 2 s, after the clean-up."""
        running = self._running
        if running is None:
            return
        already_ending = running.outcome is not None
        running.outcome = running.listener.cancelled
        if not running.sent:
            self._conclude()
        elif not already_ending:
            self._connection.send("cancel", id=running.id)
            self._timer.start(CANCEL_SECONDS, self._force)

    def stop(self) -> None:
        """End the process, and the job if there is one, as when the module or Slicer ends."""
        connection = self._connection
        if connection is not None:
            self._let_go().start(STOP_SECONDS, connection.kill)
            connection.close()
        if self._running is not None:
            self._running.outcome = self._running.listener.cancelled
            self._conclude()

    def _arguments(self) -> list[str]:
        if self._command is not None:
            return self._command
        worker = Path(__file__).resolve().parents[2] / "worker" / "main.py"
        return [worker_program(), str(worker), "--idle-seconds", f"{self.idle_seconds:g}"]

    def _open(self, arguments: list[str]) -> None:
        self._connection = Connection(self._process_factory(), self._on_event, self._note, self._on_ended)
        self._connection.start(arguments)

    def _submit(self) -> None:
        self._running.sent = True
        self._connection.send("detect", id=self._running.id, **plain(self._running.job))

    def _on_event(self, connection: Connection, event: dict[str, Any]) -> None:
        running = self._running
        if connection is not self._connection:
            return
        if self._watch is not None:
            self._watch.reset()
        if event["event"] == "ready":
            if running is not None:
                self._submit()
        elif running is not None and event.get("id") == running.id:
            running.answered = True
            self._on_job_event(running, event)
        elif event["event"] == "failed":
            self._note(str(event.get("message")))

    def _on_job_event(self, running: RunningJob, event: dict[str, Any]) -> None:
        name, listener = event["event"], running.listener
        if name in ("done", "failed", "cancelled"):
            if running.outcome is None:
                running.outcome = {
                    "done": partial(listener.done, event.get("output"), event.get("seconds")),
                    "failed": partial(listener.failed, event.get("kind"), _message(event)),
                    "cancelled": listener.cancelled,
                }[name]
                self._conclude(keep=name == "done")
            else:
                self._conclude()
        elif running.outcome is None and name == "progress":
            listener.progress(event["stage"], event["fraction"], _message(event))
        elif running.outcome is None and name == "warning":
            listener.warning(_message(event))

    def _on_ended(self, connection: Connection, code: int, how: str) -> None:
        if connection in self._ending:
            timer, leftovers = self._ending.pop(connection)
            timer.stop()
            if leftovers is not None:
                leftovers.remove()
        if connection is not self._connection:
            return
        self._connection = None
        running = self._running
        # The exit code of a killed process looks like a crash.
        on_purpose = running is not None and running.outcome is not None
        self._note(f"the computing process {'was stopped' if on_purpose else how}")
        if running is None:
            return
        if running.outcome is None and running.reused and not running.answered:
            # It ended just before the request, as after the idle time.
            running.reused = running.sent = False
            self._open(self._arguments())
            return
        if running.outcome is None:
            running.outcome = partial(running.listener.failed, *connection.why(code, how))
        self._conclude()

    def _on_silence(self) -> None:
        message = Message("worker_hung", seconds=self._hang_seconds)
        self._running.outcome = partial(self._running.listener.failed, "WorkerHung", message)
        self._force()

    def _force(self) -> None:
        """Kill the process and wait briefly for its end, because its files can be removed only then."""
        self._watch.stop()
        self._timer.start(DEATH_SECONDS, self._give_up)
        self._connection.kill()

    def _give_up(self) -> None:
        self._let_go()
        self._conclude()

    def _let_go(self) -> QtTimer:
        """Detach the process and track it until its end; return a timer to kill it by."""
        timer, running = self._timer_factory(), self._running
        self._ending[self._connection] = (timer, None if running is None else running.leftovers)
        self._connection = None
        return timer

    def _conclude(self, keep: bool = False) -> None:
        """Report the end of the job, after the client is ready for the next one."""
        running, self._running = self._running, None
        self._watch.stop()
        self._timer.stop()
        if not keep:
            running.leftovers.remove()
        running.outcome()

    def _note(self, line: str) -> None:
        self._log.append(line)
        if self.on_log is not None:
            self.on_log(line)


def _message(event: dict[str, Any]) -> str:
    """Make the message of an event, a `Message` if the event has a known code."""
    return from_json(str(event.get("message")), event)
