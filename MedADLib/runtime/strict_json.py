"""Parse text and JSON of unknown origin strictly, into dataclasses and finite numbers."""

from __future__ import annotations

import math
import re
from dataclasses import field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from ..errors import ModelError, SettingError

TEXT_BYTES = 1 << 20
ADDED = "added"
# Far beyond the numbers of any model, such as a limit of 1e9 that means none; its square fits into single precision.
LARGEST_NUMBER = 1e12

_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def text_of(files: dict[str, bytes], name: str) -> str:
    """Decode an entry of a model file as text that is safe to print on a console.

    Raises:
        ModelError: If it is too long, empty, not UTF-8, or holds control characters.
    """
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
    """Parse an entry of a model file as JSON.

    Raises:
        ModelError: If it is not valid JSON, gives a key twice, has a number beyond 64 bits, or a text that MONAI's
            bundle loader would run as code.
    """
    import json

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
    """Serialise a document; the same content gives the same bytes.

    Raises:
        ModelError: If it has values that JSON cannot hold.
    """
    import json

    try:
        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()
    except (TypeError, ValueError) as error:
        raise ModelError("not_json", reason=error) from error


def added(default: Any) -> Any:
    """Make a dataclass field with a default for files of earlier versions, which lack it."""
    return field(default=default, metadata={ADDED: True})


def from_json(cls: type, document: object, where: str) -> Any:
    """Build a frozen dataclass from a JSON object, with no key missing, unknown or of another type.

    Only fields made by `added` may be missing.

    Args:
        cls: Dataclass with fields of the types int, float, bool, str, dict, tuple, Literal, dataclass, or a union of
            these with None. An int is accepted for a float and a list for a tuple; numbers must be finite. A dataclass
            with a method `from_json` is built by it.
        document: The parsed JSON.
        where: Name of the document for messages: a file name or key, not a phrase.

    Raises:
        ModelError: If it does not fit, or the dataclass raises ValueError; ``setting_malformed`` has the code of its
            error as ``reason``.
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
    except SettingError as error:
        cause = {"reason": error.code, "problem": error.problem, "advice": error.remedy}
        raise ModelError("setting_malformed", name=where, **cause) from error
    except (ValueError, TypeError) as error:
        raise ModelError("malformed", name=where, reason=f"{error!s:.200}") from error


def _typed(value: object, kind: Any) -> Any:
    """Check a JSON value against an annotation; raises TypeError, or ValueError with the values of a Literal."""
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
    elif kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    elif is_dataclass(kind) and type(value) is dict:
        return kind.from_json(value) if hasattr(kind, "from_json") else from_json(kind, value, kind.__name__)
    # `type(...) is`, because True is an int for isinstance.
    elif kind in (int, bool, str, dict, NoneType) and type(value) is kind:
        return value
    raise TypeError(f"not a {kind}")


def finite_number(value: object, name: str) -> float:
    """Check that a JSON value is a finite number; a text such as ``"nan"``, which ``float()`` accepts, is not.

    Raises:
        ModelError: If it is not a finite number.
    """
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ModelError("not_finite", name=name, value=repr(value))
    return float(value)


def check_numbers(document: object, where: str) -> None:
    """Check that no number of a JSON value, at any depth, is beyond `LARGEST_NUMBER`.

    Args:
        document: The parsed JSON.
        where: Name of the document for messages.

    Raises:
        ModelError: With the first such number.
    """
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, (int, float)) and abs(value) > LARGEST_NUMBER:
            raise ModelError("number_too_large", name=where, value=f"{value:g}", most=LARGEST_NUMBER)


def plain(value: Any) -> Any:
    """Convert any value for strict JSON, recursively: dataclasses, NumPy values, paths; NaN, infinity become null."""
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
    if is_dataclass(value):
        return plain(value.as_json() if hasattr(value, "as_json") else vars(value))
    return str(value)
