"""The fake Slicer catches errors that would only show inside Slicer: each is planted in a module and must be caught."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("PySide6", reason="PySide6 is not installed (pip install PySide6_Essentials)")
pytest.importorskip("slicer.util", reason="slicer-core is not installed (pip install trame-slicer[standalone])")

from support.synthetic import brain_volume

from fake_slicer import FakeSlicer
from fake_slicer.driver import CannotUseError
from fake_slicer.small_module import write_module
from fake_slicer.uiloader import UiError

CONNECT = 'self.ui.applyButton.connect("clicked(bool)", self.onApply)'
RESULT = "self.ui.resultLabel.text = str(number)"


def run(folder, code=None, panel=None, action=None):
    """Open the module with something replaced, click Apply, and end as a test ends."""
    with FakeSlicer(folder) as app:
        app.load_volume(brain_volume())
        app.open_module("Small", write_module(folder, code, panel))
        if action is not None:
            action(app)
        app.click("applyButton")


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
    "parameter of a whole number that numpy made": (
        "import numpy; self.logic.getParameterNode().count = numpy.int64(3)",
        TypeError,
        "takes int",
    ),
    "observer asked of a wrapper": (
        "self.logic.getParameterNode().HasObserver('ModifiedEvent')",
        AttributeError,
        "HasO",
    ),
    "scene of the panel while it is set up": ("self.parent.mrmlScene().GetNodes()", AttributeError, "GetNodes"),
    "module with a small letter": ("slicer.util.getModule('segmentations')", RuntimeError, "Could not find module"),
    "setter of the filter": ("self.ui.inputSelector.sortFilterProxyModel().setNodeTypes([])", AttributeError, "setNod"),
    "inner combo box of a selector": ("self.ui.inputSelector.comboBox()", AttributeError, "comboBox"),
    "box of Qt in a spin box of CTK": (
        "self.ui.thresholdSlider.findChild('ctkDoubleSpinBox').setKeyboardTracking(False)",
        AttributeError,
        "setKeyboardTracking",
    ),
    "view's function on its controller": (
        "slicer.app.layoutManager().threeDWidget(0).threeDController().resetCamera()",
        AttributeError,
        "resetCamera",
    ),
    "requirements in a tuple": ("slicer.packaging.pip_ensure(('safetensors',))", TypeError, "list, got tuple"),
    "flag of pip among requirements": ("slicer.packaging.pip_check(['--no-deps'])", ValueError, "no-deps"),
    "option of another function": (
        "slicer.packaging.pip_ensure('monai', no_deps_requirements=['monai'])",
        TypeError,
        "unexpected keyword",
    ),
    "parameter out of range": ("self.logic.getParameterNode().threshold = 900.0", ValueError, "not within"),
    "unknown module": ("slicer.modules.segmentation.logic()", AttributeError, "segmentation"),
    "message that is no text": ("slicer.util.infoDisplay(5)", ValueError, "needs a text"),
}


@pytest.mark.parametrize("name", SETUP_MISTAKES)
def test_mistakes_in_setup(tmp_path, name):
    line, error, text = SETUP_MISTAKES[name]
    with pytest.raises(error, match=text):
        run(tmp_path, {CONNECT: line})


VOLUME, COUNT = "inputVolume: vtkMRMLScalarVolumeNode", "count: Annotated[int, WithinRange(1, 9)] = 3"
DEVICE = 'device: Annotated[str, Choice(["auto", "cpu"])] = "auto"'
THRESHOLD = "threshold: Annotated[float, WithinRange(0, 200)] = 100.0"
PARAMETER_MISTAKES = {
    "abstract class of node": (VOLUME, "inputVolume: slicer.vtkMRMLVolumeNode", TypeError, "abstract class"),
    "base class of all nodes": (VOLUME, "inputVolume: slicer.vtkMRMLNode", TypeError, "abstract class"),
    "abstract class in a union": (
        VOLUME,
        "inputVolume: vtkMRMLScalarVolumeNode | slicer.vtkMRMLDisplayableNode | None",
        TypeError,
        "abstract class",
    ),
    "union of nodes without None": (
        VOLUME,
        "inputVolume: vtkMRMLScalarVolumeNode | slicer.vtkMRMLModelNode",
        TypeError,
        "no type for None",
    ),
    "choice without a default": (DEVICE, DEVICE.removesuffix(' = "auto"'), ValueError, "'' is none of"),
    "default out of range": (COUNT, COUNT.replace("= 3", "= 0"), ValueError, "0 is not within"),
    "range without a default": (COUNT, COUNT.removesuffix(" = 3"), ValueError, "0 is not within"),
    "slider without a range": (THRESHOLD, "threshold: float = 100.0", RuntimeError, "needs a range"),
    "decimals of a whole number": (
        COUNT,
        "count: Annotated[int, __import__('slicer').parameterNodeWrapper.Decimals(1)] = 3",
        AttributeError,
        "'decimals' does not exist",
    ),
    "name that every wrapper has": ("inverted: bool = False", "default: bool = False", ValueError, "reserved name"),
    "type that is not stored": ("inverted: bool = False", "inverted: complex = 0j", ValueError, "has no"),
}


@pytest.mark.parametrize("name", PARAMETER_MISTAKES)
def test_mistakes_in_the_parameters(tmp_path, name):
    old, new, error, text = PARAMETER_MISTAKES[name]
    with pytest.raises(error, match=text):
        run(tmp_path, {old: new})


def test_a_union_of_node_classes_is_taken(tmp_path):
    run(tmp_path, {VOLUME: "inputVolume: vtkMRMLScalarVolumeNode | slicer.vtkMRMLModelNode | None"})


def test_the_panel_files_node_classes_are_not_those_that_count(tmp_path):
    panel = {"<string>vtkMRMLScalarVolumeNode</string>": "<string>vtkMRMLModelNode</string>"}
    with FakeSlicer(tmp_path) as app:
        model = app.scene.AddNewNodeByClass("vtkMRMLModelNode")
        scan = app.load_volume(brain_volume())
        app.open_module("Small", write_module(tmp_path, panel=panel))
        assert app.ui.inputSelector.nodeTypes == ("vtkMRMLScalarVolumeNode",)
        app.select_node("inputSelector", scan)
        with pytest.raises(CannotUseError, match="does not offer vtkMRMLModelNode"):
            app.select_node("inputSelector", model)


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


def test_a_widget_that_only_derives_from_the_right_one(tmp_path):
    panel = {'class="qMRMLNodeComboBox"': 'class="qMRMLColorTableComboBox"'}
    with pytest.raises(RuntimeError, match="no connector between qMRMLColorTableComboBox"):
        run(tmp_path, panel=panel)


def test_a_selector_without_a_scene_offers_nothing(tmp_path):
    with pytest.raises(CannotUseError, match="does not offer vtkMRMLScalarVolumeNode1"):
        run(
            tmp_path,
            panel={"<receiver>inputSelector": "<receiver>Small"},
            action=lambda app: app.select_node(
                "inputSelector", app.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            ),
        )


def test_a_click_on_a_disabled_button(tmp_path):
    with pytest.raises(CannotUseError, match="applyButton is disabled .Select a volume"), FakeSlicer(tmp_path) as app:
        app.open_module("Small", write_module(tmp_path))
        app.click("applyButton")


def test_a_click_on_a_hidden_widget(tmp_path):
    with pytest.raises(CannotUseError, match="countBox is not visible"):
        run(tmp_path, action=lambda app: (app.click("section"), app.click("countBox")))


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
    "dialog without an answer": ("slicer.util.confirmOkCancelDisplay('Sure?')", "app.answers is empty"),
    "wait cursor left": ("slicer.app.setOverrideCursor(qt.Qt.WaitCursor)", "the wait cursor"),
    "process left running": (
        "self.process = qt.QProcess(); self.process.start('sleep', ['30'])",
        "left running: sleep",
    ),
    "timer while a message is shown": (
        "self.x = None; qt.QTimer.singleShot(0, lambda: self.x + 1); slicer.util.infoDisplay('Done'); self.x = 1",
        "unsupported operand",
    ),
    "timer while a wait cursor is set": (
        "self.x = None; qt.QTimer.singleShot(0, lambda: self.x + 1)\n"
        "            with slicer.util.WaitCursor(): self.x = 1",
        "unsupported operand",
    ),
    "listener to a combo box that is being filled": (
        "self.ui.deviceBox.connect('currentIndexChanged(int)', lambda index: {0: 'auto', 1: 'cpu'}[index]); "
        "self.initializeParameterNode()",
        "KeyError: -1",
    ),
    "samples of different length": (
        "import SampleData; qt.QTimer.singleShot(0, lambda: SampleData.SampleDataLogic.registerCustomSampleDataSource("
        "sampleName='x', uris=['u', 'v'], fileNames=['f']))",
        "the same length",
    ),
    "mistake behind an error message": ("number.shape", "no attribute 'shape'"),
    "layout that cannot be": ("self.ui.Small = None; qt.QVBoxLayout(self.ui.section)", "warning of Qt"),
}


@pytest.mark.parametrize("name", LATE_MISTAKES)
def test_mistakes_that_show_while_it_runs(tmp_path, name):
    line, text = LATE_MISTAKES[name]
    with pytest.raises(AssertionError, match=text), FakeSlicer(tmp_path) as app:
        app.load_volume(brain_volume())
        app.open_module("Small", write_module(tmp_path, {RESULT: line}))
        app.click("applyButton")
        app.key("labelEdit", "Return")


@pytest.mark.parametrize("opacity", [0.0, 0.6])
def test_an_overlay_that_cannot_be_seen(tmp_path, opacity):
    """Whether a layer is there is told by the difference of two pictures, not by the nodes."""
    line = f"slicer.util.setSliceViewerLayers(foreground=self.other, foregroundOpacity={opacity})"
    with FakeSlicer(tmp_path) as app:
        app.load_volume(brain_volume())
        widget = app.open_module("Small", write_module(tmp_path, {RESULT: line}))
        volume = brain_volume(name="other")
        widget.other = app.standalone.add_volume(volume.with_array(volume.array.max() - volume.array))
        before = app.views_picture((400, 300)).astype(int)
        app.click("applyButton")
        changed = (abs(app.views_picture((400, 300)) - before).max(axis=2) > 20).mean()
        assert (changed > 0.05) == (opacity > 0), changed


@pytest.mark.parametrize("right", [True, False])
def test_a_tag_that_is_taken_for_nothing(tmp_path, right):
    """The first tag of connectGui is 0, so that its truth does not tell whether there is one."""
    before = "if self._parameterNode:\n            self._parameterNode.disconnectGui"
    code = {} if right else {before: before.replace("_parameterNode:", "_parameterNode and self._tag:")}
    with FakeSlicer(tmp_path) as app:
        app.open_module("Small", write_module(tmp_path, code))
        parameters = app.widget._parameterNode
        app.leave_module()
        parameters.label = "changed by a script"
        assert (app.ui.labelEdit.text == "spot") == right


RESULT_LABEL = '<widget class="QLabel" name="resultLabel"/>'
WRAPPED = '<widget class="QLabel" name="resultLabel"><property name="wordWrap"><bool>true</bool></property></widget>'
RENEWED = """        self.ui.resultLabel.text = text
        holder = self.parent
        while holder is not None:
            if holder.layout() is not None:
                holder.layout().invalidate()
                for width in (1, 2, 3):
                    holder.layout().heightForWidth(width)
            holder = holder.parent()
