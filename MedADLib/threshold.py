"""A threshold as a reader says it: a value of the map, or how much of a healthy scan may be flagged by mistake."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

from .errors import InputError


@dataclass(frozen=True)
class Threshold:
    """A threshold and its unit.

    Attributes:
        amount: The number.
        unit: ``""`` for units of the anomaly map, ``"ml"`` for the expected false-positive volume in a healthy
            scan, ``"%"`` for the same as a part of the brain.
    """

    amount: float
    unit: str = ""

    def __post_init__(self) -> None:
        if self.unit not in ("", "ml", "%") or not math.isfinite(self.amount) or self.amount < 0:
            raise InputError(
                f"the threshold {self.amount}{self.unit} makes no sense", "Write for example 3.5, 1ml or 0.1%."
            )

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """The threshold of a text such as ``3.5``, ``1ml`` or ``0.1%``.

        Raises:
            InputError: If the text is none of these.
        """
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(ml|%)?\s*", text, re.IGNORECASE)
        if not match:
            raise InputError(f"the threshold {text!r} is not understood", "Write for example 3.5, 1ml or 0.1%.")
        return cls(float(match[1]), (match[2] or "").lower())

    def __str__(self) -> str:
        return f"{Decimal(repr(self.amount)).normalize():f}{self.unit}"
