"""Tool tips as Slicer changes them: a plain text becomes rich text, so that long lines wrap.

Slicer's ctkToolTipTrapper does it as soon as a widget's tool tip is set, and what a script reads back is the rich text.
"""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets

from .pythonqt import after_setting, member_replacements


def wrap(widget: QtWidgets.QWidget) -> None:
    """Make a widget's tool tip rich text, unless it is or there is none."""
    text = widget.toolTip()
    if text and not QtGui.Qt.mightBeRichText(text):
        widget.setToolTip(QtGui.Qt.convertFromPlainText(text, QtCore.Qt.WhiteSpaceMode.WhiteSpaceNormal))


def _set_tool_tip(widget: QtWidgets.QWidget, text: str) -> None:
    widget.setToolTip(text)
    wrap(widget)


member_replacements["QWidget", "setToolTip"] = _set_tool_tip
after_setting["QWidget", "toolTip"] = wrap
