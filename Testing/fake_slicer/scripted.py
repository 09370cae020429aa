"""Stand-in for slicer.ScriptedLoadableModule: the base classes of a scripted module."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtWidgets

from .ctk import ctkCollapsibleButton
from .pythonqt import Class, Object
from .qmrml_widget import qSlicerWidget


class ModuleParent:
    """What Slicer gives a module to describe itself with; anything else cannot be set."""

    __slots__ = ("acknowledgementText", "associatedNodeTypes", "categories", "contributors", "dependencies")
    __slots__ += ("helpText", "hidden", "icon", "index", "name", "path", "title", "widgetRepresentationCreationEnabled")


class ScriptedLoadableModule:
    def __init__(self, parent):
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = parent.acknowledgementText = ""
        slicer.selfTests = getattr(slicer, "selfTests", {})
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename):
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        return f"<p>For more information see the documentation of {self.parent.title}.</p>"

    def runTest(self, msec=100, **kwargs):
        """Run the module's own tests.

        Raises:
            AssertionError: If the module has no class of tests.
        """
        case = getattr(sys.modules[type(self).__module__], f"{self.moduleName}Test", None)
        if case is None:
            raise AssertionError(f"{self.moduleName} has no class {self.moduleName}Test")
        test = case()
        test.messageDelay = msec
        test.runTest(**kwargs)


class WidgetParent(qSlicerWidget):
    """The panel that Slicer makes for a module; it gets its scene after the module has set it up."""

    def __init__(self, name: str):
        super().__init__()
        self.setObjectName(f"{name}ModuleWidget")
        QtWidgets.QVBoxLayout(self)


class PanelParent:
    """That panel for the module: Qt's attributes and those of Slicer's module widget."""

    def __init__(self, panel: WidgetParent):
        vars(self).update(_panel=Object(panel), _entered=False)

    @property
    def isEntered(self):
        return self._entered

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            vars(self)[name] = value
        else:
            setattr(self._panel, name, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_panel"), name)


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        super().__init__()
        if parent is None:
            raise TypeError("the fake Slicer always gives a module widget its parent")
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = parent.layout()
        self.developerMode = slicer.util.settingsValue("Developer/DeveloperMode", False, converter=slicer.util.toBool)

    def resourcePath(self, filename):
        path = Path(slicer.modules._path(self.moduleName)).parent / "Resources" / filename
        return str(path)

    def setup(self):
        """Build the panel."""
        self.setupDeveloperSection()

    def setupDeveloperSection(self):
        """Add the developer's buttons, of which the fake Slicer has the first."""
        if not self.developerMode:
            return
        section = Class(ctkCollapsibleButton)("Reload && Test")
        self.layout.addWidget(section)
        self.reloadButton = Class(QtWidgets.QPushButton)("Reload")
        Class(QtWidgets.QFormLayout)(section).addRow(self.reloadButton)
        self.reloadButton.connect("clicked()", self.onReload)

    def cleanup(self):
        """Let go before the panel goes."""

    def enter(self):
        """The user comes to the module."""

    def exit(self):
        """The user leaves the module."""

    def onReload(self):
        slicer.util.reloadScriptedModule(self.moduleName)

    def onTest(self, **kwargs):
        with slicer.util.tryWithErrorDisplay("Test failed."):
            slicer.selfTests[self.moduleName](**kwargs)

    def onReloadAndTest(self, **kwargs):
        with slicer.util.tryWithErrorDisplay("Reload and Test failed."):
            self.onReload()
            slicer.selfTests[self.moduleName](**kwargs)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        """The module's node in the scene, made if there is none."""
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is not None:
                # A scene that was closed takes the attribute away.
                node.SetAttribute("ModuleName", self.moduleName)
        else:
            node = next(iter(self.getAllParameterNodes()), None)
        return node if node is not None else slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self):
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self):
        """A new node, which is not in the scene yet."""
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def __init__(self, methodName="runTest", *arguments):
        super().__init__(methodName)
        self.moduleTestNames = [name for name in dir(self) if "test" in name and callable(getattr(self, name))]

    def runTest(self):
        """Run the module's own tests."""
        for name in self.moduleTestNames:
            self.setUp()
            getattr(self, name)()
            self.tearDown()

    def delayDisplay(self, message, requestedDelay=None, msec=100):
        slicer.util.delayDisplay(message, getattr(self, "messageDelay", msec))


PUBLIC = (
    *(ScriptedLoadableModule, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest),
    ScriptedLoadableModuleWidget,
)
