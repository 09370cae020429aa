"""The object `slicer.modules`: loadable modules with real logics, and scripted ones."""

from __future__ import annotations

from typing import Any

import slicer

LOADABLE = {
    "Colors": "vtkSlicerColorLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}


class LoadableModule:
    """A module of C++ with its logic."""

    def __init__(self, name: str, logic: Any):
        self.name = self.title = name
        self._logic = logic

    def logic(self) -> Any:
        return self._logic


class ScriptedModule:
    """A module of Python: what Slicer's module object knows of it."""

    def __init__(self, app: Any, name: str, path: str, parent: Any):
        self._app = app
        self.name = name
        self.path = path
        self._parent = parent

    @property
    def title(self) -> str:
        return self._parent.title

    def logic(self) -> Any:
        """The C++ side's logic, which has nothing of the module's own: use slicer.util.getModuleLogic."""
        return slicer.vtkSlicerScriptedLoadableModuleLogic()

    def widgetRepresentation(self) -> Any:
        return _Representation(self._app, self.name)


class _Representation:
    def __init__(self, app: Any, name: str):
        self._app, self._name = app, name

    def self(self) -> Any:
        """The Python object of the panel."""
        return self._app._widget_of(self._name)


class Modules:
    """All modules, by lower-case name."""

    def __init__(self, standalone: Any):
        self._entries: dict[str, Any] = {}
        self._instances: dict[str, Any] = {}
        for name, class_name in LOADABLE.items():
            logic = self._logic(class_name, standalone)
            self._entries[name.lower()] = LoadableModule(name, logic)

    @staticmethod
    def _logic(class_name: str, standalone: Any) -> Any:
        if class_name == "vtkSlicerColorLogic":
            return standalone.application.GetColorLogic()
        for logic in standalone._logics:
            if logic.IsA(class_name):
                return logic
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(standalone.application)
        # Only these keep track of the scene in what MedAD asks of them; others would fill it with nodes of their own.
        if class_name in ("vtkSlicerSequencesLogic", "vtkSlicerVolumesLogic"):
            logic.SetMRMLScene(standalone.scene)
        return logic

    def _add(self, module: ScriptedModule) -> None:
        self._entries[module.name.lower()] = module

    def _path(self, name: str) -> str:
        return self._entries[name.lower()].path

    def _names(self) -> list[str]:
        return [module.name for module in self._entries.values()]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._instances:
            return self._instances[name]
        if name.startswith("_") or name not in self._entries:
            raise AttributeError(f"module 'modules' has no attribute '{name}'")
        return self._entries[name]
