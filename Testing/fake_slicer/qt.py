"""The module `qt`: every class of Qt, under PythonQt's rules, with dialogs answered by the test."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtNetwork, QtSvg, QtWidgets

from . import dialogs
from .pythonqt import Class, constructors, member_replacements, static_replacements

PARTS = (QtCore, QtGui, QtWidgets, QtNetwork, QtSvg)


class QtModule(types.ModuleType):
    """Looks classes up in PySide6's parts when they are asked for."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("Q") or name in ("QtMsgType",):
            raise AttributeError(f"module 'qt' has no attribute '{name}'")
        for part in PARTS:
            value = getattr(part, name, None)
            if isinstance(value, type):
                return Class(value)
        raise AttributeError(f"module 'qt' has no attribute '{name}'")


def _start_process(process: QtCore.QProcess, *arguments: Any) -> None:
    dialogs.current().processes.add(process)
    process.start(*arguments)


def _ender(name: str) -> Callable[..., None]:
    """A function of QProcess by which a program tells it to end."""

    def end(process: QtCore.QProcess) -> None:
        dialogs.current().ending.add(process)
        getattr(process, name)()

    return end


def _set_value(settings: QtCore.QSettings, key: str, value: Any) -> None:
    if not isinstance(value, (str, bool, int, float, bytes, list, tuple, type(None))):
        raise ValueError(f"PythonQt does not store {type(value).__name__} in settings")
    settings.setValue(key, value)


def _value(settings: QtCore.QSettings, key: str, default: Any = None) -> Any:
    return settings.value(key, default)


def _settings(*arguments: Any) -> QtCore.QSettings:
    """The application's own settings, never those of whoever runs the tests."""
    if arguments and not (len(arguments) == 2 and isinstance(arguments[1], QtCore.QSettings.Format)):
        raise ValueError(
            "the fake Slicer has the application's settings, QSettings(), and those in a file of their own"
        )
    return QtCore.QSettings(*(arguments or (dialogs.current().settings_file, QtCore.QSettings.Format.IniFormat)))


constructors["QSettings"] = _settings
static_replacements.update(
    {
        ("QFileDialog", "getOpenFileName"): dialogs.file_path,
        ("QFileDialog", "getSaveFileName"): dialogs.file_path,
        ("QFileDialog", "getExistingDirectory"): dialogs.file_path,
        ("QFileDialog", "getOpenFileNames"): dialogs.file_paths,
        ("QMessageBox", "question"): dialogs.static_box("question"),
        ("QMessageBox", "information"): dialogs.static_box("info"),
        ("QMessageBox", "warning"): dialogs.static_box("warning"),
        ("QMessageBox", "critical"): dialogs.static_box("error"),
        ("QInputDialog", "getText"): dialogs.input_text,
        ("QInputDialog", "getItem"): dialogs.input_text,
        ("QInputDialog", "getInt"): dialogs.input_number,
        ("QInputDialog", "getDouble"): dialogs.input_number,
        ("QColorDialog", "getColor"): dialogs.input_colour,
        ("QMessageBox", "about"): dialogs.static_box("info"),
        ("QDesktopServices", "openUrl"): dialogs.open_url,
    }
)
member_replacements.update(
    {
        ("QMessageBox", "exec"): dialogs.run_box,
        ("QMessageBox", "exec_"): dialogs.run_box,
        ("QDialog", "exec"): dialogs.run_dialog,
        ("QDialog", "exec_"): dialogs.run_dialog,
        ("QMenu", "exec"): dialogs.run_menu,
        ("QMenu", "exec_"): dialogs.run_menu,
        ("QProcess", "start"): _start_process,
        **{("QProcess", name): _ender(name) for name in ("closeWriteChannel", "terminate", "kill")},
        ("QSettings", "setValue"): _set_value,
        ("QSettings", "value"): _value,
    }
)
module = QtModule("qt", __doc__)
