"""What a reader decided on the regions of a detection."""

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
    """On one region.

    Attributes:
        kept: Whether the reader takes it for a finding.
        name: What to call it.
    """

    kept: bool
    name: str


def default_name(region: Region) -> str:
    """What a region is called as long as nobody renamed it."""
    return f"Region {region.rank}"


def accepted(detection: Detection, decisions: Mapping[int, Decision]) -> Detection:
    """The detection without the regions that were rejected; the others keep their ranks and labels.

    Args:
        detection: What was found.
        decisions: By rank; regions without one are kept.
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
