"""Off-screen views of Slicer: what its displayable managers draw, as arrays of pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import slicer
import vtk
from vtkmodules.util.numpy_support import vtk_to_numpy

from ...volume import body_axes
from ..scene.nodes import SceneResult, to_world
from ..scene.volumes import array_from_matrix
from .scene import StandaloneScene

# VTK reads it for the first render window; without a display only EGL works.
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

BLACK = (0.0, 0.0, 0.0)
TEXT = (0.86, 0.87, 0.90)
LEGEND_MANAGER = "vtkMRMLColorLegendDisplayableManager"
SLICE_MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLCrosshairDisplayableManager",
)
SPACE_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
)
AXES = (("L", "R"), ("P", "A"), ("I", "S"))


def body_box(result: SceneResult) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and sizes of the examined part, both (3,) in world RAS mm."""
    bounds = np.zeros(6)
    if result.body.GetPolyData().GetNumberOfPoints() == 0:
        result.input.GetRASBounds(bounds)
    else:
        # A node's own bounds are those of its transformed box, which is larger than the body.
        transformed = vtk.vtkTransformPolyDataFilter()
        transformed.SetTransform(to_world(result.input))
        transformed.SetInputData(result.body.GetPolyData())
        transformed.Update()
        transformed.GetOutput().GetBounds(bounds)
    low, high = bounds[::2], bounds[1::2]
    return (low + high) / 2.0, high - low


def mm_per_pixel(node: slicer.vtkMRMLSliceNode, size: Sequence[int], extent: Sequence[float]) -> float:
    """Pixel size (mm) at which a box of these sizes along R, A and S (mm) fits into a view of (width, height)."""
    across, up = np.abs(array_from_matrix(node.GetSliceToRAS())[:3, :2].T) @ np.asarray(extent)
    return float(max(across / size[0], up / size[1]))


def look_at(
    node: slicer.vtkMRMLSliceNode,
    size: tuple[int, int],
    centre: Sequence[float],
    through: Sequence[float],
    scale: float,
) -> None:
    """Place a slice.

    Args:
        node: Of the view.
        size: Width and height of the view in pixels.
        centre: World RAS mm shown in the middle of the view.
        through: World RAS mm of a point that the slice goes through.
        scale: Size of a pixel (mm).
    """
    to_ras = node.GetSliceToRAS()
    normal = array_from_matrix(to_ras)[:3, 2]
    middle = np.asarray(centre) + normal * (normal @ (np.asarray(through) - np.asarray(centre)))
    for row in range(3):
        to_ras.SetElement(row, 3, middle[row])
    node.UpdateMatrices()
    node.SetFieldOfView(size[0] * scale, size[1] * scale, node.GetFieldOfView()[2])


def edge_letters(node: slicer.vtkMRMLSliceNode) -> list[str]:
    """Return the directions of the body at the left, right, lower and upper edge of a slice view."""
    to_ras = array_from_matrix(node.GetSliceToRAS())
    sides = enumerate(body_axes(to_ras[:3, :2]))
    return [letter for axis, side in sides for letter in AXES[side][:: 1 if to_ras[side, axis] > 0 else -1]]


def position_of(node: slicer.vtkMRMLSliceNode) -> str:
    """Return the position of a slice as, for example, ``S 12 mm``."""
    to_ras = array_from_matrix(node.GetSliceToRAS())
    side = body_axes(to_ras[:3, 2])
    return f"{AXES[side][int(to_ras[side, 3] >= 0)]} {abs(to_ras[side, 3]):.0f} mm"


class OffscreenView:
    """A window without a screen and the displayable managers that fill it; close it when done."""

    def __init__(self, size: tuple[int, int]):
        self.renderer = vtk.vtkRenderer()
        self.renderer.SetBackground(*BLACK)
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.window.AddRenderer(self.renderer)
        # Displayable managers need an interactor to follow the window.
        self._interactor = vtk.vtkRenderWindowInteractor()
        self._interactor.SetRenderWindow(self.window)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._managers = slicer.vtkMRMLDisplayableManagerGroup()

    def pixels(self) -> np.ndarray:
        """Draw the view; shape (height, width, 3), uint8, first row on top."""
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.SetInputBufferTypeToRGB()
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()

    def write(
        self, text: str, x: float, y: float, *, size: float = 0.028, bold: bool = False, colour: Sequence[float] = TEXT
    ) -> None:
        """Write on the view.

        Args:
            text: One line.
            x: Position as a fraction of the width; text is aligned to the nearer edge, or centred in the middle.
            y: Position as a fraction of the height, from below.
            size: Font size as a fraction of the view's height.
            bold: Whether to write in bold.
            colour: Red, green, blue in [0, 1].
        """
        actor = vtk.vtkTextActor()
        actor.SetInput(text)
        style = actor.GetTextProperty()
        style.SetFontSize(max(6, round(size * self.window.GetSize()[1])))
        style.SetColor(*colour)
        style.SetBold(bold)
        style.SetShadow(True)
        low, centred, high = (0, 1, 2)
        style.SetJustification(low if x < 0.4 else centred if x < 0.6 else high)
        style.SetVerticalJustification(low if y < 0.4 else centred if y < 0.6 else high)
        actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
        actor.SetPosition(x, y)
        self.renderer.AddViewProp(actor)

    def close(self) -> None:
        """Free the graphics memory and leave the application's list of views."""
        self._logics.RemoveItem(self.logic)
        self.window.Finalize()

    def _attach(
        self, standalone: StandaloneScene, logic: slicer.vtkMRMLAbstractLogic, logics: vtk.vtkCollection
    ) -> None:
        self.logic = logic
        logic.SetMRMLApplicationLogic(standalone.application)
        logic.SetMRMLScene(standalone.scene)
        self._logics = logics
        logics.AddItem(logic)

    def _manage(self, standalone: StandaloneScene, names: Sequence[str], node: slicer.vtkMRMLAbstractViewNode) -> None:
        self._managers.SetRenderer(self.renderer)
        for name in names:
            manager = getattr(slicer, name)()
            manager.SetMRMLApplicationLogic(standalone.application)
            self._managers.AddDisplayableManager(manager)
        self._managers.SetMRMLDisplayableNode(node)


