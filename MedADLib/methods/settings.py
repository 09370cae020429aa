"""Settings of a method that a user chooses on the command line or in a configuration file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import Any

from ..errors import InputError, ModelError
from ..runtime.strict_json import from_json


def check_names(
    kind: type, names: Iterable[str], more: Iterable[str] = (), refused: Collection[str] | None = None
) -> None:
    """Refuse settings that a method does not have or that its training finds.

    Args:
        kind: The method's parameters, a dataclass. Its class attribute ``found`` names the fields that the training
            finds; without it, that is ``size`` alone.
        names: Names of the chosen settings.
        more: Further names that are allowed.
        refused: Fields that a user may not set; None takes those that the training finds.

    Raises:
        InputError: If a name is not allowed; the message has the first such name.
    """
    refused = getattr(kind, "found", ("size",)) if refused is None else refused
    allowed = [*(field.name for field in fields(kind) if field.name not in refused), *more]
    if unknown := sorted(set(names) - set(allowed)):
        if not allowed:
            raise InputError("method_without_settings", setting=f"{unknown[0]!a:.80}")
        raise InputError("method_setting_unknown", setting=f"{unknown[0]!a:.80}", known=", ".join(allowed))


def with_overrides(parameters: Any, overrides: Mapping[str, object], refused: Collection[str] | None = None) -> Any:
    """Replace default parameters, a frozen dataclass, by JSON values that a user chose; `refused` as in `check_names`.

    Raises:
        InputError: If a setting is unknown, of the wrong type, out of range or refused.
    """
    check_names(type(parameters), overrides, refused=refused)
    document = {field.name: getattr(parameters, field.name) for field in fields(parameters)} | dict(overrides)
    document = {name: list(value) if isinstance(value, tuple) else value for name, value in document.items()}
    try:
        return from_json(type(parameters), document, "the configuration")
    except ModelError as error:
        # The code of the cause, which programs may read.
        cause = {"reason": error.parameters.get("reason", error.code), "problem": error.problem}
        raise InputError("method_setting_invalid", **cause) from error
