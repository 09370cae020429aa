"""The part of Slicer's window in which a module's panel is shown, after qSlicerModulePanel."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets

from .ctk import ctkCollapsibleButton

HELP = "Help && Acknowledgement"
PLACE = 1


class ModulePanel(QtWidgets.QScrollArea):
    """Shows one module's panel at a time, beneath a section of help.

    A panel that is left is taken out of the layout, but Slicer does not destroy the layout's item, with which the
    panel stays registered. So when the panel comes back, its new item is not told when the panel's height for a width
    changes, and goes on with the heights that it asked for first, three of them. A panel with labels that wrap their
    lines is then squeezed as soon as its contents grow.
    """

    def __init__(self):
        super().__init__()
        self.setObjectName("ModulePanel")
        policy = QtWidgets.QSizePolicy.Policy
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        contents = QtWidgets.QWidget()
        contents.setSizePolicy(policy.Minimum, policy.Preferred)
        self._layout = QtWidgets.QVBoxLayout(contents)
        self._layout.setSizeConstraint(QtWidgets.QLayout.SizeConstraint.SetMinAndMaxSize)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._help = ctkCollapsibleButton(HELP)
        self._help.setObjectName("HelpCollapsibleButton")
        self._help.setSizePolicy(policy.Ignored, policy.Fixed)
        self._help_text = QtWidgets.QTextBrowser(self._help)
        QtWidgets.QVBoxLayout(self._help).addWidget(self._help_text)
        self._help.setCollapsed(True)
        self._layout.addWidget(self._help)
        self._layout.addItem(QtWidgets.QSpacerItem(0, 0, policy.Minimum, policy.MinimumExpanding))
        self.setWidget(contents)

    def put(self, panel: QtWidgets.QWidget, help_text: str) -> None:
        """Show a panel."""
        panel.layout().setContentsMargins(0, 0, 0, 0)
        self._layout.insertWidget(PLACE, panel, 1)
        panel.setSizePolicy(QtWidgets.QSizePolicy.Policy.Minimum, panel.sizePolicy().verticalPolicy())
        panel.setVisible(True)
        self._help.setVisible(bool(help_text))
        self._help_text.setHtml(help_text.replace("\\n", "<br>"))
        panel.installEventFilter(self)
        self.updateGeometry()

    def take(self, panel: QtWidgets.QWidget) -> None:
        """Hide a panel; the layout's item of it is kept by nobody and destroyed by nobody."""
        index = self._layout.indexOf(panel)
        if index < 0:
            return
        panel.removeEventFilter(self)
        self._layout.takeAt(index)
        panel.setVisible(False)
        panel.setParent(None)

    def eventFilter(self, watched, event):
        if event.type() == QtCore.QEvent.Type.Resize:
            self.updateGeometry()
        return False

    def minimumSizeHint(self):
        """As wide as the panel needs to be, which is how wide Slicer makes this part of its window at least."""
        bar = self.verticalScrollBar().sizeHint().width()
        height = super().minimumSizeHint().height()
        contents = self.widget()
        return QtCore.QSize((contents.minimumSizeHint().width() if contents is not None else 0) + bar, height)
