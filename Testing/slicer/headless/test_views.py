"""Real Slicer views off screen: changes in the image after changes in the scene."""

from __future__ import annotations

import dataclasses

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
)
from support.raised import raises

from MedADLib.errors import OutputError
from MedADLib.slicer.headless.render import GAP, draw_views, render_views
from MedADLib.slicer.headless.views import SliceView, look_at
from MedADLib.slicer.scene.nodes import find_result, to_world
from MedADLib.slicer.scene.show import show_detection

__all__ = ["no_mrml_errors", "standalone"]

SIZE = (604, 504)
VIEWS = {"axial": (0, 0), "space": (0, 1), "coronal": (1, 0), "sagittal": (1, 1)}
SLICES = ("axial", "coronal", "sagittal")
RIGHT_FRONT_TOP = (11.0, 8.0, 6.0, 9.0, 7.0)


def shown(standalone, blobs=(RIGHT_FRONT_TOP,), transformed=False, affine=None):
    detection = make_detection(straight_affine() if affine is None else affine, blobs=blobs)
    node = standalone.add_volume(detection.volume)
    if transformed:
        add_transform(standalone.scene, node)
    return detection, show_detection(detection, node, standalone.scene)


def draw(standalone, detection, result):
    centre = detection.regions[0].centroid_ras if detection.regions else (0.0, 0.0, 0.0)
    return draw_views(standalone, result, centre, SIZE)


def part(rendered, view):
    """One of the four views, without the writing at its edges."""
    row, column = VIEWS[view]
    width, height = (SIZE[0] - GAP) // 2, (SIZE[1] - GAP) // 2
    top, left = row * (SIZE[1] - height), column * (SIZE[0] - width)
    return rendered[top : top + height, left : left + width].astype(int)[24:-24, 24:-48]


def changed(before, after, view):
    return np.abs(part(before, view) - part(after, view)).max(axis=-1) > 20


def middle(mask):
    """Mean row and column of the True pixels as fractions of the image."""
    return np.argwhere(mask).mean(axis=0) / mask.shape


def no_overlay(image_of, result):
    result.anomaly.GetDisplayNode().SetThreshold(1e6, 2e6)
    rendered = image_of()
    result.anomaly.GetDisplayNode().SetThreshold(3.0, 1e6)
    return rendered


@pytest.mark.parametrize("transformed", [False, True])
def test_the_overlay_is_seen_in_every_slice(standalone, transformed):
    detection, result = shown(standalone, transformed=transformed)
    result.segmentation.GetDisplayNode().SetVisibility(False)
    with_overlay = draw(standalone, detection, result)
    without = no_overlay(lambda: draw(standalone, detection, result), result)
    for view in SLICES:
        spot = changed(with_overlay, without, view)
        assert 0.005 < spot.mean() < 0.2, view
        red, _, blue = part(with_overlay, view)[spot].mean(axis=0)
        assert red > blue + 40, view


def test_an_overlay_of_no_opacity_is_noticed(standalone):
    """The teeth of the test above: its measure must be 0 where nothing is to be seen."""
    detection, result = shown(standalone)
    result.segmentation.GetDisplayNode().SetVisibility(False)
    for index in range(256):
        result.anomaly.GetDisplayNode().GetColorNode().SetOpacity(index, 0.0)
    invisible = draw(standalone, detection, result)
    without = no_overlay(lambda: draw(standalone, detection, result), result)
    assert not any(changed(invisible, without, view).any() for view in SLICES)


def test_outlines_are_seen_in_every_slice_and_surfaces_in_space(standalone):
    detection, result = shown(standalone)
    with_regions = draw(standalone, detection, result)
    result.segmentation.GetDisplayNode().SetVisibility(False)
    without = draw(standalone, detection, result)
    for view in SLICES:
        outline = changed(with_regions, without, view)
        assert 30 < outline.sum() < 0.05 * outline.size, view
        red, green, blue = part(with_regions, view)[outline].mean(axis=0)
        assert min(green, blue) > red + 40, view
    assert changed(with_regions, without, "space").mean() > 0.01


def test_the_examined_part_is_seen_in_space_only(standalone):
    detection, result = shown(standalone)
    with_body = draw(standalone, detection, result)
    result.body.GetDisplayNode().SetVisibility(False)
    without = draw(standalone, detection, result)
    body = np.abs(part(with_body, "space") - part(without, "space")).max(axis=-1) > 5
    assert body.mean() > 0.15
    assert not any(changed(with_body, without, view).any() for view in SLICES)


def test_right_is_on_the_left_and_front_and_top_are_up(standalone):
    detection, result = shown(standalone)
    rendered = draw(standalone, detection, result)
    without = no_overlay(lambda: draw(standalone, detection, result), result)
    row, column = middle(changed(rendered, without, "axial"))
    assert row < 0.45 and column < 0.45
    row, column = middle(changed(rendered, without, "coronal"))
    assert row < 0.45 and column < 0.45
    row, column = middle(changed(rendered, without, "sagittal"))
    assert row < 0.45 and column < 0.45, "front is on the left, as Slicer has it"


def test_a_round_head_on_an_anisotropic_grid_is_drawn_round_and_whole(standalone):
    detection, result = shown(standalone)
    rendered = draw(standalone, detection, result)
    for view in SLICES:
        inside = part(rendered, view).mean(axis=-1) > 15
        rows, columns = np.flatnonzero(inside[:, 5:-5].mean(axis=1) > 0.1), np.flatnonzero(inside.mean(axis=0) > 0.1)
        height, width = np.ptp(rows), np.ptp(columns)
        assert height == pytest.approx(width, rel=0.15), view
        assert height > 0.4 * inside.shape[0], view


