"""What the worker is to do, and who hears how it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..exchange import Leftovers


@dataclass(frozen=True)
class Job:
    """A detection to be done.

    Attributes:
        input: File of `exchange.write_volume`.
        mask: The same for the brain; None finds it.
        model: Name or file.
        output: Folder for the result, empty or missing, and no other job's; see `exchange.read_exchange`.
        settings: Device, seed, threshold, smallest_region_ml and fast, as far as they are not the default.
    """

    input: str
    mask: str | None
    model: str
    output: str
    settings: dict[str, Any] = field(default_factory=dict)


class JobListener(Protocol):
    """Told about a job, in the main thread; after `done`, `failed` or `cancelled` nothing more is said."""

    def progress(self, stage: str, fraction: float, message: str) -> None:
        """A step was made; `fraction` of the whole job is done."""

    def warning(self, message: str) -> None:
        """There is something that the reader must know."""

    def done(self, folder: str, seconds: float) -> None:
        """The result is in the folder."""

    def failed(self, kind: str, message: str) -> None:
        """There is no result; the message says why and what to do."""

    def cancelled(self) -> None:
        """There is no result because nobody wants it any more."""


@dataclass
class RunningJob:
    """A job on its way.

    Attributes:
        id: Of its events.
        job: What is to be done.
        listener: Who hears of it.
        leftovers: What an end by force leaves behind.
        reused: Whether the process was there before the job, so that it may have been about to end.
        sent: Whether the worker was asked.
        heard: Whether it has answered.
        outcome: What to tell the listener once the process is dead, if we end the job.
    """

    id: str
    job: Job
    listener: JobListener
    leftovers: Leftovers
    reused: bool
    sent: bool = False
    heard: bool = False
    outcome: Callable[[], None] | None = None
