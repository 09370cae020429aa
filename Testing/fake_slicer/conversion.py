"""Values on their way between Python and Qt, as PythonQt passes them."""

from __future__ import annotations

import os
import types
from functools import partial
from typing import Any

import numpy as np
from shiboken6 import Shiboken

from .errors import guarded

CALLABLES = (types.FunctionType, types.MethodType, types.BuiltinMethodType, partial)


class Wrapped:
    """Base of everything that stands for something of Qt; `_object` is the PySide6 object or class."""

    __slots__ = ("_object", "__weakref__")


_wrappers: dict[str, Any] = {}


def set_wrapper(wrapper) -> None:
    """Say what wraps PySide6 objects."""
    _wrappers["instance"] = wrapper


def to_python(value: Any) -> Any:
    """A result of Qt as a script gets it: objects wrapped, lists as tuples."""
    if isinstance(value, Shiboken.Object):
        return _wrappers["instance"](value)
    if isinstance(value, (list, tuple)):
        return tuple(to_python(entry) for entry in value)
    if isinstance(value, dict):
        return {key: to_python(entry) for key, entry in value.items()}
    return value


def to_qt(value: Any) -> Any:
    """An argument of a script as Qt gets it.

    Raises:
        ValueError: If PythonQt would not convert it.
    """
    if isinstance(value, Wrapped):
        return value._object
    if isinstance(value, np.generic) and not isinstance(value, (int, float, str, bytes)):
        raise ValueError(f"PythonQt does not convert {type(value).__name__}; use int(), float() or bool()")
    if isinstance(value, os.PathLike):
        raise ValueError(f"PythonQt does not convert {type(value).__name__}; use str()")
    if isinstance(value, (list, tuple)):
        return [to_qt(entry) for entry in value]
    if isinstance(value, CALLABLES):
        return guarded(value)
    return value
