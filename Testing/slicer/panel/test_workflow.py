"""A user's workflow in the panel: choose, run, view, review, export; every step by mouse and keyboard."""

from __future__ import annotations

import numpy as np
import pytest
from fake_slicer.driver import CannotUseError
from fake_slicer.panel_fixtures import (
    catch_up,
    changed_part,
    column,
    difference,
    overlay,
    results,
    run,
    scan,
    slice_centre,
    slicer,
    snapshot,
)
from PySide6 import QtWidgets
from support.mrml import voxels
from support.source_code import ROOT

from MedADLib.results.text import provenance_text

KEEP, NAME, ML, PEAK, P, SIDE = range(6)


def shown(app):
    return app.widget.panel.result_panel.detection


def text_of(dialog):
    return dialog._object.findChild(QtWidgets.QTextBrowser).toPlainText()


def test_a_scan_that_is_there_is_chosen_and_judged_at_once(panel):
    assert panel.ui.inputSelector.currentNode() is panel.scan
    report = panel.ui.reportLabel.text
    assert "44 × 48 × 40" in report and "3.5" in report
    assert panel.ui.runButton.enabled
    assert not panel.ui.resultSection.visible and not panel.ui.regionsSection.visible


def test_without_a_scan_the_button_states_what_to_do(app):
    app.open_module("MedAD")
    assert not app.ui.runButton.enabled
    assert app.tip("runButton") == "Select a scan to examine."
    node = app.load_volume(scan())
    app.select_node("inputSelector", node)
    assert app.ui.runButton.enabled


def test_after_a_run_everything_is_there(done):
    assert "More anomalous than 6 of 6 healthy scans" in done.ui.verdictLabel.text
    assert "2 regions" in done.ui.verdictLabel.text
    assert "p = 0.14, the smallest possible against 6 healthy scans." in done.ui.scoreLabel.text
    assert "does not know" in done.ui.warningsLabel.text
    background, foreground, opacity = overlay(done)
    assert background is done.scan and foreground.GetAttribute("MedAD.role") == "anomaly" and 0.3 < opacity < 1
    assert column(done, NAME) == ["Region 1", "Region 2"]
    assert done.ui.progressBar.visible is False and done.ui.runButton.enabled
    roles = {node.GetAttribute("MedAD.role") for node in results(done)}
    assert {"anomaly", "restored", "labels", "segmentation", "table", "body", "mask"} <= roles


def test_the_overlay_can_be_seen_and_its_opacity_changes_it(done):
    image = done.views_image((600, 500))
    done.drag("opacitySlider", 0.0)
    without = done.views_image((600, 500))
    assert changed_part(image, without) > 0.003
    done.drag("opacitySlider", 1.0)
    assert difference(without, done.views_image((600, 500))) > 1.2 * difference(image, without)


def test_the_threshold_slider_changes_regions_table_and_overlay(done):
    before = len(column(done, NAME)), int((voxels(done.widget.panel._shown.labels) > 0).sum())
    done.drag("thresholdSlider", 950)
    assert len(column(done, NAME)) == 3 > before[0]
    assert int((voxels(done.widget.panel._shown.labels) > 0).sum()) > before[1]
    assert done.ui.thresholdBox.value > 1.0
    assert done.widget.panel._shown.segmentation.GetSegmentation().GetNumberOfSegments() == 3
    done.drag("thresholdSlider", 0)
    assert len(column(done, NAME)) < 3
    assert "per healthy scan" in done.ui.meaningLabel.text


def test_the_threshold_can_be_typed_in_millilitres(done):
    done.type("thresholdBox", "10")
    assert done.ui.thresholdBox.value == 10 and shown(done).threshold == 2.0
    assert len(column(done, NAME)) == 3
    assert "rarity 2 (1 healthy voxel in 100), reached by 10 mL" in done.ui.meaningLabel.text


def test_surfaces_follow_when_the_slider_rests(done):
    done.drag("thresholdSlider", 950)
    segmentation = done.widget.panel._shown.segmentation.GetSegmentation()
    surface = "Closed surface"

    def all_have_surfaces():
        ids = segmentation.GetSegmentIDs()
        return all(segmentation.GetSegment(name).GetRepresentation(surface) is not None for name in ids)

    done.wait(all_have_surfaces, 5)


def test_a_click_on_a_region_centres_the_views_on_it(done):
    for row in (1, 0):
        done.cell("regionsTable", row, SIDE).click()
        assert np.allclose(slice_centre(done), shown(done).regions[row].peak_ras, atol=1.0)


