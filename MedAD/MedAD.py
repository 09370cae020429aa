"""The MedAD module of 3D Slicer: a thin panel and a scripting interface over the library MedADLib."""

import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Union

import slicer
import vtk
from slicer import vtkMRMLLabelMapVolumeNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

DEFAULT_MODEL = "brain-t1"


def _findLibrary():
    """Make MedADLib importable: in an extension it lies beside this file, in the source tree one folder up."""
    if importlib.util.find_spec("MedADLib") is None:
        sys.path.append(str(Path(__file__).resolve().parent.parent))


def _translateMessages():
    """Show messages of the library in Slicer's language."""
    from MedADLib.messages import set_translator

    set_translator(translate)


class MedAD(ScriptedLoadableModule):
    """Title, help text and acknowledgement of the module, which Slicer shows before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        _findLibrary()
        _translateMessages()
        from MedADLib.methods.bibliography import html
        from MedADLib.slicer.sampledata import what_to_expect

        self.parent.title = _("MedAD")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.contributors = ["The MedAD contributors"]
        self.parent.helpText = _(
            "Marks what differs from normal anatomy in T1-weighted MRI of an adult brain without contrast agent. A "
            "model trained on scans without known lesions makes a pseudo-healthy image of your scan. Regions where the "
            "two differ more than in healthy scans are marked. Choose a scan, click Run Detection, and go through the "
            "table of regions. For research; not a medical device. Sample data to try it with:"
        ) + what_to_expect()
        self.parent.acknowledgementText = _("Licensed under the Apache License 2.0. Please cite:") + html()
        slicer.app.connect("startupCompleted()", registerSampleData)
        slicer.app.connect("startupCompleted()", guardViews)


# Until the panel has a guard of its own: also a scene with results that is opened before the module is safe.
_guards = []


def guardViews():
    """Keep results of one scan away from views of another one; see `MedADLib.slicer.scene.ownership`."""
    from MedADLib.slicer.scene.view_guard import ViewGuard

    _guards.append(ViewGuard(slicer.mrmlScene))


def _stopGuard():
    while _guards:
        _guards.pop().close()


def registerSampleData():
    """Offer MedAD's example scans in the Sample Data module."""
    from MedADLib.slicer.sampledata import register

    register(Path(__file__).resolve().parent / "Resources" / "Icons")


class MedADFileReader:
    """Adds a model when a .medad file is opened in Slicer or dropped onto it."""

    def __init__(self, parent):
        self.parent = parent

    def description(self):
        return _("MedAD model")

    def fileType(self):
        return "MedADModel"

    def extensions(self):
        return [_("MedAD model") + " (*.medad)"]

    def load(self, properties):
        return slicer.util.getModuleWidget("MedAD").panel.models_panel.add(properties["fileName"])


