"""Threshold and smallest region of a result, changed in the scene without a new run."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...detection import SMALLEST_REGION_ML, midline_between
from ...errors import InputError
from ...results.text import SMALLEST, smallest_region_ml
from ...scoring.component_tree import RegionForest
from ...scoring.healthy_reference import Threshold, ThresholdScale
from .attributes import threshold_attributes
from .decisions import Decisions
from .display import show_labels, show_segments, show_threshold
from .segments import LabelImage, add_surfaces, replace_segmentation, segmentation_of
from .table import table_of

if TYPE_CHECKING:
    from ...detection import Detection
    from .nodes import SceneResult

NODES = ("anomaly", "labels", "segmentation", "table")


class LiveThreshold:
    """Changes threshold and smallest region of a result without running the model again.

    Attributes:
        detection: The detection at the present threshold.
        false_positive_ml: The expected false positives (mL) that were set; the threshold is the smallest one with no
            more than this. The value that it reaches is `detection.expected_false_positive_ml`.
        scale: Slider positions and expected false positives (mL).
    """

    def __init__(self, result: SceneResult, detection: Detection):
        self._result = result
        self.detection = detection
        self._map = result.anomaly.GetImageData()
        self.scale = ThresholdScale.of(detection.reference)
        self.false_positive_ml = detection.expected_false_positive_ml
        self._forest: RegionForest | None = None
        self._labels: LabelImage | None = None
        self._midline = midline_between(detection.mask, detection.warnings)

    @property
    def smallest_ml(self) -> float:
        """The volume (mL) below which regions are not listed."""
        return smallest_region_ml(self.detection.provenance)

    @property
    def smaller(self) -> int:
        """How many regions of the usual size or more are left out, because the reader asked for larger ones."""
        if self.smallest_ml <= SMALLEST_REGION_ML:
            return 0
        self.prepare()
        return self._forest.count(self.detection.threshold, SMALLEST_REGION_ML) - len(self.detection.regions)

    def next_ml(self, laxer: bool) -> float:
        """The expected false positives (mL) of the next laxer or stricter threshold; at an end the present ones."""
        volumes, present = self.detection.reference.false_positive_ml, self.detection.expected_false_positive_ml
        beyond = volumes[(volumes > present) & (volumes <= self.scale.most_ml)] if laxer else volumes[volumes < present]
        return float(beyond.min() if laxer else beyond.max()) if len(beyond) else present

    def prepare(self) -> None:
        """Prepare the first change of the threshold, which takes about a second for a large scan."""
        if self._forest is None:
            lowest = self.detection.reference.value_of(Threshold(self.scale.most_ml, "ml"))
            self._forest = RegionForest(self.detection.anomaly, lowest)

    def set(self, false_positive_ml: float) -> Detection:
        """Change the threshold; regions keep the reader's decisions, and get their surfaces in `finish`.

        Args:
            false_positive_ml: Volume (mL) of a healthy scan that may lie above the threshold on average.

        Raises:
            InputError: If the result's nodes were deleted or have changed.
        """
        self._check()
        asked = Threshold(float(false_positive_ml), "ml")
        reference = self.detection.reference
        threshold = reference.value_of(asked)
        self.false_positive_ml = asked.amount
        if threshold == self.detection.threshold:
            return self.detection
        reached = reference.expected_false_positive_ml(threshold)
        return self._delineate(threshold=threshold, expected_false_positive_ml=reached)

    def filter(self, smallest_ml: float) -> Detection:
        """Leave out regions below a volume (mL), which may be smaller than that of the run.

        The volume is kept with the result and replaces the setting of the run, see `smallest_region_ml`.

        Raises:
            InputError: If the result's nodes were deleted or have changed.
        """
        self._check()
        if smallest_ml == self.smallest_ml:
            return self.detection
        return self._delineate(provenance={**self.detection.provenance, SMALLEST: float(smallest_ml)})

    def _delineate(self, **changes: Any) -> Detection:
        """Find the regions of the detection with these changes, and show them."""
        decisions = Decisions(self._result, self.detection)
        self.prepare()
        detection = replace(self.detection, **changes)
        labels, regions = self._forest.find(
            detection.threshold,
            detection.region_p_value,
            smallest_region_ml(detection.provenance),
            self._midline,
        )
        self.detection = replace(detection, labels=detection.labels.with_array(labels), regions=regions)
        decisions.follow(self.detection)
        self._show(decisions)
        return self.detection

    def finish(self, seconds: float = 0.2) -> bool:
        """Make surfaces of regions that have none yet, the most anomalous first, and return whether all have theirs.

        Hundreds of regions need several calls of limited time.
        """
        self._check()
        segmentation = self._result.segmentation.GetSegmentation()
        until = time.monotonic() + seconds
        while add_surfaces(segmentation, self.detection, most=1):
            if time.monotonic() > until:
                return False
        show_segments(self._result.segmentation, fresh=False)
        return True

    def _check(self) -> None:
        nodes = [getattr(self._result, role) for role in NODES]
        if not all(node.GetScene() is not None and node.GetScene().IsNodePresent(node) for node in nodes):
            raise InputError("result_parts_deleted")
        if self._result.anomaly.GetImageData() is not self._map:
            raise InputError("result_changed")

    def _show(self, decisions: Decisions) -> None:
        result, detection = self._result, self.detection
        by_rank = decisions.by_rank()
        if self._labels is None:
            # A separate image, because undo of a later run may need the image of the run.
            self._labels = LabelImage(detection)
        else:
            self._labels.show(detection)
        if result.labels.GetImageData() is not self._labels.image:
            result.labels.SetAndObserveImageData(self._labels.image)
        show_labels(result.labels, len(detection.regions))
        replace_segmentation(result.segmentation, segmentation_of(detection, by_rank, surfaces=0), result.anomaly)
        result.table.SetAndObserveTable(table_of(detection.regions, by_rank))
        show_threshold(result.anomaly, detection)
        decisions.show_all()
        attributes = threshold_attributes(detection)
        for node in result.nodes().values():
            for name, value in attributes.items():
                node.SetAttribute(name, value)
