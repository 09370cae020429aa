"""The swipe in a slice view: each side is exactly what the whole view shows of the scan or of its restoration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.mrml import add_transform, make_detection, no_mrml_errors, oblique_affine, straight_affine

from MedADLib.browser.views import Stage
from MedADLib.slicer.headless.swipe import Swipe
from MedADLib.slicer.headless.views import SliceView, body_box, look_at

__all__ = ["no_mrml_errors"]

SIZE = (300, 240)
BLOBS = ((6.0, 4.0, 0.0, 9.0, 8.0), (-6.0, -5.0, 0.0, 7.0, 8.0))
ANOMALY = 0.6


@pytest.fixture(params=["straight", "oblique", "transformed"])
def stage(request):
    detection = make_detection(oblique_affine() if request.param == "oblique" else straight_affine(), blobs=BLOBS)
    other = detection.volume.array[::-1, :, ::-1].copy() + np.float32(20)
    stage = Stage()
    stage.show(replace(detection, restored=detection.restored.with_array(other)))
    if request.param == "transformed":
        add_transform(stage.standalone.scene, stage.result.input)
        for node in stage.result.nodes().values():
            if node.IsA("vtkMRMLTransformableNode"):
                node.SetAndObserveTransformNodeID(stage.result.input.GetTransformNodeID())
    stage.detection = detection
    return stage


@pytest.fixture
def view(stage):
    stage.look(0.0, ANOMALY, True)
    view = SliceView(stage.standalone, "Red", "Axial", SIZE)
    centre, _ = body_box(stage.result)
    look_at(view.node, view.window.GetSize(), centre, centre, 0.25)
    stage.look(0.0, ANOMALY, True)
    yield view
    view.close()


def sides(stage, view, swipe, part, anomaly=ANOMALY):
    """The view with the line, and the whole scan and the whole restoration in the same place."""
    swipe.look(stage.result, 1.0, anomaly)
    whole = []
    for restored in (0.0, 1.0):
        stage.look(restored, anomaly, True)
        whole.append(view.pixels().astype(int))
    stage.look(0.0, anomaly, True)
    swipe.look(stage.result, part, anomaly)
    return view.pixels().astype(int), *whole


def check(picture, scan, restored, column):
    assert np.array_equal(picture[:, :column], scan[:, :column])
    assert np.array_equal(picture[:, column + 1 :], restored[:, column + 1 :])
    assert (picture[:, column] == 255).mean() > 0.8, "the line, but where an outline crosses it"


def swipe_of(stage, view):
    return Swipe(view.renderer, view.node, stage.standalone.application)


def test_the_scan_is_on_the_left_and_its_restoration_on_the_right(stage, view):
    swipe = swipe_of(stage, view)
    for part in (0.2, 0.5, 0.8):
        picture, scan, restored = sides(stage, view, swipe, part)
        check(picture, scan, restored, round(part * SIZE[0]))
        assert (np.abs(scan - restored) > 5).mean() > 0.05, "the test has teeth"


def test_it_follows_slice_zoom_shift_and_direction(stage, view):
    swipe = swipe_of(stage, view)
    swipe.look(stage.result, 0.5, ANOMALY)
    view.pixels()
    node, (right, front, up) = view.node, body_box(stage.result)[0]
    for move in (
        lambda: node.SetSliceOffset(up + 3.0),
        lambda: look_at(view.node, view.window.GetSize(), (right + 3.0, front - 2.0, up), (right, front, up), 0.12),
        lambda: node.SetOrientation("Sagittal"),
    ):
        move()
        # Made before the move, not anew for the comparison.
        before = view.pixels().astype(int)
        picture, scan, restored = sides(stage, view, swipe, 0.5)
        assert np.array_equal(before, picture)
        check(picture, scan, restored, SIZE[0] // 2)


def test_overlay_and_outlines_are_the_same_on_both_sides(stage, view):
    swipe = swipe_of(stage, view)
    stage.look(0.0, ANOMALY, True)
    swipe.look(stage.result, 0.0, ANOMALY)
    everything = view.pixels().astype(int)
    swipe.look(stage.result, 0.0, 0.0)
    no_map = view.pixels().astype(int)
    swipe.look(stage.result, 0.0, ANOMALY)
    stage.look(0.0, ANOMALY, False)
    no_outlines = view.pixels().astype(int)
    assert (np.abs(everything - no_map) > 30).any(axis=-1).mean() > 0.005
    assert 20 < (np.abs(everything - no_outlines) > 30).any(axis=-1).sum() < 0.1 * SIZE[0] * SIZE[1]


def test_it_follows_the_threshold(stage, view):
    swipe = swipe_of(stage, view)
    swipe.look(stage.result, 0.0, ANOMALY)
    before = view.pixels().astype(int)
    stage.result.anomaly.GetDisplayNode().SetThreshold(1e6, 2e6)
    assert (np.abs(view.pixels() - before) > 30).any(axis=-1).mean() > 0.005


def test_at_the_right_edge_there_is_nothing_of_it(stage, view):
    swipe = swipe_of(stage, view)
    picture, scan, _ = sides(stage, view, swipe, 0.3)
    swipe.look(stage.result, 1.0, ANOMALY)
    assert np.array_equal(view.pixels(), scan) and not np.array_equal(picture, scan)


def test_another_result_takes_the_place_of_the_one_before(stage, view):
    swipe = swipe_of(stage, view)
    swipe.look(stage.result, 0.5, ANOMALY)
    view.pixels()
    other = stage.detection.restored.with_array(stage.detection.volume.array[:, ::-1].copy())
    stage.show(replace(stage.detection, restored=other))
    picture, scan, restored = sides(stage, view, swipe, 0.5)
    check(picture, scan, restored, SIZE[0] // 2)
