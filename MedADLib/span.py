"""Intensities of whole fields of view made comparable: by robust extremes, for nothing is known of what they show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .intensity import BRIGHTEST, DARKEST

SPAN = (1, 99)


@dataclass(frozen=True)
class Span:
    """A linear map of intensities by robust extremes.

    Attributes:
        low: The image's own intensity that becomes `DARKEST`.
        high: The one that becomes `BRIGHTEST`.
    """

    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray, name: str) -> Span:
        """The span of an image between the percentiles `SPAN`, or of all of it where hardly a pixel differs.

        Args:
            values: Intensities, any shape.
            name: Of the image, for the error.

        Raises:
            InputError: If all values are the same.
        """
        low, high = (float(value) for value in np.percentile(values, SPAN))
        if low == high:
            low, high = float(values.min()), float(values.max())
        if low == high:
            raise InputError(f"{name} has one intensity only", "Check that the image is not empty.")
        return cls(low, high)

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Own intensities to standard intensities."""
        return DARKEST + (BRIGHTEST - DARKEST) * ((values - self.low) / (self.high - self.low))

    def backward(self, values: np.ndarray) -> np.ndarray:
        """Standard intensities to own intensities."""
        return self.low + (self.high - self.low) * ((values - DARKEST) / (BRIGHTEST - DARKEST))
