"""The bench itself: a small well-written module runs whole on it, and its parts do what Slicer's do."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("PySide6", reason="PySide6 is not installed (pip install PySide6_Essentials)")
slicer = pytest.importorskip("slicer", reason="slicer-core is not installed (pip install trame-slicer[standalone])")

from bench import Bench  # noqa: E402
from bench.driver import CannotUseError  # noqa: E402
from bench.template import write_module  # noqa: E402
from bench.widgets import ALL  # noqa: E402
from conftest import brain_volume  # noqa: E402

API = json.loads((Path(__file__).parent / "bench" / "slicer_api.json").read_text())


@pytest.fixture
def bench(tmp_path):
    with Bench(tmp_path / "slicer") as bench:
        yield bench


@pytest.fixture
def small(bench, tmp_path):
    """The bench with a scan and the module Small open."""
    bench.scan = bench.load_volume(brain_volume())
    bench.open_module("Small", write_module(tmp_path))
    return bench


def test_a_module_runs_from_click_to_result(small):
    parameters = small.widget.logic.getParameterNode()
    assert small.ui.inputSelector.currentNode() is small.scan
    small.click("applyButton")
    expected = int((brain_volume().array > 100).sum())
    assert small.ui.resultLabel.text == str(expected) and expected > 0
    small.type("labelEdit", "lesion")
    small.click("invertedBox")
    small.choose("modeBox", "below")
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


def test_a_slider_is_dragged_and_announces_while_it_moves(small):
    moves, ends = [], []
    small.ui.thresholdSlider.connect("valueIsChanging(double)", moves.append)
    small.ui.thresholdSlider.connect("valueChanged(double)", ends.append)
    small.drag("thresholdSlider", 150.0)
    value = small.ui.thresholdSlider.value
    assert abs(value - 150) < 2 and moves[-1] == ends[-1] == value
    assert len(moves) > 3 and small.widget._parameterNode.threshold == value
    small.ui.thresholdSlider.tracking = False
    ends.clear()
    small.drag("thresholdSlider", 50.0)
    assert len(ends) == 1 and abs(ends[0] - 50) < 2
    small.key("thresholdSlider", "Right")
    assert small.ui.thresholdSlider.value == pytest.approx(ends[0] + 0.5)


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


def test_everything_is_as_before_when_the_bench_closes(tmp_path):
    import slicer.util

    before = set(vars(slicer)), dict(vars(slicer.util)), sys.excepthook
    with Bench(tmp_path) as bench:
        bench.open_module("Small", write_module(tmp_path))
        assert "qt" in sys.modules and "Small" in sys.modules
    assert (set(vars(slicer)), dict(vars(slicer.util)), sys.excepthook) == before
    assert not {"qt", "ctk", "Small", "SampleData", "PyTorchUtils", "slicer.i18n"} & set(sys.modules)


@pytest.mark.parametrize("name", sorted(set(ALL) & set(API)))
def test_a_stand_in_offers_only_what_the_real_widget_has(name):
    real = API[name]
    known = {*real["properties"], *real["signals"], *real["methods"]}
    own = {entry for entry in vars(ALL[name]) if not entry.startswith("_") and entry != "staticMetaObject"}
    events = {"paintEvent", "hitButton"}
    assert own - known - events == set()
    signals = {text.partition("(")[0] for text in getattr(ALL[name], "_signal_aliases", {})}
    assert signals <= set(real["signals"])


def test_a_node_selector_follows_the_scene(small):
    import qt

    selector, heard = small.ui.inputSelector, []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    first = small.scan
    second = small.standalone.add_volume(brain_volume(name="second"))
    small.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    assert selector.nodeCount() == 2 and heard == []
    small.select_node(selector, second)
    assert heard == [second] and selector.currentNodeID == second.GetID()
    second.SetName("renamed")
    assert selector._object._combo.currentText() == "renamed"
    small.scene.RemoveNode(second)
    assert selector.currentNode() is None and heard[-1] is None
    small.select_node(selector, first)
    selector.addAttribute("vtkMRMLScalarVolumeNode", "kind", "1")
    assert selector.nodeCount() == 0
    first.SetAttribute("kind", "1")
    assert selector.nodeCount() == 1
    first.SetHideFromEditors(True)
    assert selector.nodeCount() == 0
    with pytest.raises(TypeError):
        selector.currentNodeID()
    assert isinstance(selector, qt.QWidget) and not isinstance(selector, qt.QComboBox)


def test_a_section_hides_what_is_in_it(small):
    high = small.grab().shape[0]
    small.click("section")
    assert small.ui.section.collapsed and not small.ui.applyButton.isVisible()
    assert small.grab().shape[0] < high
    small.click("section")
    assert not small.ui.section.collapsed
    small.click("applyButton")


def test_connections_trim_arguments_and_can_be_undone(bench):
    import qt

    button, heard = qt.QPushButton("x"), []

    def with_one(checked):
        heard.append(checked)

    def with_none():
        heard.append("none")

    button.connect("clicked(bool)", with_one)
    button.connect("clicked(bool)", with_none)
    button.click()
    assert heard == [False, "none"]
    assert button.disconnect("clicked(bool)", with_one) and not button.disconnect("clicked(bool)", with_one)
    button.click()
    assert heard == [False, "none", "none"]
    button.clicked()
    assert heard[3:] == ["none"]
    box = qt.QCheckBox()
    button.connect("clicked(bool)", box, "setVisible(bool)")
    with pytest.raises(ValueError, match="does not exist"):
        button.connect("clicked(bool)", box, "setNothing(bool)")


def test_enumerators_statics_and_values_are_where_pythonqt_has_them(bench):
    import ctk
    import qt

    assert qt.Qt.AlignRight | qt.Qt.AlignVCenter and qt.QProcess.NotRunning == qt.QProcess().state()
    assert qt.QMessageBox.Yes != qt.QMessageBox.No and qt.QAbstractItemView.SelectRows and qt.QHeaderView.Stretch
    table = qt.QTableWidget(2, 1)
    item = qt.QTableWidgetItem("a")
    item.setFlags(item.flags() & ~qt.Qt.ItemIsEditable)
    item.setForeground(qt.QBrush(qt.QColor(255, 0, 0)))
    item.setData(qt.Qt.UserRole, {"python": 1})
    table.setItem(0, 0, item)
    table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
    assert table.item(0, 0).text() == "a" and table.item(0, 0).data(qt.Qt.UserRole) == {"python": 1}
    assert table.item(1, 0) is None and table.rowCount == 2
    assert qt.QByteArray(b"ab\x00c").data() == b"ab\x00c"
    assert qt.QUrl.fromLocalFile("/tmp/x").toString() == "file:///tmp/x"
    slider = ctk.ctkSliderWidget()
    slider.setRange(0.0, 2.0)
    slider.decimals = 3
    slider.value = 0.125
    assert slider.value == 0.125
    holder = qt.QWidget()
    layout = qt.QVBoxLayout(holder)
    layout.addWidget(slider)
    assert holder.findChild(ctk.ctkSliderWidget) == slider and holder.children()[1] is slider


def test_dialogs_are_recorded_and_answered(bench, tmp_path):
    import qt

    util = slicer.util
    bench.answers.extend([True, "no", tmp_path / "a.nii", None, "Keep", True])
    assert util.confirmOkCancelDisplay("Sure?", detailedText="all of it") is True
    assert qt.QMessageBox.question(None, "title", "Really?") == qt.QMessageBox.No
    assert qt.QFileDialog.getOpenFileName(None, "Model") == str(tmp_path / "a.nii")
    assert qt.QFileDialog.getExistingDirectory(None, "Folder") == ""
    box = qt.QMessageBox()
    box.setText("Two ways")
    keep, drop = box.addButton("Keep", qt.QMessageBox.AcceptRole), box.addButton("Drop", qt.QMessageBox.RejectRole)
    box.exec_()
    assert box.clickedButton() == keep != drop
    assert util.confirmYesNoDisplay("Last?")
    util.warningDisplay("Careful")
    qt.QDesktopServices.openUrl(qt.QUrl("https://example.org"))
    assert bench.messages == [
        ("question", "Sure?\nall of it"),
        ("question", "Really?"),
        ("file", "Model"),
        ("file", "Folder"),
        ("info", "Two ways"),
        ("question", "Last?"),
        ("warning", "Careful"),
    ]
    assert bench.dialogs.opened_urls == ["https://example.org"]


def test_a_dialog_of_the_modules_own(bench):
    import qt

    dialog = qt.QDialog()
    edit = qt.QLineEdit(dialog)
    bench.answers.append(lambda shown: bool(bench.type(edit, "name") or shown == dialog))
    assert dialog.exec_() == qt.QDialog.Accepted and edit.text == "name"


def test_questions_answer_themselves_under_test(tmp_path):
    with Bench(tmp_path, testing=True) as bench:
        assert slicer.app.testingEnabled() and slicer.util.confirmYesNoDisplay("Go?")
        bench.packages.missing = {"safetensors"}
        slicer.packaging.pip_ensure(["safetensors>=0.4"], requester="MedAD")
        assert bench.packages.installs == []


def test_settings_outlive_a_restart_as_text_and_are_nobody_elses(tmp_path):
    with Bench(tmp_path):
        import qt

        qt.QSettings().setValue("MedAD/on", True)
        slicer.app.settings().setValue("MedAD/number", 5)
        assert qt.QSettings().fileName().startswith(str(tmp_path))
    with Bench(tmp_path):
        assert slicer.app.userSettings().value("MedAD/on") == "true"
        assert slicer.util.settingsValue("MedAD/on", False, converter=slicer.util.toBool) is True
        assert slicer.util.settingsValue("MedAD/number", 0, converter=int) == 5
        assert slicer.util.settingsValue("MedAD/none", 3, converter=int) == 3


def test_a_process_talks_through_its_signals(bench):
    import qt

    process, said, ended = qt.QProcess(), [], []
    process.connect("readyReadStandardOutput()", lambda: said.append(process.readAllStandardOutput().data()))
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ended.append((code, status)))
    program = Path(slicer.app.slicerHome) / "bin" / "PythonSlicer"
    process.start(str(program), ["-c", "import sys; print(sys.stdin.readline().upper()); sys.exit(3)"])
    assert process.waitForStarted()
    process.write(b"hello\n")
    bench.wait(lambda: ended)
    assert b"".join(said) == b"HELLO\n\n" and ended == [(3, qt.QProcess.NormalExit)]


def test_waiting_in_vain_says_so(bench):
    with pytest.raises(AssertionError, match="waited 0.05 s in vain"):
        bench.wait(lambda: False, seconds=0.05)


def test_installing_is_recorded_and_may_fail(bench):
    from PyTorchUtils import PyTorchUtilsLogic

    bench.packages.missing = {"torch", "monai", "safetensors"}
    bench.answers.extend([True, False, True])
    assert PyTorchUtilsLogic().installTorch(askConfirmation=True) is not None
    with pytest.raises(RuntimeError, match="cancelled"):
        slicer.packaging.pip_ensure(["safetensors>=0.4"], requester="MedAD")
    slicer.packaging.pip_ensure(["safetensors>=0.4"], requester="MedAD")
    assert bench.packages.missing == {"monai"} and slicer.packaging.pip_check("safetensors")
    bench.packages.outcome = bench.packages.failure()
    with pytest.raises(type(bench.packages.outcome)):
        slicer.util.pip_install("--no-deps monai")
    assert [kind for kind, *_ in bench.packages.installs] == ["torch", "pip", "pip"]


def test_without_the_pytorch_extension_its_module_is_missing(tmp_path):
    with Bench(tmp_path, pytorch_extension=False), pytest.raises(ImportError):
        import PyTorchUtils  # noqa: F401


def test_sample_data_is_registered_on_start_up(small):
    assert small.packages.sample_data == [{"category": "Small", "sampleName": "Small1", "uris": "u"}]


def test_a_dropped_file_goes_to_the_modules_reader(bench, tmp_path):
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
    bench.open_module("Small", write_module(tmp_path, {"class SmallLogic": reader + "\n\nclass SmallLogic"}))
    assert bench.drop_file(tmp_path / "x.small") and bench.ui.labelEdit.text == str(tmp_path / "x.small")
    assert not bench.drop_file(tmp_path / "x.png")


def test_slicer_without_a_main_window(tmp_path):
    with Bench(tmp_path / "slicer", without_layout_manager=True) as bench:
        assert slicer.app.layoutManager() is None and slicer.util.mainWindow() is None
        bench.load_volume(brain_volume())
        bench.open_module("Small", write_module(tmp_path))
        bench.click("applyButton")
        assert bench.scene.GetNumberOfNodesByClass("vtkMRMLSliceNode") == 0


def test_views_are_real_and_stay_where_they_are(bench):
    node = bench.load_volume(brain_volume())
    manager = slicer.app.layoutManager()
    assert manager.sliceViewNames() == ("Red", "Yellow", "Green") and manager.threeDViewCount == 1
    red = manager.sliceWidget("Red").mrmlSliceNode()
    composite = manager.sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == node.GetID()
    red.JumpSliceByCentering(5.0, -8.0, 12.0)
    before = [red.GetSliceToRAS().GetElement(row, column) for row in range(4) for column in range(4)]
    picture = bench.views_picture((420, 320))
    after = [red.GetSliceToRAS().GetElement(row, column) for row in range(4) for column in range(4)]
    assert picture.shape == (320, 420, 3) and before == after and red.GetDimensions()[:2] == (560, 498)
    quarters = [picture[:150, :200], picture[170:, :200], picture[170:, 220:]]
    assert all((quarter.max(axis=2) > 60).mean() > 0.2 for quarter in quarters)
    slicer.util.resetSliceViews()
    slicer.util.resetThreeDViews()


def test_cells_are_read_clicked_and_edited(bench, tmp_path):
    table = '<widget class="QTableWidget" name="table"><property name="minimumSize"><size><width>200</width>'
    table += "<height>90</height></size></property></widget>"
    label = '<widget class="QLabel" name="resultLabel"/>'
    code = {
        "self.initializeParameterNode()\n\n    def cleanup": """self.initializeParameterNode()
        table = self.ui.table
        table.setColumnCount(2)
        table.setRowCount(2)
        for row in range(2):
            box = qt.QTableWidgetItem("keep")
            box.setCheckState(qt.Qt.Checked)
            table.setItem(row, 0, box)
            table.setItem(row, 1, qt.QTableWidgetItem("name"))

    def cleanup""",
    }
    bench.open_module("Small", write_module(tmp_path, code, {label: table}))
    clicked, changed = [], []
    bench.ui.table.connect("cellClicked(int,int)", lambda row, column: clicked.append((row, column)))
    bench.ui.table.connect("itemChanged(QTableWidgetItem*)", lambda item: changed.append(item.text()))
    bench.cell("table", 1, 1).click()
    assert clicked == [(1, 1)] and bench.cell("table", 1, 1).text == "name"
    bench.cell("table", 1, 1).type("cyst")
    assert bench.cell("table", 1, 1).text == "cyst" and changed == ["cyst"]
    assert bench.cell("table", 0, 0).checked
    bench.cell("table", 0, 0).tick()
    assert not bench.cell("table", 0, 0).checked
    with pytest.raises(CannotUseError, match="no cell 5, 0"):
        bench.cell("table", 5, 0)


def test_pictures_of_the_panel(tmp_path):
    pictures = []
    for number, looks in enumerate([{}, {"dark": True}, {"font_points": 16}]):
        with Bench(tmp_path / str(number), **looks) as bench:
            bench.load_volume(brain_volume())
            bench.open_module("Small", write_module(tmp_path / str(number)))
            pictures.append(bench.grab(tmp_path / "panel.png"))
            if not looks:
                screen = bench.screenshot(tmp_path / "screen.png", "A caption")
                assert (tmp_path / "screen.png").stat().st_size > 10_000 and screen.shape[1] == 1600
                assert np.array_equal(screen[20:200, :460], screen[20:200, :460])
                assert bench.sideways_cut() == []
    light, dark, large = pictures
    assert (tmp_path / "panel.png").is_file() and light.shape[1] == 480
    assert light.mean() > 180 > 90 > dark.mean() and large.shape[0] > 1.2 * light.shape[0]
    # Letters are drawn: there are dark pixels on light ground.
    assert (light.max(axis=2) < 80).sum() > 300
