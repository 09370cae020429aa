"""Taking a run back, by MedAD and by Slicer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.mrml import (
    add_transform,
    exported_labels,
    make_detection,
    no_mrml_errors,
    node_ids,
    slicer,
    standalone,
    table_rows,
    voxels,
)
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.slicer.scene.decisions import Decisions
from MedADLib.slicer.scene.live_threshold import LiveThreshold
from MedADLib.slicer.scene.nodes import find_derived, find_result
from MedADLib.slicer.scene.reading import read_detection
from MedADLib.slicer.scene.residual import RESIDUAL, residual_node
from MedADLib.slicer.scene.show import show_detection
from MedADLib.slicer.scene.undo import can_undo, forget, undo_detection

__all__ = ["no_mrml_errors", "standalone"]

OTHER_BLOBS = ((-9, 6, 8, 7.0, 6), (8, -7, -10, 6.0, 5), (10, 8, 6, 5.0, 4))


@pytest.fixture
def scan(standalone):
    node = standalone.add_volume(make_detection().volume)
    add_transform(standalone.scene, node)
    return node


def hierarchy_items(scene):
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene).GetNumberOfItems()


def test_the_first_run_leaves_no_trace(standalone, scan):
    view = standalone.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    view.SetBackgroundVolumeID(scan.GetID())
    view.SetForegroundOpacity(0.25)
    before, items = node_ids(standalone.scene), hierarchy_items(standalone.scene)
    result = show_detection(make_detection(), scan, standalone.scene)
    assert view.GetForegroundVolumeID() == result.anomaly.GetID()
    residual_node(result, standalone.scene)
    undo_detection(result)
    assert node_ids(standalone.scene) == before
    assert hierarchy_items(standalone.scene) == items
    assert find_result(scan, standalone.scene) is None and find_derived(scan, RESIDUAL, standalone.scene) is None
    assert view.GetBackgroundVolumeID() == scan.GetID() and view.GetForegroundVolumeID() is None
    assert view.GetForegroundOpacity() == 0.25


def test_the_former_result_comes_back_as_it_was_left(standalone, scan):
    first = make_detection()
    result = show_detection(first, scan, standalone.scene)
    live = LiveThreshold(result, first)
    moved = live.set(0.1)
    live.finish()
    Decisions(result, moved).rename(moved.regions[0], "mine")
    Decisions(result, moved).keep(moved.regions[1], False)
    former = residual_node(result, standalone.scene)
    difference = voxels(former).copy()
    view = standalone.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    view.SetForegroundVolumeID(result.restored.GetID())
    before, labels = node_ids(standalone.scene), voxels(result.labels).copy()

    other = make_detection(blobs=OTHER_BLOBS)
    other = dataclasses.replace(other, restored=other.restored.with_array(other.restored.array + 50))
    assert show_detection(other, scan, standalone.scene).anomaly is result.anomaly
    LiveThreshold(result, other).set(10.0)
    assert not np.array_equal(voxels(residual_node(result, standalone.scene)), difference)
    undo_detection(result)

    assert node_ids(standalone.scene) == before
    again = read_detection(result)
    assert again.threshold == moved.threshold == 4.0 and len(again.regions) == len(moved.regions) == 2
    assert np.array_equal(voxels(result.labels), labels)
    assert np.array_equal(voxels(former), difference)
    decisions = Decisions(result, again)
    assert decisions.of(again.regions[0]).name == "mine" and not decisions.of(again.regions[1]).kept
    assert not result.segmentation.GetDisplayNode().GetSegmentVisibility("Region_2")
    assert result.segmentation.GetSegmentation().GetSegment("Region_1").GetName() == "mine"
    assert np.array_equal(exported_labels(result.segmentation, scan, standalone.scene), labels)
    assert view.GetForegroundVolumeID() == result.restored.GetID()
    assert [row["rank"] for row in table_rows(result.table)] == [1, 2]
    assert LiveThreshold(result, again).set(0.5).threshold == 3.0


def test_only_the_last_run_can_be_taken_back(standalone, scan):
    result = show_detection(make_detection(), scan, standalone.scene)
    show_detection(make_detection(blobs=()), scan, standalone.scene)
    assert can_undo(result)
    undo_detection(result)
    assert not can_undo(result)
    with raises(InputError, "nothing_to_undo"):
        undo_detection(result)


def test_other_scans_keep_their_results_and_colours(standalone, scan):
    first = show_detection(make_detection(), scan, standalone.scene)
    detection = make_detection(name="other", blobs=OTHER_BLOBS)
    second = show_detection(detection, standalone.add_volume(detection.volume), standalone.scene)
    mine = standalone.scene.AddNewNodeByClass("vtkMRMLModelNode", "made later by the user")
    undo_detection(first)
    assert find_result(scan, standalone.scene) is None and standalone.scene.IsNodePresent(mine)
    assert second.anomaly.GetDisplayNode().GetColorNode().GetAttribute("MedAD.role") == "heat"
    assert [region.peak for region in read_detection(second).regions] == [region.peak for region in detection.regions]
    undo_detection(second)
    assert find_result(second.input, standalone.scene) is None


def test_a_closed_scene_and_deleted_nodes_do_no_harm(standalone, scan):
    result = show_detection(make_detection(), scan, standalone.scene)
    standalone.scene.RemoveNode(result.table)
    standalone.scene.RemoveNode(result.anomaly)
    undo_detection(result)
    assert not standalone.scene.IsNodePresent(result.segmentation)
    result = show_detection(make_detection(), scan, standalone.scene)
    standalone.scene.Clear(0)
    assert not can_undo(result)
    with pytest.raises(InputError):
        undo_detection(result)
    forget()


def test_slicers_own_undo_after_a_run_breaks_nothing(standalone, scan):
    scene = standalone.scene
    for node in scene.GetNodes():
        node.SetUndoEnabled(True)
    for name in ("vtkMRMLScalarVolumeNode", "vtkMRMLLabelMapVolumeNode", "vtkMRMLSegmentationNode",
                 "vtkMRMLTableNode", "vtkMRMLModelNode"):  # fmt: skip
        default = scene.CreateNodeByClass(name)
        default.SetUndoEnabled(True)
        scene.AddDefaultNode(default)
        default.UnRegister(None)
    scene.SetUndoOn()
    scene.SaveStateForUndo()
    detection = make_detection()
    result = show_detection(detection, scan, scene)
    scene.Undo()
    scene.Redo()
    found = find_result(scan, scene)
    if found is not None:
        LiveThreshold(found, read_detection(found)).set(0.1)
    result = show_detection(detection, scan, scene)
    live = LiveThreshold(result, detection)
    scene.SaveStateForUndo()
    live.set(10.0)
    scene.Undo()
    result = show_detection(detection, scan, scene)
    assert [region.peak for region in read_detection(result).regions] == [region.peak for region in detection.regions]
    assert np.array_equal(exported_labels(result.segmentation, scan, scene), detection.labels.array)
    undo_detection(result)
    scene.SetUndoOff()
