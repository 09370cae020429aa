"""What a method makes of a prepared scan: scores and a pseudo-healthy image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Restoration:
    """What a method makes of a prepared scan, all on the model's grid.

    Attributes:
        score: Raw score of each voxel, float32 (Z, Y, X), 0 outside the brain, larger = more unusual.
        restored: The healthy version in standard intensities, float32 (Z, Y, X).
        sample_score: One number for the scan, larger = more unusual.
        facts: What is worth recording, JSON-able.
    """

    score: np.ndarray
    restored: np.ndarray
    sample_score: float
    facts: dict = field(default_factory=dict)
