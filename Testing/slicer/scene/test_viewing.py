"""What slice views are told to show of a result."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.mrml import add_transform, make_detection, no_mrml_errors, node_ids, standalone, voxels
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.slicer.scene.residual import residual_node
from MedADLib.slicer.scene.show import show_detection
from MedADLib.slicer.scene.viewing import OVERLAY_OPACITY, WHATS, cross_fade, set_opacity, show, show_3d

__all__ = ["no_mrml_errors", "standalone"]


@pytest.fixture
def shown(standalone):
    detection = make_detection()
    node = standalone.add_volume(detection.volume)
    add_transform(standalone.scene, node)
    view = standalone.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    return detection, show_detection(detection, node, standalone.scene), view


def layers(view):
    return view.GetBackgroundVolumeID(), view.GetForegroundVolumeID(), view.GetForegroundOpacity()


def test_each_part_lies_over_the_scan(standalone, shown):
    _, result, view = shown
    scan, outlines = result.input.GetID(), result.segmentation.GetDisplayNode()
    show(result, standalone.scene, "restored")
    assert layers(view) == (scan, result.restored.GetID(), 1.0) and not outlines.GetVisibility2D()
    show(result, standalone.scene, "scan")
    assert layers(view)[:2] == (scan, None) and not outlines.GetVisibility2D()
    displays = [node.GetDisplayNode() for node in (result.segmentation, result.body)]
    assert not any(display.GetVisibility() for display in displays)
    show(result, standalone.scene, "residual")
    assert layers(view) == (scan, residual_node(result, standalone.scene).GetID(), OVERLAY_OPACITY)
    assert outlines.GetVisibility2D() and all(display.GetVisibility() for display in displays)
    show(result, standalone.scene, "anomaly")
    assert layers(view) == (scan, result.anomaly.GetID(), OVERLAY_OPACITY) and outlines.GetVisibility2D()
    with raises(InputError, "no_such_view", what="nonsense", choices=", ".join(WHATS)):
        show(result, standalone.scene, "nonsense")


def test_fading_from_the_scan_to_its_restoration(standalone, shown):
    _, result, view = shown
    for part, opacity in ((0.0, 0.0), (0.3, 0.3), (1.0, 1.0), (7.0, 1.0), (-1.0, 0.0)):
        cross_fade(result, standalone.scene, part)
        assert layers(view) == (result.input.GetID(), result.restored.GetID(), opacity)
    set_opacity(result, standalone.scene, 0.5)
    assert layers(view)[2] == 0.0, "the overlay's opacity is not that of the restoration"


def test_opacity_is_that_of_the_overlay_and_of_this_scan_only(standalone, shown):
    _, result, view = shown
    set_opacity(result, standalone.scene, 0.4)
    assert layers(view)[2] == 0.4
    other = make_detection(name="other")
    second = show_detection(other, standalone.add_volume(other.volume), standalone.scene)
    set_opacity(result, standalone.scene, 0.1)
    assert layers(view)[1:] == (second.anomaly.GetID(), OVERLAY_OPACITY)
    set_opacity(second, standalone.scene, 0.2)
    assert layers(view)[2] == 0.2


def test_regions_of_another_scan_step_aside_and_come_back_as_they_were(standalone, shown):
    _, first, _ = shown
    other = make_detection(name="other")
    first.body.GetDisplayNode().SetVisibility(False)
    second = show_detection(other, standalone.add_volume(other.volume), standalone.scene)

    def seen():
        return [node.GetDisplayNode().GetVisibility() for r in (first, second) for node in (r.segmentation, r.body)]

    assert seen() == [0, 0, 1, 1]
    show(first, standalone.scene, "anomaly")
    assert seen() == [1, 0, 0, 0]
    show(second, standalone.scene, "scan")
    assert seen() == [0, 0, 0, 0]
    cross_fade(second, standalone.scene, 0.5)
    assert seen() == [0, 0, 1, 1]


def test_the_3d_view_can_be_emptied_and_filled(shown):
    _, result, _ = shown
    for on in (False, True):
        show_3d(result, on)
        assert result.segmentation.GetDisplayNode().GetVisibility3D() == on
        assert result.body.GetDisplayNode().GetVisibility3D() == on
    assert result.segmentation.GetDisplayNode().GetVisibility2D()


def test_the_difference_is_signed_and_lies_in_the_examined_part_only(standalone, shown):
    detection, result, _ = shown
    node = residual_node(result, standalone.scene)
    expected = (detection.volume.array - detection.restored.array) * (detection.mask.array != 0)
    assert np.allclose(voxels(node), expected, atol=1e-3)
    assert node.GetTransformNodeID() == result.input.GetTransformNodeID()
    display = node.GetDisplayNode()
    assert display.GetWindowLevelMin() == -display.GetWindowLevelMax() < 0
    colours = display.GetColorNode()
    colour = np.zeros((3, 4))
    for row, index in enumerate((0, 128, 255)):
        colours.GetColor(index, colour[row])
    assert colour[0, 2] > colour[0, 0] and colour[2, 0] > colour[2, 2] and colour[1, 3] == 0.0
    before = node_ids(standalone.scene)
    assert residual_node(result, standalone.scene) is node and node_ids(standalone.scene) == before


def test_a_run_renews_the_difference(standalone, shown):
    _, result, _ = shown
    node = residual_node(result, standalone.scene)
    other = make_detection(blobs=())
    other = dataclasses.replace(other, restored=other.restored.with_array(other.restored.array + 100))
    show_detection(other, result.input, standalone.scene)
    assert voxels(node)[13, 17, 15] == pytest.approx(
        voxels(result.input)[13, 17, 15] - other.restored.array[13, 17, 15], abs=1e-3
    )


def test_results_follow_their_scan_to_a_new_transform(standalone, shown):
    _, result, _ = shown
    add_transform(standalone.scene, result.input, degrees=(1.0, 2.0, 3.0))
    show(result, standalone.scene, "anomaly")
    for role in ("anomaly", "restored", "labels", "segmentation", "body", "mask"):
        assert getattr(result, role).GetTransformNodeID() == result.input.GetTransformNodeID(), role


@pytest.mark.parametrize("role", ["input", "anomaly", "restored", "segmentation", "body"])
def test_deleted_nodes_and_closed_scenes_do_no_harm(standalone, shown, role):
    _, result, _ = shown
    standalone.scene.RemoveNode(getattr(result, role))
    for closed in (False, True):
        if closed:
            standalone.scene.Clear(0)
        for what in WHATS:
            show(result, standalone.scene, what)
        cross_fade(result, standalone.scene, 0.5)
        set_opacity(result, standalone.scene, 0.5)
        show_3d(result, False)
