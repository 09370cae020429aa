"""A slider for thresholds in units that a reader understands: how much of a healthy scan may be flagged by mistake."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .reference import HealthyReference

LEAST_PART = 1e-5
MOST_PART = 0.03


@dataclass(frozen=True)
class ThresholdScale:
    """Positions in [0, 1] for expected false-positive volumes, on a logarithmic scale but for its strict end.

    Attributes:
        least_ml: Volume just above position 0; at 0 itself nothing of any healthy scan passes.
        most_ml: Volume at position 1.
    """

    least_ml: float
    most_ml: float

    @classmethod
    def of(cls, reference: HealthyReference) -> ThresholdScale:
        """The scale between what can be told apart and what nobody wants: 0.001 % to 3 % of the brain.

        Args:
            reference: What healthy scans scored.
        """
        curve = reference.false_positive_ml
        positive = curve[curve > 0]
        largest = float(positive.max()) if len(positive) else reference.brain_ml * MOST_PART
        smallest = float(positive.min()) if len(positive) else 0.0
        most = min(largest, reference.brain_ml * MOST_PART)
        return cls(min(max(smallest, reference.brain_ml * LEAST_PART), most / 2.0), most)

    def ml(self, position: float) -> float:
        """The volume at a position; what is left of 0 or right of 1 counts as the end."""
        if position <= 0.0:
            return 0.0
        return float(self.least_ml * (self.most_ml / self.least_ml) ** min(position, 1.0))

    def position(self, ml: float) -> float:
        """Where a volume is on the scale; volumes beyond an end are at the end."""
        if ml <= 0.0:
            return 0.0
        place = math.log(ml / self.least_ml) / math.log(self.most_ml / self.least_ml)
        return min(max(place, 0.0), 1.0)
