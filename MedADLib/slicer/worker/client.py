"""Client of the worker process: starts it, runs one job at a time, cancels jobs and ends the process.

A judgement of a scan before a run is a job of its own, which makes way for a detection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from ...errors import InputError
from ...messages import Message
from ...results.exchange import Leftovers, check_empty
from ...runtime.strict_json import plain
from ...worker.protocol import Job, Judged, Subject, message_of
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


class JudgementListener(Protocol):
    """Callbacks of a judgement, in the main thread; one of them is called once, unless it is cancelled on request."""

    def judged(self, found: Judged) -> None:
        """Report the fit of the scan."""

    def failed(self, kind: str, message: str) -> None:
        """Report a failure, with its kind and a message on cause and remedy; a `Message` if it has a code."""

    def cancelled(self) -> None:
        """Report that the process was ended, as by the cancellation of a run or with Slicer."""


@dataclass
class RunningJob:
    """A job in progress.

    Attributes:
        id: Identifier in its events.
        request: Name of its request.
        job: The detection, or the subject of the judgement.
        listener: Its callbacks.
        leftovers: Files that a killed process leaves behind; None for a judgement.
        reused: Whether the process was started before the job, so that it may have been about to end.
        sent: Whether the request was sent.
        answered: Whether the worker has sent an event of the job.
        outcome: The last callback, once the job is being ended.
    """

    id: str
    request: str
    job: Subject
    listener: JobListener | JudgementListener
    leftovers: Leftovers | None
    reused: bool
    sent: bool = False
    answered: bool = False
    outcome: Callable[[], None] | None = None


class WorkerClient:
    """Keeps one worker process and gives it one detection, and before it one judgement, at a time.

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
        self._judging: RunningJob | None = None
        # Processes that are being ended: the timer that kills one, and files that it may leave behind.
        self._ending: dict[Connection, tuple[QtTimer, Leftovers | None]] = {}
        self._watch: Watch | None = None
        self._timer: QtTimer | None = None
        self._numbers = count(1)
        self._log: deque[str] = deque(maxlen=LOG_LINES)

    @property
    def busy(self) -> bool:
        """Whether a detection is in progress; a judgement does not count, because it makes way."""
        return self._running is not None

    @property
    def log(self) -> list[str]:
        """The last lines of the worker's output other than events."""
        return list(self._log)

    def detect(self, job: Job, listener: JobListener) -> None:
        """Start a detection; the listener gets its events.

        A judgement in progress goes on before it, and the detection uses what it computed if it is of the same scan,
        model and mask; one of another scan must be cancelled first.

        Raises:
            InputError: If another job is running.
            OutputError: If the output folder is not empty.
            MedADError: If there is no Python to start.
        """
        if self.busy:
            raise InputError("busy")
        check_empty(Path(job.output))
        arguments = self._arguments()
        self._running = self._new("detect", job, listener, Leftovers(job.output))
        self._begin(arguments)

    def judge(self, subject: Subject, listener: JudgementListener) -> None:
        """Start a judgement of the fit of a scan; the listener gets its end, unless it is cancelled.

        Raises:
            InputError: If a detection or another judgement is in progress.
            MedADError: If there is no Python to start.
        """
        if self.busy or self._judging is not None:
            raise InputError("busy")
        arguments = self._arguments()
        self._judging = self._new("judge", subject, listener, None)
        self._begin(arguments)

    def cancel_judgement(self) -> None:
        """Cancel the judgement, if there is one, without a call of its listener; the process stays."""
        judging, self._judging = self._judging, None
        if judging is not None:
            if judging.sent:
                self._connection.send("cancel", id=judging.id)
            self._rest()

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
        judging, self._judging = self._judging, None
        self._rest()
        if judging is not None:
            judging.listener.cancelled()
        if self._running is not None:
            self._running.outcome = self._running.listener.cancelled
            self._conclude()

    def _new(
        self, request: str, job: Subject, listener: JobListener | JudgementListener, leftovers: Leftovers | None
    ) -> RunningJob:
        number = str(next(self._numbers))
        return RunningJob(number, request, job, listener, leftovers, self._connection is not None)

    def _begin(self, arguments: list[str]) -> None:
        """Send a new job, after a start of the process if there is none."""
        if self._watch is None:
            self._watch = Watch(self._timer_factory(), self._hang_seconds, self._on_silence)
            self._timer = self._timer_factory()
        self._watch.start()
        if self._connection is None:
            self._open(arguments)
        elif self._connection.ready:
            self._submit()

    def _rest(self) -> None:
        """Stop the watchdog, and wait for no end of the process, if nothing is computed."""
        if self._watch is not None and not self._jobs:
            self._watch.stop()
            self._timer.stop()

    def _arguments(self) -> list[str]:
        if self._command is not None:
            return self._command
        worker = Path(__file__).resolve().parents[2] / "worker" / "main.py"
        return [worker_program(), str(worker), "--idle-seconds", f"{self.idle_seconds:g}"]

    def _open(self, arguments: list[str]) -> None:
        self._connection = Connection(self._process_factory(), self._on_event, self._note, self._on_ended)
        self._connection.start(arguments)

    @property
    def _jobs(self) -> list[RunningJob]:
        """The jobs in progress, in the order of their requests."""
        return [job for job in (self._judging, self._running) if job is not None]

    def _submit(self) -> None:
        for job in self._jobs:
            if not job.sent:
                job.sent = True
                self._connection.send(job.request, id=job.id, **plain(job.job))

    def _on_event(self, connection: Connection, event: dict[str, Any]) -> None:
        if connection is not self._connection:
            return
        if self._watch is not None:
            self._watch.reset()
        job = next((job for job in self._jobs if job.id == event.get("id")), None)
        if event["event"] == "ready":
            self._submit()
        elif job is not None:
            job.answered = True
            if job is self._judging:
                self._on_judgement_event(job, event)
            else:
                self._on_job_event(job, event)
        elif event["event"] == "failed":
            self._note(str(event.get("message")))

    def _on_judgement_event(self, judging: RunningJob, event: dict[str, Any]) -> None:
        running = self._running
        if event["event"] == "progress":
            # A detection that waits for the judgement of its scan is as far.
            if running is not None and running.outcome is None:
                running.listener.progress(event["stage"], event["fraction"], message_of(event))
        elif event["event"] in ("judged", "failed", "cancelled"):
            self._judging = None
            self._rest()
            if event["event"] == "judged":
                judging.listener.judged(Judged.from_json(event))
            elif event["event"] == "failed":
                judging.listener.failed(event.get("kind"), message_of(event))
            else:
                judging.listener.cancelled()

    def _on_job_event(self, running: RunningJob, event: dict[str, Any]) -> None:
        name, listener = event["event"], running.listener
        if name in ("done", "failed", "cancelled"):
            if running.outcome is None:
                running.outcome = {
                    "done": partial(listener.done, event.get("output"), event.get("seconds")),
                    "failed": partial(listener.failed, event.get("kind"), message_of(event)),
                    "cancelled": listener.cancelled,
                }[name]
                self._conclude(keep=name == "done")
            else:
                self._conclude()
        elif running.outcome is None and name == "progress":
            listener.progress(event["stage"], event["fraction"], message_of(event))
        elif running.outcome is None and name == "warning":
            listener.warning(message_of(event))

    def _on_ended(self, connection: Connection, code: int, how: str) -> None:
        if connection in self._ending:
            timer, leftovers = self._ending.pop(connection)
            timer.stop()
            if leftovers is not None:
                leftovers.remove()
        if connection is not self._connection:
            return
        self._connection = None
        jobs, running = self._jobs, self._running
        # The exit code of a killed process looks like a crash.
        on_purpose = running is not None and running.outcome is not None
        self._note(f"the computing process {'was stopped' if on_purpose else how}")
        if jobs and all(job.outcome is None and job.reused and not job.answered for job in jobs):
            # It ended just before the request, as after the idle time.
            for job in jobs:
                job.reused = job.sent = False
            self._open(self._arguments())
            return
        kind, message = connection.why(code, how)
        if self._judging is not None:
            judging, self._judging = self._judging, None
            self._rest()
            if judging.outcome is None:
                ended, failed = judging.listener.cancelled, partial(judging.listener.failed, kind, message)
                judging.outcome = ended if on_purpose else failed
            judging.outcome()
        if running is not None and running is self._running:
            if running.outcome is None:
                running.outcome = partial(running.listener.failed, kind, message)
            self._conclude()

    def _on_silence(self) -> None:
        message = Message("worker_hung", seconds=self._hang_seconds)
        for job in self._jobs:
            job.outcome = partial(job.listener.failed, "WorkerHung", message)
        self._force()

    def _force(self) -> None:
        """Kill the process and wait briefly for its end, because its files can be removed only then."""
        self._watch.stop()
        self._timer.start(DEATH_SECONDS, self._give_up)
        self._connection.kill()

    def _give_up(self) -> None:
        self._let_go()
        judging, self._judging = self._judging, None
        self._rest()
        if judging is not None:
            (judging.outcome or judging.listener.cancelled)()
        if self._running is not None:
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
        self._timer.stop()
        self._rest()
        if not keep:
            running.leftovers.remove()
        running.outcome()

    def _note(self, line: str) -> None:
        self._log.append(line)
        if self.on_log is not None:
            self.on_log(line)
