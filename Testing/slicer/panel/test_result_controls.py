"""The panel's controls of a result: they say what is reached and shown, and filter and reject at once."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from fake_slicer import panel_fixtures
from fake_slicer.panel_fixtures import catch_up, column, overlay, run, scan
from PySide6 import QtCore
from support.mrml import exported_labels, voxels
from support.two_blobs import two_blobs

from MedADLib.slicer.scene.viewing import shown_now

KEEP, NAME, ML, PEAK, P, SIDE = range(6)


def shown(app):
    return app.widget.panel.result_panel.detection


def test_kept_regions_are_counted(done):
    done.drag("thresholdSlider", 950)
    assert done.ui.regionsNote.text == "3 of 3 regions kept; smallest possible p is 0.14"
    done.cell("regionsTable", 1, KEEP).tick()
    assert done.ui.regionsNote.text.startswith("2 of 3 regions kept")


def test_a_rejected_region_leaves_the_overlay_and_the_3d_view(done):
    done.cell("regionsTable", 0, SIDE).click()
    before = done.views_image((600, 500)).astype(int)
    done.cell("regionsTable", 0, KEEP).tick()
    after = done.views_image((600, 500)).astype(int)
    # Axial, 3-D, coronal and sagittal view.
    views = [np.s_[:248, :298], np.s_[:248, 302:], np.s_[252:, :298], np.s_[252:, 302:]]
    for number, view in enumerate(views):
        warm = [int((image[view][..., 0] - image[view][..., 2] > 60).sum()) for image in (before, after)]
        changed = np.abs(before[view] - after[view]).max(axis=-1) > 30
        assert changed.mean() > 0.005, number
        # In the axial view, the legend is warm too.
        assert number == 1 or warm[1] < 0.5 * warm[0], (number, warm)
    done.cell("regionsTable", 0, KEEP).tick()
    assert (np.abs(done.views_image((600, 500)) - before).max(axis=-1) > 30).mean() < 0.001


def test_the_threshold_box_shows_what_is_reached(done):
    done.type("thresholdBox", "9999")
    # 3 % of the brain are 30 mL; the laxest threshold below that lets 10 mL pass.
    assert done.ui.thresholdBox.value == 10 and done.ui.thresholdSlider.value == 1000
    done.type("thresholdBox", "4")
    assert done.ui.thresholdBox.value == 1 and shown(done).threshold == 3.0
    assert "1 mL per healthy scan" in done.ui.meaningLabel.text


def test_every_step_of_the_threshold_box_leads_to_another_threshold(done):
    seen = [shown(done).threshold]
    for key in ("Up", "Up", "Down", "Down", "Down"):
        done.key("thresholdBox", key)
        seen.append(shown(done).threshold)
    assert seen == [3.0, 2.0, 2.0, 3.0, 4.0, 5.0], "2 is the laxest within 30 mL"


def test_numbers_are_aligned_and_have_the_same_decimals(done):
    done.drag("thresholdSlider", 950)
    table = done.ui.regionsTable
    for number, form in ((ML, r"\s*\d+\.\d\d"), (PEAK, r"\s*\d+\.\d\d"), (P, r"\d\.\d\d")):
        texts = column(done, number)
        assert all(re.fullmatch(form, text) for text in texts) and len({len(text) for text in texts}) == 1, texts
        for row in range(3):
            assert int(table.item(row, number).textAlignment()) & int(QtCore.Qt.AlignmentFlag.AlignRight)
    assert column(done, SIDE) == ["L", "R", "R"]
    assert min(float(text) for text in column(done, P)) == pytest.approx(1 / 7, abs=0.005)


def test_the_smallest_region_filters_at_once_and_is_the_parameter(done, tmp_path):
    done.drag("thresholdSlider", 950)
    volumes = [region.volume_ml for region in shown(done).regions]
    smallest = round(sorted(volumes)[0] + 0.1, 2)
    runs = done.ui.logText.toPlainText()
    small = next(region for region in shown(done).regions if region.volume_ml == min(volumes))
    filtered = voxels(done.widget.panel._shown.labels) == small.label
    assert voxels(overlay(done)[1])[filtered].all()
    done.type("smallestBox", str(smallest))
    assert len(column(done, NAME)) == 2 and done.widget._parameterNode.smallestRegionMl == smallest
    assert voxels(done.widget.panel._shown.labels).max() == 2 and done.ui.logText.toPlainText() == runs, "without a run"
    assert not voxels(overlay(done)[1])[filtered].any(), "nor does the overlay show it"
    done.drag("thresholdSlider", 900)
    assert all(region.volume_ml >= smallest for region in shown(done).regions), "the slider keeps the filter"
    done.save_scene(tmp_path / "scene.mrb")
    done.open_scene(tmp_path / "scene.mrb")
    assert len(column(done, NAME)) == 2 and done.ui.smallestBox.value == smallest
    done.type("smallestBox", "0")
    assert len(column(done, NAME)) == 3, "smaller regions come back without a run"


def test_the_box_follows_the_result_of_the_chosen_scan(done):
    first = done.scan
    done.type("smallestBox", "2.5")
    done.select_node("inputSelector", done.load_volume(scan("other")))
    done.widget._parameterNode.smallestRegionMl = 0.5
    run(done)
    assert done.ui.smallestBox.value == 0.5
    done.select_node("inputSelector", first)
    assert done.ui.smallestBox.value == 2.5 and done.widget._parameterNode.smallestRegionMl == 2.5


def test_a_result_of_before_has_the_smallest_region_of_its_run(done, tmp_path):
    for node in done.widget.panel._shown.nodes().values():
        assert node.GetAttribute("MedAD.smallest_region_ml") is None, "nothing is stored before the filter is moved"
    done.widget._parameterNode.smallestRegionMl = 0.05
    done.save_scene(tmp_path / "scene.mrb")
    done.open_scene(tmp_path / "scene.mrb")
    assert done.ui.smallestBox.value == 0.05 and len(column(done, NAME)) == 2


def test_an_export_states_which_regions_were_filtered(done, tmp_path, no_drawing):
    smallest = round(min(region.volume_ml for region in shown(done).regions) + 0.1, 2)
    done.type("smallestBox", str(smallest))
    done.answers.append(str(tmp_path))
    done.click("exportButton")
    facts = json.loads((tmp_path / "scan.json").read_text())
    assert facts["smallest_region_ml"] == smallest and facts["settings"]["smallest_region_ml"] == 0.05
    assert len(facts["regions"]) == 1


def controls(app):
    """What the controls say is shown: entry, and the value of the slider that belongs to it."""
    what = app.ui.viewSelector.itemData(app.ui.viewSelector.currentIndex)
    sliders = {"opacitySlider": app.ui.opacitySlider.value, "fadeSlider": app.ui.fadeSlider.value / 100}
    (slider,) = [name for name in sliders if getattr(app.ui, name).visible] or [None]
    assert slider == {"anomaly": "opacitySlider", "residual": "opacitySlider", "blend": "fadeSlider"}.get(what)
    return what, sliders.get(slider, 0.0)


def assert_agree(app):
    what, part = controls(app)
    seen = shown_now(app.widget.panel._shown, app.scene)
    assert seen[0] == what and seen[1] == pytest.approx(part, abs=0.006), (seen, what, part)
    background, foreground, opacity = overlay(app)
    assert background is app.widget.panel._shown.input
    if what == "scan":
        assert foreground is None
    else:
        assert opacity == pytest.approx(part, abs=0.006)
        assert foreground.GetAttribute("MedAD.role") == {"blend": "restored"}.get(what, what)


def test_controls_and_views_always_agree(done, tmp_path):
    assert_agree(done)
    for entry in map(done.ui.viewSelector.itemText, (2, 3, 1, 0)):
        done.choose("viewSelector", entry)
        assert_agree(done)
    done.drag("opacitySlider", 0.8)
    assert_agree(done)
    done.choose("viewSelector", "Blend of scan and pseudo-healthy")
    done.drag("fadeSlider", 70)
    assert_agree(done)
    done.drag("thresholdSlider", 900)
    assert_agree(done)
    done.leave_module()
    done.enter_module()
    assert_agree(done)
    assert controls(done)[0] == "blend"
    first = done.scan
    done.select_node("inputSelector", done.load_volume(scan("other")))
    run(done)
    assert_agree(done)
    done.select_node("inputSelector", first)
    assert_agree(done)
    done.choose("viewSelector", "Residual (scan minus pseudo-healthy)")
    done.save_scene(tmp_path / "scene.mrb")
    done.open_scene(tmp_path / "scene.mrb")
    assert_agree(done)


def test_the_blend_has_two_named_ends_and_shows_the_outlines(done):
    done.choose("viewSelector", "Blend of scan and pseudo-healthy")
    left, slider, right = (getattr(done.ui, name) for name in ("scanEndLabel", "fadeSlider", "healthyEndLabel"))
    places = [each._object.mapToGlobal(QtCore.QPoint(0, 0)).x() for each in (left, slider, right)]
    assert places == sorted(places) and (left.text, right.text) == ("scan", "pseudo-healthy")
    assert left.visible and right.visible and slider.value == 50 and overlay(done)[2] == 0.5
    assert done.widget.panel._shown.segmentation.GetDisplayNode().GetVisibility2D()
    done.choose("viewSelector", "Scan only")
    assert not done.widget.panel._shown.segmentation.GetDisplayNode().GetVisibility2D()


def test_scan_only_shows_nothing_of_the_result_until_another_view_is_chosen(done):
    result = done.widget.panel._shown
    displays = [node.GetDisplayNode() for node in (result.segmentation, result.body)]
    done.choose("viewSelector", "Scan only")
    assert overlay(done)[:2] == (done.scan, None) and not any(display.GetVisibility() for display in displays)
    assert not done.ui.surfacesCheckBox.enabled and done.ui.surfacesCheckBox.checked
    done.scan.SetName("renamed")
    done.wait(lambda: result.anomaly.GetName() == "renamed anomaly", 5)
    done.leave_module()
    done.enter_module()
    assert done.ui.viewSelector.currentText == "Scan only" and overlay(done)[1] is None
    done.choose("viewSelector", "Anomaly map")
    assert overlay(done)[1] is result.anomaly and all(display.GetVisibility() for display in displays)
    assert done.ui.surfacesCheckBox.enabled


def test_a_segment_removed_elsewhere_is_a_rejected_region_until_it_is_ticked_again(done):
    result, table = done.widget.panel._shown, done.ui.regionsTable
    segmentation = result.segmentation.GetSegmentation()
    count = table.rowCount
    segmentation.RemoveSegment("Region_1")
    done.wait(lambda: f"{count - 1} of {count} regions kept" in done.ui.regionsNote.text, 5)
    assert f"{count - 1} of {count} regions kept" in done.ui.verdictLabel.text
    assert not voxels(overlay(done)[1])[voxels(result.labels) == 1].any()
    done.cell("regionsTable", 0, KEEP).tick()
    assert f"{count} of {count} regions kept" in done.ui.regionsNote.text
    segment = segmentation.GetSegment("Region_1")
    assert segment is not None and result.segmentation.GetDisplayNode().GetSegmentVisibility("Region_1")
    number = list(segmentation.GetSegmentIDs()).index("Region_1") + 1
    exported = exported_labels(result.segmentation, result.anomaly, done.scene)
    assert np.array_equal(exported == number, voxels(result.labels) == 1)


def test_the_overlay_without_rejected_regions_belongs_to_its_scan_alone(done):
    first = done.scan
    done.cell("regionsTable", 0, KEEP).tick()
    assert overlay(done)[1].GetAttribute("MedAD.role") == "kept"
    other = done.load_volume(scan("other"))
    done.select_node("inputSelector", other)
    assert overlay(done)[0] is other and overlay(done)[1] is None
    done.select_node("inputSelector", first)
    assert overlay(done)[0] is first and overlay(done)[1].GetAttribute("MedAD.role") == "kept"
    assert not voxels(overlay(done)[1])[voxels(done.widget.panel._shown.labels) == 1].any()
    done.scene.RemoveNode(first)
    catch_up(done)
    assert overlay(done)[1] is None


def test_the_verdict_counts_kept_regions(done):
    done.drag("thresholdSlider", 950)
    assert "; 3 regions\n" in done.ui.verdictLabel.text
    done.cell("regionsTable", 1, KEEP).tick()
    assert "2 of 3 regions kept" in done.ui.verdictLabel.text
    done.cell("regionsTable", 1, KEEP).tick()
    assert "; 3 regions\n" in done.ui.verdictLabel.text


def test_regions_below_the_smallest_one_leave_verdict_note_and_overlay(done):
    found = len(shown(done).regions)
    done.type("smallestBox", "999")
    assert not shown(done).regions and "only regions smaller than 999 mL" in done.ui.verdictLabel.text
    assert "smaller than 999 mL" in done.ui.regionsNote.text
    assert f"{found} regions are smaller than 999 mL" in done.ui.meaningLabel.text
    overlaid = overlay(done)[1]
    lit = voxels(overlaid) >= overlaid.GetDisplayNode().GetLowerThreshold()
    assert not lit.any()
    done.type("smallestBox", "0.05")
    assert f"; {found} regions\n" in done.ui.verdictLabel.text and "smaller" not in done.ui.meaningLabel.text


def test_a_blend_begins_in_the_middle(done):
    done.choose("viewSelector", "Blend of scan and pseudo-healthy")
    assert overlay(done)[2] == 0.5


def test_the_table_shows_all_columns_in_a_narrow_panel(done):
    done.drag("thresholdSlider", 950)
    table = done._find("regionsTable")
    table.setFixedWidth(276)
    done.wait(lambda: table.horizontalScrollBar().maximum() == 0, 5)
    assert table.item(0, SIDE).toolTip().startswith("L, peak at ")


def test_a_result_of_an_image_has_pixels_in_every_text(panel, monkeypatch):
    def of_an_image(*arguments):
        found = two_blobs(*arguments)
        known = {**found.provenance["input"], "has_spacing": False, "has_orientation": False}
        return replace(found, provenance={**found.provenance, "input": known})

    monkeypatch.setattr(panel_fixtures, "two_blobs", of_an_image)
    run(panel)
    ui, header = panel.ui, panel.ui.regionsTable.horizontalHeaderItem(ML)
    assert (header.text(), header.toolTip()) == ("px", "Size in pixels")
    labels = voxels(panel.widget.panel._shown.labels)
    assert [int(text) for text in column(panel, ML)] == [int((labels == rank).sum()) for rank in (1, 2)]
    assert "peak at column" in ui.regionsTable.item(0, SIDE).toolTip()
    assert "mL" not in ui.meaningLabel.text and "% of a healthy image" in ui.meaningLabel.text
    assert ui.smallestPixelsBox.visible and not ui.smallestBox.visible
    detection = panel.widget.panel.result_panel.detection
    assert ui.smallestPixelsBox.text == f"{round(0.05 / detection.volume.voxel_ml)} px"
    assert ui.smallestLabel.buddy().objectName == "smallestPixelsBox"
    assert "% of a healthy image" in ui.thresholdLabel.text and "mL" not in ui.thresholdBox.text
    share = 100 * detection.expected_false_positive_ml / detection.reference.brain_ml
    assert ui.thresholdBox.value == pytest.approx(share, abs=1e-3)
    panel.type("smallestPixelsBox", "20000")
    assert panel.widget._parameterNode.smallestRegionMl == 20
    assert "smaller than" in ui.regionsNote.text and "pixels" in ui.regionsNote.text and "mL" not in ui.regionsNote.text
    assert "only regions smaller than" in ui.verdictLabel.text and "mL" not in ui.verdictLabel.text


def test_units_are_those_of_the_shown_result(done):
    assert done.ui.regionsTable.horizontalHeaderItem(ML).text() == "mL"
    assert done.ui.smallestBox.visible and not done.ui.smallestPixelsBox.visible
    assert done.ui.smallestBox.suffix == " mL" and "mL per healthy scan" in done.ui.thresholdLabel.text
