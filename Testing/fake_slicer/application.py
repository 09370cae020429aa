"""The object `slicer.app` and what hangs on it: settings, layout, modules, extensions, reading files."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from . import dialogs, signals
from .layout import LayoutManager
from .pythonqt import Object

LAUNCHER = """#!/bin/sh
# Slicer's PythonSlicer is a launcher: killing it leaves the Python that it started.
"{python}" "$@"
exit $?
"""


class _Events(QtCore.QObject):
    """What the application announces."""

    startupCompleted = QtCore.Signal()
    aboutToQuit = QtCore.Signal()
    mrmlSceneChanged = QtCore.Signal(object)
    lastWindowClosed = QtCore.Signal()


class CommandOptions:
    """What the application was started with."""

    noMainWindow = False
    disableSettings = False


class ExtensionsModel:
    """The extensions manager."""

    def __init__(self, installed: set[str]):
        self._installed = installed
        self.interactive = True

    def isExtensionInstalled(self, name: str) -> bool:
        return name in self._installed

    def installExtensionFromServer(self, name: str, *options: Any) -> bool:
        """Install if the test says so."""
        done = dialogs.is_positive(dialogs.current().ask("extension", name, False))
        if done:
            self._installed.add(name)
        return done

    def updateExtensionsMetadataFromServer(self, *options: Any) -> bool:
        return True


class IOManager:
    """Reading files through the module's reader, as when a file is dropped on the application."""

    def __init__(self, app):
        self._app = app

    def loadNodes(self, fileType: str, parameters: dict, loadedNodes: Any = None) -> bool:
        return self._app._load(parameters["fileName"], fileType)

    def loadFile(self, path: str) -> bool:
        return self._app._load(path, None)

    def addDefaultStorageNodes(self) -> None:
        """Nothing: saving through the scene's bundle makes them."""


class ModuleManager:
    """Which modules there are."""

    def module(self, name: str) -> Any:
        module = getattr(slicer.modules, name.lower(), None)
        return module if module is not None and module.name == name else None

    def modulesNames(self) -> tuple:
        return tuple(slicer.modules._names())


class Application:
    """What scripts know as `slicer.app`; what is not defined here is looked up in Qt's own application."""

    applicationName = "Slicer"
    applicationVersion = "5.12.3"
    mainApplicationName = "Slicer"
    majorVersion = 5
    minorVersion = 12
    patchVersion = 3
    revision = "34567"
    repositoryRevision = "fake"
    releaseType = "Stable"
    isInstalled = True
    os = "linux"
    arch = "amd64"
    platform = "linux-amd64"

    def __init__(self, app, folder: Path):
        own = self.__dict__
        own["_app"] = app
        own["_events"] = _Events()
        own["slicerHome"] = str(folder / "Slicer")
        own["temporaryPath"] = str(folder / "temporary")
        own["cachePath"] = str(folder / "cache")
        own["extensionsInstallPath"] = str(folder / "extensions")
        own["slicerUserSettingsFilePath"] = app.dialogs.settings_file = str(_settings_file(folder))
        own["_options"] = CommandOptions()
        own["_layout"] = None if app.without_layout_manager else LayoutManager(app.standalone)
        own["_io"] = IOManager(app)
        own["_modules"] = ModuleManager()
        own["_extensions"] = ExtensionsModel(app.extensions)
        own["_restarts"] = 0
        for name in ("slicerHome", "temporaryPath", "cachePath", "extensionsInstallPath"):
            Path(own[name]).mkdir(parents=True, exist_ok=True)
        _write_launcher(Path(self.slicerHome))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"slicer.app.{name} can't be set")

    def __getattr__(self, name: str) -> Any:
        return getattr(Object(QtWidgets.QApplication.instance()), name)

    def connect(self, signal: str, function: Any) -> bool:
        own = signals.signal_signatures(self._events)
        target = self._events if signal in own else QtWidgets.QApplication.instance()
        return signals.connect(target, signal, function)

    def disconnect(self, signal: str, *function: Any) -> bool:
        return signals.disconnect(self._events, signal, *function)

    def processEvents(self, *flags: Any) -> None:
        QtWidgets.QApplication.processEvents(*flags)

    def testingEnabled(self) -> bool:
        return self._app.dialogs.testing

    def commandOptions(self) -> CommandOptions:
        return self._options

    def settings(self) -> Object:
        """A new handle each time; all share one file."""
        path = self.slicerUserSettingsFilePath
        return Object(QtCore.QSettings(path, QtCore.QSettings.Format.IniFormat))

    userSettings = settings

    def revisionUserSettings(self) -> Object:
        """Those of this version of Slicer only, in a file of their own."""
        path = f"{self.slicerUserSettingsFilePath}.revision"
        return Object(QtCore.QSettings(path, QtCore.QSettings.Format.IniFormat))

    def mrmlScene(self):
        return slicer.mrmlScene

    def applicationLogic(self):
        return self._app.standalone.application

    def layoutManager(self):
        return self._layout

    def moduleManager(self):
        return self._modules

    def ioManager(self):
        return self._io

    coreIOManager = ioManager

    def extensionsManagerModel(self):
        return self._extensions

    def restart(self) -> None:
        """Only noted, in app.restarts."""
        self._app.restarts += 1

    def setRenderPaused(self, paused: bool) -> None:
        """Nothing to pause."""

    def pauseRender(self) -> None:
        """Nothing to pause."""

    def resumeRender(self) -> None:
        """Nothing to pause."""


def _settings_file(folder: Path) -> Path:
    """A new file for each start, with what the last one left: values come back as text, as after a restart."""
    earlier = sorted(folder.glob("settings-*.ini"))
    path = folder / f"settings-{len(earlier):03d}.ini"
    if earlier:
        shutil.copyfile(earlier[-1], path)
    else:
        path.touch()
    return path


def _write_launcher(home: Path) -> None:
    if sys.platform == "win32":
        return
    path = home / "bin" / "PythonSlicer"
    path.parent.mkdir(exist_ok=True)
    path.write_text(LAUNCHER.format(python=os.fspath(sys.executable)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
