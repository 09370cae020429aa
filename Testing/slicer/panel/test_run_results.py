"""The result of a run from the panel or from a script: where it lies, what limits it, and who sees it."""

from __future__ import annotations

import numpy as np
from fake_slicer import FakeSlicer
from fake_slicer.panel_fixtures import (
    app,
    catch_up,
    column,
    overlay,
    own_home,
    panel,
    planted_installer,
    results,
    run,
    scan,
    slice_centre,
    slicer,
    stub_client,
)
from support.mrml import add_transform, oblique_affine, voxels
from support.synthetic import brain_volume

__all__ = ["app", "own_home", "panel", "planted_installer", "stub_client"]

NAME = 1


def test_the_result_lies_on_a_scan_under_a_turned_transform(panel):
    matrix = add_transform(panel.scene, panel.scan)
    run(panel)
    detection = panel.widget.panel.result_panel.detection
    expected = matrix @ [*detection.regions[0].peak_ras, 1.0]
    assert np.allclose(slice_centre(panel), expected[:3], atol=1.0)
    for node in results(panel):
        if node.IsA("vtkMRMLTransformableNode"):
            assert node.GetTransformNodeID() == panel.scan.GetTransformNodeID()


def test_a_scan_of_thick_oblique_slices(app):
    shape, spacing = (22, 48, 44), (3.5, 3.5, 6.5)
    app.load_volume(brain_volume(shape, spacing, oblique_affine(shape, spacing), "thick"))
    app.open_module("MedAD")
    run(app)
    shown = app.widget.panel._shown
    assert voxels(shown.labels).max() == 2
    detection = app.widget.panel.result_panel.detection
    assert np.allclose(slice_centre(app), detection.regions[0].peak_ras, atol=1.0)


def test_undo_of_slicer_itself_after_a_run_breaks_nothing(panel):
    panel.scene.SetUndoOn()
    panel.scene.SaveStateForUndo()
    run(panel)
    panel.scene.Undo()
    catch_up(panel)
    run(panel)
    assert len(column(panel, NAME)) == 2


def test_without_a_main_window_everything_works(tmp_path, planted_installer, stub_client):
    (tmp_path / "slicer").mkdir()
    with FakeSlicer(tmp_path / "slicer", without_layout_manager=True) as headless:
        headless.load_volume(scan())
        headless.open_module("MedAD")
        run(headless)
        headless.drag("thresholdSlider", 950)
        assert len(column(headless, NAME)) == 3


def test_scripts_get_the_same_without_the_panel(panel):
    logic = slicer.util.getModuleLogic("MedAD")
    heard = []
    wishes = {"threshold": "10ml", "progress": lambda *said: heard.append(said)}
    result = logic.process(panel.scan, model="brain-t1", waitForCompletion=True, **wishes)
    assert result.table.GetNumberOfRows() == 3 and overlay(panel)[1] is result.anomaly
    assert heard and heard[0][1] <= heard[-1][1] <= 1


def test_what_a_script_finds_is_shown_in_the_open_panel(panel):
    panel.widget.logic.process(panel.scan)

    def the_result_is_shown():
        return column(panel, NAME) == ["Region 1", "Region 2"]

    panel.wait(the_result_is_shown, 3)
    assert panel.ui.resultSection.visible


def test_a_mask_from_a_segmentation_limits_the_search(panel):
    half = np.zeros(voxels(panel.scan).shape, dtype=np.uint8)
    half[:, :, :20] = 1
    node = panel.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "left half")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(panel.scan)
    identifier = node.GetSegmentation().AddEmptySegment("half")
    slicer.util.updateSegmentBinaryLabelmapFromArray(half, node, identifier, panel.scan)
    panel.select_node("maskSelector", node)
    run(panel)
    anomaly = voxels(panel.widget.panel._shown.anomaly)
    assert anomaly[:, :, :20].max() > 3 and anomaly[:, :, 20:].max() == 0
