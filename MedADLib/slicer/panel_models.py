"""The list of models: what each is for, adding one from a file, removing it, reading its card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import MedADError
from ..modelstore import add, card, installed, remove

MEGABYTE = 1e6


class ModelsPanel:
    """The section of the panel that manages models.

    Args:
        ui: The panel's widgets.
        on_changed: Told the name of a model that was added, or an empty text after one was removed.
        on_problem: Told what went wrong.
    """

    def __init__(self, ui: Any, on_changed: Callable[[str], None], on_problem: Callable[[str], None]):
        self._ui = ui
        self._on_changed, self._on_problem = on_changed, on_problem
        self._own: set[str] = set()
        table = ui.modelsTable
        headers = [_("Name"), _("What it is for"), _("Size"), _("Date")]
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(headers)
        table.verticalHeader().setVisible(False)
        table.connect("itemSelectionChanged()", self._enable)
        ui.addModelButton.connect("clicked(bool)", self._ask)
        ui.removeModelButton.connect("clicked(bool)", self._remove)
        ui.modelCardButton.connect("clicked(bool)", self._show_chosen)
        self.refresh()

    def refresh(self) -> None:
        """List the models anew."""
        models = installed()
        self._own = {model.name for model in models if model.own}
        table = self._ui.modelsTable
        table.setRowCount(len(models))
        for row, model in enumerate(models):
            size = _("{size:.1f} MB").format(size=model.size_bytes / MEGABYTE)
            cells = (model.name, model.error or model.description, size, model.created.partition("T")[0])
            for column, text in enumerate(cells):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(model.error or f"{model.description}\n{model.path}")
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
        table.horizontalHeader().setStretchLastSection(True)
        self._enable()

    def add(self, path: str) -> bool:
        """Add a model from a file, as the button and a file dropped onto Slicer do; False if it cannot be used."""
        try:
            name = add(path).name
        except MedADError as error:
            self._on_problem(str(error))
            return False
        self.refresh()
        self._on_changed(name)
        return True

    def show_card(self, name: str) -> None:
        """Open the card of a model in a window."""
        try:
            text = card(name)
        except MedADError as error:
            self._on_problem(str(error))
            return
        show_text(_("About {name}").format(name=name), text)

    def _chosen(self) -> str:
        row = self._ui.modelsTable.currentRow()
        item = self._ui.modelsTable.item(row, 0) if row >= 0 else None
        return item.text() if item is not None else ""

    def _enable(self) -> None:
        name = self._chosen()
        self._ui.modelCardButton.enabled = bool(name)
        self._ui.removeModelButton.enabled = name in self._own
        self._ui.removeModelButton.toolTip = (
            _("Remove the chosen model of yours.")
            if name in self._own or not name
            else _("{name} comes with MedAD and cannot be removed.").format(name=name)
        )

    def _ask(self, checked: bool = False) -> None:
        chosen = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(), _("Add a model"), "", _("MedAD models (*.medad)")
        )
        # PythonQt returns the path, other bindings the path and the filter.
        path = chosen if isinstance(chosen, str) else chosen[0]
        if path:
            self.add(path)

    def _remove(self, checked: bool = False) -> None:
        name = self._chosen()
        question = _("Remove the model {name} from this computer?").format(name=name)
        if not name or not slicer.util.confirmOkCancelDisplay(question, windowTitle=_("Remove a model")):
            return
        try:
            remove(name)
        except MedADError as error:
            self._on_problem(str(error))
        self.refresh()
        self._on_changed("")

    def _show_chosen(self, checked: bool = False) -> None:
        if name := self._chosen():
            self.show_card(name)


def show_text(title: str, text: str) -> None:
    """A window to read, and copy from, a longer text."""
    dialog = qt.QDialog(slicer.util.mainWindow())
    dialog.setWindowTitle(title)
    layout = qt.QVBoxLayout(dialog)
    browser = qt.QTextBrowser()
    browser.setOpenExternalLinks(True)
    browser.setMarkdown(text)
    layout.addWidget(browser)
    buttons = qt.QDialogButtonBox(qt.QDialogButtonBox.Close)
    buttons.connect("rejected()", dialog.reject)
    layout.addWidget(buttons)
    dialog.resize(640, 560)
    dialog.exec_()
