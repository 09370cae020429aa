"""The module `ctk`: stand-ins for the widgets of CTK, by the properties, signals and methods of the real ones."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtWidgets
from PySide6.QtCore import Property, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap

from .ctk_paths import ctkDirectoryButton, ctkPathLineEdit
from .ctk_range import ctkRangeWidget
from .ctk_sliders import ctkDoubleSlider, ctkDoubleSpinBox, ctkSliderWidget
from .pythonqt import Class


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A headline that hides and shows what is beneath it."""

    contentsCollapsed = Signal(bool)

    def __init__(self, *arguments):
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(*[argument for argument in arguments if not isinstance(argument, str)])
        self._collapsed = False
        self._flat = False
        self._hidden: list[QtWidgets.QWidget] = []
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(lambda checked: self.setCollapsed(not checked))
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        self.setContentsMargins(0, self._header_height() + 3, 0, 0)

    def _header_height(self):
        return self.fontMetrics().height() + 8

    def _header(self):
        return QRect(0, 0, self.width(), self._header_height())

    def _is_collapsed(self):
        return self._collapsed

    def setCollapsed(self, collapsed):
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self.setChecked(not collapsed)
        children = [child for child in self.children() if isinstance(child, QtWidgets.QWidget)]
        if collapsed:
            self._hidden = [child for child in children if not child.isHidden()]
        for child in self._hidden:
            child.setVisible(not collapsed)
        self.setMaximumHeight(self._header_height() if collapsed else 16777215)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, _is_collapsed, setCollapsed, notify=contentsCollapsed)

    def isFlat(self):
        return self._flat

    def setFlat(self, flat):
        self._flat = flat

    flat = Property(bool, isFlat, setFlat)

    def hitButton(self, position):
        return self._header().contains(position)

    def minimumSizeHint(self):
        header = QSize(self.fontMetrics().horizontalAdvance(self.text()) + 40, self._header_height())
        if self._collapsed or self.layout() is None:
            return header
        return self.layout().totalMinimumSize().expandedTo(header)

    def sizeHint(self):
        header = QSize(self.fontMetrics().horizontalAdvance(self.text()) + 40, self._header_height())
        if self._collapsed or self.layout() is None:
            return header
        return self.layout().totalSizeHint().expandedTo(header)

    def paintEvent(self, event):
        painter = QPainter(self)
        header = self._header()
        palette = self.palette()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(palette.mid().color())
        painter.setBrush(palette.button())
        painter.drawRoundedRect(header.adjusted(0, 0, -1, -1), 3, 3)
        if not self._collapsed:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, header.height() - 1, -1, -1))
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QRect(6, (header.height() - 12) // 2, 12, 12)
        elements = QtWidgets.QStyle.PrimitiveElement
        shape = elements.PE_IndicatorArrowRight if self._collapsed else elements.PE_IndicatorArrowDown
        self.style().drawPrimitive(shape, arrow, painter, self)
        painter.setPen(palette.buttonText().color())
        painter.drawText(header.adjusted(24, 0, -4, 0), Qt.AlignmentFlag.AlignVCenter, self.text())


class ctkComboBox(QtWidgets.QComboBox):
    """A combo box that can show a text while nothing is chosen."""

    def _default_text(self):
        return self.placeholderText()

    def setDefaultText(self, text):
        self.setPlaceholderText(text)

    defaultText = Property(str, _default_text, setDefaultText)


class ctkCheckBox(QtWidgets.QCheckBox):
    """A check box whose indicator may be an icon."""

    def _indicator_icon(self):
        return getattr(self, "_icon", QIcon())

    def setIndicatorIcon(self, icon):
        self._icon = icon

    indicatorIcon = Property(QIcon, _indicator_icon, setIndicatorIcon)


class ctkColorPickerButton(QtWidgets.QPushButton):
    """A button that shows a colour."""

    colorChanged = Signal(QColor)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._color = QColor("black")
        self._display_name = True
        self._show()

    def _get_color(self):
        return self._color

    def setColor(self, color):
        if color != self._color:
            self._color = QColor(color)
            self._show()
            self.colorChanged.emit(self._color)

    color = Property(QColor, _get_color, setColor)

    def _get_display_name(self):
        return self._display_name

    def setDisplayColorName(self, display):
        self._display_name = display
        self._show()

    displayColorName = Property(bool, _get_display_name, setDisplayColorName)

    def _show(self):
        pixmap = QPixmap(16, 16)
        pixmap.fill(self._color)
        self.setIcon(QIcon(pixmap))
        self.setText(self._color.name() if self._display_name else "")


class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box with a box to tick that it need not come again."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._key = ""
        self._visible = False
        self._again = False

    def _get_key(self):
        return self._key

    def setDontShowAgainSettingsKey(self, key):
        self._key = key

    dontShowAgainSettingsKey = Property(str, _get_key, setDontShowAgainSettingsKey)

    def isDontShowAgainVisible(self):
        return self._visible

    def setDontShowAgainVisible(self, visible):
        self._visible = visible

    dontShowAgainVisible = Property(bool, isDontShowAgainVisible, setDontShowAgainVisible)

    def _get_again(self):
        return self._again

    def setDontShowAgain(self, again):
        self._again = again

    dontShowAgain = Property(bool, _get_again, setDontShowAgain)


CLASSES = {
    cls.__name__: cls
    for cls in (
        ctkCheckBox,
        ctkCollapsibleButton,
        ctkColorPickerButton,
        ctkComboBox,
        ctkDirectoryButton,
        ctkDoubleSlider,
        ctkDoubleSpinBox,
        ctkMessageBox,
        ctkPathLineEdit,
        ctkRangeWidget,
        ctkSliderWidget,
    )
}


class CtkModule(types.ModuleType):
    """Gives out the stand-ins under PythonQt's rules."""

    def __getattr__(self, name: str) -> Any:
        if name not in CLASSES:
            raise AttributeError(f"module 'ctk' has no attribute '{name}' (on this bench)")
        return Class(CLASSES[name])


module = CtkModule("ctk", __doc__)
