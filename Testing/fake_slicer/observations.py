"""What a test sees of the fake Slicer: images of the panel and of the views, tool tips, what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6 import QtCore, QtGui, QtWidgets

from . import driver, images

PANEL_WIDTH = 480
SCREEN = (1600, 1000)
LEAST_HEIGHT, MOST_AREAS = 100, 5
LAYOUT_SECONDS = 0.05


class Observations:
    """Looking at the fake Slicer."""

    def grab(self, path: Path | None = None, width: int = PANEL_WIDTH) -> np.ndarray:
        """The whole panel, however long, as an array (height, width, 3), uint8; written as PNG if there is a path."""
        before = self.window.size()
        self._make_high(width)
        pixels = images.grab_widget(self.window)
        self.window.resize(before)
        driver.settle()
        if path is not None:
            images.save(pixels, path)
        return pixels

    def tip(self, widget: object) -> str:
        """A widget's tool tip as a user reads it, without the markup that Slicer adds."""
        return QtGui.QTextDocumentFragment.fromHtml(self._find(widget).toolTip()).toPlainText()

    def _make_high(self, width: int) -> None:
        """Make the window so high that nothing in it has to be scrolled, neither the panel nor what is in it."""
        self.window.resize(width, LEAST_HEIGHT)
        driver.settle()
        for _ in range(MOST_AREAS):
            inner = self.window.findChildren(QtWidgets.QScrollArea)
            hidden = sum(area.verticalScrollBar().maximum() for area in [self.window, *inner] if area.isVisible())
            if not hidden:
                break
            self.window.resize(width, self.window.height() + hidden)
            driver.settle()

    def squeezed(self) -> list[str]:
        """Names of widgets that are lower than they have to be to show what is in them."""
        # A layout asks the one around it for another round of events.
        self.run_events(LAYOUT_SECONDS)
        found = []
        for child in self.window.widget().findChildren(QtWidgets.QWidget):
            if not child.isVisible() or not child.objectName() or child.objectName().startswith("qt_"):
                continue
            wraps = isinstance(child, QtWidgets.QLabel) and child.wordWrap()
            needed = child.heightForWidth(child.width()) if wraps else child.minimumSizeHint().height()
            if child.height() < min(needed, child.maximumHeight()):
                found.append(child.objectName())
        return found

    def needed_width(self) -> int:
        """How wide Slicer makes the part of its window with the panel at least."""
        driver.settle()
        return self.window.minimumSizeHint().width()

    def views_picture(self, size: tuple[int, int] = (1116, 1000)) -> np.ndarray:
        """Axial, 3-D, coronal and sagittal view of the scene as it is, as one array (height, width, 3), uint8."""
        return images.draw_views(self.standalone, size)

    def screenshot(self, path: Path, caption: str | None = None) -> np.ndarray:
        """The panel as high as the screen beside the views, as Slicer's window shows them, with a line of text."""
        before = self.window.size()
        self.window.resize(PANEL_WIDTH, SCREEN[1])
        driver.settle()
        panel = images.grab_widget(self.window)
        self.window.resize(before)
        views = self.views_picture((SCREEN[0] - PANEL_WIDTH - images.GAP, SCREEN[1]))
        picture = images.compose(panel, views, caption, QtWidgets.QApplication.font())
        images.save(picture, path)
        return picture

    def sideways_cut(self) -> list[str]:
        """Names of widgets that do not fit into the panel's width."""
        panel = self.window.widget()
        driver.settle()
        visible = [child for child in panel.findChildren(QtWidgets.QWidget) if child.isVisible() and child.objectName()]
        edge = self.window.viewport().width()
        return [c.objectName() for c in visible if c.mapTo(panel, QtCore.QPoint(c.width(), 0)).x() > edge + 1]
