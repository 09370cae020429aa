"""Keeps the panel as high as what it shows, which Slicer's module panel does not do by itself."""

from __future__ import annotations

from typing import Any

import qt

PERIOD_MS = 200
# Qt remembers the heights of three widths.
OTHER_WIDTHS = (11, 12, 13, 14)


class PanelHeight:
    """Makes the layouts around the panel ask again for its height when that has changed.

    When the user comes back from another module, Slicer adds the panel to a layout for the second time. From then on
    that layout never forgets the heights that Qt cached for a width (`QWidgetItemV2`), so a panel with word-wrapped
    labels is squeezed into the height it had. Requests for other widths push the old heights out.

    Args:
        form: The widget that holds the whole panel.
    """

    def __init__(self, form: Any):
        self._form, self._height = form, -1
        # No signal of Qt tells of a changed height, and there are many reasons for one.
        self._timer = qt.QTimer()
        self._timer.setInterval(PERIOD_MS)
        self._timer.connect("timeout()", self._check)

    def start(self) -> None:
        """Renew the height now, and from now on whenever it changes."""
        self._height = -1
        self._check()
        self._timer.start()

    def stop(self) -> None:
        """Renew it no more."""
        self._timer.stop()

    def _check(self) -> None:
        height = self._form.heightForWidth(self._form.width)
        if height == self._height:
            return
        self._height = height
        around = self._form.parentWidget()
        while around is not None and not around.inherits("QAbstractScrollArea"):
            if around.layout() is not None:
                around.layout().invalidate()
                for width in OTHER_WIDTHS:
                    around.layout().heightForWidth(width)
            around.updateGeometry()
            around = around.parentWidget()
