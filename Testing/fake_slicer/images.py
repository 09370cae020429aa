"""Pictures of the panel and of the scene's views."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from MedADLib.slicer.headless.scene import StandaloneScene
from MedADLib.slicer.headless.views import SliceView, SpaceView

GAP = 4
GAP_GREY = 60
CAPTION_HEIGHT = 40


def grab_widget(widget: QtWidgets.QWidget) -> np.ndarray:
    """A widget as an array (height, width, 3), uint8, one pixel for each of Qt's."""
    image = QtGui.QImage(widget.size(), QtGui.QImage.Format.Format_RGB32)
    image.fill(widget.palette().color(QtGui.QPalette.ColorRole.Window))
    widget.render(image, QtCore.QPoint(0, 0))
    return pixels_of(image)


def pixels_of(image: QtGui.QImage) -> np.ndarray:
    """An image as an array (height, width, 3), uint8."""
    image = image.convertToFormat(QtGui.QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def image_of(pixels: np.ndarray) -> QtGui.QImage:
    """The reverse of `pixels_of`."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    return QtGui.QImage(pixels.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888).copy()


def save(pixels: np.ndarray, path: Any) -> None:
    """Write a PNG.

    Raises:
        OSError: If it cannot be written.
    """
    if not image_of(pixels).save(str(path), "PNG"):
        raise OSError(f"{path} could not be written")


def draw_views(standalone: StandaloneScene, size: tuple[int, int]) -> np.ndarray:
    """Axial, 3-D, coronal and sagittal view as the nodes Red, 1, Green and Yellow have them."""
    width, height = (size[0] - GAP) // 2, (size[1] - GAP) // 2
    with ExitStack() as cleanup:
        drawn = {}
        for name, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
            place = _place_of(standalone, name)
            view = SliceView(standalone, name, orientation, (width, height), legend=name == "Red")
            cleanup.callback(view.close)
            if place is not None:
                cleanup.callback(_put_back, view.node, place)
                _keep_place(view, place)
            view.write_orientation()
            drawn[name] = view.pixels()
        space = SpaceView(standalone, (width, height))
        cleanup.callback(space.close)
        space.pixels()
        space.renderer.ResetCamera()
        space.renderer.GetActiveCamera().Zoom(1.4)
        drawn["1"] = space.pixels()
    picture = np.full((size[1], size[0], 3), GAP_GREY, dtype=np.uint8)
    corners = {"Red": (0, 0), "1": (0, 1), "Green": (1, 0), "Yellow": (1, 1)}
    for name, (row, column) in corners.items():
        top, left = row * (size[1] - height), column * (size[0] - width)
        picture[top : top + height, left : left + width] = drawn[name]
    return picture


def _place_of(standalone: StandaloneScene, name: str) -> Any:
    """Where a slice view is: its matrix, field of view and dimensions, before the drawing view touches them."""
    node = standalone.scene.GetSingletonNode(name, "vtkMRMLSliceNode")
    if node is None:
        return None
    matrix = slicer.vtkMRMLSliceNode().GetSliceToRAS()
    matrix.DeepCopy(node.GetSliceToRAS())
    return matrix, tuple(node.GetFieldOfView()), tuple(node.GetDimensions()), tuple(node.GetXYZOrigin())


def _keep_place(view: SliceView, place: Any) -> None:
    """Show the same part of the slice in a window of another size."""
    matrix, field, _, _ = place
    view.node.GetSliceToRAS().DeepCopy(matrix)
    view.node.UpdateMatrices()
    width, height = view.window.GetSize()
    scale = max(field[0] / width, field[1] / height)
    view.node.SetFieldOfView(width * scale, height * scale, field[2])


def _put_back(node: Any, place: Any) -> None:
    matrix, field, dimensions, origin = place
    node.SetDimensions(*dimensions)
    node.SetFieldOfView(*field)
    node.SetXYZOrigin(*origin)
    node.GetSliceToRAS().DeepCopy(matrix)
    node.UpdateMatrices()


def compose(panel: np.ndarray, views: np.ndarray, caption: str | None, font: QtGui.QFont) -> np.ndarray:
    """The panel to the left of the views, with a line of text beneath."""
    height = max(len(panel), len(views))
    canvas = QtGui.QImage(panel.shape[1] + GAP + views.shape[1], height, QtGui.QImage.Format.Format_RGB888)
    canvas.fill(QtGui.QColor(GAP_GREY, GAP_GREY, GAP_GREY))
    painter = QtGui.QPainter(canvas)
    painter.drawImage(0, 0, image_of(panel))
    painter.drawImage(panel.shape[1] + GAP, 0, image_of(views))
    painter.end()
    if caption is None:
        return pixels_of(canvas)
    whole = QtGui.QImage(canvas.width(), height + CAPTION_HEIGHT, canvas.format())
    whole.fill(QtGui.QColor("white"))
    painter = QtGui.QPainter(whole)
    painter.drawImage(0, 0, canvas)
    painter.setPen(QtGui.QColor("black"))
    font = QtGui.QFont(font)
    font.setPointSize(12)
    painter.setFont(font)
    place = QtCore.QRect(12, height, whole.width() - 24, CAPTION_HEIGHT)
    painter.drawText(place, QtCore.Qt.AlignmentFlag.AlignVCenter, caption)
    painter.end()
    return pixels_of(whole)
