"""A detection back from its nodes, in the same scene and in a saved one."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import vtk
from support.mrml import (
    StandaloneScene,
    add_transform,
    exported_labels,
    make_detection,
    no_mrml_errors,
    on_grid_of,
    slicer,
    standalone,
    straight_affine,
    surface_points,
    table_rows,
    voxels,
)
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.messages import Message
from MedADLib.slicer.scene.decisions import Decisions
from MedADLib.slicer.scene.export import send_to_segment_editor
from MedADLib.slicer.scene.live_threshold import LiveThreshold
from MedADLib.slicer.scene.nodes import find_result, to_world
from MedADLib.slicer.scene.reading import read_detection
from MedADLib.slicer.scene.show import jump_to, show_detection
from MedADLib.slicer.scene.volumes import image_from_array

__all__ = ["no_mrml_errors", "standalone"]

VOLUMES = ("volume", "mask", "anomaly", "restored", "labels")
NUMBERS = ("threshold", "expected_false_positive_ml", "score", "p_value", "healthy_count", "provenance", "warnings")


def shown(standalone, detection=None, transformed=True):
    detection = detection or make_detection()
    node = standalone.add_volume(detection.volume)
    if transformed:
        add_transform(standalone.scene, node)
    return detection, show_detection(detection, node, standalone.scene)


def reopened(standalone, path):
    standalone.save(path / "scene.mrb")
    loaded = StandaloneScene()
    loaded.load(path / "scene.mrb")
    return loaded, find_result(loaded.scene.GetFirstNodeByName("head"), loaded.scene)


def test_a_shown_detection_comes_back_whole(standalone):
    detection, result = shown(standalone)
    again = read_detection(result)
    for name in VOLUMES:
        volume, expected = getattr(again, name), getattr(detection, name)
        assert volume.array.dtype == expected.array.dtype and np.array_equal(volume.array, expected.array), name
        assert np.allclose(volume.affine, expected.affine, atol=1e-9), name
    for name in NUMBERS:
        assert getattr(again, name) == getattr(detection, name), name
    assert again.reference.as_json() == detection.reference.as_json()
    assert [r.rank for r in again.regions] == [r.rank for r in detection.regions]
    assert again.regions[0].centroid_ras == pytest.approx(detection.regions[0].centroid_ras)


@pytest.mark.parametrize("affine", [None, straight_affine()], ids=["left-handed", "right-handed"])
def test_a_saved_and_opened_scene_gives_the_detection_back(standalone, tmp_path, affine):
    detection, _ = shown(standalone, make_detection(affine))
    loaded, result = reopened(standalone, tmp_path)
    again = read_detection(result)
    for name in VOLUMES:
        assert np.array_equal(getattr(again, name).array, on_grid_of(result.anomaly, getattr(detection, name))), name
    for name in NUMBERS:
        assert getattr(again, name) == getattr(detection, name), name
    rows = table_rows(result.table)
    for region, expected, row in zip(again.regions, detection.regions, rows, strict=True):
        for name in ("rank", "label", "volume_ml", "peak", "mean", "p_value", "q_value"):
            assert getattr(region, name) == pytest.approx(getattr(expected, name), rel=1e-9), name
            assert row[name] == pytest.approx(getattr(region, name), rel=1e-5), name
        assert region.centroid_ras == pytest.approx(expected.centroid_ras)


def test_a_scan_without_regions_comes_back_too(standalone, tmp_path):
    shown(standalone, make_detection(blobs=()))
    loaded, result = reopened(standalone, tmp_path)
    again = read_detection(result)
    assert again.regions == () and not again.labels.array.any()


def test_small_regions_stay_left_out(standalone):
    detection = make_detection(blobs=((-9, 6, 8, 9.0, 6), (8, -7, -10, 3.2, 5)))
    large = detection.regions[0]
    provenance = {**detection.provenance, "settings": {"smallest_region_ml": large.volume_ml}}
    labels = np.where(detection.labels.array == 1, 1, 0).astype(np.int16)
    kept = (dataclasses.replace(large, q_value=large.p_value),)
    changes = {"labels": detection.labels.with_array(labels), "regions": kept, "provenance": provenance}
    _, result = shown(standalone, dataclasses.replace(detection, **changes))
    assert [region.volume_ml for region in read_detection(result).regions] == [large.volume_ml]


def test_a_missing_node_is_named():
    for role in ("input", "anomaly", "mask", "table", "body"):
        standalone = StandaloneScene()
        _, result = shown(standalone)
        standalone.scene.RemoveNode(getattr(result, role))
        with raises(InputError, "result_node_gone", role=role):
            read_detection(result)


def test_edited_results_are_refused(standalone):
    _, result = shown(standalone)
    voxels(result.labels)[3, 4, 5] = 9
    with raises(InputError, "result_edited", name="head"):
        read_detection(result)
    _, result = shown(standalone, make_detection())
    voxels(result.anomaly)[voxels(result.labels) == 1] = 0
    with raises(InputError, "result_edited", name="head"):
        read_detection(result)


def test_a_moved_part_and_a_cropped_input_are_refused(standalone):
    _, result = shown(standalone)
    result.restored.SetOrigin(1.0, 2.0, 3.0)
    with raises(InputError, "result_off_grid", name="head restored", scan="head"):
        read_detection(result)
    _, result = shown(standalone)
    result.input.SetAndObserveImageData(image_from_array(voxels(result.input)[1:].copy()))
    with raises(InputError, "result_off_grid", scan="head"):
        read_detection(result)


def test_attributes_that_are_gone_or_garbled_are_reported(standalone):
    _, result = shown(standalone)
    for name in (f"MedAD.{entry}" for entry in ("reference", "provenance", "threshold", "warnings")):
        before = result.anomaly.GetAttribute(name)
        for value in (None, "", "nonsense", "[[1]"):
            result.anomaly.SetAttribute(name, value)
            with raises(InputError, "result_record_damaged", name="head anomaly"):
                read_detection(result)
        result.anomaly.SetAttribute(name, "{}")
        if name != "MedAD.provenance":
            with raises(InputError, "result_record_damaged", name="head anomaly"):
                read_detection(result)
        result.anomaly.SetAttribute(name, before)
        read_detection(result)


def test_warnings_come_back_with_their_codes(standalone, tmp_path):
    known = Message("scan_moved", name="head")
    detection = dataclasses.replace(make_detection(), warnings=("a text", known))
    _, result = shown(standalone, detection)
    assert result.anomaly.GetAttribute("MedAD.warnings") == json.dumps(["a text", str(known)])
    stored = [None, {"code": "scan_moved", "parameters": {"name": "head"}}]
    assert json.loads(result.anomaly.GetAttribute("MedAD.warning_codes")) == stored
    _, result = reopened(standalone, tmp_path)
    text, message = read_detection(result).warnings
    assert (text, message) == ("a text", known) and message.code == "scan_moved" and not isinstance(text, Message)


def test_scenes_without_codes_of_warnings_give_the_texts(standalone):
    """As those of earlier and of later versions."""
    _, result = shown(standalone, dataclasses.replace(make_detection(), warnings=("of another version",)))
    for codes in (None, "", "nonsense", "{}", "[]", "[null]", '[{"code": "of a newer MedAD"}]'):
        result.anomaly.SetAttribute("MedAD.warning_codes", codes)
        assert read_detection(result).warnings == ("of another version",), codes


def test_two_scans_come_back_each_with_its_own(standalone, tmp_path):
    first, _ = shown(standalone, make_detection())
    second = make_detection(name="other", blobs=((-9, 6, 8, 7.0, 6),))
    shown(standalone, second)
    standalone.save(tmp_path / "scene.mrb")
    loaded = StandaloneScene()
    loaded.load(tmp_path / "scene.mrb")
    for name, expected in (("head", first), ("other", second)):
        node = loaded.scene.GetFirstNodeByName(name)
        again = read_detection(find_result(node, loaded.scene))
        assert [r.peak for r in again.regions] == [r.peak for r in expected.regions]


def test_under_a_transform_that_bends_everything_stays_in_place(standalone, tmp_path):
    detection = make_detection()
    node = standalone.add_volume(detection.volume)
    bend(standalone.scene, node)
    result = show_detection(detection, node, standalone.scene)
    middle = detection.regions[0].peak_ras
    world = to_world(node).TransformPoint(middle)
    assert np.linalg.norm(np.subtract(world, middle)) > 3
    assert np.linalg.norm(surface_points(result, detection.regions[0]).mean(axis=0) - world) < 1.5
    assert jump_to(result, detection.regions[0], standalone.scene) == pytest.approx(world)
    live = LiveThreshold(result, read_detection(result))
    moved = live.set(0.1)
    assert live.finish()
    assert np.linalg.norm(surface_points(result, moved.regions[0]).mean(axis=0) - world) < 1.5
    copy = send_to_segment_editor(moved, Decisions(result, moved), result, standalone.scene)
    assert np.array_equal(exported_labels(copy, node, standalone.scene), moved.labels.array)
    loaded, again = reopened(standalone, tmp_path)
    assert [region.peak for region in read_detection(again).regions] == [region.peak for region in moved.regions]
    labels = exported_labels(again.segmentation, again.input, loaded.scene)
    assert np.array_equal(labels, read_detection(again).labels.array)


def bend(scene, node):
    """Put a node under a transform that moves its places by several mm, each otherwise."""
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    here, there = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        place = (np.array(corner) - 0.5) * 60
        here.InsertNextPoint(place)
        there.InsertNextPoint(place + 5 * np.sin(place[::-1] / 17) + 4)
    spline.SetSourceLandmarks(here)
    spline.SetTargetLandmarks(there)
    grid = vtk.vtkTransformToGrid()
    grid.SetInput(spline)
    grid.SetGridOrigin(-60, -60, -60)
    grid.SetGridSpacing(5, 5, 5)
    grid.SetGridExtent(0, 24, 0, 24, 0, 24)
    grid.SetGridScalarTypeToDouble()
    grid.Update()
    field = slicer.vtkOrientedGridTransform()
    field.SetDisplacementGridData(grid.GetOutput())
    bent = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "warp")
    bent.SetAndObserveTransformFromParent(field)
    node.SetAndObserveTransformNodeID(bent.GetID())
