"""Real mouse and key events for widgets, which fail where a user could not do it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from PySide6.QtCore import QPoint, Qt

from .ctk_paths import ctkDirectoryButton, ctkPathLineEdit
from .ctk_range import ctkRangeWidget
from .ctk_sliders import ctkDoubleSlider, ctkSliderWidget
from .qmrml_nodes import qMRMLNodeComboBox

DRAG_STEPS, PULL = 8, 10
LEFT = Qt.MouseButton.LeftButton
NONE = Qt.MouseButton.NoButton


class CannotUseError(AssertionError):
    """A user could not do this."""


def settle() -> None:
    """Let Qt do what is due."""
    for _ in range(3):
        QtWidgets.QApplication.processEvents()
        QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def wait(until: Callable[[], Any], seconds: float, describe: Callable[[], str]) -> None:
    """Run the event loop until something is true.

    Raises:
        AssertionError: If it does not become true in time.
    """
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s in vain for {getattr(until, '__name__', until)}; {describe()}")
        QtWidgets.QApplication.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)
        time.sleep(0.002)
    settle()


def check_usable(widget: QtWidgets.QWidget) -> None:
    """Bring a widget into sight.

    Raises:
        CannotUseError: If it is disabled, hidden or without size.
    """
    settle()
    name = widget.objectName() or type(widget).__name__
    if not widget.isEnabled():
        tip = QtGui.QTextDocumentFragment.fromHtml(widget.toolTip()).toPlainText()
        why = f" ({tip})" if tip else ""
        raise CannotUseError(f"{name} is disabled{why}")
    if not widget.isVisible():
        raise CannotUseError(f"{name} is not visible")
    if widget.width() < 2 or widget.height() < 2:
        raise CannotUseError(f"{name} has no size")
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, QtWidgets.QScrollArea):
            parent.ensureWidgetVisible(widget)
        parent = parent.parentWidget()
    settle()
    if widget.visibleRegion().isEmpty():
        raise CannotUseError(f"{name} lies outside what can be seen")


def inner(widget: QtWidgets.QWidget) -> QtWidgets.QWidget:
    """The part of a stand-in that takes the mouse and the keys."""
    if isinstance(widget, (qMRMLNodeComboBox, ctkPathLineEdit)):
        return widget._combo
    if isinstance(widget, ctkDirectoryButton):
        return widget._button
    if isinstance(widget, ctkSliderWidget):
        return widget._slider._slider
    return widget._slider if isinstance(widget, ctkDoubleSlider) else widget


def click(widget: QtWidgets.QWidget, double: bool = False) -> None:
    """Click where a user would."""
    widget = inner(widget)
    check_usable(widget)
    place = _place(widget)
    (QtTest.QTest.mouseDClick if double else QtTest.QTest.mouseClick)(
        widget, LEFT, Qt.KeyboardModifier.NoModifier, place
    )
    settle()


def _place(widget: QtWidgets.QWidget) -> QPoint:
    """Where a click has an effect: on the indicator of a check box, the headline of a section, else the middle."""
    style, elements = widget.style(), QtWidgets.QStyle.SubElement
    if isinstance(widget, (QtWidgets.QCheckBox, QtWidgets.QRadioButton)):
        option = QtWidgets.QStyleOptionButton()
        widget.initStyleOption(option)
        box = isinstance(widget, QtWidgets.QCheckBox)
        part = elements.SE_CheckBoxIndicator if box else elements.SE_RadioButtonIndicator
        return style.subElementRect(part, option, widget).center()
    if isinstance(widget, QtWidgets.QGroupBox) and widget.isCheckable():
        option = QtWidgets.QStyleOptionGroupBox()
        widget.initStyleOption(option)
        controls = QtWidgets.QStyle
        part = controls.SubControl.SC_GroupBoxCheckBox
        return style.subControlRect(controls.ComplexControl.CC_GroupBox, option, part, widget).center()
    if hasattr(widget, "_header") and callable(widget._header):
        return widget._header().center()
    return widget.rect().center()


def type_text(widget: QtWidgets.QWidget, text: str, finish: bool) -> None:
    """Replace a text by typing; `finish` presses Return where it does not make a new line."""
    widget = inner(widget)
    if isinstance(widget, (ctkRangeWidget,)):
        raise CannotUseError("type into one of its spin boxes")
    check_usable(widget)
    if isinstance(widget, QtWidgets.QAbstractItemView):
        raise CannotUseError("open a cell's editor first")
    line = widget.lineEdit() if isinstance(widget, (QtWidgets.QAbstractSpinBox, QtWidgets.QComboBox)) else widget
    if line is None or (hasattr(line, "isReadOnly") and line.isReadOnly()):
        raise CannotUseError(f"{widget.objectName()} cannot be edited")
    line.setFocus()
    line.selectAll()
    if text:
        QtTest.QTest.keyClicks(line, text)
    else:
        QtTest.QTest.keyClick(line, Qt.Key.Key_Delete)
    if finish and not isinstance(line, (QtWidgets.QTextEdit, QtWidgets.QPlainTextEdit)):
        QtTest.QTest.keyClick(line, Qt.Key.Key_Return)
    settle()


def press_key(widget: QtWidgets.QWidget, name: str) -> None:
    """Press a key such as "Return", "Space", "Ctrl+Z"."""
    widget = inner(widget)
    check_usable(widget)
    widget.setFocus()
    focused = QtWidgets.QApplication.focusWidget()
    if focused is None or focused.focusPolicy() == Qt.FocusPolicy.NoFocus:
        raise CannotUseError(f"{widget.parentWidget().objectName() or widget.objectName()} takes no keyboard focus")
    *modifiers, key = name.split("+")
    held = Qt.KeyboardModifier.NoModifier
    for modifier in modifiers:
        held |= getattr(Qt.KeyboardModifier, {"Ctrl": "Control"}.get(modifier, modifier) + "Modifier")
    QtTest.QTest.keyClick(widget, getattr(Qt.Key, f"Key_{key}"), held)
    settle()


def drag(widget: QtWidgets.QWidget, value: float, release: bool = True) -> None:
    """Press a slider's handle, move it towards a value and let go.

    The pointer ends on the nearest pixel, so the value may be off by one of them.
    """
    slider = inner(widget)
    if not isinstance(slider, QtWidgets.QSlider):
        raise CannotUseError(f"{widget.objectName()} has no handle to drag")
    check_usable(slider)
    position = widget._to_position(value) if isinstance(widget, ctkDoubleSlider) else value
    if isinstance(widget, ctkSliderWidget):
        position = widget._slider._to_position(value)
    start, end = _handle(slider, slider.sliderPosition()), _handle(slider, round(position))
    if round(position) in (slider.minimum(), slider.maximum()):
        # To the very end people pull until it stops.
        past = end - start
        end += QPoint(*(PULL * ((way > 0) - (way < 0)) for way in (past.x(), past.y())))
    _mouse(slider, QtCore.QEvent.Type.MouseButtonPress, start, LEFT, LEFT)
    for step in range(1, DRAG_STEPS + 1):
        place = start + (end - start) * (step / DRAG_STEPS)
        _mouse(slider, QtCore.QEvent.Type.MouseMove, place, NONE, LEFT)
        QtWidgets.QApplication.processEvents()
    if release:
        _mouse(slider, QtCore.QEvent.Type.MouseButtonRelease, end, LEFT, NONE)
    settle()


def _handle(slider: QtWidgets.QSlider, position: int) -> QPoint:
    """The middle of the handle at a position."""
    option = QtWidgets.QStyleOptionSlider()
    slider.initStyleOption(option)
    option.sliderPosition = option.sliderValue = position
    style = QtWidgets.QStyle
    part = style.SubControl.SC_SliderHandle
    return slider.style().subControlRect(style.ComplexControl.CC_Slider, option, part, slider).center()


def _mouse(widget: QtWidgets.QWidget, kind: Any, place: QPoint, button: Any, held: Any) -> None:
    event = QtGui.QMouseEvent(
        kind, QtCore.QPointF(place), widget.mapToGlobal(QtCore.QPointF(place)), button, held, Qt.KeyboardModifier(0)
    )
    QtWidgets.QApplication.sendEvent(widget, event)


def choose(widget: QtWidgets.QWidget, row: int) -> None:
    """Open a combo box and click a row."""
    combo = inner(widget)
    check_usable(combo)
    combo.showPopup()
    settle()
    view = combo.view()
    index = combo.model().index(row, combo.modelColumn(), combo.rootModelIndex())
    if not index.flags() & Qt.ItemFlag.ItemIsEnabled:
        combo.hidePopup()
        raise CannotUseError(f"{widget.objectName()}: the row {combo.itemText(row)!r} is disabled")
    view.scrollTo(index)
    # The list ignores a release soon after it opens, as it may end the click that opened it.
    if index.flags() & Qt.ItemFlag.ItemIsSelectable:
        view.setCurrentIndex(index)
        QtTest.QTest.keyClick(view, Qt.Key.Key_Return)
    else:
        # An action of a node selector, which only a click begins.
        view.clicked.emit(index)
        combo.hidePopup()
    settle()


class Cell:
    """One cell of a table."""

    def __init__(self, table: QtWidgets.QAbstractItemView, row: int, column: int):
        self._table = table
        self._index = table.model().index(row, column)
        if not self._index.isValid():
            raise CannotUseError(f"{table.objectName()} has no cell {row}, {column}")

    @property
    def text(self) -> str:
        """What stands in it."""
        return str(self._index.data(Qt.ItemDataRole.DisplayRole) or "")

    @property
    def checked(self) -> bool:
        """Whether its box is ticked."""
        return Qt.CheckState(self._index.data(Qt.ItemDataRole.CheckStateRole)) == Qt.CheckState.Checked

    def click(self) -> None:
        """Click on it."""
        QtTest.QTest.mouseClick(self._viewport(), LEFT, Qt.KeyboardModifier.NoModifier, self._middle())
        settle()

    def double_click(self) -> None:
        """Double-click on it."""
        self.click()
        QtTest.QTest.mouseDClick(self._viewport(), LEFT, Qt.KeyboardModifier.NoModifier, self._middle())
        settle()

    def tick(self) -> None:
        """Click on its box."""
        option = QtWidgets.QStyleOptionViewItem()
        option.initFrom(self._table)
        option.rect = self._table.visualRect(self._index)
        option.features |= QtWidgets.QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
        part = QtWidgets.QStyle.SubElement.SE_ItemViewItemCheckIndicator
        place = self._table.style().subElementRect(part, option, self._table).center()
        self._viewport()
        QtTest.QTest.mouseClick(self._table.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, place)
        settle()

    def type(self, text: str) -> None:
        """Open its editor, replace the text and press Return."""
        self.double_click()
        editor = self._table.indexWidget(self._index) or self._table.focusWidget()
        editors = [child for child in self._table.viewport().findChildren(QtWidgets.QLineEdit) if child.isVisible()]
        editor = editors[0] if editors else editor
        if not isinstance(editor, QtWidgets.QLineEdit):
            raise CannotUseError(f"the cell {self.text!r} cannot be edited")
        type_text(editor, text, True)

    def _viewport(self) -> QtWidgets.QWidget:
        check_usable(self._table)
        self._table.scrollTo(self._index)
        settle()
        return self._table.viewport()

    def _middle(self) -> QPoint:
        rectangle = self._table.visualRect(self._index)
        if rectangle.isEmpty():
            raise CannotUseError(f"{self._table.objectName()}: the cell cannot be seen")
        return rectangle.center()
