"""Texts and tables of one result at a movable threshold, independent of browser and views."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..messages import say, translated, visible
from ..results.colours import region_colour
from ..results.decisions import default_name
from ..results.strip import score_lines, score_name, svg
from ..results.text import (
    amount,
    false_positives,
    in_pixels,
    limit_text,
    location,
    only_specks,
    panel_verdict,
    short_place,
    size_digits,
    size_number,
    size_unit,
    smallest_region_ml,
)
from ..results.units import explanation, is_rarity, legend, meaning, value_text

if TYPE_CHECKING:
    from ..detection import Detection
    from ..scoring.regions import Region
    from ..slicer.scene.decisions import Decisions
    from ..slicer.scene.live_threshold import LiveThreshold

MOST_ROWS = 100
STRIP_PIXELS = 344


class LiveResult:
    """A detection with a threshold that moves without running the model again.

    Args:
        live: Moves the threshold.
        decisions: Decisions of the reader on the regions; they follow the threshold. Rejected regions are not listed.

    Attributes:
        position: Position of the threshold slider in [0, 1].
        selected: The selected region.
    """

    def __init__(self, live: LiveThreshold, decisions: Decisions):
        self._live, self._decisions = live, decisions
        self.position = live.scale.position(live.false_positive_ml)
        self.selected: Region | None = None

    @property
    def detection(self) -> Detection:
        """The detection at the present threshold, including rejected regions."""
        return self._live.detection

    def regions(self) -> list[Region]:
        """Return the regions that are not rejected."""
        return [region for region in self.detection.regions if self._decisions.of(region).kept]

    def move(self, position: float) -> bool:
        """Move the threshold slider to a position in [0, 1]; return whether the regions changed."""
        # A model's own threshold need not lie on the slider; it stays until the slider is moved.
        if position == self.position:
            return False
        before, self.position = self.detection, position
        if self._live.set(self._live.scale.ml(position)) is before:
            return False
        self._decisions.follow(self.detection)
        if self.selected is not None:
            # A region keeps its peak as it grows and shrinks, though not its rank.
            self.selected = next((region for region in self.regions() if region.peak == self.selected.peak), None)
        return True

    def select(self, rank: int) -> Region | None:
        """Select the region of this rank; None if there is none."""
        self.selected = next((region for region in self.regions() if region.rank == rank), None)
        return self.selected

    def rows(self) -> list[dict[str, Any]]:
        """Return the table of regions as text, at most `MOST_ROWS`, with CSS colours of the regions."""
        detection = self.detection
        largest = max((region.volume_ml for region in self.regions()), default=0.0)
        digits = 2 if not in_pixels(detection) else size_digits(detection, largest)
        return [
            {
                "rank": region.rank,
                "name": self._name(region),
                "colour": css_colour(region_colour(region.rank)),
                "volume": f"{size_number(detection, region):.{digits}f}",
                "peak": f"{region.peak:.3g}",
                "p": "" if math.isnan(region.p_value) else f"{region.p_value:.2g}",
                "side": region.side,
                "place": short_place(detection, region),
                "title": self._title(region),
            }
            for region in self.regions()[:MOST_ROWS]
        ]

    def _name(self, region: Region) -> str:
        """Return the name that a reader gave to a region; empty without one."""
        name = self._decisions.of(region).name
        return "" if name == default_name(region) else visible(name)

    def _title(self, region: Region) -> str:
        name = self._name(region)
        detection = self.detection
        peak, mean = value_text(detection, region.peak), value_text(detection, region.mean)
        what = f"{location(detection, region)}; peak {peak}"
        if detection.interpretable:
            what = f"{what} ({meaning(detection, region.peak)})"
        what = f"{what}; mean {mean}" + ("" if math.isnan(region.q_value) else f", q = {region.q_value:.2g}")
        return f"{name}: {what}" if name else what

    def verdict(self) -> str:
        """Return the verdict on the whole scan."""
        return f"{panel_verdict(self.detection)}."

    def score(self) -> str:
        """Return the score of the scan, its p-value and the smallest possible one, a sentence on each line."""
        return "\n".join(f"{translated(line)}." for line in score_lines(self.detection))

    def strip(self) -> str:
        """Return the score of the scan among those of the healthy scans, as SVG."""
        return svg(self.detection, STRIP_PIXELS)

    def legend(self) -> str:
        """Return the title of the colour scale."""
        return legend(self.detection)

    def peak_title(self) -> str:
        """Return the heading of the column of peaks."""
        return say("rarity_title") if is_rarity(self.detection) else say("peak_title")

    def unit(self) -> str:
        """Return the explanation of the unit of the map."""
        return translated(explanation(self.detection))

    def scale_top(self, top: float) -> str:
        """Return the label at the end of the colour scale, a value of the map."""
        return f"≥ {top:.3g}" if is_rarity(self.detection) else f"{top:.3g}"

    def count(self) -> str:
        """Return number and volume of the regions at this threshold."""
        regions = self.regions()
        rejected = len(self.detection.regions) - len(regions)
        count, volume = len(regions), amount(self.detection, sum(region.volume_ml for region in regions))
        if not count:
            text = say("page_specks") if only_specks(self.detection) else say("page_no_region")
        elif count == 1:
            text = say("page_region", volume=volume)
        elif count <= MOST_ROWS:
            text = say("page_regions", count=count, volume=volume)
        else:
            text = say("page_first_regions", count=count, volume=volume, most=MOST_ROWS)
        if not rejected:
            return text
        return f"{text}; {say('page_rejected_one') if rejected == 1 else say('page_rejected', count=rejected)}"

    def allowed(self) -> str:
        """Return the expected false positives at the threshold; nothing if the result is not interpretable."""
        if not self.detection.interpretable:
            return ""
        ml = self.detection.expected_false_positive_ml
        if in_pixels(self.detection):
            return translated(false_positives(self.detection))
        return f"{ml:.0f} mL" if ml >= 10 else f"{ml:.2g} mL"

    def allowed_title(self) -> str:
        """Return the label of the threshold slider."""
        return say("page_allowed_image") if in_pixels(self.detection) else say("page_allowed")

    def size_title(self) -> str:
        """Return the heading of the column of sizes: their unit."""
        return size_unit(self.detection)

    def place_title(self) -> str:
        """Return the heading of the column of positions."""
        return say("page_peak_at") if in_pixels(self.detection) else say("page_peak_at_mm")

    def nothing(self) -> str:
        """Return the text in place of the table without regions."""
        return f"{say('page_specks_only' if only_specks(self.detection) else 'page_nothing')}."

    def threshold(self) -> str:
        """Return the threshold as text."""
        detection = self.detection
        value = translated(value_text(detection, detection.threshold))
        if not detection.interpretable:
            return value
        return f"{value} ({translated(meaning(detection, detection.threshold))})"

    def facts(self) -> list[tuple[str, str]]:
        """Return the provenance of the result as names and values."""
        made = self.detection.provenance
        model, settings, versions = (made.get(key, {}) for key in ("model", "settings", "versions"))
        facts = {
            "Scan": made.get("input", {}).get("name"),
            "Model": f"{model.get('name', '?')} {model.get('version', '')}".strip(),
            "Model file": f"sha256 {str(model.get('sha256', '?'))[:12]}…",
            "Method": made.get("method"),
            "Model's threshold": settings.get("threshold"),
            "Smallest region": self._smallest(),
            "Fast mode": "yes" if settings.get("fast") else None,
            "Examined part": made.get("brain_mask"),
            "Healthy scans": self.detection.healthy_count if self.detection.interpretable else None,
            "Score": f"{self.detection.score:.4g} ({score_name(self.detection)})",
            "Random seed": made.get("seed", "?"),
            "Device": made.get("device", "?"),
            "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        }
        return [(name, visible(str(value))) for name, value in facts.items() if value not in (None, "")]

    def _smallest(self) -> str:
        made = self.detection.provenance
        if in_pixels(self.detection):
            return translated(limit_text(self.detection, smallest_region_ml(made)))
        return f"{made.get('smallest_region_ml', made.get('settings', {}).get('smallest_region_ml', '?'))} mL"


def css_colour(colour: tuple[float, float, float]) -> str:
    """Format a colour for a style sheet."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)
