"""Settings of a method that a user asks for in a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..entries import from_json
from ..errors import InputError, ModelError


def with_wishes(parameters: Any, wishes: Mapping[str, object], found: tuple[str, ...] = ()) -> Any:
    """Parameters with what a user chose in place of the defaults.

    Args:
        parameters: A frozen dataclass of plain values.
        wishes: Value by name, as JSON has them: lists for tuples.
        found: Names that are no user's choice, because the training finds them.

    Returns:
        New parameters of the same class.

    Raises:
        InputError: Naming what is unknown, of the wrong type or refused.
    """
    allowed = [field.name for field in fields(parameters) if field.name not in found]
    if unknown := sorted(set(wishes) - set(allowed)):
        problem = f"the configuration has the unknown setting {unknown[0]!a:.80}"
        raise InputError(problem, f"Known: {', '.join(allowed)}.")
    document = {field.name: getattr(parameters, field.name) for field in fields(parameters)} | dict(wishes)
    document = {name: list(value) if isinstance(value, tuple) else value for name, value in document.items()}
    try:
        return from_json(type(parameters), document, "the configuration")
    except ModelError as error:
        raise InputError(error.problem, "Correct it after --set or in the configuration file.") from error
