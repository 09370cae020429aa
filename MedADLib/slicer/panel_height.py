"""Keeps the panel as high as its contents need."""

from __future__ import annotations

from typing import Any

import qt

CHECK_MS = 100
# As many as the heights that a layout's item remembers, and none of them a width that the panel has.
WIDTHS = (1, 2, 3)


class PanelHeight:
    """Renews what Slicer remembers of the panel's height.

    Slicer takes the panel out of a layout when another module is shown, and puts it back without the item of the layout
    that hears of its changes. From then on, the height that Qt computed for the panel's width stays, however its labels
    wrap and its sections open, and the rows are squeezed into it. No signal tells of that, so the heights are compared
    from time to time.

    Args:
        form: The panel's form.
    """

    def __init__(self, form: Any):
        self._form = form
        self._tried: tuple = ()
        self._timer = qt.QTimer()
        self._timer.setInterval(CHECK_MS)
        self._timer.connect("timeout()", self._check)
        self._timer.start()

    def close(self) -> None:
        """Compare no more; to be called before the form is destroyed."""
        self._timer.stop()

    def _check(self) -> None:
        form = self._form
        wanted = form.heightForWidth(form.width) if form.visible else 0
        if form.height >= wanted:
            self._tried = ()
            return
        state = form.width, form.height, wanted
        if state == self._tried:
            # Something else keeps the panel low.
            return
        self._tried = state
        holder = form.parent()
        while holder is not None and not holder.inherits("QAbstractScrollArea"):
            layout = holder.layout()
            if layout is not None:
                layout.invalidate()
                for width in WIDTHS:
                    layout.heightForWidth(width)
            holder = holder.parent()
