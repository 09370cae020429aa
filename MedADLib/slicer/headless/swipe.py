"""Swipe line across a slice view: scan on the left, pseudo-healthy image on the right, anomaly map over both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer
import vtk

from ..scene.overlay import overlay_node

if TYPE_CHECKING:
    from ..scene.nodes import SceneResult

# Unlike the crosshair.
LINE_COLOUR = (1.0, 1.0, 1.0)


class Swipe:
    """The right part of a slice view, drawn by layers of Slicer's own over what the view shows anyway.

    The layers follow the slice node of the view as the view itself does, so both sides match at any zoom, in any
    direction and for any volume.
    """

    def __init__(
        self, renderer: vtk.vtkRenderer, node: slicer.vtkMRMLSliceNode, application: slicer.vtkMRMLApplicationLogic
    ):
        self._renderer, self._node, self._application = renderer, node, application
        self._layers: list[slicer.vtkMRMLSliceLayerLogic] = []
        self._part = 1.0
        self._blend = vtk.vtkImageBlend()
        mapper = vtk.vtkImageMapper()
        # The layers give final colours, which are shown unchanged.
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.UseCustomExtentsOn()
        self._image = vtk.vtkActor2D()
        self._image.SetMapper(mapper)
        # In the background, as the view's own image, so that outlines stay above.
        self._image.GetProperty().SetDisplayLocationToBackground()
        self._ends = vtk.vtkLineSource()
        self._line = vtk.vtkActor2D()
        self._line.SetMapper(vtk.vtkPolyDataMapper2D())
        self._line.GetMapper().SetInputConnection(self._ends.GetOutputPort())
        self._line.GetProperty().SetColor(*LINE_COLOUR)

    def look(self, result: SceneResult, part: float, anomaly: float) -> None:
        """Place the line.

        Args:
            result: The shown result; its scan must be the view's background.
            part: Position of the line, from 0 at the left edge to 1 at the right edge, where the line is hidden.
            anomaly: Opacity of the anomaly map.
        """
        self._part = min(max(part, 0.0), 1.0)
        if self._part == 1.0:
            self._drop_layers()
        else:
            shown = [result.restored, overlay_node(result, result.input.GetScene())]
            if [layer.GetVolumeNode() for layer in self._layers] != shown:
                self._make_layers(shown)
            self._blend.SetOpacity(1, anomaly)
        self.fit()

    def fit(self) -> None:
        """Follow the view after its size has changed."""
        width, height = self._renderer.GetSize()
        column = round(self._part * width)
        shown = bool(self._layers) and column < width
        for actor in (self._image, self._line):
            actor.SetVisibility(shown)
            # In the background, the actor added last is on top.
            if shown and not self._renderer.HasViewProp(actor):
                self._renderer.AddViewProp(actor)
        if shown:
            self._image.GetMapper().SetCustomDisplayExtents((column, width - 1, 0, height - 1))
            self._image.SetPosition(column, 0)
            # Through the middle of pixels: on their edge it would jump between two columns.
            self._ends.SetPoint1(column + 0.5, 0, 0)
            self._ends.SetPoint2(column + 0.5, height, 0)

    def _make_layers(self, shown: list[slicer.vtkMRMLVolumeNode]) -> None:
        self._drop_layers()
        for node in shown:
            layer = slicer.vtkMRMLSliceLayerLogic()
            layer.SetMRMLApplicationLogic(self._application)
            layer.SetMRMLScene(node.GetScene())
            layer.SetSliceNode(self._node)
            layer.SetVolumeNode(node)
            self._layers.append(layer)
            self._blend.AddInputConnection(layer.GetImageDataConnection())
        self._image.GetMapper().SetInputConnection(self._blend.GetOutputPort())

    def _drop_layers(self) -> None:
        """Remove the layers, so that moving slices costs nothing more and a deleted result is released."""
        self._image.GetMapper().RemoveAllInputConnections(0)
        self._blend.RemoveAllInputs()
        for layer in self._layers:
            layer.SetVolumeNode(None)
            layer.SetSliceNode(None)
        self._layers.clear()
