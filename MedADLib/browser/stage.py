"""One result at a time in a MRML scene, and how its volumes lie over each other in the slice views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..slicer.decisions import Decisions
from ..slicer.live import LiveThreshold
from ..slicer.overlay import find_kept, overlay_node
from ..slicer.scene import SceneResult, show_detection
from ..slicer.standalone import StandaloneScene
from ..slicer.transaction import remove_node

if TYPE_CHECKING:
    from ..decision import Decision
    from ..detection import Detection

SLICES = "vtkMRMLSliceNode"
COMPOSITES = "vtkMRMLSliceCompositeNode"


class Stage:
    """The scene behind the views.

    Attributes:
        standalone: The scene with its application logic.
        result: The nodes of the result on show; None before the first.
        decisions: A reader's on its regions.
    """

    def __init__(self) -> None:
        self.standalone = StandaloneScene()
        self.result: SceneResult | None = None
        self.decisions: Decisions | None = None

    def show(self, detection: Detection, decided: Mapping[int, Decision] | None = None) -> LiveThreshold:
        """Put a detection on show in place of the one before.

        Args:
            detection: What was found.
            decided: What a reader decided before, by rank.

        Returns:
            What moves its threshold.
        """
        scene = self.standalone.scene
        if self.result is not None:
            nodes = (*self.result.nodes().values(), find_kept(self.result.input, scene), self.result.input)
            for node in filter(None, nodes):
                if node.IsA("vtkMRMLDisplayableNode"):
                    for index in reversed(range(node.GetNumberOfDisplayNodes())):
                        scene.RemoveNode(node.GetNthDisplayNode(index))
                remove_node(node, scene)
        node = self.standalone.add_volume(detection.volume)
        self.result = show_detection(detection, node, scene)
        # The page draws a legend of its own, in letters that any screen can show.
        for index in range(self.result.anomaly.GetNumberOfDisplayNodes()):
            display = self.result.anomaly.GetNthDisplayNode(index)
            if display.IsA("vtkMRMLColorLegendDisplayNode"):
                display.SetVisibility(False)
        self._crosshair().SetCrosshairMode(self._crosshair().ShowBasic)
        self.decisions = Decisions(self.result, detection)
        for region in detection.regions:
            decision = (decided or {}).get(region.rank)
            if decision is not None:
                self.decisions.rename(region, decision.name)
                self.decisions.keep(region, decision.kept)
        live = LiveThreshold(self.result, detection)
        live.prepare()
        return live

    def look(self, restored: float, anomaly: float, outlines: bool) -> None:
        """Choose what the slice views show.

        Args:
            restored: 0 shows the scan, 1 the pseudo-healthy image, between them a blend.
            anomaly: Opacity of the anomaly map, which leaves out rejected regions.
            outlines: Whether the regions are outlined.
        """
        result = self.result
        overlay = overlay_node(result, self.standalone.scene)
        for node in self._nodes(COMPOSITES):
            modified = node.StartModify()
            node.SetBackgroundVolumeID(result.input.GetID())
            node.SetForegroundVolumeID(result.restored.GetID())
            node.SetForegroundOpacity(restored)
            # Background, foreground and label are layers 0 to 2; further ones lie over them.
            above = node.Layer_Last
            node.SetNthLayerVolumeID(above, overlay.GetID())
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
