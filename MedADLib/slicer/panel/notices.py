"""Box with an icon and a coloured background for errors and warnings."""

from __future__ import annotations

from typing import Any

import qt

from .texts import breakable

ICON_PIXELS = 20
# Severity -> (icon, (background, text) on light, the same on dark).
LOOKS = {
    "error": ("SP_MessageBoxCritical", ("#fbdedc", "#6f1210"), ("#5e1c1c", "#ffe1df")),
    "warning": ("SP_MessageBoxWarning", ("#fff0c7", "#553900"), ("#4f3c0c", "#ffeec2")),
}


class NoticeBox:
    """One box, hidden while it is empty."""

    def __init__(self, box: Any, icon: Any, label: Any):
        self._box, self._icon, self._label = box, icon, label
        # In a collapsible section, widgets take the roles of a button.
        box.setBackgroundRole(qt.QPalette.Window)
        label.setForegroundRole(qt.QPalette.WindowText)
        self.clear()

    def show(self, text: str, severity: str) -> None:
        """Show one or several lines with the severity ``error`` or ``warning``."""
        icon, light, dark = LOOKS[severity]
        palette = qt.QApplication.palette()
        ground, letters = (palette.color(role).lightness() for role in (qt.QPalette.Window, qt.QPalette.WindowText))
        background, ink = dark if ground < letters else light
        for role, colour in ((qt.QPalette.Window, background), (qt.QPalette.WindowText, ink)):
            palette.setColor(role, qt.QColor(colour))
        self._box.palette = palette
        self._icon.setPixmap(
            qt.QApplication.style().standardIcon(getattr(qt.QStyle, icon)).pixmap(qt.QSize(ICON_PIXELS, ICON_PIXELS))
        )
        self._label.text = breakable(text)
        self._box.visible = True

    def clear(self) -> None:
        """Hide the box."""
        self._label.text = ""
        self._box.visible = False