def test_the_arrow_keys_go_through_the_regions(done):
    done.cell("regionsTable", 0, NAME).click()
    done.key("regionsTable", "Down")
    assert np.allclose(slice_centre(done), shown(done).regions[1].peak_ras, atol=1.0)


def test_a_rejected_region_is_hidden_and_not_handed_on(done):
    done.cell("regionsTable", 0, KEEP).tick()
    segmentation = done.widget.panel._shown.segmentation
    assert not segmentation.GetDisplayNode().GetSegmentVisibility("Region_1")
    done.open_module("SegmentEditor", ROOT / "Testing" / "fake_slicer" / "segment_editor.py")
    editor = done.widget.editor
    done._select("MedAD")
    done.click("editButton")
    assert done.selected == "SegmentEditor" and editor.source is done.scan
    added = [n for n in done.scene.GetNodes() if n.IsA("vtkMRMLSegmentationNode") and not n.GetAttribute("MedAD.role")]
    assert [s.GetSegmentation().GetNumberOfSegments() for s in added] == [1] and editor.segmentation is added[0]
    assert added[0].GetSegmentation().GetNthSegment(0).GetName() == "Region 2"


def test_with_every_region_rejected_there_is_nothing_to_hand_on(done):
    for row in (0, 1):
        done.cell("regionsTable", row, KEEP).tick()
    assert not done.ui.editButton.enabled and "Keep at least one" in done.ui.editButton.toolTip


def test_a_region_gets_a_name_by_double_click(done):
    done.cell("regionsTable", 1, NAME).double_click()
    done.cell("regionsTable", 1, NAME).type("cyst?")
    segments = done.widget.panel._shown.segmentation.GetSegmentation()
    assert segments.GetSegment("Region_2").GetName() == "cyst?"
    done.drag("thresholdSlider", 950)
    assert "cyst?" in column(done, NAME)


def test_the_table_sorts_by_numbers_and_still_jumps_right(done):
    done.drag("thresholdSlider", 950)
    done.ui.regionsTable.sortItems(ML)
    volumes = [float(text) for text in column(done, ML)]
    assert volumes == sorted(volumes)
    for row, rank in enumerate(column(done, KEEP)):
        done.cell("regionsTable", row, SIDE).click()
        region = shown(done).regions[int(rank) - 1]
        assert np.allclose(slice_centre(done), region.peak_ras, atol=1.0)


def test_the_views_blend_from_the_scan_to_its_pseudo_healthy_image(done):
    done.choose("viewSelector", "Blend of scan and pseudo-healthy")
    done.drag("fadeSlider", 100)
    background, foreground, opacity = overlay(done)
    assert foreground.GetAttribute("MedAD.role") == "restored" and opacity == pytest.approx(1.0)
    restored = done.views_image((600, 500))
    done.drag("fadeSlider", 0)
    assert changed_part(restored, done.views_image((600, 500))) > 0.003
    assert overlay(done)[1].GetAttribute("MedAD.role") == "restored" and overlay(done)[2] == 0
    done.choose("viewSelector", "Anomaly map")
    assert overlay(done)[1].GetAttribute("MedAD.role") == "anomaly" and overlay(done)[2] == pytest.approx(0.5, abs=0.02)


def test_every_kind_of_image_can_be_chosen(done):
    done.choose("viewSelector", "Scan only")
    alone = done.views_image((600, 500))
    for entry, role in (("Residual (scan minus pseudo-healthy)", "residual"), ("Anomaly map", "anomaly")):
        done.choose("viewSelector", entry)
        assert overlay(done)[1].GetAttribute("MedAD.role") == role
        assert changed_part(alone, done.views_image((600, 500))) > 0.001, entry


def test_the_regions_can_be_hidden_in_3d(done):
    with_regions = done.views_image((600, 500))
    done.click("surfacesCheckBox")
    assert changed_part(with_regions, done.views_image((600, 500))) > 0.001


