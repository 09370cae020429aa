"""The module `ctk`: stand-ins for the widgets of CTK, by the properties, signals and methods of the real ones."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtWidgets
from PySide6.QtCore import Property, QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap

from .ctk_combo import ctkComboBox
from .ctk_paths import ctkDirectoryButton, ctkPathLineEdit
from .ctk_range import ctkRangeWidget
from .ctk_sliders import ctkDoubleSlider, ctkDoubleSpinBox, ctkSliderWidget
from .pythonqt import Class

COLLAPSED_HEIGHT = 14


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A headline that hides and shows what is beneath it.

    It is never narrower than its contents would like to be. What is shown or hidden in it while it is collapsed
    appears or stays away when it is opened.
    """

    contentsCollapsed = Signal(bool)

    def __init__(self, *arguments):
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(*[argument for argument in arguments if not isinstance(argument, str)])
        self._collapsed = False
        self._flat = False
        self._forcing = False
        self._wanted: dict[QtWidgets.QWidget, bool] = {}
        self._maximum_height = self.maximumHeight()
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(lambda checked: self._collapse(not checked))
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Preferred)
        self.setContentsMargins(0, self._button_size().height(), 0, 0)
        self.setBackgroundRole(QPalette.ColorRole.Window)

    def _button_size(self):
        option, metrics = QtWidgets.QStyleOptionButton(), QtWidgets.QStyle.PixelMetric
        option.initFrom(self)
        style = self.style()
        text = self.fontMetrics().size(Qt.TextFlag.TextShowMnemonic.value, self.text() or "XXXX")
        indicator = style.pixelMetric(metrics.PM_IndicatorWidth, option, self)
        width = indicator + style.pixelMetric(metrics.PM_CheckBoxLabelSpacing, option, self)
        width += text.width() if self.text() else 0
        height = max(style.pixelMetric(metrics.PM_IndicatorHeight, option, self), text.height())
        contents = QtWidgets.QStyle.ContentsType.CT_PushButton
        return style.sizeFromContents(contents, option, QSize(width, height), self)

    def _header(self):
        return QRect(0, 0, self.width(), self._button_size().height())

    def _is_collapsed(self):
        return self._collapsed

    def setCollapsed(self, collapsed):
        self.setChecked(not collapsed)

    def _collapse(self, collapsed):
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        if collapsed:
            self._maximum_height = self.maximumHeight()
            self.setMaximumHeight(self.sizeHint().height())
        else:
            self.setMaximumHeight(self._maximum_height)
        self._show_children()
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, _is_collapsed, setCollapsed, notify=contentsCollapsed)

    def setVisible(self, visible):
        self._forcing = True
        super().setVisible(visible)
        self._forcing = False
        if self.testAttribute(Qt.WidgetAttribute.WA_WState_Created):
            self._show_children()

    def _show_children(self):
        """Show what was not hidden on purpose, or nothing while collapsed; not before it was first shown."""
        if not self.testAttribute(Qt.WidgetAttribute.WA_WState_Created):
            return
        self._forcing = True
        for child in [child for child in self.children() if isinstance(child, QtWidgets.QWidget)]:
            if child not in self._wanted:
                explicit = child.testAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide)
                self._wanted[child] = not (explicit and child.isHidden())
                child.installEventFilter(self)
            child.setVisible(self._wanted[child] and not self._collapsed)
            if self._wanted[child]:
                child.setAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)
        self._forcing = False

    def eventFilter(self, child, event):
        kind = event.type()
        if not self._forcing and kind == QEvent.Type.ShowToParent:
            self._wanted[child] = True
            if self._collapsed:
                self._show_children()
        elif not self._forcing and kind == QEvent.Type.HideToParent:
            self._wanted[child] = False
        return False

    def isFlat(self):
        return self._flat

    def setFlat(self, flat):
        self._flat = flat

    flat = Property(bool, isFlat, setFlat)

    def hitButton(self, position):
        return self._header().contains(position)

    def minimumSizeHint(self):
        header = self._button_size()
        if self._collapsed:
            return header + QSize(0, COLLAPSED_HEIGHT)
        return header if self.layout() is None else self.layout().totalMinimumSize().expandedTo(header)

    def sizeHint(self):
        header = self._button_size() + QSize(0, COLLAPSED_HEIGHT)
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
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QRect(6, (header.height() - 12) // 2, 12, 12)
        elements = QtWidgets.QStyle.PrimitiveElement
        shape = elements.PE_IndicatorArrowRight if self._collapsed else elements.PE_IndicatorArrowDown
        self.style().drawPrimitive(shape, arrow, painter, self)
        painter.setPen(palette.buttonText().color())
        flags = Qt.AlignmentFlag.AlignVCenter.value | Qt.TextFlag.TextShowMnemonic.value
        painter.drawText(header.adjusted(24, 0, -4, 0), flags, self.text())


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
            raise AttributeError(f"module 'ctk' has no attribute '{name}' (on this fake Slicer)")
        return Class(CLASSES[name])


module = CtkModule("ctk", __doc__)
