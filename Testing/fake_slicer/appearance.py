"""How the application looks: Slicer's light or dark colours, and a font size."""

from __future__ import annotations

from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

ROLES = QPalette.ColorRole
LIGHT = {
    ROLES.Window: "#efefef",
    ROLES.WindowText: "#000000",
    ROLES.Base: "#ffffff",
    ROLES.AlternateBase: "#f7f7f7",
    ROLES.Text: "#000000",
    ROLES.Button: "#efefef",
    ROLES.ButtonText: "#000000",
    ROLES.ToolTipBase: "#ffffdc",
    ROLES.ToolTipText: "#000000",
    ROLES.Highlight: "#308cc6",
    ROLES.HighlightedText: "#ffffff",
    ROLES.PlaceholderText: "#808080",
    ROLES.Link: "#0000ff",
    ROLES.Mid: "#b8b8b8",
}
DARK = {
    ROLES.Window: "#353535",
    ROLES.WindowText: "#f0f0f0",
    ROLES.Base: "#2a2a2a",
    ROLES.AlternateBase: "#353535",
    ROLES.Text: "#f0f0f0",
    ROLES.Button: "#424242",
    ROLES.ButtonText: "#f0f0f0",
    ROLES.ToolTipBase: "#353535",
    ROLES.ToolTipText: "#f0f0f0",
    ROLES.Highlight: "#2a82da",
    ROLES.HighlightedText: "#ffffff",
    ROLES.PlaceholderText: "#8c8c8c",
    ROLES.Link: "#6ab0f3",
    ROLES.Mid: "#606060",
}
GREYED = (ROLES.WindowText, ROLES.Text, ROLES.ButtonText)


def apply(application: QApplication, dark: bool, font_points: float) -> None:
    """Give the application these looks."""
    application.setStyle(QStyleFactory.create("Fusion"))
    palette = QPalette(QColor("#424242" if dark else "#efefef"))
    for role, colour in (DARK if dark else LIGHT).items():
        palette.setColor(role, QColor(colour))
    for role in GREYED:
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor("#808080" if dark else "#a0a0a0"))
    application.setPalette(palette)
    font = QFont("DejaVu Sans")
    font.setPointSizeF(font_points)
    application.setFont(font)
