"""Stand-in for slicer.ScriptedLoadableModule: the base classes of a scripted module."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtWidgets

from .pythonqt import Object


class ModuleParent:
    """What Slicer gives a module to describe itself with; anything else cannot be set."""

    __slots__ = ("acknowledgementText", "associatedNodeTypes", "categories", "contributors", "dependencies")
    __slots__ += ("helpText", "hidden", "icon", "index", "name", "path", "title", "widgetRepresentationCreationEnabled")


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = parent.acknowledgementText = ""

    def resourcePath(self, filename):
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self):
        return f"<p>For more information see the documentation of {self.parent.title}.</p>"

    def runTest(self, msec=100, **kwargs):
        """Run the module's own tests."""


class WidgetParent(QtWidgets.QWidget):
    """The panel that Slicer makes for a module."""

    def __init__(self):
        super().__init__()
        QtWidgets.QVBoxLayout(self)


class PanelParent:
    """That panel for the module: Qt's attributes and those of Slicer's module widget."""

    def __init__(self, panel: WidgetParent):
        vars(self).update(_panel=Object(panel), _entered=False)

    @property
    def isEntered(self):
        return self._entered

    def mrmlScene(self):
        return slicer.mrmlScene

    def setMRMLScene(self, scene):
        """Nothing to do: there is one scene."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            vars(self)[name] = value
        else:
            setattr(self._panel, name, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_panel"), name)


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        if parent is None:
            raise TypeError("the bench always gives a module widget its parent")
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = parent.layout()
        self.developerMode = slicer.util.settingsValue("Developer/DeveloperMode", False, converter=slicer.util.toBool)

    def resourcePath(self, filename):
        path = Path(slicer.modules._path(self.moduleName)).parent / "Resources" / filename
        return str(path)

    def setup(self):
        """Build the panel."""

    def setupDeveloperSection(self):
        """Add the developer's buttons; the bench has none."""

    def cleanup(self):
        """Let go before the panel goes."""

    def enter(self):
        """The user comes to the module."""

    def exit(self):
        """The user leaves the module."""

    def onReload(self):
        slicer.util.reloadScriptedModule(self.moduleName)

    def onReloadAndTest(self, **kwargs):
        self.onReload()
        getattr(sys.modules[self.moduleName], f"{self.moduleName}Test")().runTest()


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        """The module's node in the scene, made if there is none."""
        nodes = self.getAllParameterNodes()
        return nodes[0] if nodes else self.createParameterNode()

    def getAllParameterNodes(self):
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self):
        node = slicer.vtkMRMLScriptedModuleNode()
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return slicer.mrmlScene.AddNode(node)


class ScriptedLoadableModuleTest(unittest.TestCase):
    def __init__(self, methodName="runTest", *arguments):
        super().__init__(methodName)

    def runTest(self):
        """Run the module's own tests."""

    def delayDisplay(self, message, requestedDelay=None, msec=100):
        slicer.util.delayDisplay(message, msec)


PUBLIC = (
    *(ScriptedLoadableModule, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest),
    ScriptedLoadableModuleWidget,
)
