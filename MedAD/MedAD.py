"""The MedAD module of 3D Slicer: a thin panel and a scripting interface over the library MedADLib."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

DEFAULT_MODEL = "brain-t1"


class MedAD(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MedAD")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["The MedAD contributors"]
        self.parent.helpText = _(
            "Shows what in a scan does not look healthy. A model that has seen healthy scans only imagines a healthy "
            "version of yours; where the two differ more than healthy scans do, the map lights up. For research; not "
            "a medical device."
        )
        self.parent.acknowledgementText = _("Licensed under the Apache License 2.0.")


@parameterNodeWrapper
class MedADParameterNode:
    """What a scene remembers of the panel.

    Attributes:
        inputVolume: The scan to examine.
        modelName: The model to examine it with.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    modelName: str = DEFAULT_MODEL


class MedADWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel; all it does beyond showing is in the logic."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._guiTag = None
        self._running = False

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/MedAD.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = MedADLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        for name in self.logic.modelNames():
            self.ui.modelSelector.addItem(name)
        self.ui.modelSelector.connect("currentTextChanged(QString)", self.onModelSelected)
        self.ui.runButton.connect("clicked(bool)", self.onRun)
        self.initializeParameterNode()

    def cleanup(self):
        """Let go of everything before the panel is destroyed."""
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onReload(self):
        """Reload the library with the module when a developer asks for it."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "MedADLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Connect the panel to the parameters in the scene, with the first scan as the default input."""
        self.setParameterNode(self.logic.getParameterNode())
        if self._parameterNode.inputVolume is None:
            self._parameterNode.inputVolume = self.logic.firstScan()

    def setParameterNode(self, parameterNode):
        """Connect the panel to these parameters, or to none."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self._parameterNode = parameterNode
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
            self.onParametersChanged()

    def onParametersChanged(self, caller=None, event=None):
        """Show the chosen model, and whether a detection can run or why not."""
        if self._parameterNode is None:
            return
        index = self.ui.modelSelector.findText(self._parameterNode.modelName)
        if index != self.ui.modelSelector.currentIndex:
            self.ui.modelSelector.setCurrentIndex(index)
        if self._parameterNode.inputVolume is None:
            reason = _("Select a volume to examine.")
        elif index < 0:
            reason = _("The model {name} is not installed.").format(name=self._parameterNode.modelName)
        else:
            reason = ""
        self.ui.runButton.enabled = not reason and not self._running
        self.ui.runButton.toolTip = reason or _("Look for what does not look healthy.")

    def onModelSelected(self, name):
        if self._parameterNode is not None and name:
            self._parameterNode.modelName = name

    def onRun(self, checked=False):
        """Run the detection and show what came of it."""
        self._running = True
        self.ui.runButton.enabled = False
        self.ui.statusLabel.text = ""
        try:
            with slicer.util.tryWithErrorDisplay(_("The detection failed."), waitCursor=True):
                result = self.logic.process(
                    self._parameterNode.inputVolume, self._parameterNode.modelName, progress=self.onProgress
                )
                self.ui.statusLabel.text = self.logic.summary(result)
        finally:
            self._running = False
            self.onParametersChanged()

    def onProgress(self, stage, fraction, message):
        """Show how far the detection is."""
        self.ui.statusLabel.text = _("{percent} %: {what}").format(percent=round(100 * fraction), what=message or stage)
        slicer.app.processEvents()


class MedADLogic(ScriptedLoadableModuleLogic):
    """Detection for the panel and for scripts.

    Args:
        detect: Does the detection, as `MedADLib.detect`; None for that one.
        loadModel: Loads a model by name, as `MedADLib.load_model`; None for that one.
    """

    def __init__(self, detect=None, loadModel=None):
        ScriptedLoadableModuleLogic.__init__(self)
        _findLibrary()
        self._detect = detect
        self._loadModel = loadModel

    def getParameterNode(self):
        """The panel's parameters in the present scene."""
        return MedADParameterNode(super().getParameterNode())

    def modelNames(self):
        """Names of the models that can be used."""
        from MedADLib.modelfile import list_models

        return [model.name for model in list_models() if not model.error]

    def firstScan(self):
        """The first volume in the scene that is no result of MedAD; None if there is none."""
        for node in slicer.mrmlScene.GetNodes():
            if node.GetClassName() == "vtkMRMLScalarVolumeNode" and node.GetAttribute("MedAD.role") is None:
                return node
        return None

    def process(self, volumeNode, modelName=DEFAULT_MODEL, maskNode=None, progress=None, **settings):
        """Examine a volume and put what was found into its scene.

        Args:
            volumeNode: The scan.
            modelName: Name or file of a model.
            maskNode: Volume on the same grid, nonzero in the part to examine; None finds the brain.
            progress: Called with (stage, fraction of the whole in [0, 1], message); None reports nothing.
            settings: Other settings of `MedADLib.Settings`: device, seed, threshold (as text or number),
                smallest_region_ml.

        Returns:
            The nodes of the result, a `MedADLib.slicer.scene.SceneResult`. Slice views are centred on the first region.

        Raises:
            MedADLib.errors.MedADError: If it cannot be done; the message says what is wrong and what to do, and the
                scene is as before.
        """
        from MedADLib.slicer.examine import examine

        return examine(volumeNode, modelName, maskNode, progress, self._detect, self._loadModel, **settings)

    def summary(self, result):
        """One line on a result, for the panel."""
        count = result.table.GetNumberOfRows()
        p = float(result.anomaly.GetAttribute("MedAD.p_value"))
        healthy = result.anomaly.GetAttribute("MedAD.healthy_count")
        text = _("Unusual regions: {count}. The scan as a whole: p = {p:.3g} against {healthy} healthy scans.")
        return text.format(count=count, p=p, healthy=healthy)


class MedADTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer without a model or PyTorch: a made-up detection must come out right in the scene."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.scan = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
        slicer.util.updateVolumeFromArray(self.scan, np.ones((9, 10, 11), dtype=np.float32))

    def runTest(self):
        """Run all tests, each in a scene with nothing but a scan."""
        for test in (self.test_resultIsInTheScene, self.test_secondRunReplaces, self.test_failureLeavesSceneAlone):
            self.setUp()
            test()

    def test_resultIsInTheScene(self):
        """Every kind of node is there and has the right content."""
        result = MedADLogic(_detectCube, str).process(self.scan)
        segmentation = result.segmentation.GetSegmentation()
        self.assertEqual(segmentation.GetNumberOfSegments(), 1)
        self.assertEqual(segmentation.GetNthSegment(0).GetName(), "Region 1")
        self.assertEqual(slicer.util.arrayFromVolume(result.labels).sum(), 27)
        self.assertEqual(slicer.util.arrayFromVolume(result.anomaly).max(), 5.0)
        self.assertEqual(result.table.GetNumberOfRows(), 1)
        self.assertEqual(result.anomaly.GetNodeReferenceID("MedAD.input"), self.scan.GetID())

    def test_secondRunReplaces(self):
        """A second run adds no nodes."""
        logic = MedADLogic(_detectCube, str)
        logic.process(self.scan)
        count = slicer.mrmlScene.GetNumberOfNodes()
        logic.process(self.scan)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)

    def test_failureLeavesSceneAlone(self):
        """A detection that fails adds no nodes."""

        def fail(*arguments):
            raise RuntimeError("on purpose")

        count = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaises(RuntimeError):
            MedADLogic(fail, str).process(self.scan)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)


def _detectCube(volume, model, settings, progress):
    """What the self test takes for a detection: one cube, whatever the scan."""
    from MedADLib.detection import Detection
    from MedADLib.regions import find_regions

    anomaly = np.zeros(volume.array.shape, dtype=np.float32)
    anomaly[3:6, 4:7, 5:8] = 5.0
    anomaly = volume.with_array(anomaly)
    labels, regions = find_regions(anomaly, 3.0, lambda peak: 0.5, 0.0)
    return Detection(
        volume=volume,
        mask=volume.with_array(np.ones(volume.array.shape, dtype=np.uint8)),
        anomaly=anomaly,
        restored=volume,
        labels=volume.with_array(labels),
        regions=regions,
        threshold=3.0,
        expected_false_positive_ml=0.1,
        score=5.0,
        p_value=0.5,
        healthy_count=1,
        provenance={},
        warnings=(),
    )


def _findLibrary():
    """Make MedADLib importable: in an extension it lies beside this file, in the source tree one folder up."""
    if importlib.util.find_spec("MedADLib") is None:
        sys.path.append(str(Path(__file__).resolve().parent.parent))