def test_a_long_body_fills_wide_views(standalone):
    detection = make_detection(straight_affine(), blobs=())
    places = np.abs(detection.volume.ras_from_voxels(np.indices(detection.volume.array.shape).reshape(3, -1).T))
    inside = (places < (20.0, 4.0, 4.0)).all(axis=1).reshape(detection.volume.array.shape)
    detection = dataclasses.replace(
        detection,
        volume=detection.volume.with_array(inside * np.float32(100)),
        mask=detection.mask.with_array(inside.astype(np.uint8)),
    )
    node = standalone.add_volume(detection.volume)
    result = show_detection(detection, node, standalone.scene)
    rendered = draw_views(standalone, result, (0.0, 0.0, 0.0), (804, 404))
    beside_the_crosshair = rendered[104, :400].mean(axis=-1) > 100
    assert 0.75 < beside_the_crosshair.mean() < 0.95


def test_the_top_region_is_under_the_crosshair(standalone):
    detection, result = shown(standalone, blobs=(RIGHT_FRONT_TOP, (-9, -6, -8, 6.0, 6)), transformed=True)
    result.segmentation.GetDisplayNode().SetVisibility(False)
    rendered = draw(standalone, detection, result)
    without = no_overlay(lambda: draw(standalone, detection, result), result)
    world = to_world(result.input).TransformPoint(detection.regions[0].centroid_ras)
    crosshair = standalone.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    assert np.allclose(crosshair.GetCrosshairRAS(), world)
    for view in SLICES:
        spot = changed(rendered, without, view)
        pixels = part(rendered, view)
        yellow = (pixels[..., 0] > 180) & (pixels[..., 1] > 150) & (pixels[..., 2] < 110) & ~spot
        row, column = yellow.mean(axis=1).argmax(), yellow.mean(axis=0).argmax()
        assert spot[max(row - 2, 0) : row + 3].any() and spot[:, max(column - 2, 0) : column + 3].any(), view


def test_the_colours_have_a_legend(standalone):
    detection, result = shown(standalone)
    with_legend = draw(standalone, detection, result)
    legend = standalone.scene.GetFirstNodeByClass("vtkMRMLColorLegendDisplayNode")
    assert legend.GetTitleText() == "Rarity\n(3 = 1 healthy\nvoxel in 1,000)\ntop: 6 or more"
    legend.SetVisibility(False)
    without = draw(standalone, detection, result)
    height, width = (SIZE[1] - GAP) // 2, (SIZE[0] - GAP) // 2
    differing = np.abs(with_legend.astype(int) - without).max(axis=-1) > 20
    assert differing[:height, :width].sum() > 200 and not differing[height:].any() and not differing[:, width:].any()


def test_a_view_that_was_there_before_gets_layers_and_legend(standalone):
    """As in Slicer, where views are older than results."""
    detection = make_detection(straight_affine(), blobs=(RIGHT_FRONT_TOP,))
    node = standalone.add_volume(detection.volume)
    view = SliceView(standalone, "Red", "Axial", (300, 250), legend=True)
    look_at(view.node, view.window.GetSize(), (0, 0, 0), detection.regions[0].centroid_ras, 0.3)
    result = show_detection(detection, node, standalone.scene)
    everything = view.pixels().astype(int)
    standalone.scene.GetFirstNodeByClass("vtkMRMLColorLegendDisplayNode").SetVisibility(False)
    assert (np.abs(everything - view.pixels()) > 20).any(axis=-1).sum() > 200
    without = no_overlay(view.pixels, result)
    # The overlay begins at the threshold.
    assert (np.abs(everything - without) > 20).any(axis=-1).mean() > 0.005
    view.close()


def test_drawing_twice_gives_the_same_image_and_adds_no_nodes(standalone):
    detection, result = shown(standalone)
    first = draw(standalone, detection, result)
    before = node_ids(standalone.scene)
    assert np.array_equal(draw(standalone, detection, result), first)
    assert node_ids(standalone.scene) == before
    names = {node.GetName() for node in standalone.scene.GetNodes() if node.IsA("vtkMRMLSliceNode")}
    assert names == {"Red", "Green", "Yellow"}, "the views of a Slicer scene, so that it opens in place"


def test_a_scan_without_findings_and_one_without_examined_part_can_be_drawn(standalone):
    detection, result = shown(standalone, blobs=())
    assert part(draw(standalone, detection, result), "axial").max() > 100
    result.body.GetPolyData().Initialize()
    assert part(draw(standalone, detection, result), "axial").max() > 100


def test_the_image_is_written_whole_or_not_at_all(standalone, tmp_path):
    from matplotlib.image import imread

    detection, result = shown(standalone)
    path = tmp_path / "views.png"
    render_views(standalone, result, detection.regions[0].centroid_ras, path, SIZE)
    assert np.array_equal(np.round(imread(path)[..., :3] * 255), draw(standalone, detection, result))
    missing = tmp_path / "missing" / "views.png"
    with raises(OutputError, "not_written", path=str(missing)):
        render_views(standalone, result, (0, 0, 0), missing, SIZE)
    assert [found.name for found in tmp_path.iterdir()] == ["views.png"]


def test_a_loaded_scene_can_be_drawn_and_looks_as_it_did(standalone, tmp_path):
    detection, result = shown(standalone)
    first = draw(standalone, detection, result)
    standalone.save(tmp_path / "scene.mrb")
    loaded = StandaloneScene()
    loaded.load(tmp_path / "scene.mrb")
    again = draw(loaded, detection, find_result(loaded.scene.GetFirstNodeByName("head"), loaded.scene))
    for view in VIEWS:
        assert changed(first, again, view).mean() < 0.01, view
