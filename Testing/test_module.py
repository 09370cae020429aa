"""The Slicer module's logic and self test on real MRML.

What slicer-core lacks is stood in for by the least that lets the module be imported: base classes that do nothing,
texts that are not translated, and a parameter node that holds attributes. The panel itself needs Qt and is not
tested here.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import types
import unittest
from pathlib import Path

import numpy as np
import pytest
from mrml import (
    add_transform,
    make_detection,
    no_mrml_errors,
    node_ids,
    slicer,
    standalone,
    voxels,
)

from MedADLib.detection import Settings, content_hash
from MedADLib.errors import InputError, MedADError
from MedADLib.slicer.scene import SceneResult
from MedADLib.threshold import Threshold

__all__ = ["no_mrml_errors", "standalone"]

ROOT = Path(__file__).resolve().parents[1]


class Nothing:
    """Stands for a base class of Slicer's scripted modules."""

    def __init__(self, *arguments):
        pass


def stand_ins() -> dict[str, types.ModuleType]:
    bases = types.ModuleType("slicer.ScriptedLoadableModule")
    for name in ("ScriptedLoadableModule", "ScriptedLoadableModuleWidget", "ScriptedLoadableModuleLogic"):
        setattr(bases, name, type(name, (Nothing,), {}))
    bases.ScriptedLoadableModuleTest = unittest.TestCase
    texts = types.ModuleType("slicer.i18n")
    texts.tr = str
    texts.translate = lambda context, text: text
    parameters = types.ModuleType("slicer.parameterNodeWrapper")
    parameters.parameterNodeWrapper = lambda wrapped: wrapped
    return {module.__name__: module for module in (bases, texts, parameters)}


@pytest.fixture
def module(monkeypatch, standalone):
    """MedAD.py as Slicer loads it, with the scene of `standalone` as the application's."""
    for name, stand_in in stand_ins().items():
        monkeypatch.setitem(sys.modules, name, stand_in)
    monkeypatch.setattr(slicer, "mrmlScene", standalone.scene, raising=False)
    spec = importlib.util.spec_from_file_location("MedAD", ROOT / "MedAD" / "MedAD.py")
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "MedAD", loaded)
    spec.loader.exec_module(loaded)
    return loaded


class Recorder:
    """A detector that gives a known detection and remembers what it was asked."""

    def __init__(self, detection):
        self.detection = detection

    def load(self, name):
        self.model = name
        return f"model {name}"

    def detect(self, volume, model, settings, progress):
        self.volume, self.given_model, self.settings = volume, model, settings
        progress.stage("restoration", 0.25, 0.75, "imagining")
        return self.detection


@pytest.fixture
def recorder():
    return Recorder(make_detection())


@pytest.fixture
def logic(module, recorder):
    return module.MedADLogic(recorder.detect, recorder.load)


def test_a_detection_ends_in_the_scene(logic, recorder, standalone):
    detection = recorder.detection
    node = standalone.add_volume(detection.volume)
    heard = []
    result = logic.process(node, progress=lambda *said: heard.append(said))
    assert isinstance(result, SceneResult) and result.input is node
    assert np.array_equal(voxels(result.anomaly), detection.anomaly.array)
    assert heard == [("restoration", 0.25, "imagining")]
    assert recorder.model == "brain-t1" and recorder.given_model == "model brain-t1"
    text = logic.summary(result)
    assert "regions: 2." in text and "p = 0.143 against 6 healthy" in text


def test_the_detector_gets_what_the_command_line_would_read(logic, recorder, standalone, tmp_path):
    volume = recorder.detection.volume
    logic.process(standalone.add_volume(volume))
    volume.write(tmp_path / "scan.nrrd")
    from_file = type(volume).read(tmp_path / "scan.nrrd")
    assert recorder.volume.array.dtype == np.float32
    assert content_hash(recorder.volume) == content_hash(from_file)


def test_settings_and_mask_reach_the_detector(logic, recorder, standalone):
    detection = recorder.detection
    node = standalone.add_volume(detection.volume)
    mask = standalone.add_volume(detection.mask)
    logic.process(node, "other", mask, seed=5, device="cpu", threshold="1ml", smallest_region_ml=0.2)
    asked = recorder.settings
    assert recorder.model == "other"
    assert (asked.seed, asked.device, asked.smallest_region_ml) == (5, "cpu", 0.2)
    assert asked.threshold == Threshold(1.0, "ml")
    assert np.array_equal(asked.mask.array, detection.mask.array) and asked.mask.same_grid(detection.volume)
    logic.process(node, threshold=3.5)
    assert dataclasses.asdict(recorder.settings) == dataclasses.asdict(Settings(threshold=Threshold(3.5)))


