"""The life cycle of scripted modules in the fake Slicer: load, show, enter, leave, reload, destroy."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtWidgets

from . import driver
from .modules import ScriptedModule
from .observations import PANEL_WIDTH
from .other_modules import SELECTABLE, make_widgets
from .scripted import ModuleParent, PanelParent, WidgetParent

ROOT = Path(__file__).resolve().parents[2]


class ModuleLifecycle:
    """The modules of a fake Slicer.

    Attributes:
        selected: Name of the module that is shown.
        widget: Its widget object; that of the last scripted one while one of Slicer's own is shown.
        widgets: All open modules' widget objects by name.
    """

    def __init__(self):
        self.selected = ""
        self.widget: Any = None
        self.widgets: dict[str, Any] = {}
        self._foreign = make_widgets()
        self._files: dict[str, Path] = {}
        # Slicer completes its start once, with the modules that are there.
        self._started = False
        self._python: dict[str, Any] = {}
        self._panels: dict[str, PanelParent] = {}

    @property
    def ui(self) -> Any:
        """The open module's widgets by name, under PythonQt's rules."""
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
        if not self._started:
            self._started = True
            slicer.app._events.startupCompleted.emit()
        self._select(name)
        return self.widget

    def _load_module(self, name: str) -> None:
        module = self._python[name] = self._execute(name)
        parent = ModuleParent()
        parent.name, parent.path = name, str(self._files[name])
        slicer.modules._add(ScriptedModule(self, name, parent.path, parent))
        slicer.modules._instances[f"{name}Instance"] = getattr(module, name)(parent)

    def _execute(self, name: str) -> Any:
        spec = importlib.util.spec_from_file_location(name, self._files[name])
        module = importlib.util.module_from_spec(spec)
        self.layers.add_module(name, module)
        spec.loader.exec_module(module)
        return module

    def _make_widget(self, name: str) -> None:
        self._panels[name] = PanelParent(WidgetParent(name))
        self._set_up(name)
        # Slicer gives the panel its scene after that.
        self._panels[name].setMRMLScene(slicer.mrmlScene)

    def _set_up(self, name: str) -> None:
        widget = getattr(self._python[name], f"{name}Widget")(self._panels[name])
        self.widgets[name] = slicer.modules._instances[f"{name}Widget"] = widget
        widget.setup()

    def _select(self, name: str) -> None:
        if self.selected == name:
            return
        if name not in self._python and name not in SELECTABLE:
            raise AttributeError(f"there is no module {name} (in the fake Slicer)")
        self.leave_module()
        self.selected = name
        if name not in self._python:
            return
        self.widget = self._widget_of(name)
        if not self.window.isVisible():
            self.window.resize(PANEL_WIDTH, 1000)
            self.window.show()
        self.enter_module()

    def _show(self, name: str) -> None:
        text = getattr(slicer.modules, name.lower())._parent.helpText
        self.window.put(self._panels[name]._panel._object, text)

    def _widget_of(self, name: str) -> Any:
        """A module's widget object, made when it is first asked for."""
        if name in self._python and name not in self.widgets:
            self._make_widget(name)
        return self.widgets[name] if name in self.widgets else self._foreign[name]

    def select_module(self, name: str) -> None:
        """The user goes to another module: one that was opened before, or one of Slicer's own."""
        self._select(name)
        driver.settle()

    def enter_module(self) -> None:
        """The user comes (back) to the module."""
        if self.selected not in self._panels:
            self._select(self.widget.moduleName)
            return
        panel = self._panels[self.selected]
        if not panel._entered:
            self._show(self.selected)
            panel._entered = True
            self.widget.enter()
        driver.settle()

    def leave_module(self) -> None:
        """The user goes to another module, whose panel takes the place of this one."""
        panel = self._panels.get(self.selected)
        if panel is not None and panel._entered:
            panel._entered = False
            self.widget.exit()
            self.window.take(panel._panel._object)
        driver.settle()

    def reload_module(self, name: str | None = None) -> Any:
        """What the developer's Reload button does; returns the module object.

        The old panel is told to clean up but not to exit, its widgets are hidden but go on to exist, and the new one
        is set up but not entered.
        """
        name = name or self.selected
        self._python[name] = self._execute(name)
        panel = self._panels[name]
        for child in panel._panel._object.findChildren(QtWidgets.QWidget):
            if child.parent() is panel._panel._object:
                child.hide()
        self.widgets[name].cleanup()
        layout = panel._panel._object.layout()
        while layout.count():
            layout.takeAt(0)
        self._set_up(name)
        self.widget = self.widgets[name]
        driver.settle()
        return self._python[name]

    def destroy_without_cleanup(self, name: str | None = None) -> None:
        """Destroy a panel whose Python side is not told, as it happens to a panel that is not the module's only one."""
        self._destroy(name or self.selected, told=False)

    def _destroy(self, name: str, told: bool = True) -> None:
        widget, panel = self.widgets.pop(name), self._panels.pop(name)
        if told:
            widget.cleanup()
        for child in panel._panel._object.findChildren(QtWidgets.QWidget):
            if hasattr(child, "_forget"):
                child._forget()
        self.window.take(panel._panel._object)
        if self.selected == name:
            self.selected = ""
        panel._panel._object.deleteLater()
        driver.settle()
