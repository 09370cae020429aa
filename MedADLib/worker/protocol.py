"""The protocol between Slicer and the worker: requests and events, one JSON object a line.

Requests are the classes `Judge`, `Detect`, `Cancel` and `Quit`; the key ``request`` has their name in lower case. The
key ``event`` has the name of an event:

- ``ready`` (pid, versions, protocol) once, at the start,
- ``progress`` (id, stage, fraction, message, code, parameters), ``warning`` (id, message, code, parameters) and
  ``alive`` (id) during a detection,
- ``done`` (id, output, seconds, warm), ``failed`` (id, kind, message, code, parameters) or ``cancelled`` (id) at its
  end,
- ``progress`` and ``alive`` during a judgement, and ``judged`` (id, and the fields of `Judged`), ``failed`` or
  ``cancelled`` at its end.

One detection runs at a time. It may be requested during a judgement, and begins at its end; another judgement cancels
the one before.

``message`` is the English sentence. ``code`` and ``parameters`` are those of `MedADLib.messages`, so that
``messages.from_json(event["message"], event)`` is a message that can be translated; the code of a text without one,
such as another library's warning, is null. A bad request gives a ``failed`` event of the kind ``RequestError``, with
its id or null.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .. import messages
from ..detection import Settings
from ..errors import InputError, MedADError, ModelError
from ..preprocessing.input_check import Verdict
from ..runtime.strict_json import from_json

PROTOCOL = 1


class RequestError(MedADError):
    """A line that is not a valid request."""


@dataclass(frozen=True)
class Subject:
    """A scan and a model.

    Attributes:
        input: The scan, a file of `exchange.write_volume`.
        mask: The brain mask, a file of `exchange.write_volume`; None extracts the brain.
        model: Name or file.
    """

    input: str
    mask: str | None
    model: str


@dataclass(frozen=True)
class Job(Subject):
    """A detection for the worker.

    Attributes:
        output: Folder for `exchange.write_exchange`, empty or missing, and of no other job.
        settings: Settings without the mask.
    """

    output: str
    settings: Settings = Settings()


@dataclass(frozen=True, kw_only=True)
class Judge(Subject):
    """Judge the fit of a scan to a model; the id is repeated in each of its events."""

    id: str


@dataclass(frozen=True, kw_only=True)
class Detect(Job):
    """Run a detection; the id is repeated in each of its events."""

    id: str


@dataclass(frozen=True)
class Cancel:
    """Stop the detection with this id."""

    id: str


@dataclass(frozen=True)
class Quit:
    """End the process."""


REQUESTS = {"judge": Judge, "detect": Detect, "cancel": Cancel, "quit": Quit}


def parse(line: bytes) -> tuple[str | None, Judge | Detect | Cancel | Quit | RequestError]:
    """Parse a line into its id, None if it has none, and the request or the error; never raises."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        return None, RequestError("request_not_json", reason=f"{error!s:.100}")
    if not isinstance(document, dict):
        return None, RequestError("request_not_an_object")
    number = document.get("id") if isinstance(document.get("id"), str) else None
    name = document.pop("request", None)
    if not isinstance(name, str) or name not in REQUESTS:
        return number, RequestError("unknown_request", request=f"{name!a:.80}")
    try:
        return number, from_json(REQUESTS[name], document, f"the request {name}")
    except ModelError as error:
        return number, RequestError("bad_request", reason=error.problem)
    except InputError as error:
        return number, RequestError(error.code, **error.parameters)


@dataclass(frozen=True)
class Judged:
    """The fit of a scan to a model, as a reader needs it before a run.

    Attributes:
        verdict: ``fits``, ``doubtful`` or ``unfit``.
        reasons: Why the scan is not sure to fit, the most important one first; a `Message` if it has a code.
        refusal: What a run would say that refuses the scan; empty if none would.
        forcible: Whether a run can be forced.
    """

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    refusal: str = ""
    forcible: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return the fields of the event ``judged``."""
        reasons, refusal = [coded(reason) for reason in self.reasons], coded(self.refusal)
        return {"verdict": self.verdict, "reasons": reasons, "refusal": refusal, "forcible": self.forcible}

    @classmethod
    def from_json(cls, event: dict[str, Any]) -> Judged:
        """Build it from an event ``judged``."""
        reasons = tuple(message_of(reason) for reason in event["reasons"])
        return cls(event["verdict"], reasons, message_of(event["refusal"]), event["forcible"])


def message_of(event: dict[str, Any]) -> str:
    """Return the message of an event, a `Message` if the event has a known code."""
    return messages.from_json(str(event.get("message")), event)


def coded(message: str) -> dict[str, Any]:
    """Keys ``message``, ``code`` and ``parameters`` of an event."""
    return {"message": str(message), **(messages.as_json(message) or {"code": None, "parameters": {}})}
