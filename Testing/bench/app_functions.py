"""The functions of slicer.util that need the application; the others are slicer-core's own."""

from __future__ import annotations

import contextlib
import tempfile
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from . import dialogs, errors, uiloader
from .pythonqt import Object


class Functions:
    """Those functions, for one bench."""

    def __init__(self, bench):
        self._bench = bench

    def loadUI(self, path: str) -> Object:
        return Object(uiloader.load(path))

    def childWidgetVariables(self, widget: Object) -> SimpleNamespace:
        ui = SimpleNamespace()
        root = widget._object
        for child in root.findChildren(QtCore.QObject):
            if child.objectName() and not child.objectName().startswith("qt_"):
                setattr(ui, child.objectName(), Object(child))
        return ui

    def findChildren(self, widget=None, name="", text="", title="", className=""):
        root = self.mainWindow() if widget is None else widget
        found = root.findChildren(className or "QWidget", name)
        texts = [(child, child._object.property("text"), child._object.property("title")) for child in found]
        return [c for c, own, head in texts if (not text or own == text) and (not title or head == title)]

    def findChild(self, widget, name):
        return self.findChildren(widget, name)[0]

    def mainWindow(self):
        return None if self._bench.without_layout_manager else Object(self._bench.window)

    def showStatusMessage(self, message, duration=0):
        dialogs.current().say("status", message)

    def messageBox(self, text, parent=None, **kwargs):
        return self._show("info", text, kwargs)

    def infoDisplay(self, text, windowTitle=None, parent=None, standardButtons=None, **kwargs):
        return self._show("info", text, kwargs)

    def warningDisplay(self, text, windowTitle=None, parent=None, standardButtons=None, **kwargs):
        return self._show("warning", text, kwargs)

    def errorDisplay(self, text, windowTitle=None, parent=None, standardButtons=None, **kwargs):
        return self._show("error", text, kwargs)

    def _show(self, kind, text, kwargs):
        _check_text(text)
        dialogs.current().say(kind, "\n".join(part for part in (text, kwargs.get("detailedText", "")) if part))
        return True

    def confirmOkCancelDisplay(self, text, windowTitle=None, parent=None, **kwargs):
        return self._confirm(text, kwargs)

    def confirmYesNoDisplay(self, text, windowTitle=None, parent=None, **kwargs):
        return self._confirm(text, kwargs)

    def confirmRetryCloseDisplay(self, text, windowTitle=None, parent=None, **kwargs):
        return self._confirm(text, kwargs)

    def _confirm(self, text, kwargs):
        _check_text(text)
        text = "\n".join(part for part in (text, kwargs.get("detailedText", "")) if part)
        return dialogs.is_positive(dialogs.current().ask("question", text, dialogs.current().testing))

    def delayDisplay(self, message, autoCloseMsec=1000, parent=None, **kwargs):
        dialogs.current().say("delay", message)

    @contextlib.contextmanager
    def tryWithErrorDisplay(self, message=None, show=True, waitCursor=False):
        """Show what went wrong, and let it go on as an exception."""
        if waitCursor:
            QtWidgets.QApplication.setOverrideCursor(QtGui.QCursor(QtCore.Qt.CursorShape.WaitCursor))
        try:
            yield
        except Exception as error:
            if waitCursor:
                QtWidgets.QApplication.restoreOverrideCursor()
                waitCursor = False
            if show:
                errors.mark_displayed(error)
                text = "\n\n".join(part for part in (message, str(error)) if part)
                dialogs.current().say("error", f"{text}\n{traceback.format_exc()}")
            raise
        finally:
            if waitCursor:
                QtWidgets.QApplication.restoreOverrideCursor()

    def settingsValue(self, key, default, converter=lambda value: value, settings=None):
        settings = slicer.app.settings() if settings is None else settings
        return converter(settings.value(key)) if settings.contains(key) else default

    def tempDirectory(self, key="__SlicerTemp__", tempDir=None, includeDateTime=True):
        return tempfile.mkdtemp(prefix=key, dir=tempDir or slicer.app.temporaryPath)

    def getModule(self, name):
        module = getattr(slicer.modules, getattr(name, "name", name).lower(), None)
        if module is None:
            raise RuntimeError(f"Could not find module with name '{name}'")
        return module

    def getModuleLogic(self, name):
        name = getattr(name, "name", name)
        return self._bench._widget_of(name).logic if name in self._bench._python else self.getModule(name).logic()

    def getModuleWidget(self, name):
        return self._bench._widget_of(getattr(name, "name", name))

    def selectModule(self, name):
        self._bench._select(getattr(name, "name", name))

    def selectedModule(self):
        return self._bench.selected

    def reloadScriptedModule(self, name):
        return self._bench.reload_module(name)

    def resetThreeDViews(self):
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().resetThreeDViews()

    def resetSliceViews(self):
        if slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().resetSliceViews()

    def forceRenderAllViews(self):
        """Nothing to draw on."""

    def saveScene(self, filename, properties=None):
        self._bench.standalone.save(filename)
        return True

    def loadScene(self, filename, properties=None):
        self._bench.standalone.load(filename)
        return True

    def loadVolume(self, filename, properties=None):
        from MedADLib.volume import Volume

        node = self._bench.load_volume(Volume.read(Path(filename)))
        if properties and properties.get("name"):
            node.SetName(properties["name"])
        return node

    def pip_install(self, requirements, **kwargs):
        return self._bench.packages.pip_install(requirements, **kwargs)

    def pip_uninstall(self, requirements, **kwargs):
        self._bench.packages.installs.append(("uninstall", requirements, kwargs))

    def restart(self):
        slicer.app.restart()

    @contextlib.contextmanager
    def WaitCursor(self, show=True):
        if show:
            QtWidgets.QApplication.setOverrideCursor(QtGui.QCursor(QtCore.Qt.CursorShape.WaitCursor))
        try:
            yield
        finally:
            if show:
                QtWidgets.QApplication.restoreOverrideCursor()

    def replacements(self) -> dict[str, Any]:
        """The functions by name."""
        names = [name for name in dir(self) if not name.startswith("_") and name != "replacements"]
        return {name: getattr(self, name) for name in names}


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise ValueError(f"a message box needs a text, not {text!r}")
