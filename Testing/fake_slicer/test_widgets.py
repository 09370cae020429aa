"""The widgets and the Qt of the fake Slicer do what those of Slicer do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("PySide6", reason="PySide6 is not installed (pip install PySide6_Essentials)")
pytest.importorskip("slicer.util", reason="slicer-core is not installed (pip install trame-slicer[standalone])")
from support.synthetic import brain_volume

from fake_slicer.driver import CannotUseError
from fake_slicer.fixtures import app, small
from fake_slicer.small_module import write_module
from fake_slicer.widgets import ALL

__all__ = ["app", "small"]

API = json.loads((Path(__file__).parent / "slicer_api.json").read_text())


@pytest.mark.parametrize("name", sorted(set(ALL) & set(API)))
def test_a_stand_in_offers_only_what_the_real_widget_has(name):
    real = API[name]
    known = {*real["properties"], *real["signals"], *real["methods"]}
    own = {entry for entry in vars(ALL[name]) if not entry.startswith("_") and entry != "staticMetaObject"}
    events = {"paintEvent", "changeEvent", "eventFilter", "hitButton", "setVisible", "minimumSizeHint", "sizeHint"}
    assert own - known - events == set()
    signals = {text.partition("(")[0] for text in vars(ALL[name]).get("_signal_aliases", {})}
    assert signals <= set(real["signals"])


def test_a_slider_stops_at_whole_steps_and_announces_every_move(small):
    changing, changed = [], []
    small.ui.thresholdSlider.connect("valueIsChanging(double)", changing.append)
    small.ui.thresholdSlider.connect("valueChanged(double)", changed.append)
    small.drag("thresholdSlider", 150.0)
    value = small.ui.thresholdSlider.value
    assert abs(value - 150) < 2 and changed[-1] == value and len(changed) > 3
    assert (2 * value).is_integer() and small.widget._parameterNode.threshold == value
    small.key("thresholdSlider", "Right")
    assert small.ui.thresholdSlider.value == value + 0.5
    assert changing == []


def test_a_slider_without_tracking_changes_when_it_is_let_go(small):
    changing, changed = [], []
    small.ui.thresholdSlider.tracking = False
    small.ui.thresholdSlider.connect("valueIsChanging(double)", changing.append)
    small.ui.thresholdSlider.connect("valueChanged(double)", changed.append)
    small.drag("thresholdSlider", 50.0, release=False)
    assert small.ui.thresholdSlider.value == 100 and changed == [] and len(changing) > 3
    small.drag("thresholdSlider", 50.0)
    assert len(changed) == 1 and abs(changed[0] - 50) < 2 and changing[-1] == changed[0]


def test_a_slider_keeps_what_a_script_sets_and_ignores_a_step_beyond_its_range(small):
    slider = small.ui.thresholdSlider
    slider.value = 12.3456
    assert slider.value == 12.3456 and small.widget._parameterNode.threshold == 12.3456
    slider.singleStep = 300
    assert slider.singleStep == 0.5


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
    # Slicer says so when the chosen node is renamed, too.
    assert selector._object._combo.currentText() == "renamed" and heard == [second, second]
    small.select_node(selector, None)
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


NO_ACTIONS = {
    '<property name="noneEnabled">': '<property name="addEnabled"><bool>false</bool></property>'
    '<property name="removeEnabled"><bool>false</bool></property><property name="noneEnabled">'
}


def test_another_node_takes_the_place_of_one_that_is_removed(app, tmp_path):
    first, second, third = (app.standalone.add_volume(brain_volume(name=name)) for name in ("1", "2", "3"))
    app.open_module("Small", write_module(tmp_path, panel=NO_ACTIONS))
    parameters = app.widget._parameterNode
    assert parameters.inputVolume is first
    app.scene.RemoveNode(first)
    assert app.ui.inputSelector.currentNode() is parameters.inputVolume is second
    app.select_node("inputSelector", third)
    app.scene.RemoveNode(third)
    assert app.ui.inputSelector.currentNode() is parameters.inputVolume is second
    app.scene.RemoveNode(second)
    assert app.ui.inputSelector.currentNode() is parameters.inputVolume is None


def test_reading_another_scene_empties_a_selector_on_the_way(small, tmp_path):
    heard = []
    small.scene.AddNewNodeByClass("vtkMRMLTextNode", "note")
    small.save_scene(tmp_path / "scene.mrb")
    small.ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    small.standalone.load(tmp_path / "scene.mrb")
    assert heard[0] is None


def test_a_hidden_node_is_noticed_only_when_the_list_is_filtered_again(small):
    selector = small.ui.inputSelector
    small.scan.SetHideFromEditors(True)
    assert selector.nodeCount() == 1
    other = small.standalone.add_volume(brain_volume(name="other"))
    selector.sortFilterProxyModel().hiddenNodeIDs = [other.GetID()]
    assert selector.nodeCount() == 0
    selector.sortFilterProxyModel().hiddenNodeIDs = []
    assert selector.nodeCount() == 1 and selector.nodeFromIndex(0) is other
    selector.sortFilterProxyModel().visibleNodeIDs = [small.scan.GetID()]
    assert selector.nodeCount() == 2
    with pytest.raises(AttributeError, match="setHiddenNodeIDs"):
        selector.sortFilterProxyModel().setHiddenNodeIDs([])


def test_the_actions_of_a_selector_are_rows_but_no_choices(small):
    selector = small.ui.inputSelector
    rows = [selector._object._combo.itemText(row) for row in range(selector._object._combo.count())]
    assert rows == ["None", "scan", "", "Create new Volume", "Delete current Volume"]
    small.choose("inputSelector", "Create new Volume")
    made = selector.currentNode()
    assert made is not small.scan and selector.nodeCount() == 2
    small.choose("inputSelector", "Delete current Volume")
    assert selector.nodeCount() == 1 and selector.currentNode() is small.scan


def test_the_first_node_is_chosen_where_none_is_no_choice(app, tmp_path):
    none = '<property name="noneEnabled"><bool>true</bool></property>'
    actions = NO_ACTIONS['<property name="noneEnabled">'].removesuffix('<property name="noneEnabled">')
    app.open_module("Small", write_module(tmp_path, panel={none: actions}))
    scan = app.load_volume(brain_volume())
    assert app.ui.inputSelector.currentNode() is scan


def test_what_is_shown_and_hidden_in_a_closed_section_is_so_when_it_opens(small):
    small.click("section")
    small.ui.countBox.visible = False
    small.ui.labelEdit.visible = True
    assert not small.ui.labelEdit.visible
    small.click("section")
    assert small.ui.labelEdit.visible and not small.ui.countBox.visible and small.ui.deviceBox.visible


def test_a_tool_tip_becomes_rich_text(small):
    box = small.ui.countBox
    box.toolTip = "how many & why\nnot"
    assert box.toolTip == "<p>how many &amp; why<br>\nnot</p>"
    box.setToolTip("<b>bold</b>")
    assert box.toolTip == "<b>bold</b>"
    small.ui.applyButton.setToolTip("plain")
    assert small.ui.applyButton.toolTip == "<p>plain</p>"


def test_a_section_hides_what_is_in_it(small):
    high = small.grab().shape[0]
    small.click("section")
    assert small.ui.section.collapsed and not small.ui.applyButton.isVisible()
    assert small.grab().shape[0] < high
    small.click("section")
    assert not small.ui.section.collapsed
    small.click("applyButton")


def test_connections_trim_arguments_and_can_be_undone(app):
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


def test_enumerators_statics_and_values_are_where_pythonqt_has_them(app):
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
    assert qt.QUrl("https://example.org/x").path() == "/x"
    slider = ctk.ctkSliderWidget()
    slider.setRange(0.0, 2.0)
    slider.decimals = 3
    slider.value = 0.125
    assert slider.value == 0.125
    holder = qt.QWidget()
    layout = qt.QVBoxLayout(holder)
    layout.addWidget(slider)
    assert holder.findChild(ctk.ctkSliderWidget) == slider and holder.children()[1] is slider


def test_cells_are_read_clicked_and_edited(app, tmp_path):
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
    app.open_module("Small", write_module(tmp_path, code, {label: table}))
    clicked, changed = [], []
    app.ui.table.connect("cellClicked(int,int)", lambda row, column: clicked.append((row, column)))
    app.ui.table.connect("itemChanged(QTableWidgetItem*)", lambda item: changed.append(item.text()))
    app.cell("table", 1, 1).click()
    assert clicked == [(1, 1)] and app.cell("table", 1, 1).text == "name"
    app.cell("table", 1, 1).type("cyst")
    assert app.cell("table", 1, 1).text == "cyst" and changed == ["cyst"]
    assert app.cell("table", 0, 0).checked
    app.cell("table", 0, 0).tick()
    assert not app.cell("table", 0, 0).checked
    with pytest.raises(CannotUseError, match="no cell 5, 0"):
        app.cell("table", 5, 0)
