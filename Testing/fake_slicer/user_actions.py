"""What a test does with the open module's widgets, by their names in the .ui file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtWidgets

from MedADLib.volume import Volume

from . import driver
from .conversion import Wrapped
from .qmrml_nodes import qMRMLNodeComboBox
from .readers import load_with_reader


class UserActions:
    """The driver's functions of a fake Slicer; widgets are given by name or as objects."""

    def click(self, widget: Any) -> None:
        """Click on a widget; fails if it is disabled or cannot be seen."""
        driver.click(self._find(widget))

    def double_click(self, widget: Any) -> None:
        """Double-click on a widget."""
        driver.click(self._find(widget), double=True)

    def type(self, widget: Any, text: str, finish: bool = True) -> None:
        """Replace a widget's text by typing, and press Return unless `finish` is false."""
        driver.type_text(self._find(widget), text, finish)

    def drag(self, widget: Any, value: float, release: bool = True) -> None:
        """Drag a slider's handle to a value, as near as pixels allow; without `release` the button stays down."""
        driver.drag(self._find(widget), value, release)

    def key(self, widget: Any, name: str) -> None:
        """Press a key on a widget: "Return", "Space", "Right", "Ctrl+A"."""
        driver.press_key(self._find(widget), name)

    def choose(self, widget: Any, text: str) -> None:
        """Choose an entry of a combo box by its text."""
        found = self._find(widget)
        combo = driver.inner(found)
        row = combo.findText(text)
        if row < 0:
            offered = [combo.itemText(index) for index in range(combo.count())]
            raise driver.CannotUseError(f"{found.objectName()} does not offer {text!r} but {offered}")
        driver.choose(found, row)

    def select_node(self, widget: Any, node: Any) -> None:
        """Choose a node, or None, in a node selector."""
        found = self._find(widget)
        identifier = node.GetID() if node is not None else ""
        if not isinstance(found, qMRMLNodeComboBox) or identifier not in found._ids:
            raise driver.CannotUseError(f"{found.objectName()} does not offer {identifier or 'None'} but {found._ids}")
        driver.choose(found, found._ids.index(identifier))

    def cell(self, table: Any, row: int, column: int) -> driver.Cell:
        """A cell of a table, to click, double_click, tick, type into, or read its text."""
        return driver.Cell(self._find(table), row, column)

    def wait(self, until: Callable[[], Any], seconds: float = 10) -> None:
        """Run the event loop until something is true; fails with a message if it does not become so."""
        driver.wait(until, seconds, self._describe)

    def run_events(self, seconds: float) -> None:
        """Run the event loop for some time."""
        end = time.monotonic() + seconds
        driver.wait(lambda: time.monotonic() >= end, seconds + 1, self._describe)

    def drop_file(self, path: Path) -> bool:
        """Drop a file on the application; returns whether the module's reader loaded it."""
        taken = self._load(path, None)
        driver.settle()
        return taken

    def load_volume(self, volume: Volume) -> slicer.vtkMRMLScalarVolumeNode:
        """Load a volume as Slicer does: it becomes the background of all slices, which are fitted to it."""
        node = self.standalone.add_volume(volume)
        slicer.util.setSliceViewerLayers(background=node, fit=slicer.app.layoutManager() is not None)
        driver.settle()
        return node

    def save_scene(self, path: Path) -> None:
        """Save the scene to a .mrb file."""
        self.standalone.save(path)

    def open_scene(self, path: Path) -> None:
        """Close the scene and open another from a .mrb file."""
        self.close_scene()
        self.standalone.load(path)
        driver.settle()

    def _load(self, path: Path, file_type: str | None) -> bool:
        return load_with_reader(self._python, Path(path), file_type)

    def _find(self, widget: Any) -> QtWidgets.QWidget:
        if isinstance(widget, Wrapped):
            return widget._object
        if isinstance(widget, QtWidgets.QWidget):
            return widget
        if not hasattr(self.ui, widget):
            raise driver.CannotUseError(f"there is no widget {widget} in the panel")
        return getattr(self.ui, widget)._object

    def _describe(self) -> str:
        parts = [f"messages: {self.messages[-5:]}"]
        if self.slot_errors:
            parts.append(f"exceptions: {self.slot_errors}")
        return "; ".join(parts)