"""


@pytest.mark.parametrize("visited", [True, False])
@pytest.mark.parametrize("kind", ["wrapped", "renewed", "unwrapped"])
def test_a_panel_that_grows_after_a_visit_to_another_module(tmp_path, kind, visited):
    """Slicer goes on with the height that a panel with wrapped lines had when it came back."""
    show = RENEWED if kind == "renewed" else "        self.ui.resultLabel.text = text\n"
    code = {"    def onApply": f"    def show(self, text):\n{show}\n    def onApply"}
    panel = {} if kind == "unwrapped" else {RESULT_LABEL: WRAPPED}
    with FakeSlicer(tmp_path) as app:
        app.open_module("Small", write_module(tmp_path, code, panel))
        app.window.resize(600, 320)
        app.widget.show("short")
        if visited:
            app.select_module("Data")
            app.select_module("Small")
        assert app.squeezed() == []
        app.widget.show(("\n" if kind == "unwrapped" else " ").join(["a line of text"] * 40))
        assert bool(app.squeezed()) == (kind == "wrapped" and visited)


@pytest.mark.parametrize("fixed", [True, False])
def test_a_selector_that_is_as_wide_as_the_longest_name(tmp_path, fixed):
    policy = "<enum>QComboBox::AdjustToMinimumContentsLengthWithIcon</enum>"
    before = '<property name="showChildNodeTypes">'
    panel = {before: f'<property name="sizeAdjustPolicy">{policy}</property>{before}'} if fixed else {}
    with FakeSlicer(tmp_path) as app:
        app.load_volume(brain_volume(name="a very long name of a series " * 3))
        app.open_module("Small", write_module(tmp_path, panel=panel))
        assert (app.needed_width() < 400) == fixed and (app.needed_width() > 550) != fixed


TAKE_KEYS = (
    "box = self.ui.inputSelector.findChild('QComboBox'); box.setFocusProxy(None); "
    "self.ui.inputSelector.setFocusProxy(box); self.ui.inputSelector.setFocusPolicy(qt.Qt.StrongFocus)"
)


@pytest.mark.parametrize("fixed", [True, False])
def test_a_node_selector_that_no_key_reaches(tmp_path, fixed):
    setup = f"{CONNECT}\n        {TAKE_KEYS}" if fixed else CONNECT
    with FakeSlicer(tmp_path) as app:
        first, second = (app.load_volume(brain_volume(name=name)) for name in ("first", "second"))
        app.open_module("Small", write_module(tmp_path, {CONNECT: setup}))
        if not fixed:
            with pytest.raises(CannotUseError, match="inputSelector takes no keyboard focus"):
                app.key("inputSelector", "Down")
            return
        assert app.ui.inputSelector.currentNode() is first
        app.key("inputSelector", "Down")
        assert app.ui.inputSelector.currentNode() is second


def test_lines_run_together_where_plain_text_is_taken_for_markdown(tmp_path):
    with FakeSlicer(tmp_path):
        import qt

        browser = qt.QTextBrowser()
        browser.setMarkdown("Model: atlas\nSeed: 0\n")
        assert browser.toPlainText() == "Model: atlas Seed: 0"
        browser.setPlainText("Model: atlas\nSeed: 0\n")
        assert browser.toPlainText() == "Model: atlas\nSeed: 0\n"


def test_a_tool_tip_that_is_read_back(tmp_path):
    line = "self.ui.countBox.toolTip = 'How many'; self.ui.countBox.toolTip += ' of them'"
    with FakeSlicer(tmp_path) as app:
        app.open_module("Small", write_module(tmp_path, {CONNECT: line}))
        assert app.tip("countBox") != "How many of them"


@pytest.mark.parametrize("right", [True, False])
def test_a_module_that_is_ready_only_when_it_is_entered(tmp_path, right):
    """A panel that is loaded again is set up but not entered."""
    before = f"{CONNECT}\n        self.initializeParameterNode()"
    with FakeSlicer(tmp_path) as app:
        app.load_volume(brain_volume())
        app.open_module("Small", write_module(tmp_path, {} if right else {before: CONNECT}))
        app.click("applyButton")
        app.widget.onReload()
        assert app.ui.applyButton.enabled == right


def test_an_observer_that_outlives_its_panel(tmp_path):
    """Not every panel is told to clean up before it is destroyed."""
    code = {CONNECT: f"{CONNECT}; self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self.count)"}
    code["    def onApply"] = (
        "    def count(self, caller, event):\n        self.ui.resultLabel.text = 'x'\n\n    def onApply"
    )
    with pytest.raises(AssertionError, match="of a destroyed QLabel"), FakeSlicer(tmp_path) as app:
        widget = app.open_module("Small", write_module(tmp_path, code))
        app.destroy_without_cleanup()
        app.scene.AddNewNodeByClass("vtkMRMLTextNode")
        widget.removeObservers()


def test_a_slider_from_which_a_signal_is_expected_that_only_comes_without_tracking(tmp_path):
    show = "lambda value: setattr(self.ui.resultLabel, 'text', 'x')"
    line = f"self.ui.thresholdSlider.connect('valueIsChanging(double)', {show})"
    with FakeSlicer(tmp_path) as app:
        app.open_module("Small", write_module(tmp_path, {CONNECT: line}))
        app.drag("thresholdSlider", 150.0)
        assert app.ui.resultLabel.text == ""
        app.ui.thresholdSlider.tracking = False
        app.drag("thresholdSlider", 50.0)
        assert app.ui.resultLabel.text == "x"


@pytest.mark.parametrize("right", [True, False])
def test_a_number_that_is_written_back_while_it_is_typed(tmp_path, right):
    """Every key changes the parameter, which at once puts a whole number with its decimals into the box."""
    late = '<property name="keyboardTracking"><bool>false</bool></property>' if right else ""
    before = 'class="ctkSliderWidget" name="thresholdSlider">'
    with FakeSlicer(tmp_path) as app:
        panel = {before: f'class="QDoubleSpinBox" name="thresholdSlider">{late}'}
        app.open_module("Small", write_module(tmp_path, panel=panel))
        app.type("thresholdSlider", "0.5")
        assert (app.widget._parameterNode.threshold == 0.5) == right


def test_a_node_that_is_chosen_before_it_is_listed(tmp_path):
    with FakeSlicer(tmp_path) as app:
        app.load_volume(brain_volume())
        app.open_module("Small", write_module(tmp_path))
        app.ui.inputSelector.setCurrentNodeID("vtkMRMLScalarVolumeNode2")
        assert app.standalone.add_volume(brain_volume(name="second")).GetID() == "vtkMRMLScalarVolumeNode2"
        assert app.ui.inputSelector.currentNode() is None


def test_an_attribute_of_a_class_that_is_not_listed_filters_nothing(tmp_path):
    with FakeSlicer(tmp_path) as app:
        app.load_volume(brain_volume())
        app.open_module("Small", write_module(tmp_path))
        app.ui.inputSelector.addAttribute("vtkMRMLVolumeNode", "kind", "1")
        assert app.ui.inputSelector.nodeCount() == 1


def test_a_reader_that_does_not_say_whether_it_loaded(tmp_path):
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

    def load(self, properties):
        self.parent.loadedNodes = []
"""
    with FakeSlicer(tmp_path) as app:
        app.open_module("Small", write_module(tmp_path, {"class SmallLogic": reader + "\n\nclass SmallLogic"}))
        with pytest.raises(TypeError, match="must give True or False"):
            app.drop_file(tmp_path / "x.small")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("slicer.util.selectModule('Data')", "Could not find main window"),
        ("slicer.util.resetThreeDViews()", "no attribute 'resetThreeDViews'"),
        ("slicer.util.resetSliceViews()", "no attribute 'resetSliceViews'"),
    ],
)
def test_what_needs_a_main_window(tmp_path, line, error):
    with FakeSlicer(tmp_path, without_layout_manager=True) as app:
        file = write_module(tmp_path, {CONNECT: line})
        with pytest.raises((RuntimeError, AttributeError), match=error):
            app.open_module("Small", file)
        app.widgets.clear()


