"""Strict parsing of JSON and text of unknown origin into dataclasses.

Entries of a model file, parsed strictly: text, JSON into dataclasses, and safetensors.

Numbers from JSON of unknown origin.

Values as strict JSON knows them.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from ..errors import DAMAGED, ModelError

UPDATE = "Update MedAD."
UPDATE_OR_AGAIN = f"{UPDATE} If it is up to date: {DAMAGED}"
TEXT_BYTES = 1 << 20
ADDED = "added"

_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def text_of(files: dict[str, bytes], name: str) -> str:
    """A text entry that is safe to show on a console."""
    if len(files[name]) > TEXT_BYTES:
        raise ModelError("text_too_long", name=name, limit=TEXT_BYTES)
    try:
        text = files[name].decode()
    except UnicodeDecodeError as error:
        raise ModelError("not_utf8", name=name) from error
    if not text.strip():
        raise ModelError("empty_text", name=name)
    if _CONTROL.search(text):
        raise ModelError("control_characters", name=name)
    return text


def json_of(files: dict[str, bytes], name: str) -> Any:
    """A JSON entry: no key twice, no number beyond 64 bits, nothing that a bundle loader would take for code."""
    try:
        numbers = {"parse_int": _integer, "parse_float": _finite, "parse_constant": _finite}
        document = json.loads(text_of(files, name), object_pairs_hook=_once, **numbers)
    except (ValueError, RecursionError) as error:
        raise ModelError("bad_json", name=name, reason=error) from error
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str):
            if value == "_target_" or value.startswith("$"):
                raise ModelError("code_in_json", name=name, value=ascii(value[:40]))
            if _CONTROL.search(value):
                raise ModelError("control_characters", name=name)
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is given twice")
    return document


def _integer(text: str) -> int:
    if len(text) > 18:
        raise ValueError("a whole number is too long")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not np.isfinite(number):
        raise ValueError("a number is not finite")
    return number


def json_bytes(document: dict) -> bytes:
    """The same bytes for the same content."""
    try:
        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()
    except (TypeError, ValueError) as error:
        raise ModelError("not_json", reason=error) from error


def added(default: Any) -> Any:
    """A dataclass field that files of earlier versions lack; there it has its default."""
    return field(default=default, metadata={ADDED: True})


def from_json(cls: type, document: object, where: str) -> Any:
    """Build a frozen dataclass from a JSON object, exactly: nothing missing, unknown or converted by guess.

    Only fields made by `added` may be missing.

    Args:
        cls: Dataclass whose fields are int, float, bool, str, dict, tuple, Literal, or a union of these with None.
            An int is taken for a float, a list for a tuple; nothing else is.
        document: What the JSON parser gave.
        where: What to call it in errors.

    Raises:
        ModelError: If it does not fit, or the dataclass refuses the values with ValueError.
    """
    if not isinstance(document, dict):
        raise ModelError("not_an_object", name=where)
    hints = get_type_hints(cls)
    taken = [entry for entry in fields(cls) if entry.init]
    if unknown := sorted(set(document) - {entry.name for entry in taken}):
        raise ModelError("unknown_key", name=where, key=f"{unknown[0]!a:.80}")
    if missing := [entry.name for entry in taken if entry.name not in document and ADDED not in entry.metadata]:
        raise ModelError("missing_key", name=where, key=missing[0])
    values = {}
    try:
        for name in document:
            values[name] = _typed(document[name], hints[name])
    except TypeError as error:
        raise ModelError("wrong_type", name=where, key=name) from error
    except ValueError as error:
        value = f"{document[name]!a:.80}"
        raise ModelError("wrong_value", name=where, key=name, value=value, choices=f"{error!s:.200}") from error
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise ModelError("malformed", name=where, reason=f"{error!s:.200}") from error


def _typed(value: object, kind: Any) -> Any:
    """A JSON value as the annotation `kind` has it, or TypeError."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        for option in arguments:
            try:
                return _typed(value, option)
            except (TypeError, ValueError):
                continue
    elif origin is Literal:
        if any(type(value) is type(choice) and value == choice for choice in arguments):
            return value
        raise ValueError(", ".join(map(str, arguments)))
    elif origin is tuple and type(value) is list:
        if arguments[1:] == (Ellipsis,):
            arguments = arguments[:1] * len(value)
        if len(arguments) == len(value):
            return tuple(_typed(item, option) for item, option in zip(value, arguments))
    elif kind is float and type(value) in (int, float):
        return float(value)
    # `type(...) is`, for True is an int to isinstance.
    elif kind in (int, bool, str, dict, NoneType) and type(value) is kind:
        return value
    raise TypeError(f"not a {kind}")


def finite_number(value: object, name: str) -> float:
    """A JSON number; texts such as ``"nan"``, which ``float()`` would take, are none.

    Args:
        value: What the JSON holds.
        name: What it is, for the message.

    Raises:
        ModelError: If it is not a finite number.
    """
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ModelError("not_finite", name=name, value=repr(value))
    return float(value)


def plain(value: Any) -> Any:
    """Convert numpy numbers, arrays and paths, and turn numbers that are none into null.

    Args:
        value: Anything; dictionaries and sequences are converted throughout.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
