"""Binding widgets to parameters both ways, for the pairs that Slicer's documentation lists."""

from __future__ import annotations

import enum
import pathlib
from typing import Any

import slicer
import vtk

from .conversion import Wrapped
from .pythonqt import Object

RANGED = ("QSlider", "QSpinBox", "QDoubleSpinBox", "ctkSliderWidget", "ctkDoubleSlider", "ctkDoubleSpinBox")
# Widget class, type of parameter, signal, property; None where choices, paths or nodes need more than a property.
PAIRS = (
    ("QCheckBox", bool, "toggled(bool)", "checked"),
    ("QPushButton", bool, "toggled(bool)", "checked"),
    ("QSlider", int, "valueChanged(int)", "value"),
    ("QSpinBox", int, "valueChanged(int)", "value"),
    ("QDoubleSpinBox", float, "valueChanged(double)", "value"),
    ("ctkSliderWidget", float, "valueChanged(double)", "value"),
    ("ctkDoubleSlider", float, "valueChanged(double)", "value"),
    ("QLineEdit", str, "textChanged(QString)", "text"),
    ("QTextEdit", str, "textChanged()", "plainText"),
    ("QLabel", str, None, "text"),
    ("ctkPathLineEdit", pathlib.PurePath, "currentPathChanged(QString)", "currentPath"),
    ("ctkDirectoryButton", pathlib.PurePath, "directoryChanged(QString)", "directory"),
    ("QComboBox", enum.Enum, "currentIndexChanged(int)", None),
    ("QComboBox", (int, float, str, bool), "currentIndexChanged(int)", None),
    ("qMRMLNodeComboBox", slicer.vtkMRMLNode, "currentNodeChanged(vtkMRMLNode*)", None),
    ("ctkRangeWidget", object, "valuesChanged(double,double)", None),
)


def named_widgets(gui: Any) -> dict[str, Object]:
    """The widgets of a panel that name a parameter."""
    candidates = [gui, *gui.findChildren("QWidget")] if isinstance(gui, Wrapped) else list(vars(gui).values())
    found: dict[str, Object] = {}
    for widget in candidates:
        name = widget._object.property("SlicerParameterName") if isinstance(widget, Wrapped) else None
        if name:
            if name in found:
                raise ValueError(f"two widgets name the parameter {name}")
            found[name] = widget
    return found


class Connector:
    """One widget for one parameter."""

    def __init__(self, widget: Object, parameter: Any):
        self.widget, self.parameter = widget, parameter
        bases = [base.__name__ for base in type(widget._object).__mro__]
        notes = {type(note).__name__: note for note in parameter.notes}
        for name, kinds, signal, attribute in PAIRS:
            if name in bases and issubclass(parameter.kind, kinds):
                self.signal, self.attribute = signal, attribute
                break
        else:
            raise ValueError(f"no connector between {bases[0]} and {parameter.kind.__name__} ({parameter.name})")
        self.choices: tuple = ()
        if "QComboBox" in bases:
            self._fill(notes)
        if "QPushButton" in bases and not widget.checkable:
            raise ValueError(f"the button for {parameter.name} must be checkable")
        if any(name in bases for name in RANGED):
            self._limit(notes)

    def _fill(self, notes: dict[str, Any]) -> None:
        if issubclass(self.parameter.kind, enum.Enum):
            self.choices = tuple(self.parameter.kind)
            texts = [entry.label() if hasattr(entry, "label") else entry.name for entry in self.choices]
        elif "Choice" in notes:
            self.choices = notes["Choice"].choices
            texts = [str(choice) for choice in self.choices]
        else:
            raise ValueError(f"no connector between QComboBox and {self.parameter.name}, which has no Choice")
        blocked = self.widget.blockSignals(True)
        self.widget.clear()
        self.widget.addItems(texts)
        self.widget.blockSignals(blocked)

    def _limit(self, notes: dict[str, Any]) -> None:
        blocked = self.widget.blockSignals(True)
        for note in notes.values():
            for name in ("minimum", "maximum"):
                if hasattr(note, name):
                    setattr(self.widget, name, getattr(note, name))
        if "Decimals" in notes:
            self.widget.decimals = notes["Decimals"].value
        if "SingleStep" in notes:
            self.widget.singleStep = notes["SingleStep"].value
        self.widget.blockSignals(blocked)

    def read(self) -> Any:
        """What the widget shows."""
        kind = self.parameter.kind
        if self.choices:
            return self.choices[self.widget.currentIndex] if self.widget.currentIndex >= 0 else None
        if issubclass(kind, slicer.vtkMRMLNode):
            return self.widget.currentNode()
        if self.attribute is None:
            return kind(self.widget.minimumValue, self.widget.maximumValue)
        return kind(getattr(self.widget, self.attribute))

    def write(self, value: Any) -> None:
        """Let the widget show a value."""
        if self.choices:
            self.widget.setCurrentIndex(self.choices.index(value))
        elif issubclass(self.parameter.kind, slicer.vtkMRMLNode):
            self.widget.setCurrentNode(value)
        elif self.attribute is None:
            self.widget.setValues(value.minimum, value.maximum)
        else:
            value = str(value) if isinstance(value, pathlib.PurePath) else value
            if getattr(self.widget, self.attribute) != value:
                setattr(self.widget, self.attribute, value)


class Binding:
    """All widgets of one `connectGui`."""

    def __init__(self, wrapper: Any, widgets: dict[Any, Object]):
        self._wrapper = wrapper
        self._updating = False
        self._connectors = [Connector(widget, parameter) for parameter, widget in widgets.items()]
        self._update_widgets()
        self._handlers = []
        for connector in self._connectors:
            if connector.signal is not None:
                handler = self._handler(connector)
                connector.widget.connect(connector.signal, handler)
                self._handlers.append((connector, handler))
        self._tag = wrapper.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_node)

    def close(self) -> None:
        """Let go of the widgets and the node."""
        self._wrapper.RemoveObserver(self._tag)
        for connector, handler in self._handlers:
            connector.widget.disconnect(connector.signal, handler)

    def _handler(self, connector: Connector) -> Any:
        def on_widget():
            if not self._updating:
                value = connector.read()
                if value is not None or issubclass(connector.parameter.kind, slicer.vtkMRMLNode):
                    setattr(self._wrapper, connector.parameter.name, value)

        return on_widget

    def _on_node(self, caller: Any, event: str) -> None:
        self._update_widgets()

    def _update_widgets(self) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            for connector in self._connectors:
                connector.write(getattr(self._wrapper, connector.parameter.name))
        finally:
            self._updating = False