def test_export_writes_what_the_command_line_writes(done, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    done.answers.append(str(folder))
    done.click("exportButton")
    names = {path.name for path in folder.iterdir()}
    suffixes = ("_anomaly.nii.gz", "_restored.nii.gz", "_regions.nii.gz", "_regions.seg.nrrd", "_regions.tsv", ".json")
    assert {f"scan{suffix}" for suffix in suffixes} <= names
    assert str(folder) in done.ui.statusLabel.text.replace("\u200b", "")


def test_a_result_states_how_it_was_made(done):
    texts = []
    done.answers.append(lambda dialog: texts.append(text_of(dialog)))
    done.click("provenanceButton")
    text = texts[0]
    assert "brain-t1" in text and "ab" * 32 in text and "seed" in text.lower()
    # As text, in which every fact has a line of its own.
    assert text == provenance_text(shown(done)) and "  name: brain-t1" in text.splitlines()


def test_one_click_repeats_a_result(done):
    before = {role: node.GetID() for node in results(done) if (role := node.GetAttribute("MedAD.role"))}
    done.click("repeatButton")
    assert {role: node.GetID() for node in results(done) if (role := node.GetAttribute("MedAD.role"))} == before


def test_a_second_run_starts_afresh_and_states_it(done):
    done.cell("regionsTable", 1, NAME).double_click()
    done.cell("regionsTable", 1, NAME).type("cyst?")
    done.cell("regionsTable", 0, KEEP).tick()
    run(done)
    assert column(done, NAME) == ["Region 1", "Region 2"]
    assert done.cell("regionsTable", 0, KEEP).checked
    assert "Undo restores them" in done.ui.statusLabel.text
    done.click("undoButton")
    assert column(done, NAME) == ["Region 1", "cyst?"] and not done.cell("regionsTable", 0, KEEP).checked


def test_the_result_of_another_scan_of_the_same_name_is_not_replaced(done, tmp_path, no_drawing):
    done.answers.append(str(tmp_path / "out"))
    done.click("exportButton")
    other = done.load_volume(scan())
    slicer.util.arrayFromVolume(other)[20, 20, 20] += 1
    done.select_node("inputSelector", other)
    run(done)
    done.answers.append(str(tmp_path / "out"))
    done.click("exportButton")
    assert "another scan named scan" in done.ui.errorLabel.text


def offered(app, name):
    selector = getattr(app.ui, name)
    return [selector.nodeFromIndex(index) for index in range(selector.nodeCount())]


def test_the_selectors_offer_no_results_of_medad(done, tmp_path):
    mask = done.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "brain")
    other = done.load_volume(scan("other"))
    kinds = [node.GetClassName() for node in results(done)]
    assert kinds.count("vtkMRMLScalarVolumeNode") > 1 and "vtkMRMLSegmentationNode" in kinds
    assert offered(done, "inputSelector") == [done.scan, other] and offered(done, "maskSelector") == [mask]
    done.save_scene(tmp_path / "scene.mrb")
    done.open_scene(tmp_path / "scene.mrb")
    assert [node.GetName() for node in offered(done, "inputSelector")] == ["scan", "other"]
    done.close_scene()
    # These get the IDs that results had.
    scans = [done.load_volume(scan(name)) for name in ("1", "2", "3")]
    catch_up(done)
    assert offered(done, "inputSelector") == scans


def test_a_result_cannot_be_examined(done):
    with pytest.raises(CannotUseError, match="does not offer"):
        done.select_node("inputSelector", done.widget.panel._shown.anomaly)
    done.widget._parameterNode.inputVolume = done.widget.panel._shown.anomaly
    assert not done.ui.runButton.enabled and "is a result of MedAD" in done.ui.runButton.toolTip


def test_a_run_can_be_taken_back(panel):
    before = snapshot(panel)
    run(panel)
    panel.click("undoButton")
    assert snapshot(panel) == before and not panel.ui.resultSection.visible
    assert overlay(panel)[0] is panel.scan and overlay(panel)[1] is None


def test_several_scans_keep_their_own_results(panel):
    run(panel)
    panel.drag("thresholdSlider", 950)
    other = panel.load_volume(scan("other"))
    panel.select_node("inputSelector", other)
    assert not panel.ui.resultSection.visible
    run(panel)
    assert len(column(panel, NAME)) == 2
    panel.select_node("inputSelector", panel.scan)
    assert len(column(panel, NAME)) == 3 and panel.ui.thresholdBox.value > 1
    assert overlay(panel)[0] is panel.scan


def test_a_saved_scene_brings_the_panel_back_alive(done, tmp_path):
    done.cell("regionsTable", 0, KEEP).tick()
    done.drag("thresholdSlider", 950)
    threshold, names = shown(done).threshold, column(done, NAME)
    done.save_scene(tmp_path / "scene.mrb")
    done.open_scene(tmp_path / "scene.mrb")
    assert done.ui.inputSelector.currentNode().GetName() == "scan"
    assert column(done, NAME) == names and shown(done).threshold == pytest.approx(threshold)
    assert done.ui.regionsTable.item(0, KEEP).checkState().value == 0
    done.drag("thresholdSlider", 500)
    assert len(column(done, NAME)) == 2
