"""Dialogs that nobody sits in front of: what they say is recorded, what they ask is answered by the test."""

from __future__ import annotations

import os
from collections import deque
from typing import Any
from weakref import WeakSet

from PySide6 import QtCore, QtGui, QtWidgets

from .conversion import Wrapped, to_python
from .errors import report

POSITIVE, NEGATIVE = ("yes", "ok", "retry", "open", "save"), ("no", "cancel", "close", "abort")


class UnansweredError(AssertionError):
    """A dialog asked something and the test has no answer for it."""


class Dialogs:
    """What was said and what will be answered.

    Attributes:
        messages: Kind (info, warning, error, question, file, input, dialog, menu, delay, status,
            log for what nobody sees) and text of each.
        answers: The next answers, first to last. For questions True, False or a button's text; for file dialogs a
            path, a list of paths, or None to cancel; for a dialog of the module's own True, False or a function that
            is called with it and returns one of these.
        testing: Whether Slicer runs with --testing: questions answer themselves.
        settings_file: Where Slicer's settings are.
        opened_urls: What was sent to the browser.
        processes: Processes that were started.
        ending: Those that were told to end.
    """

    def __init__(self):
        self.messages: list[tuple[str, str]] = []
        self.answers: deque[Any] = deque()
        self.testing = False
        self.opened_urls: list[str] = []
        self.settings_file = ""
        self.processes: WeakSet[QtCore.QProcess] = WeakSet()
        self.ending: WeakSet[QtCore.QProcess] = WeakSet()

    def say(self, kind: str, text: str) -> None:
        """Record a message."""
        self.messages.append((kind, text))

    def ask(self, kind: str, text: str, fallback: Any) -> Any:
        """Record a question and take the next answer; `fallback` is for testing mode, and where there is no answer."""
        self.say(kind, text)
        if self.testing:
            return fallback
        run_events()
        if not self.answers:
            report(UnansweredError(f"a dialog asked and app.answers is empty: {kind}: {text}"))
            return fallback
        return self.answers.popleft()


_current: list[Dialogs] = []


def use(chosen: Dialogs | None) -> None:
    """Send all dialogs there from now on."""
    _current[:] = [] if chosen is None else [chosen]


def current() -> Dialogs:
    """Where dialogs go."""
    if not _current:
        raise RuntimeError("no app is open")
    return _current[0]


def as_read(text: str) -> str:
    """A box's text as the user reads it: with anything in it that looks like markup, Qt shows it as rich text."""
    return QtGui.QTextDocumentFragment.fromHtml(text).toPlainText() if QtGui.Qt.mightBeRichText(text) else text


def run_events() -> None:
    """Handle what is due, as an event loop does while a window waits for an answer."""
    QtWidgets.QApplication.processEvents()


def is_positive(answer: Any) -> bool:
    """Whether an answer means yes, OK and the like."""
    if isinstance(answer, str):
        word = answer.lower().replace("&", "").strip()
        if word not in POSITIVE + NEGATIVE:
            raise ValueError(f"answer {answer!r} is neither yes nor no")
        return word in POSITIVE
    return bool(answer)


def static_box(kind: str) -> Any:
    """What QMessageBox.question and its like do."""

    def show(parent: Any, title: str, text: str, buttons: Any = None, default: Any = None) -> Any:
        offered = buttons if buttons is not None else _default_buttons(kind)
        return _pressed(kind, as_read(text), QtWidgets.QMessageBox.StandardButton(offered))

    return show


def _default_buttons(kind: str) -> QtWidgets.QMessageBox.StandardButton:
    buttons = QtWidgets.QMessageBox.StandardButton
    return buttons.Yes | buttons.No if kind == "question" else buttons.Ok


def _pressed(kind: str, text: str, offered: QtWidgets.QMessageBox.StandardButton) -> Any:
    box = QtWidgets.QMessageBox()
    box.setStandardButtons(offered)
    return box.standardButton(_choose(box, kind, text))


