"""A small well-written module runs whole in the fake Slicer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("PySide6", reason="PySide6 is not installed (pip install PySide6_Essentials)")
pytest.importorskip("slicer.util", reason="slicer-core is not installed (pip install trame-slicer[standalone])")
import slicer
from support.synthetic import brain_volume

from fake_slicer import FakeSlicer
from fake_slicer.fixtures import app, small
from fake_slicer.small_module import write_module

__all__ = ["app", "small"]


def test_a_module_runs_from_click_to_result(small):
    parameters = small.widget.logic.getParameterNode()
    assert small.ui.inputSelector.currentNode() is small.scan
    small.click("applyButton")
    expected = int((brain_volume().array > 100).sum())
    assert small.ui.resultLabel.text == str(expected) and expected > 0
    small.type("labelEdit", "lesion")
    small.click("invertedBox")
    chosen = []
    small.ui.modeBox.connect("activated(int)", chosen.append)
    small.choose("modeBox", "below")
    assert chosen == [1]
    small.choose("deviceBox", "cpu")
    small.type("countBox", "7")
    assert (parameters.label, parameters.inverted, parameters.mode.name) == ("lesion", True, "Below")
    assert (parameters.device, parameters.count) == ("cpu", 7)
    parameters.label = "from a script"
    assert small.ui.labelEdit.text == "from a script"
    assert small.messages == []


def test_the_limits_of_a_parameter_are_those_of_its_widget(small):
    assert (small.ui.thresholdSlider.maximum, small.ui.countBox.minimum, small.ui.countBox.maximum) == (200, 1, 9)
    assert small.ui.thresholdSlider.value == 100


def test_an_error_for_the_user_is_shown_and_is_no_mistake(small):
    small.widget._parameterNode.threshold = 200.0
    small.click("applyButton")
    kind, text = small.messages[-1]
    assert kind == "error" and text.startswith("Failed to count.\n\nthe threshold is too high")
    assert [str(error) for error in small.shown_errors] == ["the threshold is too high"]
    assert small.slot_errors == []


def test_parameters_come_back_with_the_scene(small, tmp_path):
    parameters = small.widget._parameterNode
    parameters.label, parameters.threshold, parameters.folder = "saved", 120.5, Path("/data/x")
    other = small.standalone.add_volume(brain_volume(name="other"))
    small.select_node("inputSelector", other)
    small.save_scene(tmp_path / "scene.mrb")
    small.close_scene()
    assert small.ui.inputSelector.currentNode() is None and not small.ui.applyButton.enabled
    assert small.ui.labelEdit.text == "spot"
    small.open_scene(tmp_path / "scene.mrb")
    assert (small.ui.labelEdit.text, small.ui.thresholdSlider.value) == ("saved", 120.5)
    assert small.ui.folderEdit.currentPath == "/data/x"
    assert small.ui.inputSelector.currentNode().GetName() == "other"
    small.click("applyButton")
    assert int(small.ui.resultLabel.text) > 0


def test_a_parameter_is_read_again_when_its_node_says_so(small):
    parameters, node = small.widget._parameterNode, small.widget._parameterNode.parameterNode
    modified = node.StartModify()
    node.SetParameter("label", "from elsewhere")
    assert parameters.label == small.ui.labelEdit.text == "spot"
    node.EndModify(modified)
    assert parameters.label == small.ui.labelEdit.text == "from elsewhere"
    assert node.GetParameter("inverted") == "False" and node.HasParameter("inputVolume")


def test_leaving_entering_and_reloading(small):
    small.type("labelEdit", "kept")
    small.leave_module()
    assert small.widget._parameterNode is None
    small.enter_module()
    assert small.ui.labelEdit.text == "kept"
    before = small.widget
    small.widget.onReload()
    assert small.widget is not before and small.ui.labelEdit.text == "kept"
    assert slicer.util.getModuleWidget("Small") is small.widget
    small.click("applyButton")


def test_everything_is_as_before_when_the_fake_slicer_closes(tmp_path):
    import slicer.util

    def state():
        names = ("qt", "ctk", "Small", "SampleData", "PyTorchUtils", "slicer.i18n")
        modules = {name: sys.modules[name] for name in names if name in sys.modules}
        return set(vars(slicer)), dict(vars(slicer.util)), sys.excepthook, modules

    before = state()
    with FakeSlicer(tmp_path) as app:
        app.open_module("Small", write_module(tmp_path))
        assert "qt" in sys.modules and "Small" in sys.modules
    assert state() == before


def test_the_user_is_sent_to_another_module_and_comes_back(small):
    node = small.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    slicer.util.selectModule("SegmentEditor")
    slicer.util.getModuleWidget("SegmentEditor").editor.setSegmentationNode(node)
    assert small.selected == "SegmentEditor" and small.widget._parameterNode is None
    small.select_module("Small")
    assert small.selected == slicer.util.selectedModule() == "Small" and small.widget._parameterNode is not None
    with pytest.raises(AttributeError, match="no module SegmentEdtor"):
        slicer.util.selectModule("SegmentEdtor")


def test_a_dropped_file_goes_to_the_modules_reader(app, tmp_path):
    reader = """
class SmallFileReader:
    def __init__(self, parent):
        self.parent = parent

    def description(self):
        return "small file"

    def fileType(self):
        return "SmallFile"

    def extensions(self):
        return ["small file (*.small)"]

    def canLoadFile(self, filePath):
        return True

    def load(self, properties):
        slicer.modules.SmallWidget.ui.labelEdit.text = properties["fileName"]
        return True
"""
    app.open_module("Small", write_module(tmp_path, {"class SmallLogic": reader + "\n\nclass SmallLogic"}))
    assert app.drop_file(tmp_path / "x.small") and app.ui.labelEdit.text == str(tmp_path / "x.small")
    assert not app.drop_file(tmp_path / "x.png")


def test_slicer_without_a_main_window(tmp_path):
    with FakeSlicer(tmp_path / "slicer", without_layout_manager=True) as app:
        assert slicer.app.layoutManager() is None and slicer.util.mainWindow() is None
        app.load_volume(brain_volume())
        app.open_module("Small", write_module(tmp_path))
        app.click("applyButton")
        assert app.scene.GetNumberOfNodesByClass("vtkMRMLSliceNode") == 0


def test_sample_data_is_registered_on_start_up(small):
    assert small.packages.sample_data == [{"category": "Small", "sampleName": "Small1", "uris": "u"}]
