"""Units of anomaly maps in words and colours: rarity, and the z-score of results of earlier versions."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from ..messages import Message, translated
from ..scoring.healthy_reference import RARITY

if TYPE_CHECKING:
    from ..detection import Detection

# End of the colour scale of every rarity map: 1 healthy voxel in a million.
RARITY_TOP = 6.0
LEAST_THRESHOLD = 1e-6
# Without a smaller number, a share of voxels has no meaning in a scan of some million voxels.
MOST_VOXELS = 1e6
MOST_DIGITS = 9.0


def is_rarity(detection: Detection) -> bool:
    """Return whether the map of a detection is in rarity; otherwise it is in z-scores, as in earlier versions."""
    return detection.reference.unit == RARITY


def scale_top(detection: Detection) -> float:
    """Return the anomaly value at the end of the colour scale, which begins at 0.

    The same for every rarity map. A z-score has no common scale: it ends at the largest peak, but at no less than
    twice and no more than four times the threshold, as in the versions that wrote z-scores.
    """
    if is_rarity(detection):
        return RARITY_TOP
    peak = max((region.peak for region in detection.regions), default=0.0)
    threshold = max(detection.threshold, LEAST_THRESHOLD)
    return min(max(peak, 2.0 * threshold), 4.0 * threshold)


def value_text(detection: Detection, value: float) -> Message:
    """Return a value of the map with its unit, such as ``rarity 3.15``."""
    return Message("rarity" if is_rarity(detection) else "z_score", value=float(value))


def a_value_text(detection: Detection, value: float) -> Message:
    """Return a value of the map with its unit and article, such as ``a rarity of 3.15``."""
    return Message("a_rarity" if is_rarity(detection) else "a_z_score", value=float(value))


def meaning(detection: Detection, value: float) -> Message:
    """Return what a value of the map means, such as ``1 healthy voxel in 1,400``.

    A rarity above the largest healthy value has no share of voxels: it only ranks voxels.
    """
    if not is_rarity(detection):
        return Message("z_score_meaning")
    if value > detection.reference.largest:
        return Message("above_healthy")
    voxels = 10.0 ** min(float(value), MOST_DIGITS)
    if voxels > MOST_VOXELS * (1 + 1e-9):
        return Message("rarer_than", count=f"{MOST_VOXELS:,.0f}")
    digits = f"{voxels:.2g}"
    count = digits if voxels < 99.5 else f"{float(digits):,.0f}"
    return Message("one_voxel_in", count=count)


def explanation(detection: Detection) -> Message:
    """Return the explanation of the unit of a map in one sentence."""
    return Message("rarity_explained" if is_rarity(detection) else "z_score_explained")


def legend(detection: Detection, width: int = 0, english: bool = False) -> str:
    """Return the title of the colour scale.

    Args:
        detection: The result.
        width: Characters of a line, or 0 for one line.
        english: For files; otherwise it is in the language of the application.
    """
    codes = ("rarity_title", "rarity_note") if is_rarity(detection) else ("z_score_title", "z_score_meaning")
    title, note = map(str if english else translated, map(Message, codes))
    if not width:
        return f"{title} ({note})"
    return "\n".join((title, *textwrap.wrap(f"({note})", width)))
