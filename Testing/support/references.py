"""What six made-up healthy scans scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from MedADLib.detection import Detection
from MedADLib.scoring.healthy_reference import HealthyReference, Threshold


def healthy_reference(ml_above_three: float = 1.0) -> HealthyReference:
    """Six healthy scans; on average, `ml_above_three` ml of each lie above a rarity of 3."""
    return HealthyReference(
        maxima=np.array([2.5, 3.0, 3.5, 4.0, 4.5, 5.0]),
        sample_scores=np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        thresholds=np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.25]),
        false_positive_ml=np.array([1000.0, 100.0, 10.0, ml_above_three, 0.1, 0.001, 0.0]),
        brain_ml=1000.0,
        threshold=Threshold(ml_above_three, "ml"),
    )


def in_z_scores(detection: Detection) -> Detection:
    """The detection as an earlier version made it: its map is in z-scores."""
    return replace(detection, reference=replace(detection.reference, unit="z"))
