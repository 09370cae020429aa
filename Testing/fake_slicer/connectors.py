"""Binding widgets to parameters both ways, for the pairs of widget class and type that Slicer has connectors for.

As in Slicer the class has to be exactly the one that is listed, and nothing keeps the widget's signals from those who
listen to them while a connector sets ranges, choices or node classes.
"""

from __future__ import annotations

import enum
import pathlib
from typing import Any

import vtk

from .conversion import Wrapped
from .pythonqt import Object

PATHS = (
    *(pathlib.Path, pathlib.PosixPath, pathlib.WindowsPath),
    *(pathlib.PurePath, pathlib.PurePosixPath, pathlib.PureWindowsPath),
)
SLIDERS = ("ctkSliderWidget", "qMRMLSliderWidget")
NUMBERS = ("QDoubleSpinBox", *SLIDERS, "ctkDoubleSlider", "ctkDoubleSpinBox")
SELECTABLE = (enum.Enum, bool, int, float, str)
LOWEST, HIGHEST = -(2**31), 2**31 - 1


def named_widgets(gui: Any) -> dict[str, Object]:
    """The widgets of a panel that name a parameter."""
    candidates = gui.findChildren("QWidget") if isinstance(gui, Wrapped) else list(vars(gui).values())
    found: dict[str, Object] = {}
    for widget in candidates:
        name = widget._object.property("SlicerParameterName") if isinstance(widget, Wrapped) else None
        if name:
            if name in found:
                # Slicer would take the last one in silence.
                raise ValueError(f"two widgets name the parameter {name}")
            found[name] = widget
    return found


class Connector:
    """One widget for one parameter that is one of the widget's properties.

    Args:
        widget: The widget.
        parameter: Its parameter, a `parameters.Parameter`.
        signal: What tells that the user changed it; None for a widget that only shows.
        attribute: The property.
    """

    def __init__(self, widget: Object, parameter: Any, signal: str | None = None, attribute: str = ""):
        self.widget, self.parameter = widget, parameter
        self.signal, self.attribute = signal, attribute

    def note(self, name: str) -> Any:
        """The parameter's annotation of a class, or None."""
        return next((note for note in self.parameter.notes if type(note).__name__ == name), None)

    def read(self) -> Any:
        """What the widget shows."""
        return getattr(self.widget, self.attribute)

    def write(self, value: Any) -> None:
        """Let the widget show a value."""
        setattr(self.widget, self.attribute, value)


class Button(Connector):
    def __init__(self, widget, parameter):
        super().__init__(widget, parameter, "toggled(bool)", "checked")
        if not widget.checkable:
            # Slicer makes it checkable and warns in the log.
            raise ValueError(f"the button for {parameter.name} must be checkable")


class WholeNumber(Connector):
    def __init__(self, widget, parameter):
        super().__init__(widget, parameter, "valueChanged(int)", "value")
        if (decimals := self.note("Decimals")) is not None:
            widget.decimals = decimals.value
        if (step := self.note("SingleStep")) is not None:
            widget.singleStep = step.value
        within, lowest, highest = self.note("WithinRange"), self.note("Minimum"), self.note("Maximum")
        if class_of(widget) == "QSlider" and within is None and (lowest is None or highest is None):
            raise RuntimeError(f"a QSlider needs a range for the parameter {parameter.name}")
        if within is not None:
            widget.setRange(within.minimum, within.maximum)
        else:
            widget.setMinimum(LOWEST if lowest is None else lowest.minimum)
            widget.setMaximum(HIGHEST if highest is None else highest.maximum)


class Number(Connector):
    def __init__(self, widget, parameter):
        super().__init__(widget, parameter, "valueChanged(double)", "value")
        kind = class_of(widget)
        if kind != "ctkDoubleSlider" and parameter.kind is int:
            widget.decimals = 0
        elif kind != "ctkDoubleSlider" and self.note("Decimals") is not None:
            widget.decimals = self.note("Decimals").value
        if (step := self.note("SingleStep")) is not None:
            widget.singleStep = step.value
        within, lowest, highest = self.note("WithinRange"), self.note("Minimum"), self.note("Maximum")
        if kind in SLIDERS and within is None and (lowest is None or highest is None):
            raise RuntimeError(f"a {kind} needs a range for the parameter {parameter.name}")
        low, high = (within, within) if within is not None else (lowest, highest)
        widget.minimum = float("-inf") if low is None else float(low.minimum)
        widget.maximum = float("inf") if high is None else float(high.maximum)

    def read(self):
        return self.parameter.kind(self.widget.value)

    def write(self, value):
        self.widget.value = float(value)


class Selection(Connector):
    """A combo box of the values of an enumeration or a Choice."""

    def __init__(self, widget, parameter):
        super().__init__(widget, parameter, "currentIndexChanged(int)")
        if isinstance(parameter.kind, type) and issubclass(parameter.kind, enum.Enum):
            self.values = list(parameter.kind)
            texts = [entry.label() if hasattr(entry, "label") else entry.name for entry in self.values]
            chosen = self.read()
        elif (choice := self.note("Choice")) is not None:
            self.values = list(choice.choices)
            texts, chosen = [str(value) for value in self.values], None
        else:
            raise RuntimeError(f"a QComboBox needs a Choice for the parameter {parameter.name}")
        widget.clear()
        for text in texts:
            widget.addItem(text)
        if chosen is not None:
            self.write(chosen)

    def read(self):
        return self.values[self.widget.currentIndex]

    def write(self, value):
        self.widget.currentIndex = self.values.index(value)


