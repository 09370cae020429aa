"""Stand-in for CTK's combo box, which sizes itself and keeps the size that it found first."""

from __future__ import annotations

from PySide6 import QtWidgets
from PySide6.QtCore import Property, QEvent, QSize, Qt
from PySide6.QtWidgets import QComboBox

ICON_GAP, DEFAULT_LETTERS, LEAST_HEIGHT = 4, 7, 14


class ctkComboBox(QComboBox):
    """A combo box that can show a text while nothing is chosen.

    It is as wide as its longest entry when its size is asked for the first time, unless its `sizeAdjustPolicy` says
    otherwise by then; entries that come later do not change it.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._text = ""
        self._hint: QSize | None = None
        self._minimum_hint: QSize | None = None
        self._elide = Qt.TextElideMode.ElideNone

    def _default_text(self):
        return self._text

    def setDefaultText(self, text):
        self._text = text
        self._hint = None
        self.update()

    defaultText = Property(str, _default_text, setDefaultText)

    def _compute(self):
        policies, metrics = QComboBox.SizeAdjustPolicy, self.fontMetrics()
        letter, icon = metrics.horizontalAdvance("x"), False
        width = -1
        if self.sizeAdjustPolicy() == policies.AdjustToMinimumContentsLengthWithIcon:
            icon = True
        else:
            if self.count() == 0:
                width = metrics.boundingRect(self._text).width() if self._text else DEFAULT_LETTERS * letter
            for row in range(self.count()):
                width = max(width, metrics.boundingRect(self.itemText(row)).width())
        if self.minimumContentsLength() > 0:
            gap = self.iconSize().width() + ICON_GAP if icon else 0
            width = max(width, self.minimumContentsLength() * letter + gap)
        height = max(metrics.height(), LEAST_HEIGHT) + 2
        if icon:
            height = max(height, self.iconSize().height() + 2)
        option = QtWidgets.QStyleOptionComboBox()
        self.initStyleOption(option)
        contents = QtWidgets.QStyle.ContentsType.CT_ComboBox
        return self.style().sizeFromContents(contents, option, QSize(width, height), self)

    def minimumSizeHint(self):
        if self._minimum_hint is None:
            self._minimum_hint = self._compute()
        return self._minimum_hint

    def sizeHint(self):
        if self._hint is None:
            self._hint = self._compute()
        return self._hint

    def changeEvent(self, event):
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.FontChange):
            self._hint = self._minimum_hint = None
        super().changeEvent(event)

    def paintEvent(self, event):
        option = QtWidgets.QStyleOptionComboBox()
        self.initStyleOption(option)
        if self.currentIndex() == -1:
            option.currentText = self._text
        style, field = self.style(), QtWidgets.QStyle.SubControl.SC_ComboBoxEditField
        place = style.subControlRect(QtWidgets.QStyle.ComplexControl.CC_ComboBox, option, field, self)
        option.currentText = option.fontMetrics.elidedText(option.currentText, self._elide, place.width())
        painter = QtWidgets.QStylePainter(self)
        painter.drawComplexControl(QtWidgets.QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_ComboBoxLabel, option)
