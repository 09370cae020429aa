"""Settings of a method that a user asks for in a configuration file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import Any

from ..errors import InputError, ModelError
from ..runtime.strict_json import from_json

# No user's choice, whichever method has them: the training finds them.
FOUND = ("size", "centres", "gradient_scale", "restoration_nll", "sample_nll")


def check_names(kind: type, names: Iterable[str], more: Iterable[str] = (), refused: Collection[str] = FOUND) -> None:
    """Refuse settings that a method does not have or that its training finds.

    Args:
        kind: The method's parameters, a dataclass.
        names: What is asked for.
        more: What may be asked for besides.
        refused: What may not be asked for.

    Raises:
        InputError: Naming the first that is unknown.
    """
    allowed = [*(field.name for field in fields(kind) if field.name not in refused), *more]
    if unknown := sorted(set(names) - set(allowed)):
        raise InputError("method_setting_unknown", setting=f"{unknown[0]!a:.80}", known=", ".join(allowed))


def with_wishes(parameters: Any, wishes: Mapping[str, object], refused: Collection[str] = FOUND) -> Any:
    """Parameters with what a user chose in place of the defaults.

    Args:
        parameters: A frozen dataclass of plain values.
        wishes: Value by name, as JSON has them: lists for tuples.
        refused: What may not be asked for.

    Returns:
        New parameters of the same class.

    Raises:
        InputError: Naming what is unknown, of the wrong type or refused.
    """
    check_names(type(parameters), wishes, refused=refused)
    document = {field.name: getattr(parameters, field.name) for field in fields(parameters)} | dict(wishes)
    document = {name: list(value) if isinstance(value, tuple) else value for name, value in document.items()}
    try:
        return from_json(type(parameters), document, "the configuration")
    except ModelError as error:
        raise InputError("method_setting_invalid", problem=error.problem) from error
