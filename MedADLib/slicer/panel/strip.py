"""Strip of scan scores in the panel: an image in a label, with its content as the accessible text and the tooltip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt

from ...messages import translated
from ...results.strip import HEIGHT, OWN_ON_DARK, OWN_ON_LIGHT, RADIUS, TEXT_SIZE, describe, outline, shapes
from .texts import tooltip

if TYPE_CHECKING:
    from ...detection import Detection
    from ...results.strip import Shape

# Fits the narrowest panel, 256 pixels wide, with its margins.
WIDTH = 216
LINE_ALPHA = 130


class StripLabel:
    """Draws the strip into a label in the colours of the theme."""

    def __init__(self, label: Any):
        self._label = label
        # In a collapsible section, widgets take the roles of a button.
        label.setForegroundRole(qt.QPalette.WindowText)

    def show(self, detection: Detection) -> None:
        """Show the score of a scan among those of the healthy scans."""
        palette = qt.QApplication.palette()
        ink, ground = (palette.color(role) for role in (qt.QPalette.WindowText, qt.QPalette.Window))
        own = qt.QColor(OWN_ON_DARK if ground.lightness() < ink.lightness() else OWN_ON_LIGHT)
        scale = self._label.devicePixelRatioF()
        pixmap = qt.QPixmap(round(WIDTH * scale), round(HEIGHT * scale))
        pixmap.setDevicePixelRatio(scale)
        pixmap.fill(qt.QColor(0, 0, 0, 0))
        painter = qt.QPainter()
        painter.begin(pixmap)
        painter.setRenderHint(qt.QPainter.Antialiasing)
        font = qt.QFont(self._label.font)
        font.setPixelSize(round(TEXT_SIZE))
        painter.setFont(font)
        for shape in shapes(detection, WIDTH):
            _draw(painter, shape, own if shape.own else ink)
        painter.end()
        self._label.setPixmap(pixmap)
        described = describe(detection)
        self._label.setAccessibleName(described)
        self._label.setToolTip(tooltip(described))


def _draw(painter: Any, shape: Shape, colour: Any) -> None:
    """Draw one part of the strip."""
    painter.setPen(qt.QPen(colour))
    painter.setBrush(qt.QBrush())
    if shape.kind == "line":
        pale = qt.QColor(colour)
        pale.setAlpha(LINE_ALPHA)
        painter.setPen(qt.QPen(pale))
        painter.drawLine(qt.QPointF(0.0, shape.y), qt.QPointF(WIDTH, shape.y))
    elif shape.kind == "circle":
        painter.drawEllipse(qt.QPointF(shape.x, shape.y), RADIUS, RADIUS)
    elif shape.kind == "text":
        text = translated(shape.text)
        width = painter.fontMetrics().boundingRect(text).width()
        part = {"start": 0.0, "middle": 0.5, "end": 1.0}[shape.anchor]
        left = min(max(shape.x - part * width, 0.0), WIDTH - width)
        painter.drawText(qt.QPointF(left, shape.y), text)
    else:
        path = qt.QPainterPath()
        path.moveTo(*outline(shape)[0])
        for corner in outline(shape)[1:]:
            path.lineTo(*corner)
        path.closeSubpath()
        painter.fillPath(path, qt.QBrush(colour))
