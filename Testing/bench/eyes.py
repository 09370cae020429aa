"""What a test sees of a bench: the panel and the views as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6 import QtCore, QtWidgets

from . import driver, pictures

PANEL_WIDTH = 480
SCREEN = (1600, 1000)


class Eyes:
    """The picture functions of a bench."""

    def grab(self, path: Path | None = None, width: int = PANEL_WIDTH) -> np.ndarray:
        """The whole panel, however long, as an array (height, width, 3), uint8; written as PNG if there is a path."""
        panel = self.window.widget()
        before = self.window.size()
        self.window.resize(width, 400)
        driver.settle()
        self.window.resize(width, max(panel.minimumSizeHint().height(), panel.sizeHint().height()))
        driver.settle()
        pixels = pictures.grab_widget(self.window)
        self.window.resize(before)
        driver.settle()
        if path is not None:
            pictures.save(pixels, path)
        return pixels

    def views_picture(self, size: tuple[int, int] = (1116, 1000)) -> np.ndarray:
        """Axial, 3-D, coronal and sagittal view of the scene as it is, as one array (height, width, 3), uint8."""
        return pictures.draw_views(self.standalone, size)

    def screenshot(self, path: Path, caption: str | None = None) -> np.ndarray:
        """The panel as high as the screen beside the views, as Slicer's window shows them, with a line of text."""
        before = self.window.size()
        self.window.resize(PANEL_WIDTH, SCREEN[1])
        driver.settle()
        panel = pictures.grab_widget(self.window)
        self.window.resize(before)
        views = self.views_picture((SCREEN[0] - PANEL_WIDTH - pictures.GAP, SCREEN[1]))
        picture = pictures.compose(panel, views, caption, QtWidgets.QApplication.font())
        pictures.save(picture, path)
        return picture

    def sideways_cut(self) -> list[str]:
        """Names of widgets that do not fit into the panel's width."""
        panel = self.window.widget()
        driver.settle()
        visible = [child for child in panel.findChildren(QtWidgets.QWidget) if child.isVisible() and child.objectName()]
        edge = self.window.viewport().width()
        return [c.objectName() for c in visible if c.mapTo(panel, QtCore.QPoint(c.width(), 0)).x() > edge + 1]
