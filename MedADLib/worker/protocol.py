"""What the worker can be asked, one JSON object a line, checked before anything is done."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError, MedADError, ModelError
from ..runtime.strict_json import from_json
from ..scoring.healthy_reference import Threshold

SETTINGS = {
    "device": str,
    "seed": int,
    "threshold": (str, int, float),
    "smallest_region_ml": (int, float),
    "fast": bool,
}


class RequestError(MedADError):
    """A request that the worker does not understand."""


@dataclass(frozen=True)
class Detect:
    """Examine a scan.

    Attributes:
        id: Comes back with every event.
        input: File of `exchange.write_volume`.
        mask: The same for the brain, or None.
        model: Name or file.
        output: Folder for `exchange.write_exchange`, empty or missing.
        settings: Fields of `MedADLib.Settings` but the mask; the threshold as a text or a number.
    """

    id: str
    input: str
    mask: str | None
    model: str
    output: str
    settings: dict

    def choices(self) -> dict[str, Any]:
        """The settings as `MedADLib.Settings` takes them."""
        chosen = {name: value for name, value in self.settings.items() if value is not None}
        if "threshold" in chosen:
            chosen["threshold"] = Threshold.parse(str(chosen["threshold"]))
        return chosen

    def __post_init__(self) -> None:
        for name, value in self.settings.items():
            if name not in SETTINGS:
                raise ValueError(f"there is no setting {name!a:.80}")
            # In Python, true and false are numbers too.
            strange = isinstance(value, bool) != (SETTINGS[name] is bool) or not isinstance(value, SETTINGS[name])
            if value is not None and strange:
                raise ValueError(f"the setting {name} is {value!a:.80}")
        try:
            self.choices()
        except InputError as error:
            raise ValueError(error.problem) from error


@dataclass(frozen=True)
class Load:
    """Load a model, so that the next detection starts at once."""

    model: str


@dataclass(frozen=True)
class Cancel:
    """Stop the detection with this id."""

    id: str


@dataclass(frozen=True)
class Quit:
    """End the process."""


REQUESTS = {"detect": Detect, "load": Load, "cancel": Cancel, "quit": Quit}


@dataclass(frozen=True)
class Parsed:
    """A line from outside.

    Attributes:
        id: As far as it could be made out, for the answer.
        request: None if there is none in it.
        error: What is wrong with it.
    """

    id: str | None
    request: Detect | Load | Cancel | Quit | None = field(default=None)
    error: RequestError | None = field(default=None)


def parse(line: bytes) -> Parsed:
    """The request in a line; never raises."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Parsed(None, error=RequestError(f"a request is no JSON ({error!s:.100})"))
    if not isinstance(document, dict):
        return Parsed(None, error=RequestError("a request is no JSON object"))
    number = document.get("id") if isinstance(document.get("id"), str) else None
    name = document.pop("request", None)
    if not isinstance(name, str) or name not in REQUESTS:
        return Parsed(number, error=RequestError(f"there is no request {name!a:.80}"))
    try:
        return Parsed(number, from_json(REQUESTS[name], document, f"the request {name}"))
    except ModelError as error:
        return Parsed(number, error=RequestError(error.problem))