@parameterNodeWrapper
class MedADParameterNode:
    """Parameters of the panel, which a scene stores.

    Attributes:
        inputVolume: The scan to examine.
        maskNode: Segmentation or label map of the part to examine; None finds the brain.
        modelName: The model of the detection.
        allFrames: Whether every frame of the scan's sequence is examined.
        opacity: Opacity of the overlay.
        seed: Random seed.
        smallestRegionMl: Volume (mL) below which regions are not listed.
        fast: Whether to make fewer restorations of fewer slices.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    # Slicer makes a node of each class to learn what the selector offers, so none may be abstract; it reads Union only.
    maskNode: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]  # noqa: UP007
    modelName: str = DEFAULT_MODEL
    allFrames: bool = False
    opacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    seed: Annotated[int, WithinRange(0, 2147483647)] = 0
    smallestRegionMl: Annotated[float, WithinRange(0.0, 1000.0)] = 0.05
    fast: bool = False


class MedADWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the panel of `MedADLib.slicer.panel.panel` with the scene."""

    def __init__(self, parent=None):
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self.height = None
        self.entered = False
        self._parameterNode = None
        self._guiTag = None
        # Last: without a parent it makes one and calls setup at once.
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        # Again, because a reload of the module drops the library but does not make the module again.
        _translateMessages()
        form = slicer.util.loadUI(self.resourcePath("UI/MedAD.ui"))
        self.layout.addWidget(form)
        self.ui = slicer.util.childWidgetVariables(form)
        form.setMRMLScene(slicer.mrmlScene)
        self.logic = MedADLogic()
        from MedADLib.slicer.panel.height import PanelHeight
        from MedADLib.slicer.panel.panel import Panel

        _stopGuard()
        self.panel = Panel(self.ui, self.logic)
        self.height = PanelHeight(form)
        # A panel deleted without cleanup, as by tests and scripts, must not leave observers behind. Qt emits the signal
        # while the panel's widgets still exist.
        form.connect("destroyed(QObject*)", self.cleanup)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneChanged)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onParametersChanged)
        slicer.app.connect("aboutToQuit()", self.logic.stop)
        self.initializeParameterNode()

    def cleanup(self, form=None):
        """Release everything before the panel is destroyed; the worker process ends. A second call does nothing."""
        if self.panel is None:
            return
        panel, self.panel = self.panel, None
        slicer.app.disconnect("aboutToQuit()", self.logic.stop)
        self.height.stop()
        panel.close()
        self._unbind()
        self.removeObservers()
        self.logic.stop()

    def enter(self):
        self.entered = True
        self.initializeParameterNode()
        self.panel.resume()
        self.height.start()

    def exit(self):
        """A run goes on while another module is shown; only the binding of the widgets ends."""
        self.entered = False
        self.height.stop()
        self.setParameterNode(None)

    def onReload(self):
        """Reload the library with the module when a developer asks for it."""
        self.logic.stop()
        for name in [name for name in sys.modules if name.partition(".")[0] == "MedADLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)
        self.panel.scene_closes()

    def onSceneChanged(self, caller, event):
        if self.entered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Connect the panel to the parameters in the scene, with the scan that the views show as the input."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode):
        """Connect the panel to these parameters, or to none."""
        self._unbind()
        self._parameterNode = parameterNode
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self.panel.set_parameters(parameterNode)

    def _unbind(self):
        """Connect the panel to no parameters."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
            self._parameterNode = None

    def onParametersChanged(self, caller=None, event=None):
        if self._parameterNode is not None:
            self.panel.refresh()


class MedADLogic(ScriptedLoadableModuleLogic):
    """Detection for the panel and for scripts, computed in a separate process, which keeps models loaded.

    Args:
        client: Client of the computing process; None for a `MedADLib.slicer.worker.client.WorkerClient`.
        installer: With `missing` and `install`; None for a `MedADLib.slicer.install.installer.SlicerInstaller`.
    """

    def __init__(self, client=None, installer=None):
        ScriptedLoadableModuleLogic.__init__(self)
        from MedADLib.slicer.install.installer import SlicerInstaller
        from MedADLib.slicer.worker.client import WorkerClient

        self.client = client or WorkerClient()
        self.installer = installer or SlicerInstaller()

    def getParameterNode(self):
        """The panel's parameters in the present scene."""
        return MedADParameterNode(super().getParameterNode())

    def start(self, request, on_progress, on_finished, is_chosen=lambda: True):
        """Begin a run; returns the `MedADLib.slicer.run.Run` without waiting for its end."""
        from MedADLib.slicer.run import Run

        run = Run(request, self.client, on_progress, on_finished, slicer.app.temporaryPath, is_chosen)
        run.start()
        return run

    def process(self, volume, model=DEFAULT_MODEL, waitForCompletion=True, **options):
        """Examine a scan and show the result in its scene, without the panel.

        Example:
            >>> logic = slicer.util.getModuleLogic("MedAD")
            >>> result = logic.process(slicer.util.getNode("MRHead"), model="brain-t1", threshold="1ml")

        Args:
            volume: The scan, a volume node.
            model: Name or file of a model.
            waitForCompletion: Whether to return at the end of the run; Slicer stays usable meanwhile.
            options: See `MedADLib.slicer.scripting.process`.

        Returns:
            The nodes, a `MedADLib.slicer.scene.nodes.SceneResult`; without waiting, the run, with a `cancel` method.

        Raises:
            MedADLib.errors.MedADError: If the run fails; the message describes cause and remedy, and the scene is
                unchanged.
        """
        from MedADLib.slicer.scripting import process

        return process(self, volume, model, waitForCompletion, **options)

    def stop(self):
        """End the worker process; a running detection is cancelled."""
        self.client.stop()


class MedADTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer without network: a run by the panel's button, and runs by script."""

    def setUp(self):
        import numpy as np

        slicer.mrmlScene.Clear()
        self.scan = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
        slicer.util.updateVolumeFromArray(self.scan, np.arange(990.0).reshape(9, 10, 11))

    def logic(self, failure=""):
        """Make a logic with a worker that finds a cube of 27 voxels in every scan, or fails."""
        from MedADLib.slicer.selftest import CubeClient, NothingMissing

        return MedADLogic(CubeClient(failure), NothingMissing())

    def runTest(self):
        """Run all tests, each in a scene with nothing but a scan."""
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            getattr(self, name)()

    def test_panelRunsAndShowsTheResult(self):
        """The panel opens, is bound to the scene, runs by its button, and shows the result of the scan it examined."""
        from MedADLib.slicer.selftest import add_tiny_head, panel_for_test

        head, ball = add_tiny_head(slicer.mrmlScene)
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("MedAD")
        widget = slicer.util.getModuleWidget("MedAD")
        if not widget.entered:
            widget.enter()
        ui, parameters = widget.ui, widget.logic.getParameterNode()
        with panel_for_test(widget, Path(__file__).resolve().parent / "Resources") as real:
            parameters.inputVolume = head
            parameters.modelName = "tiny"
            self.assertIs(ui.inputSelector.currentNode(), head)
            self.assertEqual(ui.modelSelector.itemData(ui.modelSelector.currentIndex), "tiny")
            self.assertTrue(ui.runButton.enabled, ui.runButton.toolTip)
            ui.runButton.click()
            while widget.panel.running:
                slicer.app.processEvents()
            result = widget.panel.result
            self.assertIsNotNone(result, ui.statusLabel.text)
            self.assertIs(result.input, head)
            self.assertFalse(ui.resultSection.isHidden())
            self.assertGreater(len(ui.verdictLabel.text), 0)
            self.assertEqual(ui.regionsTable.rowCount, result.table.GetNumberOfRows())
            self.assertGreater(ui.regionsTable.rowCount, 0)
            for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
                self.assertEqual(view.GetBackgroundVolumeID(), head.GetID())
                self.assertEqual(view.GetForegroundVolumeID(), result.anomaly.GetID())
            if real:
                anomaly = slicer.util.arrayFromVolume(result.anomaly)
                self.assertGreater(anomaly[ball].mean(), 5 * anomaly[anomaly > 0].mean())
            parameters.inputVolume = self.scan
            self.assertTrue(ui.resultSection.isHidden())
            for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
                self.assertNotEqual(view.GetForegroundVolumeID(), result.anomaly.GetID())
            self.assertFalse(result.segmentation.GetDisplayNode().GetVisibility())

    def test_resultIsInTheScene(self):
        """Every kind of node is there and has the right content."""
        result = self.logic().process(self.scan)
        self.assertEqual(result.segmentation.GetSegmentation().GetNumberOfSegments(), 1)
        self.assertEqual(slicer.util.arrayFromVolume(result.labels).sum(), 27)
        self.assertEqual(slicer.util.arrayFromVolume(result.anomaly).max(), 5.0)
        self.assertEqual(result.table.GetNumberOfRows(), 1)

    def test_secondRunReplaces(self):
        """A second run adds no nodes."""
        logic = self.logic()
        logic.process(self.scan)
        count = slicer.mrmlScene.GetNumberOfNodes()
        logic.process(self.scan)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)

    def test_failureLeavesSceneAlone(self):
        """A detection that fails adds no nodes."""
        count = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(Exception, "on purpose"):
            self.logic("on purpose").process(self.scan)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)

    def test_tinyModelInTheWorker(self):
        """The real worker finds a ball in a made-up head with a tiny model, if what Run installs is there."""
        logic = MedADLogic()
        if logic.installer.missing():
            self.delayDisplay("MedAD's packages are not installed, so the worker is not tested.")
            return
        from MedADLib.slicer.selftest import add_tiny_head

        try:
            head, ball = add_tiny_head(slicer.mrmlScene)
            result = logic.process(head, str(Path(__file__).resolve().parent / "Resources" / "tiny.medad"))
            anomaly = slicer.util.arrayFromVolume(result.anomaly)
            self.assertGreater(anomaly[ball].mean(), 5 * anomaly[anomaly > 0].mean())
        finally:
            logic.stop()
