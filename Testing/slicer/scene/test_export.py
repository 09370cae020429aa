"""Accepted regions handed to the Segment Editor and written to files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from support.mrml import (
    StandaloneScene,
    add_transform,
    exported_labels,
    make_detection,
    no_mrml_errors,
    node_ids,
    on_grid_of,
    slicer,
    standalone,
    terminology,
    voxels,
)
from support.raised import raises

from MedADLib.errors import InputError, OutputError
from MedADLib.io.reading import read_image
from MedADLib.results.colours import region_colour
from MedADLib.results.decisions import Decision, accepted
from MedADLib.results.writing import RESULT_SUFFIXES, write_detection
from MedADLib.scoring.regions import find_regions
from MedADLib.slicer.scene.decisions import Decisions
from MedADLib.slicer.scene.export import export, send_to_segment_editor
from MedADLib.slicer.scene.live_threshold import LiveThreshold
from MedADLib.slicer.scene.nodes import find_result
from MedADLib.slicer.scene.show import show_detection

__all__ = ["no_mrml_errors", "standalone"]

BLOBS = ((-9, 6, 8, 9.0, 6), (9, 1, -10, 6.0, 4), (9, -9, 8, 5.0, 4))


@pytest.fixture
def shown(standalone):
    detection = make_detection(blobs=BLOBS)
    node = standalone.add_volume(detection.volume)
    add_transform(standalone.scene, node)
    result = show_detection(detection, node, standalone.scene)
    decisions = Decisions(result, detection)
    decisions.rename(detection.regions[0], "vor dem Ventrikel: é")
    decisions.keep(detection.regions[1], False)
    return detection, decisions, result


def accepted_labels(detection):
    return np.where(detection.labels.array == 2, 0, detection.labels.array)


def test_the_copy_is_an_ordinary_segmentation_of_the_accepted_regions(standalone, shown):
    detection, decisions, result = shown
    result.segmentation.GetSegmentation().GetSegment("Region_3").SetName("renamed elsewhere")
    result.segmentation.GetSegmentation().GetSegment("Region_3").SetColor(0.25, 0.5, 0.75)
    node = send_to_segment_editor(detection, decisions, result, standalone.scene)
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetNthSegment(number) for number in range(segmentation.GetNumberOfSegments())]
    assert [segment.GetName() for segment in segments] == ["vor dem Ventrikel: é", "renamed elsewhere"]
    assert np.allclose(segments[0].GetColor(), region_colour(1), atol=0.01)
    assert segments[1].GetColor() == (0.25, 0.5, 0.75)
    assert all(terminology(segment)[1].startswith("SCT^49755003") for segment in segments)
    labels = exported_labels(node, result.input, standalone.scene)
    assert np.array_equal(labels, np.where(detection.labels.array == 3, 2, detection.labels.array == 1))
    assert node.GetAttribute("MedAD.role") is None
    assert node.GetTransformNodeID() == result.input.GetTransformNodeID()
    assert node.GetNodeReferenceID("referenceImageGeometryRef") == result.input.GetID()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(standalone.scene)
    parents = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(made)) for made in (node, result.input)}
    assert len(parents) == 1


def test_the_copy_does_not_change_any_more(standalone, shown, tmp_path):
    detection, decisions, result = shown
    node = send_to_segment_editor(detection, decisions, result, standalone.scene)
    before = exported_labels(node, result.input, standalone.scene)
    LiveThreshold(result, detection).set(0.0)
    decisions.keep(detection.regions[0], False)
    show_detection(make_detection(blobs=()), result.input, standalone.scene)
    assert np.array_equal(exported_labels(node, result.input, standalone.scene), before)
    assert node.GetSegmentation().GetNumberOfSegments() == 2
    standalone.save(tmp_path / "scene.mrb")
    loaded = StandaloneScene()
    loaded.load(tmp_path / "scene.mrb")
    again = loaded.scene.GetFirstNodeByName("head kept regions")
    head = loaded.scene.GetFirstNodeByName("head")
    expected = on_grid_of(head, detection.volume.with_array(before))
    assert np.array_equal(exported_labels(again, head, loaded.scene), expected)


def test_a_second_copy_has_a_name_of_its_own(standalone, shown):
    detection, decisions, result = shown
    names = [send_to_segment_editor(detection, decisions, result, standalone.scene).GetName() for _ in range(2)]
    assert names[0] == "head kept regions" and names[1] != names[0]


def test_nothing_accepted_and_no_scan_are_reported_without_a_trace(standalone, shown):
    detection, decisions, result = shown
    for region in detection.regions:
        decisions.keep(region, False)
    before = node_ids(standalone.scene)
    with raises(InputError, "no_region_kept"):
        send_to_segment_editor(detection, decisions, result, standalone.scene)
    assert node_ids(standalone.scene) == before
    decisions.keep(detection.regions[0], True)
    standalone.scene.RemoveNode(result.input)
    with raises(InputError, "scan_gone", name="head"):
        send_to_segment_editor(detection, decisions, result, standalone.scene)


def test_files_hold_the_accepted_regions_with_names_and_say_what_was_rejected(shown, tmp_path):
    detection, _, result = shown
    files = export(result, tmp_path / "new", "head: T1/2")
    assert sorted(path.name for path in files) == sorted(f"head_ T1_2{suffix}" for suffix in RESULT_SUFFIXES)
    labels = read_image(files[2])
    assert labels.same_grid(detection.volume) and np.array_equal(labels.array, accepted_labels(detection))
    assert [line.split("\t")[0] for line in files[4].read_text("utf-8").splitlines()] == ["rank", "1", "3"]
    facts = json.loads(files[5].read_text("utf-8"))
    assert [region["rank"] for region in facts["regions"]] == [1, 3]
    assert [region["rank"] for region in facts["rejected"]] == [2]
    assert facts["names"] == {"1": "vor dem Ventrikel: é"} and facts["seed"] == 7

    other = StandaloneScene()
    node = other.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    reader = other.scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    reader.SetFileName(str(files[3]))
    assert reader.ReadData(node)
    assert node.GetSegmentation().GetSegmentIDs() == ("Region_1", "Region_3")
    assert node.GetSegmentation().GetSegment("Region_1").GetName() == "vor dem Ventrikel: é"


def test_an_export_after_moving_the_threshold_has_the_regions_of_that(shown, tmp_path):
    detection, _, result = shown
    live = LiveThreshold(result, detection)
    moved = live.set(0.001)
    files = export(result, tmp_path, "head")
    facts = json.loads(files[5].read_text("utf-8"))
    assert facts["threshold"] == moved.threshold == 5.0
    assert [region["rank"] for region in facts["regions"]] == [1] and len(facts["rejected"]) == 1


def test_an_export_from_an_opened_scene_equals_that_before(standalone, shown, tmp_path):
    detection, _, result = shown
    standalone.save(tmp_path / "scene.mrb")
    loaded = StandaloneScene()
    loaded.load(tmp_path / "scene.mrb")
    again = find_result(loaded.scene.GetFirstNodeByName("head"), loaded.scene)
    files = export(again, tmp_path, "head")
    expected = detection.labels.with_array(accepted_labels(detection))
    assert np.array_equal(read_image(files[2]).array, on_grid_of(again.labels, expected))


def test_files_of_somebody_else_and_edited_results_stop_the_export(shown, tmp_path):
    _, _, result = shown
    (tmp_path / "head.json").write_text('{"EchoTime": 0.003}')
    with raises(OutputError, "not_our_file", path=str(tmp_path / "head.json")):
        export(result, tmp_path, "head")
    voxels(result.labels)[0, 0, 0] = 3
    with raises(InputError, "result_edited", name="head"):
        export(result, tmp_path / "new", "head")
    assert [path.name for path in tmp_path.iterdir()] == ["head.json"]


def test_without_a_reader_nothing_is_rejected_and_facts_do_not_speak_of_it(tmp_path):
    write_detection(make_detection(blobs=BLOBS), tmp_path, "case", figure=False)
    facts = json.loads((tmp_path / "case.json").read_text("utf-8"))
    assert len(facts["regions"]) == 3 and "rejected" not in facts and "names" not in facts
    decisions = {2: Decision(True, "Region 2"), 7: Decision(False, "of another scan")}
    write_detection(make_detection(blobs=BLOBS), tmp_path, "case", figure=False, decisions=decisions)
    facts = json.loads((tmp_path / "case.json").read_text("utf-8"))
    assert len(facts["regions"]) == 3 and facts["rejected"] == [] and facts["names"] == {}


def test_a_rejected_region_takes_no_voxel_of_another_one_inside_its_box():
    detection = make_detection(blobs=BLOBS)
    anomaly = np.zeros_like(detection.anomaly.array)
    anomaly[4, 4:12, 4] = anomaly[4, 4, 4:12] = 9.0
    anomaly[4, 8:11, 8:11] = 5.0
    labels, regions = find_regions(detection.anomaly.with_array(anomaly), 3.0, lambda peak: 0.1, 0.0)
    assert len(regions) == 2
    detection = replace(detection, labels=detection.labels.with_array(labels), regions=regions)
    left = accepted(detection, {1: Decision(False, "Region 1")})
    assert [region.rank for region in left.regions] == [2]
    assert np.array_equal(left.labels.array, np.where(labels == 2, 2, 0))
