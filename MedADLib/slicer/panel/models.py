"""The models section of the panel: list, add, remove and describe models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ...errors import MedADError
from ...messages import translated, visible
from ...modelfile.store import ModelSummary, NameTakenError, add, card, list_models, remove, titles
from .texts import inert, reason, sentence, tooltip

MEGABYTE = 1e6
STATUS_MS = 5000
NAME, PURPOSE = range(2)
NAME_LETTERS, PURPOSE_LETTERS = 20, 28


class ModelsPanel:
    """The section of the panel that manages models.

    Args:
        ui: The panel's widgets.
        on_changed: Called with the name of an added model, or an empty text after one was removed.
        on_said: Called with news for the user.
        on_error: Called with errors for the user.
    """

    def __init__(
        self,
        ui: Any,
        on_changed: Callable[[str], None],
        on_said: Callable[[str], None],
        on_error: Callable[[str], None],
    ):
        self._ui = ui
        self._on_changed, self._on_said, self._on_error = on_changed, on_said, on_error
        self._own: set[str] = set()
        table = ui.modelsTable
        headers = [_("Model"), _("What it is for"), _("Size"), _("Date")]
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(headers)
        table.verticalHeader().setVisible(False)
        table.horizontalHeader().setHighlightSections(False)
        table.connect("itemSelectionChanged()", self._enable)
        ui.addModelButton.connect("clicked(bool)", self._ask)
        ui.removeModelButton.connect("clicked(bool)", self._remove)
        ui.modelCardButton.connect("clicked(bool)", self._show_chosen)
        self.refresh()

    def refresh(self) -> None:
        """List the models again."""
        models = list_models()
        self._own = {model.name for model in models if model.own}
        table = self._ui.modelsTable
        table.setRowCount(len(models))
        for row, (model, title) in enumerate(zip(models, titles(models))):
            size = _("{size:.1f} MB").format(size=model.size_bytes / MEGABYTE)
            cells = (title, translated(model.error) or model.purpose, size, model.created.partition("T")[0])
            about = translated(model.error) or "\n".join(filter(None, (model.name, model.note, str(model.path))))
            for column, text in enumerate(cells):
                item = qt.QTableWidgetItem(visible(text))
                item.setToolTip(tooltip(about))
                item.setData(qt.Qt.UserRole, model.name)
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
        letter = table.fontMetrics().averageCharWidth()
        table.setColumnWidth(NAME, min(table.columnWidth(NAME), NAME_LETTERS * letter))
        table.setColumnWidth(PURPOSE, PURPOSE_LETTERS * letter)
        table.resizeRowsToContents()
        self._enable()

    def add(self, path: str) -> bool:
        """Add a model from a file, by the button or a file dropped onto Slicer; False if it cannot be used."""
        try:
            model = self._added(path)
        except MedADError as error:
            self._problem(error)
            return False
        if model is None:
            return False
        self.refresh()
        self._on_changed(model.name)
        text = _("The model {name} was added and chosen: {purpose}.").format(name=model.name, purpose=model.purpose)
        self._on_said(text)
        slicer.util.showStatusMessage(text, STATUS_MS)
        return True

    def show_card(self, name: str) -> None:
        """Open the card of a model in a window."""
        try:
            text = card(name)
        except MedADError as error:
            self._problem(error)
            return
        show_text(_("About {name}").format(name=name), text, markdown=True)

    def _added(self, path: str) -> ModelSummary | None:
        """Add a model; None if it would replace another one and the user keeps that one."""
        try:
            return add(path)
        except NameTakenError as error:
            if not error.replaceable:
                raise
            question = f"{sentence(reason(error))}\n\n{_('Replace the model that is there?')}"
            if not slicer.util.confirmOkCancelDisplay(tooltip(question), windowTitle=_("Add a model")):
                return None
            return add(path, replace=True)

    def _problem(self, error: MedADError) -> None:
        self._on_error(reason(error))
        if not self._ui.inputSection.visible:
            # A file was dropped while another module's panel hides this one.
            slicer.util.errorDisplay(tooltip(reason(error)), windowTitle=_("MedAD"))

    def _chosen(self) -> str:
        row = self._ui.modelsTable.currentRow()
        item = self._ui.modelsTable.item(row, 0) if row >= 0 else None
        return item.data(qt.Qt.UserRole) if item is not None else ""

    def _enable(self) -> None:
        name = self._chosen()
        self._ui.modelCardButton.enabled = bool(name)
        self._ui.removeModelButton.enabled = name in self._own
        self._ui.removeModelButton.toolTip = tooltip(
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
        if not name or not slicer.util.confirmOkCancelDisplay(tooltip(question), windowTitle=_("Remove a model")):
            return
        try:
            remove(name)
        except MedADError as error:
            self._problem(error)
        self.refresh()
        self._on_changed("")

    def _show_chosen(self, checked: bool = False) -> None:
        if name := self._chosen():
            self.show_card(name)


def follow(url: Any) -> None:
    """Open a link of a text of unknown origin in the browser if it begins with ``https:`` and the user agrees."""
    address, host = visible(url.toString()), visible(url.host())
    if url.scheme() != "https" or not host:
        text = _("This link is not opened, because it does not begin with https: {address}")
        slicer.util.warningDisplay(tooltip(text.format(address=address)), windowTitle=_("MedAD"))
        return
    question = _("Open this address of the server {host} in the browser?").format(host=host)
    if slicer.util.confirmOkCancelDisplay(tooltip(f"{question}\n\n{address}"), windowTitle=_("Open a link")):
        qt.QDesktopServices.openUrl(url)


def show_text(title: str, text: str, markdown: bool = False) -> None:
    """Show a longer text in a window, to read and to copy from: plain text line by line, or Markdown.

    Nothing that the text names is loaded, and its links are those of `follow`.
    """
    dialog = qt.QDialog(slicer.util.mainWindow())
    dialog.setWindowTitle(title)
    layout = qt.QVBoxLayout(dialog)
    browser = qt.QTextBrowser()
    # The browser itself would load a linked file, or send any link to the application that opens it.
    browser.setOpenLinks(False)
    browser.connect("anchorClicked(QUrl)", follow)
    if markdown:
        browser.setMarkdown(inert(text))
    else:
        browser.setPlainText(visible(text))
    layout.addWidget(browser)
    buttons = qt.QDialogButtonBox(qt.QDialogButtonBox.Close)
    buttons.connect("rejected()", dialog.reject)
    layout.addWidget(buttons)
    dialog.resize(640, 560)
    dialog.exec_()
