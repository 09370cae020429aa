"""A small scripted module for tests of the fake Slicer, written as the documentation of Slicer recommends."""

from __future__ import annotations

from pathlib import Path

SOURCE = """
import enum
from pathlib import Path
from typing import Annotated

import ctk
import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin


class Mode(enum.Enum):
    Above = 1
    Below = 2

    def label(self):
        return self.name.lower()


class Small(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Small")
        self.parent.categories = ["Examples"]
        slicer.app.connect("startupCompleted()", register)


def register():
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(category="Small", sampleName="Small1", uris="u")


@parameterNodeWrapper
class SmallParameterNode:
    inputVolume: vtkMRMLScalarVolumeNode
    threshold: Annotated[float, WithinRange(0, 200)] = 100.0
    count: Annotated[int, WithinRange(1, 9)] = 3
    inverted: bool = False
    label: str = "spot"
    mode: Mode = Mode.Above
    device: Annotated[str, Choice(["auto", "cpu"])] = "auto"
    folder: Path = Path("/tmp")


class SmallWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._tag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Small.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SmallLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        # While a scene is read, references point at nodes that are not there yet; nothing tells when they are.
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.initializeParameterNode()

    def cleanup(self):
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first:
                self._parameterNode.inputVolume = first

    def setParameterNode(self, node):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._tag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.checkCanApply)
        self._parameterNode = node
        if self._parameterNode:
            self._tag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.checkCanApply)
            self.checkCanApply()

    def checkCanApply(self, caller=None, event=None):
        ready = self._parameterNode is not None and self._parameterNode.inputVolume is not None
        self.ui.applyButton.enabled = ready
        self.ui.applyButton.toolTip = _("Count voxels") if ready else _("Select a volume")

    def onApply(self, checked=False):
        with slicer.util.tryWithErrorDisplay(_("Failed to count."), waitCursor=True):
            number = self.logic.process(self._parameterNode.inputVolume, self._parameterNode.threshold)
            self.ui.resultLabel.text = str(number)


class SmallLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self):
        return SmallParameterNode(super().getParameterNode())

    def process(self, node, threshold):
        if threshold > 199:
            raise RuntimeError("the threshold is too high")
        return int((slicer.util.arrayFromVolume(node) > threshold).sum())
"""
UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>Small</class>
 <widget class="qMRMLWidget" name="Small">
  <layout class="QVBoxLayout" name="verticalLayout">
   <item>
    <widget class="ctkCollapsibleButton" name="section">
     <property name="text"><string>Parameters</string></property>
     <layout class="QFormLayout" name="formLayout">
      <item row="0" column="0">
       <widget class="QLabel" name="inputLabel"><property name="text"><string>Input:</string></property></widget>
      </item>
      <item row="0" column="1">
       <widget class="qMRMLNodeComboBox" name="inputSelector">
        <property name="nodeTypes">
         <stringlist notr="true"><string>vtkMRMLScalarVolumeNode</string></stringlist>
        </property>
        <property name="showChildNodeTypes"><bool>false</bool></property>
        <property name="noneEnabled"><bool>true</bool></property>
        <property name="SlicerParameterName" stdset="0"><string notr="true">inputVolume</string></property>
       </widget>
      </item>
      <item row="1" column="1">
       <widget class="ctkSliderWidget" name="thresholdSlider">
        <property name="singleStep"><double>0.5</double></property>
        <property name="maximum"><double>500</double></property>
        <property name="SlicerParameterName" stdset="0"><string notr="true">threshold</string></property>
       </widget>
      </item>
      <item row="2" column="1">
       <widget class="QSpinBox" name="countBox">
        <property name="SlicerParameterName" stdset="0"><string notr="true">count</string></property>
       </widget>
      </item>
      <item row="3" column="1">
       <widget class="QCheckBox" name="invertedBox">
        <property name="text"><string>Inverted</string></property>
        <property name="SlicerParameterName" stdset="0"><string notr="true">inverted</string></property>
       </widget>
      </item>
      <item row="4" column="1">
       <widget class="QLineEdit" name="labelEdit">
        <property name="SlicerParameterName" stdset="0"><string notr="true">label</string></property>
       </widget>
      </item>
      <item row="5" column="1">
       <widget class="QComboBox" name="modeBox">
        <property name="SlicerParameterName" stdset="0"><string notr="true">mode</string></property>
       </widget>
      </item>
      <item row="6" column="1">
       <widget class="QComboBox" name="deviceBox">
        <property name="SlicerParameterName" stdset="0"><string notr="true">device</string></property>
       </widget>
      </item>
      <item row="7" column="1">
       <widget class="ctkPathLineEdit" name="folderEdit">
        <property name="SlicerParameterName" stdset="0"><string notr="true">folder</string></property>
       </widget>
      </item>
      <item row="8" column="0" colspan="2">
       <widget class="QPushButton" name="applyButton">
        <property name="enabled"><bool>false</bool></property>
        <property name="text"><string>Apply</string></property>
       </widget>
      </item>
      <item row="9" column="0" colspan="2"><widget class="QLabel" name="resultLabel"/></item>
     </layout>
    </widget>
   </item>
   <item><spacer name="spacer"><property name="orientation"><enum>Qt::Vertical</enum></property></spacer></item>
  </layout>
 </widget>
 <customwidgets>
  <customwidget><class>qMRMLWidget</class><extends>QWidget</extends><container>1</container></customwidget>
  <customwidget><class>ctkCollapsibleButton</class><extends>QWidget</extends><container>1</container></customwidget>
 </customwidgets>
 <connections>
  <connection>
   <sender>Small</sender>
   <signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
   <receiver>inputSelector</receiver>
   <slot>setMRMLScene(vtkMRMLScene*)</slot>
  </connection>
 </connections>
</ui>
"""


def write_module(folder: Path, code: dict[str, str] | None = None, panel: dict[str, str] | None = None) -> Path:
    """Write the module Small.

    Args:
        folder: Where to.
        code: Pieces of its source to replace; each must be there.
        panel: Pieces of its .ui file to replace.

    Returns:
        Its file.
    """
    file = folder / "Small" / "Small.py"
    (file.parent / "Resources" / "UI").mkdir(parents=True)
    file.write_text(_replaced(SOURCE, code), encoding="utf-8")
    (file.parent / "Resources" / "UI" / "Small.ui").write_text(_replaced(UI, panel), encoding="utf-8")
    return file


def _replaced(text: str, pieces: dict[str, str] | None) -> str:
    for old, new in (pieces or {}).items():
        assert old in text, f"{old!r} is not in the template"
        text = text.replace(old, new)
    return text
