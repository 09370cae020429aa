"""Put the layers of the fake Slicer in place of what the application offers, and take them away again."""

from __future__ import annotations

import sys
import types
from typing import Any

import slicer
import slicer.util

from . import ctk, parameters, qt, scripted, widgets
from .app_functions import Functions
from .application import Application
from .modules import Modules
from .pythonqt import Class

ABSENT = object()


class Layers:
    """Everything that a module may import or find on `slicer` inside the application."""

    def __init__(self, app: Any):
        self._restore: list[tuple[Any, str, Any]] = []
        self._modules: dict[str, Any] = {}
        texts = types.ModuleType("slicer.i18n")
        texts.tr = lambda text: str(text)
        texts.translate = lambda context, text: str(text)
        modules = {
            "qt": qt.module,
            "ctk": ctk.module,
            "slicer.i18n": texts,
            "slicer.parameterNodeWrapper": _module("slicer.parameterNodeWrapper", parameters.PUBLIC),
            "slicer.ScriptedLoadableModule": _module("slicer.ScriptedLoadableModule", scripted.PUBLIC),
            **app.packages.modules(),
        }
        for name, module in modules.items():
            self._modules[name] = sys.modules.get(name, ABSENT)
            sys.modules[name] = module
            if name.startswith("slicer."):
                self._set(slicer, name.partition(".")[2], module)
        for name in {"PyTorchUtils", "slicer.packaging"} - set(modules):
            # None makes an import fail, whatever is installed.
            self._modules[name] = sys.modules.get(name, ABSENT)
            sys.modules[name] = None
        self._set(slicer, "mrmlScene", app.standalone.scene)
        self._set(slicer, "modules", Modules(app.standalone))
        self._set(slicer, "selfTests", {})
        for name, widget in widgets.SLICER.items():
            self._set(slicer, name, Class(widget))
        for name, function in Functions(app).replacements().items():
            self._set(slicer.util, name, function)
        self._set(slicer, "app", Application(app, app.folder))

    def add_module(self, name: str, module: types.ModuleType) -> None:
        """Let a scripted module be imported by name until the end."""
        self._modules.setdefault(name, sys.modules.get(name, ABSENT))
        sys.modules[name] = module

    def close(self) -> None:
        """Leave everything as it was."""
        for owner, name, before in reversed(self._restore):
            if before is not ABSENT:
                setattr(owner, name, before)
            # An attribute that is already gone must not keep the rest from being restored.
            elif name in vars(owner):
                delattr(owner, name)
        for name, before in self._modules.items():
            if before is ABSENT:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = before

    def _set(self, owner: Any, name: str, value: Any) -> None:
        self._restore.append((owner, name, vars(owner).get(name, ABSENT)))
        setattr(owner, name, value)


def _module(name: str, members: tuple) -> types.ModuleType:
    module = types.ModuleType(name)
    for member in members:
        setattr(module, member.__name__, member)
    module.__all__ = [member.__name__ for member in members]
    return module
