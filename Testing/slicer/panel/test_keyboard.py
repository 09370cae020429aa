"""The panel without a mouse: Tab, Alt keys, and the table of regions by Space, F2, Escape and Return."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fake_slicer.panel_fixtures import (
    app,
    column,
    done,
    own_home,
    panel,
    planted_installer,
    run,
    slice_centre,
    stub_client,
)
from PySide6 import QtCore, QtTest, QtWidgets

__all__ = ["app", "done", "own_home", "panel", "planted_installer", "stub_client"]

KEEP, NAME, ML, PEAK, P, SIDE = range(6)
# Alt with these opens the menus of Slicer's window: File, Edit, View, Help.
MENUS = set("fevh")


def focus():
    return QtWidgets.QApplication.focusWidget()


def focus_names(panel, first, count):
    """Names of the widgets that Tab goes through; stand-ins give the focus to a part of theirs."""
    names, widget = [], panel._find(first)
    widget.setFocus()
    for _ in range(count):
        owner = focus()
        while not owner.objectName() or owner.objectName().startswith("qt_"):
            owner = owner.parentWidget()
        if not names or names[-1] != owner.objectName():
            names.append(owner.objectName())
        QtTest.QTest.keyClick(focus(), QtCore.Qt.Key.Key_Tab)
    return names


def more_regions(done):
    done.drag("thresholdSlider", 950)
    assert len(column(done, NAME)) == 3


def region(done, rank):
    return done.widget.panel.result_panel.detection.regions[rank - 1]


def row_of(done, rank):
    return column(done, KEEP).index(str(rank))


def segment_names(done):
    segmentation = done.widget.panel._shown.segmentation.GetSegmentation()
    return [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]


def test_tab_goes_down_the_panel_and_out_of_the_tables(done):
    names = focus_names(done, "inputSelector", 24)
    wanted = ["inputSelector", "maskSelector", "modelSelector", "cardButton", "runButton", "logCheckBox"]
    assert names[: len(wanted)] == wanted
    assert names.index("thresholdSlider") < names.index("surfacesCheckBox") < names.index("repeatButton")
    wanted = ["regionsSection", "regionsTable", "editButton", "exportButton", "viewsSection", "undoButton"]
    assert [name for name in names if name in wanted] == wanted


def test_every_alt_key_has_one_meaning_and_none_of_the_windows_menus(done):
    keys = []
    for widget in done.window.widget().findChildren(QtWidgets.QWidget):
        text = widget.text() if isinstance(widget, (QtWidgets.QLabel, QtWidgets.QAbstractButton)) else ""
        if widget.objectName():
            keys += [key.lower() for key in re.findall(r"&(\w)", text.replace("&&", ""))]
    assert len(keys) == len(set(keys)) > 15 and not MENUS & set(keys)


@pytest.mark.parametrize(("key", "selector"), [("S", "inputSelector"), ("B", "maskSelector")])
def test_an_alt_key_goes_to_a_node_selector_which_then_takes_keys(panel, key, selector):
    mask = panel.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "brain")
    wanted = panel.scan if selector == "inputSelector" else mask
    panel.ui.runButton.setFocus()
    QtTest.QTest.keyClick(focus(), getattr(QtCore.Qt.Key, f"Key_{key}"), QtCore.Qt.KeyboardModifier.AltModifier)
    assert panel._find(selector).isAncestorOf(focus())
    QtTest.QTest.keyClick(focus(), QtCore.Qt.Key.Key_Home)
    assert getattr(panel.ui, selector).currentNode() is None
    QtTest.QTest.keyClick(focus(), QtCore.Qt.Key.Key_Down)
    assert getattr(panel.ui, selector).currentNode() is wanted


def test_the_alt_key_of_every_label_goes_to_what_it_stands_before(done):
    done.click("advancedSection")
    labels = done.window.widget().findChildren(QtWidgets.QLabel)
    named = {label: re.findall(r"&(\w)", label.text()) for label in labels if label.isVisible() and label.buddy()}
    assert len(named) > 8
    for label, letters in named.items():
        done.ui.runButton.setFocus()
        key = getattr(QtCore.Qt.Key, f"Key_{letters[0].upper()}")
        QtTest.QTest.keyClick(focus(), key, QtCore.Qt.KeyboardModifier.AltModifier)
        assert focus() is label.buddy() or label.buddy().isAncestorOf(focus()), label.text()


def test_alt_r_runs(panel):
    QtTest.QTest.keyClick(panel.window, QtCore.Qt.Key.Key_R, QtCore.Qt.KeyboardModifier.AltModifier)
    panel.wait(lambda: len(column(panel, NAME)) == 2)


def test_a_key_that_takes_effect_after_the_panel_was_left_does_nothing(panel):
    QtTest.QTest.keyClick(panel.window, QtCore.Qt.Key.Key_R, QtCore.Qt.KeyboardModifier.AltModifier)
    panel.leave_module()
    panel.run_events(0.3)
    panel.enter_module()
    assert not panel.widget.panel.running and panel.ui.runButton.enabled


def test_space_keeps_and_rejects_the_chosen_region_from_any_cell(done):
    display = done.widget.panel._shown.segmentation.GetDisplayNode()
    for cell in (KEEP, NAME, SIDE):
        done.cell("regionsTable", 1, cell if cell != KEEP else ML).click()
        if cell == KEEP:
            done.ui.regionsTable.setCurrentCell(1, KEEP)
        for kept in (False, True):
            done.key("regionsTable", "Space")
            assert done.cell("regionsTable", 1, KEEP).checked is kept, cell
            assert bool(display.GetSegmentVisibility("Region_2")) is kept, cell
        assert column(done, NAME) == ["Region 1", "Region 2"]


def test_f2_renames_and_escape_leaves_everything_as_it_was(done):
    done.cell("regionsTable", 1, NAME).click()
    done.key("regionsTable", "F2")
    assert isinstance(focus(), QtWidgets.QLineEdit)
    QtTest.QTest.keyClicks(focus(), "cyst")
    QtTest.QTest.keyClick(focus(), QtCore.Qt.Key.Key_Escape)
    done.run_events(0.05)
    assert column(done, NAME)[1] == "Region 2" and segment_names(done) == ["Region 1", "Region 2"]
    done.key("regionsTable", "F2")
    QtTest.QTest.keyClicks(focus(), "a  cyst ")
    QtTest.QTest.keyClick(focus(), QtCore.Qt.Key.Key_Return)
    done.run_events(0.05)
    assert column(done, NAME)[1] == "a cyst" and segment_names(done) == ["Region 1", "a cyst"]
    done.cell("regionsTable", 1, NAME).type(" ")
    assert column(done, NAME)[1] == "a cyst"


def test_typing_a_space_in_a_name_does_not_reject(done):
    done.cell("regionsTable", 0, NAME).double_click()
    QtTest.QTest.keyClicks(focus(), "left one")
    QtTest.QTest.keyClick(focus(), QtCore.Qt.Key.Key_Return)
    done.run_events(0.05)
    assert column(done, NAME)[0] == "left one" and done.cell("regionsTable", 0, KEEP).checked


def test_a_double_click_elsewhere_in_the_row_edits_the_name(done):
    done.cell("regionsTable", 1, SIDE).double_click()
    assert isinstance(focus(), QtWidgets.QLineEdit) and done.ui.regionsTable.currentColumn() == NAME
    QtTest.QTest.keyClick(focus(), QtCore.Qt.Key.Key_Escape)


def test_return_brings_the_views_back_to_the_region(done):
    done.cell("regionsTable", 1, SIDE).click()
    node = done.scene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    node.JumpSliceByCentering(0.0, 0.0, 0.0)
    assert not np.allclose(slice_centre(done), region(done, 2).peak_ras, atol=1.0)
    done.key("regionsTable", "Return")
    assert np.allclose(slice_centre(done), region(done, 2).peak_ras, atol=1.0)


def click_header(done, number):
    header = done.ui.regionsTable._object.horizontalHeader()
    place = QtCore.QPoint(header.sectionViewportPosition(number) + 8, header.height() // 2)
    QtTest.QTest.mouseClick(header.viewport(), QtCore.Qt.MouseButton.LeftButton, pos=place)
    done.run_events(0.05)


def test_a_click_on_a_header_sorts_by_number(done):
    more_regions(done)
    for number in (ML, PEAK, P, KEEP):
        orders = []
        for _ in range(2):
            click_header(done, number)
            orders.append([float(text) for text in column(done, number)])
        assert sorted(orders, key=lambda each: each[0]) == [sorted(orders[0]), sorted(orders[0], reverse=True)], number


def test_regions_begin_in_the_order_of_their_ranks(done):
    more_regions(done)
    assert column(done, KEEP) == ["1", "2", "3"]
    header = done.ui.regionsTable.horizontalHeader()
    assert (header.sortIndicatorSection(), header.sortIndicatorOrder()) == (KEEP, QtCore.Qt.SortOrder.AscendingOrder)


@pytest.mark.parametrize("number", [KEEP, NAME, ML])
def test_decisions_hit_the_right_region_however_the_table_is_sorted(done, number):
    more_regions(done)
    click_header(done, number)
    click_header(done, number)
    order = column(done, KEEP)
    done.cell("regionsTable", row_of(done, 3), KEEP).tick()
    assert column(done, KEEP) == order
    decisions = done.widget.panel.regions_panel.decisions
    assert [decisions.of(region(done, rank)).kept for rank in (1, 2, 3)] == [True, True, False]
    done.cell("regionsTable", row_of(done, 2), NAME).type("aaa")
    assert decisions.of(region(done, 2)).name == "aaa" and column(done, NAME)[row_of(done, 2)] == "aaa"
    assert [done.cell("regionsTable", row_of(done, rank), KEEP).checked for rank in (1, 2, 3)] == [True, True, False]
    done.type("thresholdBox", "1")
    done.type("thresholdBox", "10")
    assert sorted(column(done, KEEP)) == ["1", "2", "3"]
    assert [done.cell("regionsTable", row_of(done, rank), KEEP).checked for rank in (1, 2, 3)] == [True, True, False]
    for rank in (1, 2, 3):
        volume = round(region(done, rank).volume_ml, 2)
        assert float(column(done, ML)[row_of(done, rank)]) == pytest.approx(volume)
        done.cell("regionsTable", row_of(done, rank), SIDE).click()
        assert np.allclose(slice_centre(done), region(done, rank).peak_ras, atol=1.0)


def test_another_run_shows_what_it_found_and_not_the_ticks_of_before(done):
    more_regions(done)
    click_header(done, ML)
    done.cell("regionsTable", 0, KEEP).tick()
    run(done)
    ticks = [done.cell("regionsTable", row, KEEP).checked for row in range(len(column(done, NAME)))]
    decisions = done.widget.panel.regions_panel.decisions
    ranks = [int(text) for text in column(done, KEEP)]
    assert ticks == [decisions.of(region(done, rank)).kept for rank in ranks]
