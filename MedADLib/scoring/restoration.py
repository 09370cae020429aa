"""Result of a method on a prepared scan: scores and a pseudo-healthy image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Restoration:
    """Result of a method on a prepared scan, on the model's grid.

    Attributes:
        score: Raw score of each voxel, float32 (Z, Y, X), 0 outside the examined part; larger is more anomalous. An
            ensemble has those of all members, (M, Z, Y, X).
        restored: Pseudo-healthy image in standard intensities, float32 (Z, Y, X).
        sample_score: Score of the whole scan; larger is more anomalous.
        facts: Facts for the provenance, JSON-able.
    """

    score: np.ndarray
    restored: np.ndarray
    sample_score: float
    facts: dict = field(default_factory=dict)
