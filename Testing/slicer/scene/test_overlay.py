"""The overlay without rejected regions: what the views draw, while the map of the result stays whole."""

from __future__ import annotations

import numpy as np
import pytest
from support.mrml import (
    StandaloneScene,
    add_transform,
    make_detection,
    no_mrml_errors,
    node_ids,
    standalone,
    straight_affine,
    voxels,
)

from MedADLib.slicer.headless.views import SliceView, look_at
from MedADLib.slicer.scene.decisions import Decisions
from MedADLib.slicer.scene.live_threshold import LiveThreshold
from MedADLib.slicer.scene.nodes import find_derived, find_result
from MedADLib.slicer.scene.overlay import KEPT, overlay_node
from MedADLib.slicer.scene.reading import read_detection
from MedADLib.slicer.scene.show import jump_to, show_detection
from MedADLib.slicer.scene.undo import undo_detection
from MedADLib.slicer.scene.viewing import show

__all__ = ["no_mrml_errors", "standalone"]

SIZE = (200, 200)


@pytest.fixture
def seen(standalone):
    """A view of a result with two regions."""
    view = SliceView(standalone, "Red", "Axial", SIZE)
    detection = make_detection(straight_affine())
    result = show_detection(detection, standalone.add_volume(detection.volume), standalone.scene)
    yield view, detection, result
    view.close()


def heat(view, result, region) -> int:
    """How many pixels of the view through the peak of a region are in colours of the heat scale."""
    point = jump_to(result, region, result.input.GetScene())
    look_at(view.node, view.window.GetSize(), point, point, 0.1)
    red, _, blue = (view.pixels()[..., channel].astype(int) for channel in range(3))
    return int((red - blue > 60).sum())


def foreground(scene):
    return scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode").GetForegroundVolumeID()


def test_a_rejected_region_does_not_light_up_and_the_other_one_still_does(seen):
    view, detection, result = seen
    first, second = detection.regions
    before = heat(view, result, first), heat(view, result, second)
    assert min(before) > 200
    whole = voxels(result.anomaly).copy()
    Decisions(result, detection).keep(first, False)
    assert heat(view, result, first) == 0 and heat(view, result, second) == before[1]
    assert np.array_equal(voxels(result.anomaly), whole), "the map itself stays whole"
    assert read_detection(result).regions == detection.regions
    Decisions(result, detection).keep(first, True)
    assert heat(view, result, first) == before[0]


def test_the_overlay_can_be_hidden_and_shown_again_without_the_rejected_region(standalone, seen):
    view, detection, result = seen
    Decisions(result, detection).keep(detection.regions[0], False)
    show(result, standalone.scene, "scan")
    show(result, standalone.scene, "anomaly")
    assert heat(view, result, detection.regions[0]) == 0 < heat(view, result, detection.regions[1])
    assert foreground(standalone.scene) == find_derived(result.input, KEPT, standalone.scene).GetID()


def test_without_a_rejected_region_there_is_no_second_map(standalone, seen):
    _, detection, result = seen
    before = node_ids(standalone.scene)
    decisions = Decisions(result, detection)
    decisions.rename(detection.regions[0], "cyst")
    decisions.show_all()
    assert node_ids(standalone.scene) == before and overlay_node(result, standalone.scene) is result.anomaly
    decisions.keep(detection.regions[0], False)
    decisions.keep(detection.regions[0], True)
    assert foreground(standalone.scene) == result.anomaly.GetID()
    assert find_derived(result.input, KEPT, standalone.scene).GetImageData() is result.anomaly.GetImageData()


def test_a_moved_threshold_takes_the_rejected_region_along(standalone, seen):
    view, detection, result = seen
    Decisions(result, detection).keep(detection.regions[0], False)
    live = LiveThreshold(result, detection)
    moved = live.set(10.0)
    kept = find_derived(result.input, KEPT, standalone.scene)
    assert kept.GetDisplayNode().GetLowerThreshold() == moved.threshold == 2.0
    assert not voxels(kept)[moved.labels.array == 1].any() and voxels(kept)[moved.labels.array == 2].all()
    assert heat(view, result, moved.regions[0]) == 0 < heat(view, result, moved.regions[1])


def test_the_copy_lies_where_the_map_lies(standalone):
    detection = make_detection()
    node = standalone.add_volume(detection.volume)
    add_transform(standalone.scene, node)
    result = show_detection(detection, node, standalone.scene)
    Decisions(result, detection).keep(detection.regions[0], False)
    copy = find_derived(node, KEPT, standalone.scene)
    bounds = [[0.0] * 6, [0.0] * 6]
    copy.GetRASBounds(bounds[0])
    result.anomaly.GetRASBounds(bounds[1])
    assert bounds[0] == pytest.approx(bounds[1])
    node.SetAndObserveTransformNodeID(None)
    assert overlay_node(result, standalone.scene) is copy and copy.GetTransformNodeID() is None


def test_a_saved_scene_shows_the_same_and_later_changes_too(standalone, seen, tmp_path):
    _, detection, result = seen
    Decisions(result, detection).keep(detection.regions[0], False)
    standalone.save(tmp_path / "scene.mrb")
    loaded = StandaloneScene()
    loaded.load(tmp_path / "scene.mrb")
    again = find_result(loaded.scene.GetFirstNodeByName("head"), loaded.scene)
    copy = find_derived(again.input, KEPT, loaded.scene)
    assert foreground(loaded.scene) == copy.GetID() and not voxels(copy)[voxels(again.labels) == 1].any()
    decisions = Decisions(again, read_detection(again))
    decisions.show_overlay()
    assert overlay_node(again, loaded.scene) is copy and not voxels(copy)[voxels(again.labels) == 1].any()
    decisions.keep(read_detection(again).regions[0], True)
    assert foreground(loaded.scene) == again.anomaly.GetID()


def test_a_new_run_shows_its_whole_map_and_undo_the_former_overlay(standalone, seen):
    view, detection, result = seen
    Decisions(result, detection).keep(detection.regions[0], False)
    other = make_detection(straight_affine(), blobs=((-9, 6, 8, 8.0, 6), (8, -7, -10, 6.0, 5)))
    result = show_detection(other, result.input, standalone.scene)
    assert min(heat(view, result, region) for region in other.regions) > 200
    undo_detection(result)
    assert heat(view, result, detection.regions[0]) == 0 < heat(view, result, detection.regions[1])
    assert foreground(standalone.scene) == overlay_node(result, standalone.scene).GetID() != result.anomaly.GetID()


def test_undo_of_the_only_run_leaves_no_copy(standalone):
    detection = make_detection()
    node = standalone.add_volume(detection.volume)
    before = node_ids(standalone.scene)
    result = show_detection(detection, node, standalone.scene)
    Decisions(result, detection).keep(detection.regions[0], False)
    undo_detection(result)
    assert node_ids(standalone.scene) == before


def test_undo_of_a_run_with_rejections_shows_the_former_whole_map(standalone, seen):
    view, detection, result = seen
    other = make_detection(straight_affine(), blobs=((-9, 6, 8, 8.0, 6), (8, -7, -10, 6.0, 5)))
    result = show_detection(other, result.input, standalone.scene)
    Decisions(result, other).keep(other.regions[0], False)
    undo_detection(result)
    assert find_derived(result.input, KEPT, standalone.scene) is None
    assert min(heat(view, result, region) for region in detection.regions) > 200
