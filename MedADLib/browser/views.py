"""Slice and 3-D views of the page, rendered here by Slicer's libraries, and the scene of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from trame_slicer.core import ViewManager
from trame_slicer.rca_view import RemoteSliceViewFactory, RemoteThreeDViewFactory
from trame_slicer.views import ViewLayoutDefinition

from ..slicer.headless.scene import StandaloneScene
from ..slicer.headless.swipe import Swipe
from ..slicer.headless.views import body_box, look_at, mm_per_pixel, position_of
from ..slicer.scene.decisions import Decisions
from ..slicer.scene.display import legend_of
from ..slicer.scene.live_threshold import LiveThreshold
from ..slicer.scene.nodes import SceneResult, find_derived
from ..slicer.scene.overlay import KEPT, overlay_node
from ..slicer.scene.show import show_detection
from ..slicer.scene.transaction import remove_node
from ..slicer.scene.volumes import array_from_matrix

if TYPE_CHECKING:
    from ..detection import Detection
    from ..results.decisions import Decision

SLICE_CLASS = "vtkMRMLSliceNode"
COMPOSITES = "vtkMRMLSliceCompositeNode"

SLICES = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}
SPACE = "Space"
MARGIN = 1.16
BLACK = "#000000"
FRAMES_PER_SECOND = 30.0
QUALITY_WHILE_MOVING = 65
VIEW_ANGLE_DEGREES = 30.0
CLICK_PIXELS = 3


class Stage:
    """The scene behind the views.

    Attributes:
        standalone: The scene with its application logic.
        result: Nodes of the shown result; None before the first.
        decisions: Decisions of the reader on its regions.
    """

    def __init__(self) -> None:
        self.standalone = StandaloneScene()
        self.result: SceneResult | None = None
        self.decisions: Decisions | None = None

    def show(self, detection: Detection, decided: Mapping[int, Decision] | None = None) -> LiveThreshold:
        """Show a detection in place of the previous one, with earlier decisions of the reader, by rank; return its
        threshold.
        """
        scene = self.standalone.scene
        if self.result is not None:
            nodes = (*self.result.nodes().values(), find_derived(self.result.input, KEPT, scene), self.result.input)
            for node in filter(None, nodes):
                if node.IsA("vtkMRMLDisplayableNode"):
                    for index in reversed(range(node.GetNumberOfDisplayNodes())):
                        scene.RemoveNode(node.GetNthDisplayNode(index))
                remove_node(node, scene)
        node = self.standalone.add_volume(detection.volume)
        self.result = show_detection(detection, node, scene)
        # The page has its own legend.
        if (legend := legend_of(self.result.anomaly)) is not None:
            legend.SetVisibility(False)
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
        """Set the layers of the slice views.

        Args:
            restored: 0 shows the scan, 1 the pseudo-healthy image, values between them a blend.
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
            # Background, foreground and label are layers 0 to 2; further layers are above them.
            above = node.Layer_Last
            node.SetNthLayerVolumeID(above, overlay.GetID())
            node.SetNthLayerOpacity(above, anomaly)
            node.EndModify(modified)
        result.segmentation.GetDisplayNode().SetVisibility2D(outlines)

    def go_to(self, ras: Sequence[float]) -> None:
        """Move all slices and the crosshair to a point, RAS mm."""
        for node in self._nodes(SLICE_CLASS):
            node.JumpSliceByOffsetting(*ras)
        self._crosshair().SetCrosshairRAS(*ras)

    def scale_top(self) -> float:
        """Return the anomaly value at the upper end of the colour scale."""
        return float(self.result.anomaly.GetDisplayNode().GetWindowLevelMax())

    def _crosshair(self) -> Any:
        return self.standalone.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")

    def _nodes(self, kind: str) -> list[Any]:
        return [node for node in self.standalone.scene.GetNodes() if node.IsA(kind)]


