"""Decisions of the reader on regions, kept in the table node and shown in segmentation and overlay.

A decision belongs to a position in the scan, the peak of its region, and so finds the region again at another threshold
and in a saved scene. Of several positions in one region, the one with the largest anomaly counts.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...results.decisions import Decision, default_name
from .overlay import hide_rejected
from .segments import restore_segment, segment_id

if TYPE_CHECKING:
    from ...detection import Detection
    from ...scoring.regions import Region
    from .nodes import SceneResult

ATTRIBUTE = "MedAD.decisions"
COLUMNS = ("name", "kept")


@dataclass(frozen=True)
class Anchor:
    """A decision on the region at a position of the scan, in its own RAS mm; the name is empty for the default."""

    ras: tuple[float, float, float]
    kept: bool = True
    name: str = ""


class Decisions:
    """Decisions on the regions of a result.

    Names that the user gave to segments elsewhere, such as in Slicer's Segment Editor, are adopted.
    """

    def __init__(self, result: SceneResult, detection: Detection):
        self._result = result
        self._anchors = _read(result.table.GetAttribute(ATTRIBUTE))
        self.follow(detection)
        self.read_back()

    def follow(self, detection: Detection) -> None:
        """Assign the decisions to the regions of another threshold."""
        self._detection = detection
        self._of_region: dict[int, Anchor] = {}
        highest: dict[int, float] = {}
        for anchor in self._anchors:
            place = self._voxel(anchor)
            if place is None or not detection.labels.array[place]:
                continue
            label, value = int(detection.labels.array[place]), float(detection.anomaly.array[place])
            if value >= highest.get(label, -math.inf):
                highest[label], self._of_region[label] = value, anchor

    def of(self, region: Region) -> Decision:
        """Return the decision on a region; a region without one is kept under its default name."""
        anchor = self._of_region.get(region.label)
        if anchor is None:
            return Decision(True, default_name(region))
        return Decision(anchor.kept, anchor.name or default_name(region))

    def by_rank(self) -> dict[int, Decision]:
        """Return the decisions on all regions, by rank."""
        return {region.rank: self.of(region) for region in self._detection.regions}

    def keep(self, region: Region, kept: bool) -> None:
        """Keep or reject a region; a rejected one is hidden in slices, overlay and 3-D."""
        self._decide(region, kept=kept)

    def rename(self, region: Region, name: str) -> None:
        """Give a region a name; an empty one restores its default."""
        self._decide(region, name=_given(region, name))

    def read_back(self) -> bool:
        """Adopt names that segments got elsewhere; return whether there were any."""
        segmentation = self._result.segmentation.GetSegmentation()
        changed = False
        for region in self._detection.regions:
            segment = segmentation.GetSegment(segment_id(region))
            if segment is not None and segment.GetName() and segment.GetName() != self.of(region).name:
                self._decide(region, name=_given(region, segment.GetName()))
                changed = True
        return changed

    def reject_removed(self) -> None:
        """Reject regions with segments that were removed elsewhere; keeping such a region restores its segment.

        Without effect on a segmentation that holds other segments only, as when identifiers were lost.
        """
        segmentation = self._result.segmentation.GetSegmentation()
        removed = [each for each in self._detection.regions if segmentation.GetSegment(segment_id(each)) is None]
        if len(removed) < len(self._detection.regions) or segmentation.GetNumberOfSegments() == 0:
            for region in removed:
                self._decide(region, kept=False)

    def show_all(self) -> None:
        """Hide rejected regions and show all others."""
        self.show_overlay()
        display = self._result.segmentation.GetDisplayNode()
        if display is None:
            return
        modifying = display.StartModify()
        for region in self._detection.regions:
            if display.GetSegmentVisibility(segment_id(region)) != self.of(region).kept:
                display.SetSegmentVisibility(segment_id(region), self.of(region).kept)
        display.EndModify(modifying)

    def show_overlay(self) -> None:
        """Hide rejected regions in the overlay."""
        rejected = [region for region in self._detection.regions if not self.of(region).kept]
        hide_rejected(self._result, self._detection, rejected)

    def _decide(self, region: Region, **changes: object) -> None:
        ras = tuple(round(mm, 4) for mm in region.peak_ras)
        present = self._of_region.get(region.label, Anchor(ras))
        anchor = replace(present, ras=ras, **changes)
        if anchor == present:
            return
        tolerance = float(self._detection.volume.spacing.min()) / 2
        # A decision on a smaller region within this one, made at another threshold, stays for that threshold.
        self._anchors = [other for other in self._anchors if math.dist(other.ras, ras) > tolerance] + [anchor]
        self._of_region[region.label] = anchor
        self._result.table.SetAttribute(ATTRIBUTE, json.dumps([vars(other) for other in self._anchors]))
        self._show(region)
        if "kept" in changes:
            self.show_overlay()

    def _show(self, region: Region) -> None:
        decision = self.of(region)
        segmentation = self._result.segmentation.GetSegmentation()
        if decision.kept and segmentation.GetSegment(segment_id(region)) is None:
            restore_segment(segmentation, self._detection, region)
        segment = segmentation.GetSegment(segment_id(region))
        display = self._result.segmentation.GetDisplayNode()
        if segment is not None:
            segment.SetName(decision.name)
            if display is not None:
                display.SetSegmentVisibility(segment_id(region), decision.kept)
        table = self._result.table.GetTable()
        columns = [table.GetColumnByName(name) for name in ("rank", *COLUMNS)]
        if all(columns):
            ranks, names, kept = columns
            for row in range(table.GetNumberOfRows()):
                if ranks.GetValue(row) == region.rank:
                    names.SetValue(row, decision.name)
                    kept.SetValue(row, int(decision.kept))
            table.Modified()

    def _voxel(self, anchor: Anchor) -> tuple[int, int, int] | None:
        """Index (z, y, x) of an anchor's voxel; None if it is outside the scan."""
        volume = self._detection.volume
        index = np.linalg.solve(volume.affine, [*anchor.ras, 1.0])[2::-1].round().astype(int)
        inside = (index >= 0).all() and (index < volume.array.shape).all()
        return tuple(index.tolist()) if inside else None


def _given(region: Region, name: str) -> str:
    """Normalise a name; empty if it is the default."""
    name = " ".join(name.split())
    return "" if name == default_name(region) else name


def _read(text: str | None) -> list[Anchor]:
    """Parse the anchors of an attribute; invalid ones, which only an edited scene has, are skipped."""
    try:
        found = json.loads(text or "[]")
        return [
            Anchor(tuple(float(mm) for mm in entry["ras"]), bool(entry["kept"]), str(entry["name"]))
            for entry in found
            if len(entry["ras"]) == 3 and np.isfinite(entry["ras"]).all()
        ]
    except (TypeError, ValueError, KeyError):
        return []
