"""What a page says and shows of one result, as its reader moves the threshold; knows neither browser nor scene."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from ..colours import region_colour
from ..detection import SMALLEST_REGION_ML, Detection
from ..reference import HealthyReference
from ..regions import Region, find_regions
from ..summary import DIRECTIONS, millilitres, place
from ..threshold import Threshold

MOST_ROWS = 100


@dataclass(frozen=True)
class FalsePositiveScale:
    """A slider from the strictest threshold (0) to the laxest (1), by equal factors of expected false positives.

    Attributes:
        low_ml: Expected false-positive volume in a healthy scan at 0.
        high_ml: The same at 1.
    """

    low_ml: float
    high_ml: float

    @classmethod
    def of(cls, reference: HealthyReference) -> FalsePositiveScale:
        """Between the smallest and the largest volume that healthy scans can tell."""
        seen = reference.false_positive_ml[reference.false_positive_ml > 0]
        if not len(seen):
            return cls(1e-3, 1.0)
        return cls(float(seen.min()), max(float(seen.max()), float(seen.min()) * 10.0))

    def millilitres(self, position: float) -> float:
        """The volume at a position in [0, 1]."""
        return self.low_ml * (self.high_ml / self.low_ml) ** min(max(position, 0.0), 1.0)

    def position(self, ml: float) -> float:
        """The position in [0, 1] that is nearest to a volume."""
        if ml <= self.low_ml:
            return 0.0
        return min(math.log(ml / self.low_ml) / math.log(self.high_ml / self.low_ml), 1.0)


class LiveResult:
    """A detection whose threshold can be moved without running the model again.

    Args:
        detection: As it was found.

    Attributes:
        detection: As it is at the present threshold.
        scale: Of the threshold slider.
        position: Of the threshold slider, in [0, 1].
        allowed_ml: Expected false-positive volume in a healthy scan that the reader asked for.
        selected: The region that the reader looks at.
    """

    def __init__(self, detection: Detection):
        self.detection = detection
        self.scale = FalsePositiveScale.of(detection.reference)
        self.allowed_ml = detection.expected_false_positive_ml
        self.position = self.scale.position(self.allowed_ml)
        self.selected: Region | None = None
        settings = detection.provenance.get("settings", {})
        self._smallest_ml = float(settings.get("smallest_region_ml", SMALLEST_REGION_ML))

    def move(self, position: float) -> bool:
        """Move the threshold slider.

        Args:
            position: In [0, 1].

        Returns:
            Whether the regions had to be delineated anew.
        """
        self.position = min(max(position, 0.0), 1.0)
        self.allowed_ml = self.scale.millilitres(self.position)
        before, reference = self.detection, self.detection.reference
        threshold = reference.value_of(Threshold(self.allowed_ml, "ml"))
        if threshold == before.threshold:
            return False
        labels, regions = find_regions(before.anomaly, threshold, reference.region_p_value, self._smallest_ml)
        self.detection = replace(
            before,
            labels=before.labels.with_array(labels),
            regions=regions,
            threshold=threshold,
            expected_false_positive_ml=reference.expected_false_positive_ml(threshold),
        )
        if self.selected is not None:
            # A region keeps its peak as it grows and shrinks, though not its rank.
            self.selected = next((region for region in regions if region.peak == self.selected.peak), None)
        return True

    def select(self, rank: int) -> Region | None:
        """Choose the region of this rank; None if there is none."""
        self.selected = next((region for region in self.detection.regions if region.rank == rank), None)
        return self.selected

    def rows(self) -> list[dict[str, Any]]:
        """The table of regions: at most `MOST_ROWS`, as text, with the region's colour for a style sheet."""
        return [
            {
                "rank": region.rank,
                "colour": css_colour(region_colour(region.rank)),
                "volume": millilitres(region.volume_ml),
                "peak": f"{region.peak:.3g}",
                "p": f"{region.p_value:.2g}",
                "place": short_place(region.centroid_ras),
                "title": f"{place(region.centroid_ras)}; mean {region.mean:.3g}, q = {region.q_value:.2g}",
            }
            for region in self.detection.regions[:MOST_ROWS]
        ]

    def verdict(self) -> str:
        """How unusual the whole scan is, and how little a few healthy scans can tell."""
        found = self.detection
        count = found.healthy_count
        below = int((found.reference.sample_scores < found.score).sum())
        return (
            f"More unusual than {below} of {count} healthy scans: p\u00a0=\u00a0{found.p_value:.2g}, "
            f"and with {count} scans no p can be below\u00a0{found.reference.smallest_p:.2g}."
        )

    def count(self) -> str:
        """How many regions there are at this threshold."""
        regions = self.detection.regions
        if not regions:
            return "No region at this threshold"
        total = millilitres(sum(region.volume_ml for region in regions))
        more = f", the first {MOST_ROWS} listed" if len(regions) > MOST_ROWS else ""
        return f"{len(regions)} region{'s' * (len(regions) > 1)}, {total} in all{more}"

    def allowed(self) -> str:
        """What the threshold slider stands at."""
        return f"{self.allowed_ml:.2g} ml" if self.allowed_ml < 100 else f"{self.allowed_ml:.0f} ml"

    def threshold(self) -> str:
        """The same in units of the map."""
        return f"{self.detection.threshold:.3g} healthy spreads"

    def facts(self) -> list[tuple[str, str]]:
        """How the result was made, as names and values to read."""
        made = self.detection.provenance
        model, versions = made.get("model", {}), made.get("versions", {})
        facts = {
            "Scan": made.get("input", {}).get("name"),
            "Model": f"{model.get('name', '?')} {model.get('version', '')}".strip(),
            "Model file": f"sha256 {str(model.get('sha256', '?'))[:12]}…",
            "Method": made.get("method"),
            "Model's threshold": made.get("settings", {}).get("threshold"),
            "Smallest region": f"{self._smallest_ml:g} ml",
            "Brain mask": made.get("brain_mask"),
            "Healthy scans": self.detection.healthy_count,
            "Score": f"{self.detection.score:.4g}",
            "Seed, device": f"{made.get('seed', '?')}, {made.get('device', '?')}",
            "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        }
        return [(name, str(value)) for name, value in facts.items() if value not in (None, "")]


def css_colour(colour: tuple[float, float, float]) -> str:
    """A colour as style sheets write it."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)


def short_place(ras: tuple[float, float, float]) -> str:
    """A point in RAS mm as, for example, ``R 23  P 40  S 5``."""
    return "  ".join(f"{DIRECTIONS[axis][int(mm >= 0)][0].upper()} {abs(mm):.0f}" for axis, mm in enumerate(ras))
