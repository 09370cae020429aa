"""Stand-ins for the widgets of Slicer that know a scene and little more."""

from __future__ import annotations

from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from .ctk_sliders import ctkSliderWidget


class qMRMLWidget(QtWidgets.QWidget):
    """A widget with a scene, which the widgets in it get through the .ui file's connections."""

    _scene_signal = Signal(object)
    _signal_aliases = {"mrmlSceneChanged(vtkMRMLScene*)": "_scene_signal(PyObject)"}
    _slot_aliases = {"setMRMLScene(vtkMRMLScene*)": "setMRMLScene"}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self._scene_signal.emit(scene)


class qSlicerWidget(qMRMLWidget):
    """The same for whole module panels."""


class qMRMLSliderWidget(ctkSliderWidget):
    """A slider that follows the scene's units; the fake Slicer knows none."""

    _slot_aliases = {"setMRMLScene(vtkMRMLScene*)": "setMRMLScene"}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._scene = None
        self._quantity = ""

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        self._scene = scene

    def _get_quantity(self):
        return self._quantity

    def setQuantity(self, quantity):
        self._quantity = quantity

    quantity = Property(str, _get_quantity, setQuantity)