def test_a_mask_under_another_transform_is_refused(logic, recorder, standalone):
    node, mask = standalone.add_volume(recorder.detection.volume), standalone.add_volume(recorder.detection.mask)
    add_transform(standalone.scene, mask)
    with pytest.raises(InputError, match="under another transform"):
        logic.process(node, maskNode=mask)


def test_no_volume_is_an_error_to_act_on(logic):
    with pytest.raises(InputError, match="no volume is selected. Select"):
        logic.process(None)


def test_a_missing_package_is_named_with_its_remedy(module, standalone):
    def detect(*arguments):
        import a_package_that_slicer_does_not_have  # noqa: F401

    node = standalone.add_volume(make_detection().volume)
    before = node_ids(standalone.scene)
    with pytest.raises(MedADError, match="a_package_that_slicer_does_not_have is missing in Slicer. Install"):
        module.MedADLogic(detect, str).process(node)
    assert node_ids(standalone.scene) == before


def test_views_are_centred_on_the_first_region(logic, recorder, standalone):
    node = standalone.add_volume(recorder.detection.volume)
    matrix = add_transform(standalone.scene, node)
    view = standalone.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    logic.process(node)
    expected = matrix @ [*recorder.detection.regions[0].centroid_ras, 1.0]
    assert np.allclose([view.GetSliceToRAS().GetElement(row, 3) for row in range(3)], expected[:3])


def test_a_scan_without_findings_leaves_the_views_where_they_are(module, standalone):
    detection = make_detection(blobs=())
    node = standalone.add_volume(detection.volume)
    view = standalone.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    view.JumpSliceByCentering(1.0, 2.0, 3.0)
    before = [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
    logic = module.MedADLogic(lambda *arguments: detection, str)
    assert "regions: 0." in logic.summary(logic.process(node))
    assert [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)] == before


def test_the_default_input_is_no_result_of_ours(module, logic, recorder, standalone):
    assert logic.firstScan() is None
    node = standalone.add_volume(recorder.detection.volume)
    logic.process(node)
    assert logic.firstScan() is node
    standalone.scene.RemoveNode(node)
    assert logic.firstScan() is None


def test_only_models_that_can_be_opened_are_offered(module, monkeypatch, tmp_path):
    (tmp_path / "broken.medad").write_bytes(b"no zip file")
    monkeypatch.setenv("MEDAD_MODELS", str(tmp_path))
    assert "broken" not in module.MedADLogic().modelNames()


def test_the_library_is_found_from_the_source_tree(module, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "MedADLib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry and Path(entry).resolve() != ROOT])
    module.MedADLogic()
    assert importlib.util.find_spec("MedADLib") is not None
    before = list(sys.path)
    module.MedADLogic()
    assert sys.path == before


def test_parameters_have_defaults_and_the_panels_widgets_bind_to_them(module):
    import xml.etree.ElementTree as ElementTree

    assert module.MedADParameterNode.modelName == "brain-t1"
    panel = ElementTree.parse(ROOT / "MedAD" / "Resources" / "UI" / "MedAD.ui")
    bound = {entry.findtext("string") for entry in panel.iter("property") if entry.get("name") == "SlicerParameterName"}
    assert bound == {"inputVolume"} <= set(module.MedADParameterNode.__annotations__)


@pytest.mark.parametrize("name", ["runTest", "test_resultIsInTheScene", "test_secondRunReplaces"])
def test_the_self_test_passes(module, name):
    outcome = unittest.TestResult()
    module.MedADTest(name).run(outcome)
    assert outcome.wasSuccessful() and outcome.testsRun == 1, outcome.errors + outcome.failures


def test_the_self_test_notices_a_lost_region(module, monkeypatch):
    original = module._detectCube

    def blind(*arguments):
        detection = original(*arguments)
        nothing = detection.labels.with_array(np.zeros_like(detection.labels.array))
        return dataclasses.replace(detection, labels=nothing, regions=())

    monkeypatch.setattr(module, "_detectCube", blind)
    outcome = unittest.TestResult()
    module.MedADTest("runTest").run(outcome)
    assert not outcome.wasSuccessful()