class Views:
    """The views of a stage.

    Args:
        stage: Scene of the views.
        server: Server of the page.
        overlay: Adds texts and controls to a view; called with the name of the view.
        moved: Called with the name of a view when its slice has moved.
        clicked: Called with the RAS mm of a click into a slice.
    """

    def __init__(
        self,
        stage: Stage,
        server: Any,
        overlay: Callable[[str], None],
        moved: Callable[[str], None],
        clicked: Callable[[list[float]], None],
    ):
        self._stage = stage
        self._manager = ViewManager(stage.standalone.scene, stage.standalone.application)
        options = {
            "target_fps": FRAMES_PER_SECOND,
            "blur_fps": FRAMES_PER_SECOND,
            "interactive_quality": QUALITY_WHILE_MOVING,
            "populate_view_ui_f": lambda server, name, view: overlay(name),
        }
        self._manager.register_factory(RemoteSliceViewFactory(server, **options))
        self._manager.register_factory(RemoteThreeDViewFactory(server, **options))
        self.slices, self._swipes = {}, {}
        # trame-slicer observes an event that VTK 9.6 marks as deprecated with a warning.
        stage.standalone.scene.GlobalWarningDisplayOff()
        for name, orientation in SLICES.items():
            definition = ViewLayoutDefinition.slice_view(orientation, label=name)
            self.slices[name] = view = self._manager.create_view(definition)
            # Without a GPU, antialiased lines would take six times as long as the rest of a slice.
            view.render_window().SetMultiSamples(0)
            self._swipes[name] = Swipe(view.first_renderer(), view.get_view_node(), stage.standalone.application)
            view.interactor().AddObserver("WindowResizeEvent", lambda *_, name=name: self._frame_slice(name))
            view.get_view_node().AddObserver("ModifiedEvent", lambda *_, name=name: moved(name))
            self._observe_clicks(view, clicked)
        space = ViewLayoutDefinition.threed_view(name=SPACE, label=SPACE, background_color=(BLACK, BLACK))
        self.space = self._manager.create_view(space)
        # One translucent surface over opaque regions needs no depth peeling, which is slow without a GPU.
        self.space.renderer().SetUseDepthPeeling(False)
        stage.standalone.scene.GlobalWarningDisplayOn()

    def frame(self) -> None:
        """Fit every view to the examined part."""
        for name in self.slices:
            self._frame_slice(name)
        centre, extent = body_box(self._stage.result)
        direction = np.array([-0.7, 0.75, 0.35])
        direction /= np.linalg.norm(direction)
        distance = 0.5 * np.linalg.norm(extent) / np.tan(np.radians(VIEW_ANGLE_DEGREES / 2))
        camera = self.space.get_camera_node()
        camera.SetViewAngle(VIEW_ANGLE_DEGREES)
        camera.SetFocalPoint(*centre)
        camera.SetPosition(*(np.array(centre) + distance * direction))
        camera.SetViewUp(0.0, 0.0, 1.0)
        self.space.renderer().ResetCameraClippingRange()
        self.space.schedule_render()
        self.draw()

    def swipe(self, part: float, anomaly: float) -> None:
        """Show the pseudo-healthy image on the right of a line across every slice, with the anomaly map at this
        opacity.

        The line lies at the left edge for a `part` of 0 and at the right edge for 1.
        """
        for swipe in self._swipes.values():
            swipe.look(self._stage.result, part, anomaly)

    def draw(self) -> None:
        """Schedule the rendering of the slices; the 3-D view renders on its own."""
        for view in self.slices.values():
            view.schedule_render()

    def hold_space(self, on: bool) -> None:
        """Block or unblock the rendering of the 3-D view, so that the slices follow a slider faster."""
        self.space.set_render_blocked(on)

    def place(self, name: str) -> tuple[str, float]:
        """Return the position of a slice as, for example, ``S 12 mm``, and its offset in mm."""
        view = self.slices[name]
        return position_of(view.get_view_node()), float(view.get_slice_value())

    def close(self) -> None:
        """Free the graphics memory."""
        for view in (*self.slices.values(), self.space):
            view.finalize()

    def _frame_slice(self, name: str) -> None:
        """Centre a slice view on the examined part without changing its slice."""
        if self._stage.result is None:
            return
        view = self.slices[name]
        self._swipes[name].fit()
        node = view.get_view_node()
        centre, extent = body_box(self._stage.result)
        size, through = view.render_window().GetSize(), array_from_matrix(node.GetSliceToRAS())[:3, 3]
        look_at(node, size, centre, through, mm_per_pixel(node, size, extent * MARGIN))

    def _observe_clicks(self, view: Any, clicked: Callable[[list[float]], None]) -> None:
        pressed = {}

        def press(interactor: Any, _: str) -> None:
            pressed["at"] = interactor.GetEventPosition()

        def release(interactor: Any, _: str) -> None:
            at, start = interactor.GetEventPosition(), pressed.pop("at", None)
            if start is not None and max(abs(a - b) for a, b in zip(at, start)) <= CLICK_PIXELS:
                clicked(list(view.get_view_node().GetXYToRAS().MultiplyPoint((*map(float, at), 0.0, 1.0))[:3]))

        view.interactor().AddObserver("LeftButtonPressEvent", press, 1.0)
        view.interactor().AddObserver("LeftButtonReleaseEvent", release, 1.0)
