"""Errors that MedAD raises on purpose, and one line for any failure.

Each error has a stable code and parameters; its sentences stand in `MedADLib.messages`.
"""

from __future__ import annotations

import errno
from typing import Any

from .messages import Message, as_json, sentence


class MedADError(Exception):
    """Something a person can act on; the message is one line without a traceback.

    Args:
        code: A code of `MedADLib.messages`; programs and tests rely on it.
        parameters: What the sentences of the code need.

    Attributes:
        code: The code.
        parameters: The parameters, as JSON holds them.
        problem: What is wrong, naming the file or value, in English.
        remedy: What the reader can do about it, in English; may be empty.
        message: Problem and remedy as a `Message`, which can be translated.
    """

    def __init__(self, code: str, **parameters: Any):
        self.code = code
        self.parameters = {name: _plain(value) for name, value in parameters.items()}
        self.message = Message(code, **self.parameters)
        self.problem, self.remedy = sentence(code, self.parameters)
        super().__init__(str(self.message))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy by code and parameters, as between processes; constructors of subclasses differ."""
        return _rebuild, (type(self), vars(self).copy())

    def as_json(self) -> dict[str, Any]:
        """Code and parameters, for events and reports."""
        return as_json(self.message)


class InputError(MedADError):
    """An image, mask or folder that cannot be examined."""


class UnfitError(InputError):
    """A scan that does not fit the model, so that a result would mean nothing."""


class ModelError(MedADError):
    """A model file that is damaged, hostile, too new or unfit for the task."""


class SettingError(MedADError, ValueError):
    """A setting or a number that a method, a network or a calibration cannot have."""


class OutputError(MedADError):
    """A result that could not be written."""


class Cancelled(MedADError):
    """The user asked to stop; nothing partial is left behind."""

    def __init__(self, code: str = "cancelled", **parameters: Any):
        super().__init__(code, **parameters)


def explain(error: BaseException, internal: str = "internal_error") -> tuple[str, str]:
    """Describe any failure for the user.

    Args:
        error: The exception.
        internal: Code for an unexpected failure; its sentences name where the traceback is found.

    Returns:
        The kind of the error and its `Message` (a plain text for an error without a code).
    """
    if isinstance(error, MedADError):
        return type(error).__name__, error.message
    if isinstance(error, ImportError):
        return "ImportError", Message("package_missing", package=error.name or str(error))
    # Torch has no exception class for a lack of main memory.
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error)):
        return "MemoryError", Message("out_of_memory")
    if isinstance(error, OSError):
        code, reason = "disk_full" if error.errno == errno.ENOSPC else "system_error", error.strerror or str(error)
        if error.filename:
            return "OSError", Message(f"{code}_at", reason=reason, path=_plain(error.filename))
        return "OSError", Message(code, reason=reason)
    return "InternalError", Message(internal, kind=type(error).__name__, reason=str(error))


def _rebuild(kind: type[MedADError], state: dict[str, Any]) -> MedADError:
    """Make an error of the attributes of another one."""
    error = kind.__new__(kind, str(state["message"]))
    vars(error).update(state)
    return error


def _plain(value: Any) -> Any:
    """A parameter as JSON holds it: numbers and texts stay, all else becomes its text."""
    if isinstance(value, (str, bool, int, float)):
        return value
    return value.item() if hasattr(value, "item") else str(value)
