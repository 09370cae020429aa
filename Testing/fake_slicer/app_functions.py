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
    """Those functions, for one app."""

    def __init__(self, app):
        self._app = app

    def loadUI(self, path: str) -> Object:
        return Object(uiloader.load(path))

    def childWidgetVariables(self, widget: Object) -> SimpleNamespace:
        ui = SimpleNamespace()
        root = widget._object
        for child in [root, *root.findChildren(QtCore.QObject)]:
            if child.objectName() and not child.objectName().startswith("qt_"):
                setattr(ui, child.objectName(), Object(child))
        return ui

    def findChildren(self, widget=None, name="", text="", title="", className=""):
        root = self.mainWindow() if widget is None else widget
        found = root.findChildren(className or "QWidget", name)
        texts = [(child, child._object.property("text"), child._object.property("title")) for child in found]
        return [c for c, own, head in texts if (not text or own == text) and (not title or head == title)]

    def findChild(self, widget, name):
        found = self.findChildren(widget, name)
        if not found:
            raise RuntimeError(f"Widget with name={name!r} does not exist.")
        return found[0]

    def mainWindow(self):
        return None if self._app.without_layout_manager else Object(self._app.window)

    def showStatusMessage(self, message, duration=0):
        if self.mainWindow() is None:
            return False
        dialogs.current().say("status", message)
        return True

    def messageBox(self, text, parent=None, **kwargs):
        _check_text(text)
        buttons = QtWidgets.QMessageBox.StandardButton
        if dialogs.current().testing:
            self.delayDisplay(text, 3000)
            return buttons.Ok
        dialogs.current().say("info", _whole(text, kwargs))
        dialogs.run_events()
        return buttons.Ok

    def infoDisplay(self, text, windowTitle=None, parent=None, standardButtons=None, **kwargs):
        self._show("info", text, kwargs)

    def warningDisplay(self, text, windowTitle=None, parent=None, standardButtons=None, **kwargs):
        self._show("warning", text, kwargs)

    def errorDisplay(self, text, windowTitle=None, parent=None, standardButtons=None, **kwargs):
        self._show("error", text, kwargs)

    def _show(self, kind, text, kwargs):
        """Show a box; without a window and under test the text goes to the log only."""
        _check_text(text)
        seen = not dialogs.current().testing and self.mainWindow() is not None
        dialogs.current().say(kind if seen else "log", _whole(text, kwargs))
        if seen:
            dialogs.run_events()

    def confirmOkCancelDisplay(self, text, windowTitle=None, parent=None, **kwargs):
        return self._confirm(text, kwargs, True)

    def confirmYesNoDisplay(self, text, windowTitle=None, parent=None, **kwargs):
        return self._confirm(text, kwargs, True)

    def confirmRetryCloseDisplay(self, text, windowTitle=None, parent=None, **kwargs):
        return self._confirm(text, kwargs, False)

    def _confirm(self, text, kwargs, under_test):
        _check_text(text)
        return dialogs.is_positive(dialogs.current().ask("question", _whole(text, kwargs), under_test))

    def delayDisplay(self, message, autoCloseMsec=1000, parent=None, **kwargs):
        """Show a message for a while, in which Slicer handles events."""
        dialogs.current().say("delay", message)
        dialogs.run_events()

    @contextlib.contextmanager
    def tryWithErrorDisplay(self, message=None, show=True, waitCursor=False):
        """Show what went wrong, and let it go on as an exception; under test nothing is shown."""
        if waitCursor:
            QtWidgets.QApplication.setOverrideCursor(QtGui.QCursor(QtCore.Qt.CursorShape.WaitCursor))
        try:
            yield
            if waitCursor:
                QtWidgets.QApplication.restoreOverrideCursor()
        except Exception as error:
            if waitCursor:
                QtWidgets.QApplication.restoreOverrideCursor()
            if show and not dialogs.current().testing:
                errors.mark_displayed(error)
                text = "\n\n".join(part for part in (message, str(error)) if part)
                self.errorDisplay(text, detailedText=traceback.format_exc())
            raise

    def settingsValue(self, key, default, converter=lambda value: value, settings=None):
        settings = slicer.app.settings() if settings is None else settings
        return converter(settings.value(key)) if settings.contains(key) else default

    def tempDirectory(self, key="__SlicerTemp__", tempDir=None, includeDateTime=True):
        return tempfile.mkdtemp(prefix=key, dir=tempDir or slicer.app.temporaryPath)

    def getModule(self, name):
        name = getattr(name, "name", name)
        module = getattr(slicer.modules, name.lower(), None)
        if module is None or module.name != name:
            # Other than slicer.modules, this wants capital letters where the name has them.
            raise RuntimeError(f"Could not find module with name '{name}'")
        return module

    def getModuleLogic(self, name):
        name = getattr(name, "name", name)
        own = name in self._app._python
        logic = getattr(self._app._widget_of(name), "logic", None) if own else self.getModule(name).logic()
        if logic is None:
            raise RuntimeError(f"Could not find module widget representation with name '{name}'")
        return logic

    def getModuleWidget(self, name):
        return self._app._widget_of(getattr(name, "name", name))

    def selectModule(self, name):
        self._need_window()
        self._app._select(getattr(name, "name", name))

    def selectedModule(self):
        self._need_window()
        return self._app.selected

    def _need_window(self):
        if self.mainWindow() is None:
            raise RuntimeError("Could not find main window")

    def reloadScriptedModule(self, name):
        return self._app.reload_module(name)

    def resetThreeDViews(self):
        # There is no layout manager without a main window, and Slicer does not look.
        slicer.app.layoutManager().resetThreeDViews()

    def resetSliceViews(self):
        slicer.app.layoutManager().resetSliceViews()

    def forceRenderAllViews(self):
        manager = slicer.app.layoutManager()
        for index in range(manager.threeDViewCount):
            manager.threeDWidget(index).threeDView().forceRender()
        for name in manager.sliceViewNames():
            manager.sliceWidget(name).sliceView().forceRender()

    def saveScene(self, filename, properties=None):
        self._app.standalone.save(filename)
        return True

    def loadScene(self, filename, properties=None):
        self._app.standalone.load(filename)
        return True

    def loadVolume(self, filename, properties=None):
        from MedADLib.io.reading import read_image

        node = self._app.load_volume(read_image(Path(filename)))
        if properties and properties.get("name"):
            node.SetName(properties["name"])
        return node

    def pip_install(self, requirements, **kwargs):
        if kwargs and not self._app.packages.packaging:
            # Before Slicer 5.12.
            raise TypeError(f"pip_install() got an unexpected keyword argument '{next(iter(kwargs))}'")
        return self._app.packages.pip_install(requirements, **kwargs)

    def pip_uninstall(self, requirements, **kwargs):
        self._app.packages.installs.append(("uninstall", requirements, kwargs))

    def restart(self):
        slicer.app.restart()

    @contextlib.contextmanager
    def WaitCursor(self, show=True):
        if show:
            QtWidgets.QApplication.setOverrideCursor(QtGui.QCursor(QtCore.Qt.CursorShape.WaitCursor))
            QtWidgets.QApplication.processEvents()
        try:
            yield
        finally:
            if show:
                QtWidgets.QApplication.restoreOverrideCursor()

    def replacements(self) -> dict[str, Any]:
        """The functions by name."""
        names = [name for name in dir(self) if not name.startswith("_") and name != "replacements"]
        return {name: getattr(self, name) for name in names}


def _whole(text: str, options: dict[str, Any]) -> str:
    """A box's text, as the user reads it, with its details."""
    return "\n".join(part for part in (dialogs.as_read(text), options.get("detailedText", "")) if part)


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise ValueError(f"a message box needs a text, not {text!r}")
