"""One result at a time in a MRML scene, and how its volumes lie over each other in the slice views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..slicer.display import show_anomaly, show_labels
from ..slicer.images import image_from_array
from ..slicer.scene import SceneResult, show_detection
from ..slicer.segments import segmentation_of
from ..slicer.standalone import StandaloneScene

if TYPE_CHECKING:
    from ..detection import Detection

SLICES = "vtkMRMLSliceNode"
COMPOSITES = "vtkMRMLSliceCompositeNode"


class Stage:
    """The scene behind the views.

    Attributes:
        standalone: The scene with its application logic.
        result: The nodes of the result on show; None before the first.
    """

    def __init__(self) -> None:
        self.standalone = StandaloneScene()
        self.result: SceneResult | None = None

    def show(self, detection: Detection) -> None:
        """Put a detection on show in place of the one before."""
        scene = self.standalone.scene
        if self.result is not None:
            for field in fields(self.result):
                scene.RemoveNode(getattr(self.result, field.name))
        node = self.standalone.add_volume(detection.volume)
        self.result = show_detection(detection, node, scene)
        # The page draws a legend of its own, in letters that any screen can show.
        for index in range(self.result.anomaly.GetNumberOfDisplayNodes()):
            display = self.result.anomaly.GetNthDisplayNode(index)
            if display.IsA("vtkMRMLColorLegendDisplayNode"):
                display.SetVisibility(False)
        self._crosshair().SetCrosshairMode(self._crosshair().ShowBasic)

    def update(self, detection: Detection) -> None:
        """Show the regions of another threshold."""
        result = self.result
        result.segmentation.SetAndObserveSegmentation(segmentation_of(detection))
        result.labels.SetAndObserveImageData(image_from_array(detection.labels.array))
        show_labels(result.labels, len(detection.regions))
        show_anomaly(result.anomaly, detection, False)

    def look(self, restored: float, anomaly: float, outlines: bool) -> None:
        """Choose what the slice views show.

        Args:
            restored: 0 shows the scan, 1 its restoration, between them a mixture.
            anomaly: Opacity of the anomaly map.
            outlines: Whether the regions are outlined.
        """
        result = self.result
        for node in self._nodes(COMPOSITES):
            modified = node.StartModify()
            node.SetBackgroundVolumeID(result.input.GetID())
            node.SetForegroundVolumeID(result.restored.GetID())
            node.SetForegroundOpacity(restored)
            # Background, foreground and label are layers 0 to 2; further ones lie over them.
            above = node.Layer_Last
            node.SetNthLayerVolumeID(above, result.anomaly.GetID())
            node.SetNthLayerOpacity(above, anomaly)
            node.EndModify(modified)
        result.segmentation.GetDisplayNode().SetVisibility2D(outlines)

    def go_to(self, ras: Sequence[float]) -> None:
        """Move all slices and the crosshair to a point, RAS mm."""
        for node in self._nodes(SLICES):
            node.JumpSliceByOffsetting(*ras)
        self._crosshair().SetCrosshairRAS(*ras)

    def scale_top(self) -> float:
        """The anomaly value at the upper end of the colours."""
        return float(self.result.anomaly.GetDisplayNode().GetWindowLevelMax())

    def body_box(self) -> tuple[list[float], list[float]]:
        """Centre and sizes of what was examined, RAS mm."""
        bounds = [0.0] * 6
        node = self.result.body if self.result.body.GetPolyData().GetNumberOfPoints() else self.result.input
        node.GetRASBounds(bounds)
        low, high = bounds[::2], bounds[1::2]
        return [(a + b) / 2 for a, b in zip(low, high)], [b - a for a, b in zip(low, high)]

    def _crosshair(self) -> Any:
        return self.standalone.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")

    def _nodes(self, kind: str) -> list[Any]:
        return [node for node in self.standalone.scene.GetNodes() if node.IsA(kind)]