class SliceView(OffscreenView):
    """One slice of the scene with background, foreground and outlines, and with the colour legends if `legend` is set.

    `name` is the layout name (Red, Yellow or Green), `orientation` Axial, Sagittal or Coronal, `size` (width, height)
    in pixels.
    """

    def __init__(
        self, standalone: StandaloneScene, name: str, orientation: str, size: tuple[int, int], legend: bool = False
    ):
        super().__init__(size)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self._attach(standalone, slicer.vtkMRMLSliceLogic(), standalone.application.GetSliceLogics())
        existing = standalone.scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        if existing is not None:
            self.logic.SetSliceNode(existing)
        self.node = existing or self.logic.AddSliceNode(name)
        self.node.SetOrientation(orientation)
        self.logic.ResizeSliceNode(*size)
        self._manage(standalone, SLICE_MANAGERS + ((LEGEND_MANAGER,) if legend else ()), self.node)
        if legend:
            _announce_legends(standalone.scene)
        # The logic gives final colours, which the window must show unchanged.
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        self._image = vtk.vtkActor2D()
        self._image.SetMapper(mapper)
        self._image.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self._image)

    def write_orientation(self) -> None:
        """Write the letters of the body's sides on the four edges, and orientation and position of the slice."""
        for letter, edge in zip(edge_letters(self.node), ((0.015, 0.5), (0.985, 0.5), (0.5, 0.02), (0.5, 0.98))):
            self.write(letter, *edge, size=0.034, bold=True)
        self.write(f"{self.node.GetOrientation()}   {position_of(self.node)}", 0.015, 0.98)

    def pixels(self) -> np.ndarray:
        """Draw the slice; shape (height, width, 3), uint8, first row on top."""
        self._image.GetMapper().SetInputConnection(self.logic.GetImageDataConnection())
        self._image.SetVisibility(self.logic.GetImageDataConnection() is not None)
        return super().pixels()


class SpaceView(OffscreenView):
    """The scene in three dimensions."""

    def __init__(self, standalone: StandaloneScene, size: tuple[int, int]):
        super().__init__(size)
        self.renderer.SetUseDepthPeeling(True)
        self.renderer.SetMaximumNumberOfPeels(12)
        self.window.SetAlphaBitPlanes(True)
        self._attach(standalone, slicer.vtkMRMLViewLogic(), standalone.application.GetViewLogics())
        self.node = standalone.scene.GetSingletonNode("1", "vtkMRMLViewNode") or self.logic.AddViewNode("1")
        self.node.SetBackgroundColor(*BLACK)
        self.node.SetBackgroundColor2(*BLACK)
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        self._manage(standalone, SPACE_MANAGERS, self.node)

    def look_at(self, centre: Sequence[float], direction: Sequence[float], extent: Sequence[float]) -> None:
        """Place the camera.

        Args:
            centre: World RAS mm in the middle of the view.
            direction: From the centre towards the camera, RAS.
            extent: Sizes along R, A and S in mm that must fit into the view.
        """
        camera = self.renderer.GetActiveCamera()
        depth = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
        right = np.cross((0.0, 0.0, 1.0), depth) / np.linalg.norm(np.cross((0.0, 0.0, 1.0), depth))
        up = np.cross(depth, right)
        # Half sizes of the ellipsoid in the box, as the camera sees them.
        across, high, deep = (float(np.linalg.norm(np.asarray(extent) / 2.0 * axis)) for axis in (right, up, depth))
        width, height = self.window.GetSize()
        distance = max(high, across * height / width) / np.tan(np.radians(camera.GetViewAngle() / 2.0)) + 0.5 * deep
        camera.SetFocalPoint(*centre)
        camera.SetPosition(*(np.asarray(centre) + distance * depth))
        camera.SetViewUp(*up)
        self.renderer.ResetCameraClippingRange()


def _announce_legends(scene: slicer.vtkMRMLScene) -> None:
    """Announce existing legends to a new view, because their manager detects only those added after it."""
    for node in scene.GetNodes():
        if node.IsA("vtkMRMLColorLegendDisplayNode"):
            scene.InvokeEvent(scene.NodeAddedEvent, node)
