"""What goes wrong where nobody would see it: exceptions in slots and observers, MRML's errors, Qt's warnings."""

from __future__ import annotations

import sys
import threading
import traceback

from PySide6 import QtCore
from vtkmodules.vtkCommonCore import VTK_STRING, vtkOutputWindow

# Exceptions that a program raises on purpose about the world; any other built-in one is a mistake in the program.
ABOUT_THE_WORLD = (OSError, RuntimeError, MemoryError, EOFError)
# What Qt says about the machine, not about the program.
HARMLESS = ("propagateSizeHints", "fontconfig", "XDG_RUNTIME_DIR", "plugin does not support", "raise()", "OpenType")


class Collector:
    """Collects while a fake Slicer is open.

    Attributes:
        slot_errors: Tracebacks of exceptions that nobody caught.
        shown_errors: Exceptions that the user was told about in a message box and that are no mistakes of the program.
        mrml_errors: What VTK and MRML reported as errors.
        qt_warnings: What Qt complained about.
    """

    def __init__(self):
        self.slot_errors: list[str] = []
        self.shown_errors: list[BaseException] = []
        self.mrml_errors: list[str] = []
        self.qt_warnings: list[str] = []
        self._displayed: list[BaseException] = []

    def start(self):
        """Begin to listen."""
        self._hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
        sys.excepthook = lambda kind, error, trace: self.add(error)
        threading.excepthook = lambda args: self.add(args.exc_value)
        sys.unraisablehook = lambda args: self.add(args.exc_value)
        self._handler = QtCore.qInstallMessageHandler(self._on_qt)
        self._window = vtkOutputWindow.GetInstance()

        def on_error(caller, event, text):
            self.mrml_errors.append(text)

        on_error.CallDataType = VTK_STRING
        self._tag = self._window.AddObserver("ErrorEvent", on_error)

    def stop(self):
        """Leave everything as it was before."""
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._hooks
        QtCore.qInstallMessageHandler(self._handler)
        self._window.RemoveObserver(self._tag)

    def mark_displayed(self, error: BaseException):
        """Note that a message box told the user about this exception."""
        self._displayed.append(error)

    def add(self, error: BaseException):
        """Note an exception that nobody caught."""
        builtin = type(error).__module__ == "builtins" and not isinstance(error, ABOUT_THE_WORLD)
        if any(error is displayed for displayed in self._displayed) and not builtin:
            self.shown_errors.append(error)
            return
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self.slot_errors.append(text)
        sys.stderr.write(text)

    def check(self):
        """Raise AssertionError if anything went wrong."""
        found = [("exception in a slot or observer", self.slot_errors), ("MRML error", self.mrml_errors)]
        found.append(("warning of Qt", self.qt_warnings))
        texts = [f"{kind}:\n{text}" for kind, texts in found for text in texts]
        if texts:
            raise AssertionError("\n".join(texts))

    def _on_qt(self, kind, context, message):
        if kind != QtCore.QtMsgType.QtDebugMsg and not any(part in message for part in HARMLESS):
            self.qt_warnings.append(message)


_current: list[Collector] = []


def use(collector: Collector | None):
    """Send exceptions of slots to this collector from now on; to none."""
    _current[:] = [] if collector is None else [collector]


def report(error: BaseException):
    """Give an exception to the present collector, or raise it where there is none."""
    if not _current:
        raise error
    _current[0].add(error)


def mark_displayed(error: BaseException):
    """Tell the present collector that the user has seen this exception in a message box."""
    if _current:
        _current[0].mark_displayed(error)


def guarded(function):
    """The function as Qt would call it: exceptions do not get out."""

    def call(*arguments):
        try:
            function(*arguments)
        except Exception as error:
            report(error)

    return call