def test_without_a_main_window_and_under_test_nobody_reads_a_message(tmp_path):
    import slicer

    with FakeSlicer(tmp_path / "a", without_layout_manager=True) as app:
        slicer.util.errorDisplay("it failed")
        assert app.messages == [("log", "it failed")]
    with FakeSlicer(tmp_path / "b", testing=True) as app:
        slicer.util.infoDisplay("it is done")
        assert app.messages == [("log", "it is done")] and not slicer.util.confirmRetryCloseDisplay("Again?")


def test_a_message_in_which_a_name_looks_like_markup(tmp_path):
    import slicer

    with FakeSlicer(tmp_path) as app:
        slicer.util.errorDisplay("The file <i>head</i>.nii is damaged.", detailedText="<i>head</i>")
        slicer.util.errorDisplay("The file a<b.nii is damaged.")
        assert [text for _, text in app.messages] == [
            "The file head.nii is damaged.\n<i>head</i>",
            "The file a<b.nii is damaged.",
        ]


def test_pytorch_is_installed_by_whoever_asks_for_it(tmp_path):
    with FakeSlicer(tmp_path) as app:
        from PyTorchUtils import PyTorchUtilsLogic

        app.packages.torch_installed = False
        assert PyTorchUtilsLogic().torch is app.packages.torch
        assert [kind for kind, *_ in app.packages.installs] == ["torch"]


def test_settings_of_this_version_are_not_those_of_the_user(tmp_path):
    import slicer

    with FakeSlicer(tmp_path):
        slicer.app.revisionUserSettings().setValue("MedAD/x", "1")
        assert slicer.app.userSettings().value("MedAD/x") is None