class Line(Connector):
    def write(self, value):
        # Setting the text moves the cursor to its end.
        if value != self.widget.text:
            self.widget.text = value


class Text(Connector):
    def read(self):
        return self.widget.toPlainText()

    def write(self, value):
        self.widget.setPlainText(value)


class Path(Connector):
    def read(self):
        return self.parameter.kind(super().read())

    def write(self, value):
        super().write(str(value))


class Range(Connector):
    def __init__(self, widget, parameter):
        super().__init__(widget, parameter, "valuesChanged(double,double)")
        if (decimals := self.note("Decimals")) is not None:
            widget.decimals = decimals.value
        if (step := self.note("SingleStep")) is not None:
            widget.singleStep = step.value
        if (bounds := self.note("RangeBounds")) is None:
            raise RuntimeError(f"a ctkRangeWidget needs RangeBounds for the parameter {parameter.name}")
        widget.setRange(bounds.minimum, bounds.maximum)

    def read(self):
        return self.parameter.kind(self.widget.minimumValue, self.widget.maximumValue)

    def write(self, value):
        self.widget.setValues(value.minimum, value.maximum)


class Node(Connector):
    """A node selector, which from then on offers nodes of the annotated classes, whatever its .ui file says."""

    def __init__(self, widget, parameter):
        super().__init__(widget, parameter, "currentNodeChanged(vtkMRMLNode*)")
        widget.nodeTypes = parameter.node_types()

    def read(self):
        return self.widget.currentNode()

    def write(self, value):
        self.widget.setCurrentNode(value)


def class_of(widget: Object) -> str:
    """The widget's C++ class."""
    return type(widget._object).__name__


def make(widget: Object, parameter: Any) -> Connector:
    """The connector between a widget and a parameter.

    Raises:
        RuntimeError: If Slicer has none.
        TypeError: If the parameter's node class is abstract.
    """
    kind, wanted = class_of(widget), parameter.kind
    if kind in ("QCheckBox", "ctkCheckBox") and wanted is bool:
        return Connector(widget, parameter, "stateChanged(int)", "checked")
    if kind == "QPushButton" and wanted is bool:
        return Button(widget, parameter)
    if kind in ("QSlider", "QSpinBox") and wanted is int:
        return WholeNumber(widget, parameter)
    if kind in NUMBERS and wanted in (int, float):
        return Number(widget, parameter)
    if kind in ("QComboBox", "ctkComboBox") and wanted is not None and issubclass(wanted, SELECTABLE):
        return Selection(widget, parameter)
    if kind == "QLineEdit" and wanted is str:
        return Line(widget, parameter, "textChanged(QString)", "text")
    if kind == "QLabel" and wanted is str:
        return Connector(widget, parameter, None, "text")
    if kind == "QTextEdit" and wanted is str:
        return Text(widget, parameter, "textChanged()")
    if kind == "ctkRangeWidget" and wanted is not None and wanted.__name__ == "FloatRange":
        return Range(widget, parameter)
    if kind == "ctkPathLineEdit" and wanted in PATHS:
        return Path(widget, parameter, "currentPathChanged(QString)", "currentPath")
    if kind == "ctkDirectoryButton" and wanted in PATHS:
        return Path(widget, parameter, "directoryChanged(QString)", "directory")
    if kind == "qMRMLNodeComboBox" and parameter.stored.is_node():
        return Node(widget, parameter)
    name = getattr(wanted, "__name__", "a union")
    raise RuntimeError(f"no connector between {kind} and {name} ({parameter.name})")


class Binding:
    """All widgets of one `connectGui`."""

    def __init__(self, wrapper: Any, widgets: dict[Any, Object]):
        self._wrapper = wrapper
        self._connectors = [make(widget, parameter) for parameter, widget in widgets.items()]
        self._handlers = []
        # One after the other: a widget that is bound may change a parameter while a later one is filled.
        for connector in self._connectors:
            connector.write(wrapper.getValue(connector.parameter.name))
            if connector.signal is not None:
                handler = self._handler(connector)
                connector.widget.connect(connector.signal, handler)
                self._handlers.append((connector, handler))
        self._tag = wrapper.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: self._update_widgets())

    def close(self) -> None:
        """Let go of the widgets and the node."""
        for connector, handler in self._handlers:
            connector.widget.disconnect(connector.signal, handler)
        self._wrapper.RemoveObserver(self._tag)

    def _handler(self, connector: Connector) -> Any:
        def on_widget():
            modified = self._wrapper.StartModify()
            try:
                if not self._wrapper._updating:
                    self._wrapper.setValue(connector.parameter.name, connector.read())
            finally:
                self._wrapper.EndModify(modified)

        return on_widget

    def _update_widgets(self) -> None:
        wrapper = self._wrapper
        if wrapper._updating:
            return
        object.__setattr__(wrapper, "_updating", True)
        modified = wrapper.StartModify()
        try:
            for binding in wrapper._bindings.values():
                for connector in binding._connectors:
                    connector.write(wrapper.getValue(connector.parameter.name))
        finally:
            wrapper.EndModify(modified)
            object.__setattr__(wrapper, "_updating", False)
