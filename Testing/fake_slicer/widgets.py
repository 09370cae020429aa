"""All stand-ins for widgets by class name, as a .ui file and the module `slicer` name them."""

from __future__ import annotations

from . import ctk
from .qmrml_nodes import qMRMLColorTableComboBox, qMRMLNodeComboBox
from .qmrml_segments import qMRMLSegmentsTableView
from .qmrml_widget import qMRMLSliderWidget, qMRMLWidget, qSlicerWidget

SLICER = {
    cls.__name__: cls
    for cls in (
        qMRMLColorTableComboBox,
        qMRMLNodeComboBox,
        qMRMLSegmentsTableView,
        qMRMLSliderWidget,
        qMRMLWidget,
        qSlicerWidget,
    )
}
ALL = {**ctk.CLASSES, **SLICER}
