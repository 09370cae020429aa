"""Decisions of a reader on the regions of a detection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..detection import Detection
    from ..scoring.regions import Region


@dataclass(frozen=True)
class Decision:
    """Decision on one region.

    Attributes:
        kept: Whether the reader accepts it as a finding.
        name: Its name.
    """

    kept: bool
    name: str


def default_name(region: Region) -> str:
    """Return the name of a region that the reader has not renamed."""
    return f"Region {region.rank}"


def accepted(detection: Detection, decisions: Mapping[int, Decision]) -> Detection:
    """Remove the rejected regions from a detection; the others keep their ranks and labels.

    Args:
        detection: The result.
        decisions: By rank; regions without a decision are kept.
    """
    rejected = [region for region in detection.regions if region.rank in decisions and not decisions[region.rank].kept]
    if not rejected:
        return detection
    labels = detection.labels.array.copy()
    for region in rejected:
        x0, x1, y0, y1, z0, z1 = region.bounding_box
        box = labels[z0:z1, y0:y1, x0:x1]
        box[box == np.int16(region.label)] = 0
    kept = tuple(region for region in detection.regions if region not in rejected)
    return replace(detection, labels=detection.labels.with_array(labels), regions=kept)
