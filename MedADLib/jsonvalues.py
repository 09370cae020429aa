"""Numbers from JSON of unknown origin."""

from __future__ import annotations

import math

from .errors import ModelError


def finite_number(value: object, name: str) -> float:
    """A JSON number; texts such as ``"nan"``, which ``float()`` would take, are none.

    Args:
        value: What the JSON holds.
        name: What it is, for the message.

    Raises:
        ModelError: If it is not a finite number.
    """
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ModelError(f"{name} is {value!r} and not a finite number", "Get the model file again.")
    return float(value)
