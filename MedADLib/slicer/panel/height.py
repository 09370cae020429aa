"""Height of the panel, which Slicer's module panel does not update by itself."""

from __future__ import annotations

from typing import Any

import qt

PERIOD_MS = 200
# Qt caches the heights of three widths.
OTHER_WIDTHS = (11, 12, 13, 14)


class PanelHeight:
    """Updates the layouts around the panel when its height has changed.

    When the user comes back from another module, Slicer adds the panel to a layout for the second time. From then on
    that layout never drops the heights that Qt cached for a width (`QWidgetItemV2`), so a panel with word-wrapped
    labels is squeezed into its former height. Requests for other widths replace the cached heights.
    """

    def __init__(self, form: Any):
        self._form, self._height = form, -1
        # Qt has no signal for a changed height, and there are many reasons for one.
        self._timer = qt.QTimer()
        self._timer.setInterval(PERIOD_MS)
        self._timer.connect("timeout()", self._check)

    def start(self) -> None:
        """Update the height now and at every change."""
        self._height = -1
        self._check()
        self._timer.start()

    def stop(self) -> None:
        """Stop to update it."""
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