def _choose(box: QtWidgets.QMessageBox, kind: str, text: str) -> QtWidgets.QAbstractButton:
    """The button that the answer means; with a single button there is nothing to answer."""
    buttons = box.buttons()
    roles = {button: box.buttonRole(button) for button in buttons}
    role = QtWidgets.QMessageBox.ButtonRole
    positive = [b for b in buttons if roles[b] in (role.AcceptRole, role.YesRole)] or buttons[:1]
    negative = [b for b in buttons if roles[b] in (role.RejectRole, role.NoRole)] or buttons[-1:]
    if len(buttons) == 1:
        current().say(kind, text)
        run_events()
        return buttons[0]
    answer = current().ask(kind, text, current().testing)
    if isinstance(answer, str):
        names = {button.text().replace("&", "").lower(): button for button in buttons}
        if answer.lower() in names:
            return names[answer.lower()]
        report(UnansweredError(f"the dialog {text!r} has no button {answer!r} but {', '.join(names)}"))
        return negative[0]
    return positive[0] if answer else negative[0]


def run_box(box: QtWidgets.QMessageBox) -> Any:
    """What exec() of a message box does."""
    icons = QtWidgets.QMessageBox.Icon
    kinds = {icons.Question: "question", icons.Warning: "warning", icons.Critical: "error"}
    plain = box.textFormat() == QtCore.Qt.TextFormat.PlainText
    texts = [text if plain else as_read(text) for text in (box.text(), box.informativeText())]
    parts = [*texts, box.detailedText()]
    if not box.buttons():
        box.setStandardButtons(QtWidgets.QMessageBox.StandardButton.Ok)
    button = _choose(box, kinds.get(box.icon(), "info"), "\n".join(part for part in parts if part))
    button.click()
    standard = box.standardButton(button)
    return standard if standard != QtWidgets.QMessageBox.StandardButton.NoButton else box.buttons().index(button)


def run_dialog(dialog: QtWidgets.QDialog) -> int:
    """What exec() of another dialog does: the test's function is called with it, or it is accepted or rejected."""
    if isinstance(dialog, QtWidgets.QFileDialog):
        path = file_path(None, dialog.windowTitle())
        if path:
            dialog.selectFile(path)
        return int(bool(path))
    dialog.setWindowModality(QtCore.Qt.WindowModality.ApplicationModal)
    dialog.show()
    answer = current().ask("dialog", dialog.windowTitle() or dialog.objectName(), False)
    if callable(answer):
        answer = answer(to_python(dialog))
    (dialog.accept if is_positive(answer) else dialog.reject)()
    return dialog.result()


def run_menu(menu: QtWidgets.QMenu, *where: Any) -> Any:
    """What exec() of a menu does: the answer is an action's text, or None."""
    answer = current().ask("menu", ", ".join(action.text() for action in menu.actions()), None)
    for action in menu.actions():
        if answer is not None and action.text().replace("&", "") == answer:
            action.trigger()
            return action
    return None


def file_path(parent: Any = None, caption: str = "", directory: str = "", filters: str = "", *more: Any) -> str:
    """One path, or "" if the user cancels."""
    answer = current().ask("file", caption, None)
    return os.fspath(answer) if answer else ""


def file_paths(parent: Any = None, caption: str = "", directory: str = "", filters: str = "", *more: Any) -> tuple:
    """Any number of paths."""
    answer = current().ask("file", caption, None) or ()
    return tuple(os.fspath(path) for path in ([answer] if isinstance(answer, (str, os.PathLike)) else answer))


def input_text(parent: Any, title: str, label: str, *more: Any) -> str:
    """A text that the user types, or "" if they cancel."""
    return current().ask("input", label, None) or ""


def input_number(parent: Any, title: str, label: str, value: float = 0, *more: Any) -> float:
    """A number that the user types, or the given one if they cancel."""
    answer = current().ask("input", label, None)
    return value if answer is None else answer


def input_colour(initial: Any = None, parent: Any = None, title: str = "", *more: Any) -> Any:
    """A colour by its name; an invalid one if the user cancels."""
    answer = current().ask("input", title, None)
    return QtGui.QColor(answer) if answer else QtGui.QColor()


def open_url(url: Any) -> bool:
    """Record what would open in the browser."""
    if not isinstance(url, Wrapped) or not isinstance(url._object, QtCore.QUrl):
        raise ValueError(f"openUrl needs a QUrl, not {url!r}")
    current().opened_urls.append(url._object.toString())
    return True
