"""The bench: opens a scripted module, uses it as a user would, and looks at it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import slicer
from PySide6 import QtCore, QtWidgets
from shiboken6 import Shiboken

from MedADLib.slicer.standalone import StandaloneScene

from . import appearance, dialogs, driver, errors, signals
from .boot import Layers
from .eyes import PANEL_WIDTH, Eyes
from .hands import Hands
from .modules import ScriptedModule
from .packages import Packages
from .scripted import ModuleParent, PanelParent, WidgetParent

ROOT = Path(__file__).resolve().parents[2]


class Bench(Hands, Eyes):
    """Slicer around a scripted module, as far as the module can tell.

    Args:
        folder: For settings and temporary files; a second bench on the same folder is Slicer started again.
        dark: Whether to use dark colours.
        font_points: Size of the font.
        without_layout_manager: Whether Slicer runs without a main window.
        testing: Whether Slicer runs with --testing.
        pytorch_extension: Whether the extension PyTorch is installed.

    Attributes:
        ui: The widgets of the open module by name, under PythonQt's rules.
        widget: The open module's widget object.
        messages: What dialogs said: (kind, text).
        answers: The next answers to dialogs; see `dialogs.Dialogs`.
        slot_errors: Exceptions that nobody caught; must be empty at the end, and likewise mrml_errors, qt_warnings.
        shown_errors: Exceptions that the user was told about.
        packages: What is installed and what installing gives; see `packages.Packages`.
        standalone: The scene and its application logic.
        widgets: All open modules' widget objects by name.
        restarts: How often the module restarted Slicer.
    """

    def __init__(
        self,
        folder: Path,
        *,
        dark: bool = False,
        font_points: float = 9,
        without_layout_manager: bool = False,
        testing: bool = False,
        pytorch_extension: bool = True,
    ):
        self.folder = Path(folder)
        self.without_layout_manager = without_layout_manager
        self.application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
        appearance.apply(self.application, dark, font_points)
        self.standalone = StandaloneScene()
        self.dialogs = dialogs.Dialogs()
        self.dialogs.testing = testing
        self.packages = Packages()
        self.packages.pytorch_extension = pytorch_extension
        self.extensions: set[str] = {"PyTorch"} if pytorch_extension else set()
        self.errors = errors.Collector()
        self.restarts = 0
        self.selected = ""
        self.widget: Any = None
        self.widgets: dict[str, Any] = {}
        self._files: dict[str, Path] = {}
        self._python: dict[str, Any] = {}
        self._panels: dict[str, PanelParent] = {}
        self._closed = False
        self.window = QtWidgets.QScrollArea()
        self.window.setWidgetResizable(True)
        self.window.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.errors.start()
        errors.use(self.errors)
        dialogs.use(self.dialogs)
        self.layers = Layers(self)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if error is None:
            self.close()
        else:
            # What went wrong first is what the test should tell of.
            with contextlib.suppress(Exception):
                self.close(check=False)

    @property
    def scene(self) -> slicer.vtkMRMLScene:
        """The scene."""
        return self.standalone.scene

    @property
    def messages(self) -> list[tuple[str, str]]:
        """What dialogs said."""
        return self.dialogs.messages

    @property
    def answers(self):
        """The next answers to dialogs."""
        return self.dialogs.answers

    @property
    def slot_errors(self) -> list[str]:
        """Exceptions that nobody caught."""
        return self.errors.slot_errors

    @property
    def shown_errors(self) -> list[BaseException]:
        """Exceptions that the user was told about."""
        return self.errors.shown_errors

    @property
    def mrml_errors(self) -> list[str]:
        """Errors of VTK and MRML."""
        return self.errors.mrml_errors

    @property
    def qt_warnings(self) -> list[str]:
        """Qt's complaints."""
        return self.errors.qt_warnings

    @property
    def ui(self) -> Any:
        """The open module's widgets."""
        return self.widget.ui

    def open_module(self, name: str, file: Path | None = None) -> Any:
        """Load a scripted module afresh, build its panel and enter it.

        Args:
            name: Of the module.
            file: Where it is; None for NAME/NAME.py in the repository.

        Returns:
            The module's widget object.
        """
        self._files[name] = Path(file) if file is not None else ROOT / name / f"{name}.py"
        self._load_module(name)
        slicer.app._events.startupCompleted.emit()
        self._select(name)
        return self.widget

    def _load_module(self, name: str) -> None:
        spec = importlib.util.spec_from_file_location(name, self._files[name])
        module = importlib.util.module_from_spec(spec)
        self.layers.add_module(name, module)
        spec.loader.exec_module(module)
        parent = ModuleParent()
        parent.name, parent.path = name, str(self._files[name])
        self._python[name] = module
        slicer.modules._add(ScriptedModule(self, name, parent.path, parent))
        slicer.modules._instances[f"{name}Instance"] = getattr(module, name)(parent)

    def _make_widget(self, name: str) -> None:
        self._panels[name] = PanelParent(WidgetParent())
        widget = getattr(self._python[name], f"{name}Widget")(self._panels[name])
        self.widgets[name] = slicer.modules._instances[f"{name}Widget"] = widget
        widget.setup()

    def _select(self, name: str) -> None:
        if self.selected == name:
            return
        self.leave_module()
        if name not in self.widgets:
            self._make_widget(name)
        self.widget = self.widgets[name]
        self.selected = name
        self.window.takeWidget()
        self.window.setWidget(self._panels[name]._panel._object)
        self.window.resize(PANEL_WIDTH, 1000)
        self.window.show()
        self.enter_module()

    def enter_module(self) -> None:
        """The user comes (back) to the module."""
        panel = self._panels[self.selected]
        if not panel._entered:
            panel._entered = True
            self.widget.enter()
        driver.settle()

    def leave_module(self) -> None:
        """The user goes to another module."""
        panel = self._panels.get(self.selected)
        if panel is not None and panel._entered:
            panel._entered = False
            self.widget.exit()
        driver.settle()

    def reload_module(self, name: str | None = None) -> Any:
        """What the developer's Reload button does; returns the module object."""
        name = name or self.selected
        entered = self._panels[name]._entered
        self._destroy(name)
        self._load_module(name)
        self.selected = ""
        if entered:
            self._select(name)
        return self._python[name]

    def _destroy(self, name: str) -> None:
        widget, panel = self.widgets.pop(name), self._panels.pop(name)
        if panel._entered:
            widget.exit()
        widget.cleanup()
        for child in panel._panel._object.findChildren(QtWidgets.QWidget):
            if hasattr(child, "setMRMLScene"):
                child.setMRMLScene(None)
        if self.window.widget() is panel._panel._object:
            self.window.takeWidget()
        panel._panel._object.deleteLater()
        driver.settle()

    def close_scene(self) -> None:
        """Close the scene as File, Close Scene does."""
        self.scene.Clear(0)
        driver.settle()

    def quit(self) -> None:
        """Quit Slicer: announces it, then destroys all panels."""
        slicer.app._events.aboutToQuit.emit()
        self.close()

    def close(self, check: bool = True) -> None:
        """End everything.

        Args:
            check: Whether to raise if anything went wrong on the way.

        Raises:
            AssertionError: If exceptions, MRML errors or Qt's complaints were collected, or a process still runs.
        """
        if self._closed:
            return
        self._closed = True
        running = []
        try:
            for name in list(self.widgets):
                self._destroy(name)
            driver.settle()
            states = QtCore.QProcess.ProcessState
            for process in self.dialogs.processes:
                if Shiboken.isValid(process) and process.state() != states.NotRunning:
                    running.append(process.program())
                    process.kill()
                    process.waitForFinished(2000)
            if QtWidgets.QApplication.overrideCursor() is not None:
                QtWidgets.QApplication.restoreOverrideCursor()
                running.append("the wait cursor")
            self.window.deleteLater()
            driver.settle()
            signals.forget_dead()
        finally:
            self.layers.close()
            dialogs.use(None)
            errors.use(None)
            self.errors.stop()
        if check:
            self.errors.check()
            if running:
                raise AssertionError(f"left running: {', '.join(running)}")
            if self.answers:
                raise AssertionError(f"answers that nobody asked for: {list(self.answers)}")
