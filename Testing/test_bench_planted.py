"""The bench has teeth: mistakes that would only show inside Slicer are planted in a module and must be caught."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("PySide6", reason="PySide6 is not installed (pip install PySide6_Essentials)")
pytest.importorskip("slicer", reason="slicer-core is not installed (pip install trame-slicer[standalone])")

from bench import Bench
from bench.driver import CannotUseError
from bench.template import write_module
from bench.uiloader import UiError
from conftest import brain_volume

CONNECT = 'self.ui.applyButton.connect("clicked(bool)", self.onApply)'
RESULT = "self.ui.resultLabel.text = str(number)"


def run(folder, code=None, panel=None, action=None):
    """Open the module with something replaced, click Apply, and end as a test ends."""
    with Bench(folder) as bench:
        bench.load_volume(brain_volume())
        bench.open_module("Small", write_module(folder, code, panel))
        if action is not None:
            action(bench)
        bench.click("applyButton")


def test_without_a_mistake_nothing_is_caught(tmp_path):
    run(tmp_path)


SETUP_MISTAKES = {
    "called property": ("print(self.ui.applyButton.text())", TypeError, "'str' object is not callable"),
    "new attribute": ("self.ui.applyButton.colour = 'red'", AttributeError, "'colour' does not exist on QPushButton"),
    "method as attribute": ("self.ui.applyButton.setText = 'x'", AttributeError, "is it a method"),
    "unknown attribute": ("self.ui.applyButton.txt", AttributeError, "no attribute named 'txt'"),
    "unknown function": ("self.ui.applyButton.setTxt('x')", AttributeError, "no attribute named 'setTxt'"),
    "wrong type": ("self.ui.applyButton.iconSize = 5", ValueError, "of type 'QSize' does not accept 5"),
    "None as text": ("self.ui.applyButton.text = None", ValueError, "does not accept None"),
    "wrong signal": (
        'self.ui.applyButton.connect("pushed(bool)", print)',
        ValueError,
        "signal 'pushed.bool.' does not",
    ),
    "wrong signature": (
        'self.ui.deviceBox.connect("currentIndexChanged(QString)", print)',
        ValueError,
        "does not exist",
    ),
    "only in Qt 6": (
        'self.ui.invertedBox.connect("checkStateChanged(Qt::CheckState)", print)',
        ValueError,
        "not exist",
    ),
    "signal of PySide6": ("self.ui.applyButton.clicked.connect(print)", AttributeError, "connect"),
    "numpy number": ("import numpy; self.ui.countBox.setValue(numpy.int64(3))", ValueError, "use int()"),
    "path for a text": ("self.ui.labelEdit.setText(Path('x'))", ValueError, "use str()"),
    "keyword for Qt": ("qt.QPushButton(text='x')", TypeError, "keyword"),
    "unknown class": ("qt.QPushButon('x')", AttributeError, "no attribute 'QPushButon'"),
    "class of PySide6": ("qt.Signal()", AttributeError, "no attribute 'Signal'"),
    "codec": ("qt.QTextCodec.codecForUtfText(b'x')", AttributeError, "no attribute 'QTextCodec'"),
    "unknown enumerator": ("qt.Qt.AlignMiddle", AttributeError, "no attribute 'AlignMiddle'"),
    "subclass of Qt": ("exec('class Mine(qt.QObject): pass')", TypeError, "subclasses of QObject"),
    "new attribute of the application": ("slicer.app.mine = 1", AttributeError, "can't be set"),
    "unknown function of MRML": ("slicer.mrmlScene.GetFirstNodeByNam('x')", AttributeError, "GetFirstNodeByNam"),
    "unknown parameter": ("self.logic.getParameterNode().treshold = 1.0", AttributeError, "no parameter treshold"),
    "parameter of another type": ("self.logic.getParameterNode().count = 2.5", TypeError, "takes int"),
    "parameter out of range": ("self.logic.getParameterNode().threshold = 900.0", ValueError, "not within"),
    "unknown module": ("slicer.modules.segmentation.logic()", AttributeError, "segmentation"),
    "message that is no text": ("slicer.util.infoDisplay(5)", ValueError, "needs a text"),
}


@pytest.mark.parametrize("name", SETUP_MISTAKES)
def test_mistakes_in_setup(tmp_path, name):
    line, error, text = SETUP_MISTAKES[name]
    with pytest.raises(error, match=text):
        run(tmp_path, {CONNECT: line})


APPLY = '<property name="text"><string>Apply</string></property>'
PANEL_MISTAKES = {
    "unknown property": (
        APPLY,
        '<property name="txt"><string>Apply</string></property>',
        "applyButton .* no property txt",
    ),
    "property of a stand-in": ('name="noneEnabled"', 'name="noneAllowed"', "inputSelector .* no property noneAllowed"),
    "unknown class": ('class="QLabel" name="resultLabel"', 'class="QLabl" name="resultLabel"', "no widget class QLabl"),
    "name twice": ('name="resultLabel"', 'name="countBox"', "countBox comes twice"),
    "enumerator of Qt 6": ("Qt::Vertical", "Qt::Orientation::Vertical", "not understood by Qt 5"),
    "slot misspelt": ("<slot>setMRMLScene(", "<slot>setMrmlScene(", "slot 'setMrmlScene.* does not exist"),
    "signal misspelt": ("<signal>mrmlSceneChanged(", "<signal>sceneChanged(", "signal 'sceneChanged.* does not exist"),
    "connection to nobody": ("<receiver>inputSelector", "<receiver>inputSelectr", "inputSelectr, which does not exist"),
    "slot that wants more": ("<signal>mrmlSceneChanged(vtkMRMLScene*)", "<signal>destroyed()", "does not take"),
}


@pytest.mark.parametrize("name", PANEL_MISTAKES)
def test_mistakes_in_the_panel_file(tmp_path, name):
    old, new, text = PANEL_MISTAKES[name]
    with pytest.raises(UiError, match=text):
        run(tmp_path, panel={old: new})


def test_a_widget_with_another_name_than_in_the_code(tmp_path):
    with pytest.raises(AttributeError, match="applyButton"):
        run(tmp_path, panel={'name="applyButton"': 'name="applyButon"'})


def test_a_parameter_that_does_not_exist(tmp_path):
    with pytest.raises(ValueError, match="no parameter treshold, which the panel names"):
        run(tmp_path, panel={">threshold</string>": ">treshold</string>"})


def test_a_parameter_that_does_not_fit_its_widget(tmp_path):
    with pytest.raises(RuntimeError, match="no connector between QSpinBox and float"):
        run(tmp_path, {"count: Annotated[int, WithinRange(1, 9)] = 3": "count: float = 3.0"})


def test_a_selector_without_a_scene_offers_nothing(tmp_path):
    with pytest.raises(CannotUseError, match="does not offer vtkMRMLScalarVolumeNode1"):
        run(
            tmp_path,
            panel={"<receiver>inputSelector": "<receiver>Small"},
            action=lambda bench: bench.select_node(
                "inputSelector", bench.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            ),
        )


def test_a_click_on_a_disabled_button(tmp_path):
    with pytest.raises(CannotUseError, match="applyButton is disabled .Select a volume"), Bench(tmp_path) as bench:
        bench.open_module("Small", write_module(tmp_path))
        bench.click("applyButton")


def test_a_click_on_a_hidden_widget(tmp_path):
    with pytest.raises(CannotUseError, match="countBox is not visible"):
        run(tmp_path, action=lambda bench: (bench.click("section"), bench.click("countBox")))


LATE_MISTAKES = {
    "exception in a slot": ("1 / 0", "ZeroDivisionError"),
    "exception in a timer": ("qt.QTimer.singleShot(0, lambda: 1 / 0); slicer.app.processEvents()", "ZeroDivisionError"),
    "exception in an observer": (
        "self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, lambda c, e: 1 / 0); "
        "slicer.mrmlScene.AddNewNodeByClass('vtkMRMLTextNode')",
        "ZeroDivisionError",
    ),
    "exception in a thread": (
        "import threading; t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
        "ZeroDivisionError",
    ),
    "unknown class of MRML": ("slicer.mrmlScene.AddNewNodeByClass('vtkMRMLScalarVolumNode')", "MRML error"),
    "too many arguments wanted": ("self.ui.labelEdit.connect('returnPressed()', lambda x: 1)", "missing 1 required"),
    "dialog without an answer": ("slicer.util.confirmOkCancelDisplay('Sure?')", "bench.answers is empty"),
    "wait cursor left": ("slicer.app.setOverrideCursor(qt.Qt.WaitCursor)", "the wait cursor"),
    "process left running": (
        "self.process = qt.QProcess(); self.process.start('sleep', ['30'])",
        "left running: sleep",
    ),
    "mistake behind an error message": ("number.shape", "no attribute 'shape'"),
    "layout that cannot be": ("self.ui.Small = None; qt.QVBoxLayout(self.ui.section)", "warning of Qt"),
}


@pytest.mark.parametrize("name", LATE_MISTAKES)
def test_mistakes_that_show_while_it_runs(tmp_path, name):
    line, text = LATE_MISTAKES[name]
    with pytest.raises(AssertionError, match=text), Bench(tmp_path) as bench:
        bench.load_volume(brain_volume())
        bench.open_module("Small", write_module(tmp_path, {RESULT: line}))
        bench.click("applyButton")
        bench.key("labelEdit", "Return")


@pytest.mark.parametrize("opacity", [0.0, 0.6])
def test_an_overlay_that_cannot_be_seen(tmp_path, opacity):
    """Whether a layer is there is told by the difference of two pictures, not by the nodes."""
    line = f"slicer.util.setSliceViewerLayers(foreground=self.other, foregroundOpacity={opacity})"
    with Bench(tmp_path) as bench:
        bench.load_volume(brain_volume())
        widget = bench.open_module("Small", write_module(tmp_path, {RESULT: line}))
        volume = brain_volume(name="other")
        widget.other = bench.standalone.add_volume(volume.with_array(volume.array.max() - volume.array))
        before = bench.views_picture((400, 300)).astype(int)
        bench.click("applyButton")
        changed = (abs(bench.views_picture((400, 300)) - before).max(axis=2) > 20).mean()
        assert (changed > 0.05) == (opacity > 0), changed
