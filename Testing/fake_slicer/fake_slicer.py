"""The fake Slicer: opens a scripted module, uses it as a user would, and looks at it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import slicer
from PySide6 import QtCore, QtWidgets
from shiboken6 import Shiboken

from MedADLib.slicer.headless.scene import StandaloneScene

from . import appearance, dialogs, driver, errors, signals
from .module_lifecycle import ModuleLifecycle
from .module_panel import ModulePanel
from .observations import Observations
from .packages import Packages
from .patching import Layers
from .user_actions import UserActions

# A process that was told to end may still be starting, on a busy computer for many seconds.
PATIENCE_SECONDS = 30


class FakeSlicer(UserActions, Observations, ModuleLifecycle):
    """Slicer around a scripted module, as far as the module can tell.

    Args:
        folder: For settings and temporary files; a second fake Slicer on the same folder is Slicer started again.
        dark: Whether to use dark colours.
        font_points: Size of the font.
        without_layout_manager: Whether Slicer runs without a main window.
        testing: Whether Slicer runs with --testing.
        pytorch_extension: Whether the extension PyTorch is installed.
        packaging: Whether this Slicer has slicer.packaging, which came with 5.12.

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
        packaging: bool = True,
    ):
        super().__init__()
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.without_layout_manager = without_layout_manager
        self.application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
        appearance.apply(self.application, dark, font_points)
        self.standalone = StandaloneScene()
        self.dialogs = dialogs.Dialogs()
        self.dialogs.testing = testing
        self.packages = Packages()
        self.packages.pytorch_extension = pytorch_extension
        self.packages.packaging = packaging
        self.extensions: set[str] = {"PyTorch"} if pytorch_extension else set()
        self.errors = errors.Collector()
        self.restarts = 0
        self._closed = False
        self.window = ModulePanel()
        self.errors.start()
        errors.use(self.errors)
        dialogs.use(self.dialogs)
        try:
            self.layers = Layers(self)
        except BaseException:
            self._forget()
            raise

    def __enter__(self) -> FakeSlicer:
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

    def close_scene(self) -> None:
        """Close the scene as File, Close Scene does."""
        self.scene.Clear(0)
        driver.settle()

    def quit(self) -> None:
        """Quit Slicer: leaves the module, announces the end, then destroys all panels."""
        self.leave_module()
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
            self.leave_module()
            for name in list(self.widgets):
                self._destroy(name)
            driver.settle()
            running += self._end_processes()
            if QtWidgets.QApplication.overrideCursor() is not None:
                QtWidgets.QApplication.restoreOverrideCursor()
                running.append("the wait cursor")
            self.window.deleteLater()
            driver.settle()
            signals.forget_all()
        finally:
            self.layers.close()
            self._forget()
        if check:
            self.errors.check()
            if running:
                raise AssertionError(f"left running: {', '.join(running)}")
            if self.answers:
                raise AssertionError(f"answers that nobody asked for: {list(self.answers)}")

    def _end_processes(self) -> list[str]:
        """Wait for the processes that were told to end, and kill the others; returns the programs of those killed."""

        def running(process):
            return Shiboken.isValid(process) and process.state() != QtCore.QProcess.ProcessState.NotRunning

        def all_have_ended():
            return not any(map(running, self.dialogs.ending))

        # With the event loop, as the program may end a process by a timer.
        with contextlib.suppress(AssertionError):
            driver.wait(all_have_ended, PATIENCE_SECONDS, str)
        left = [process for process in self.dialogs.processes if running(process)]
        programs = [process.program() for process in left]
        for process in left:
            process.kill()
            process.waitForFinished()
        return programs

    def _forget(self) -> None:
        """Listen no longer."""
        dialogs.use(None)
        errors.use(None)
        self.errors.stop()
