"""A detection in a real MRML scene: right place, right voxels, right names, and what a second run does."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from support.mrml import (
    Volume,
    add_transform,
    exported_labels,
    make_detection,
    node_ids,
    open_edges,
    slicer,
    surface_points,
    table_rows,
    terminology,
    voxels,
)
from support.raised import raises
from support.references import in_z_scores
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData

from MedADLib.errors import InputError
from MedADLib.results.colours import heat_colours, region_colour
from MedADLib.slicer.scene import show as scene_module
from MedADLib.slicer.scene import viewing
from MedADLib.slicer.scene.display import heat_node, legend_of
from MedADLib.slicer.scene.nodes import NODES, find_result
from MedADLib.slicer.scene.reading import read_detection
from MedADLib.slicer.scene.show import jump_to, show_detection
from MedADLib.slicer.scene.undo import undo_detection
from MedADLib.slicer.scene.volumes import node_affine, volume_and_notes, volume_from_node

OTHER_BLOBS = ((-9, 6, 8, 9.0, 6), (8, -7, -10, 6.0, 5), (10, 8, 6, 5.0, 4))


def show(standalone, detection=None, transformed=False):
    detection = detection or make_detection()
    node = standalone.add_volume(detection.volume)
    matrix = add_transform(standalone.scene, node) if transformed else np.eye(4)
    return detection, node, show_detection(detection, node, standalone.scene), matrix


def made_nodes(result):
    return {role: getattr(result, role) for role in NODES}


def subject_hierarchy(standalone):
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(standalone.scene)


def test_reading_a_node_gives_its_voxels_its_type_and_its_place(standalone):
    volume = make_detection().volume
    node = standalone.add_volume(volume)
    read = volume_from_node(node)
    assert read.array.dtype == np.int16 and np.array_equal(read.array, volume.array)
    assert np.allclose(read.affine, volume.affine, atol=1e-9) and read.name == "head"
    node.GetImageData().GetPointData().GetScalars().Fill(0)
    assert np.array_equal(read.array, volume.array), "the copy must not follow the scene"


def test_reading_an_image_that_does_not_start_at_voxel_zero_keeps_its_place(standalone):
    volume = make_detection().volume
    node = standalone.add_volume(volume)
    x, y, z = node.GetImageData().GetDimensions()
    node.GetImageData().SetExtent(4, 3 + x, 5, 4 + y, 6, 5 + z)
    assert np.allclose(volume_from_node(node).affine[:, 3], volume.affine @ [4, 5, 6, 1])


def test_reading_refuses_what_is_not_a_scalar_image(standalone):
    add = standalone.scene.AddNewNodeByClass
    photo = add("vtkMRMLVectorVolumeNode", "photo")
    image = vtkImageData()
    image.SetDimensions(4, 4, 4)
    image.AllocateScalars(3, 3)
    photo.SetAndObserveImageData(image)
    with raises(InputError, "volume_with_components", name="photo", count=3):
        volume_from_node(photo)
    with raises(InputError, "no_volume"):
        volume_from_node(None)
    with raises(InputError, "volume_without_image", name="empty"):
        volume_from_node(add("vtkMRMLScalarVolumeNode", "empty"))
    array = np.zeros((3, 4, 5), dtype=np.float32)
    array[1, 2, 3] = np.nan
    with raises(InputError, "volume_not_finite", name="hole"):
        volume_from_node(standalone.add_volume(Volume(array, np.eye(4), "hole")))


def test_nan_around_the_head_is_background(standalone):
    detection = make_detection()
    scan = detection.volume.array.astype(np.float32)
    marked = np.where(scan == scan.min(), np.float32("nan"), scan)
    marked[0] = np.nan
    volume, notes = volume_and_notes(standalone.add_volume(detection.volume.with_array(marked)))
    assert np.array_equal(volume.array, np.where(np.isnan(marked), np.float32(min(np.nanmin(marked), 0)), scan))
    assert [note.code for note in notes] == ["scan_nan_background"]
    assert notes[0].parameters["share"] == pytest.approx(np.isnan(marked).mean())
    marked[5, 5, 5] = np.inf
    with raises(InputError, "volume_not_finite", name=volume.name):
        volume_and_notes(standalone.add_volume(detection.volume.with_array(marked)))


def test_volumes_have_the_voxels_and_the_place_of_the_detection(standalone):
    detection, _, result, _ = show(standalone)
    for role in ("anomaly", "restored", "labels"):
        node = getattr(result, role)
        assert np.array_equal(voxels(node), getattr(detection, role).array), role
        assert np.allclose(node_affine(node), detection.volume.affine, atol=1e-9), role


def test_everything_lies_beside_the_input_in_the_hierarchy_and_under_its_transform(standalone):
    detection = make_detection()
    node = standalone.add_volume(detection.volume)
    hierarchy = subject_hierarchy(standalone)
    study = hierarchy.CreateStudyItem(hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "someone"), "today")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), study)
    add_transform(standalone.scene, node)
    result = show_detection(detection, node, standalone.scene)
    for role, made in made_nodes(result).items():
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(made)) == study, role
        assert made.GetNodeReference("MedAD.input") is node, role
        if role != "table":
            assert made.GetTransformNodeID() == node.GetTransformNodeID(), role


def test_an_input_that_the_hierarchy_does_not_know_gets_its_place(standalone):
    detection = make_detection()
    node = standalone.add_volume(detection.volume)
    hierarchy = subject_hierarchy(standalone)
    hierarchy.RemoveItem(hierarchy.GetItemByDataNode(node), False, False)
    result = show_detection(detection, node, standalone.scene)
    items = [hierarchy.GetItemByDataNode(made) for made in (node, result.anomaly)]
    assert all(items) and hierarchy.GetItemParent(items[0]) == hierarchy.GetItemParent(items[1])


def test_segments_hold_exactly_the_voxels_of_their_regions(standalone):
    detection, node, result, _ = show(standalone, transformed=True)
    assert len(detection.regions) == 2
    kept = result.segmentation.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap").GetDimensions()
    assert np.prod(kept) < 0.5 * detection.labels.array.size, "only the part with regions is kept"
    assert np.array_equal(exported_labels(result.segmentation, node, standalone.scene), detection.labels.array)


def test_surfaces_lie_where_the_regions_are_in_the_world(standalone):
    detection, _, result, matrix = show(standalone, transformed=True)
    for region in detection.regions:
        points = surface_points(result, region)
        world = matrix @ [*region.centroid_ras, 1.0]
        assert np.linalg.norm((points.min(axis=0) + points.max(axis=0)) / 2 - world[:3]) < 1.5
        radius = (3 * 1000 * region.volume_ml / (4 * np.pi)) ** (1 / 3)
        assert np.linalg.norm(points - world[:3], axis=1).max() == pytest.approx(radius, abs=2.5)


@pytest.mark.parametrize("spacing_factor", [1.0, 0.4])
def test_the_examined_part_has_a_closed_surface_around_it(standalone, spacing_factor):
    detection = make_detection()
    if spacing_factor != 1.0:
        affine = detection.volume.affine.copy()
        affine[:3, :3] *= spacing_factor
        detection = make_detection(affine, blobs=((0, 0, 2, 9.0, 3),))
    *_, result, _ = show(standalone, detection, transformed=True)
    inside = detection.volume.ras_from_voxels(np.argwhere(detection.mask.array))
    points = vtk_to_numpy(result.body.GetPolyData().GetPoints().GetData())
    assert np.allclose(points.min(axis=0), inside.min(axis=0), atol=2.0)
    assert np.allclose(points.max(axis=0), inside.max(axis=0), atol=2.0)
    assert np.linalg.norm(points.mean(axis=0) - inside.mean(axis=0)) < 0.5, "not shifted by half a voxel"
    assert open_edges(result.body.GetPolyData()) == 0


def test_each_region_is_a_named_coloured_and_coded_segment(standalone):
    detection, _, result, _ = show(standalone)
    segmentation = result.segmentation.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == len(detection.regions) == 2
    for region in detection.regions:
        segment = segmentation.GetSegment(f"Region_{region.rank}")
        assert segment.GetName() == f"Region {region.rank}"
        assert np.allclose(segment.GetColor(), region_colour(region.rank), atol=0.01)
        parts = terminology(segment)
        assert parts[1] == parts[2] == "SCT^49755003^Morphologically Altered Structure" and len(parts) == 7
        assert segment.GetRepresentation("Closed surface").GetNumberOfPolys() > 0


def test_the_table_states_of_each_region_what_the_detection_states(standalone):
    detection, _, result, _ = show(standalone)
    rows = table_rows(result.table)
    assert len(rows) == len(detection.regions)
    for row, region in zip(rows, detection.regions, strict=True):
        assert (row["rank"], row["label"]) == (region.rank, region.label)
        for name in ("volume_ml", "peak", "mean", "p_value", "q_value"):
            assert row[name] == pytest.approx(getattr(region, name), rel=1e-12)
        assert (row["R"], row["A"], row["S"]) == pytest.approx(region.centroid_ras)
    assert result.table.GetColumnUnitLabel("volume_ml") == "mL"
    assert not result.table.GetColumnUnitLabel("peak") and "largest rarity" in result.table.GetColumnDescription("peak")


def test_the_overlay_shows_nothing_below_the_threshold(standalone):
    detection, _, result, _ = show(standalone)
    display = result.anomaly.GetDisplayNode()
    assert display.GetApplyThreshold() and display.GetLowerThreshold() == detection.threshold
    assert display.GetUpperThreshold() > detection.anomaly.array.max()
    assert display.GetWindowLevelMin() == 0.0
    colours = display.GetColorNode()
    assert colours.GetAttribute("MedAD.role") == "heat" and colours.GetNumberOfColors() == 256


@pytest.mark.parametrize("height", [4.0, 9.0, 977.0])
def test_a_rarity_has_the_same_colour_in_every_scan(standalone, height):
    *_, result, _ = show(standalone, make_detection(blobs=((-9, 6, 8, height, 6),)))
    display, legend = result.anomaly.GetDisplayNode(), legend_of(result.anomaly)
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0.0, 6.0)
    assert legend.GetTitleText().startswith("Rarity\n(3 = 1 healthy\nvoxel in 1,000)")
    assert legend.GetNumberOfLabels() == 7, "one at each whole number"


def test_a_result_in_z_scores_keeps_its_unit_and_its_scale_beside_one_in_rarity(standalone):
    *_, old, _ = show(standalone, in_z_scores(make_detection()))
    *_, new, _ = show(standalone)
    assert legend_of(old.anomaly).GetTitleText() == "z-score\n(SD above the\nhealthy mean)"
    assert legend_of(new.anomaly).GetTitleText().startswith("Rarity")
    assert old.anomaly.GetDisplayNode().GetWindowLevelMax() >= 8.9 and old.table.GetColumnUnitLabel("peak") == "SD"
    assert new.anomaly.GetDisplayNode().GetWindowLevelMax() == 6.0 and not new.table.GetColumnUnitLabel("peak")
    units = [read_detection(result).reference.unit for result in (old, new)]
    assert units == ["z", "rarity"]


def test_a_run_over_a_result_in_z_scores_changes_its_unit_and_undo_brings_it_back(standalone):
    detection, volume, old, _ = show(standalone, in_z_scores(make_detection()))
    result = show_detection(make_detection(), volume, standalone.scene)
    assert result.anomaly is old.anomaly and legend_of(old.anomaly).GetTitleText().startswith("Rarity")
    assert old.anomaly.GetDisplayNode().GetWindowLevelMax() == 6.0 and not old.table.GetColumnUnitLabel("peak")
    undo_detection(result)
    assert legend_of(old.anomaly).GetTitleText() == "z-score\n(SD above the\nhealthy mean)"
    assert old.table.GetColumnUnitLabel("peak") == "SD" and old.anomaly.GetDisplayNode().GetWindowLevelMax() >= 8.9


def test_a_scale_of_z_scores_ends_on_a_round_number_even_where_the_peak_is_extreme(standalone):
    detection = in_z_scores(make_detection(blobs=((-9, 6, 8, 977.0, 6),)))
    *_, result, _ = show(standalone, detection)
    top = result.anomaly.GetDisplayNode().GetWindowLevelMax()
    assert 2 * detection.threshold <= top <= 6 * detection.threshold
    assert top / 4 == pytest.approx(round(top / 4, 1))


def test_label_colours_equal_segment_colours(standalone):
    detection, _, result, _ = show(standalone)
    table = result.labels.GetDisplayNode().GetColorNode()
    for region in detection.regions:
        colour = np.zeros(4)
        table.GetColor(region.label, colour)
        assert np.allclose(colour[:3], region_colour(region.rank), atol=0.01)


def test_the_restored_volume_is_shown_in_the_inputs_grey_values(standalone):
    detection = make_detection()
    node = standalone.add_volume(detection.volume)
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(321.0, 123.0)
    display = show_detection(detection, node, standalone.scene).restored.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (321.0, 123.0)


def test_provenance_is_on_every_node(standalone):
    detection, _, result, _ = show(standalone)
    for role, node in made_nodes(result).items():
        assert node.GetAttribute("MedAD.role") == role
        assert node.GetAttribute("MedAD.model.name") == "brain-t1"
        assert node.GetAttribute("MedAD.model.sha256") == "ab" * 32
        assert node.GetAttribute("MedAD.method") == "atlas"
        assert json.loads(node.GetAttribute("MedAD.seed")) == 7
        assert json.loads(node.GetAttribute("MedAD.threshold")) == detection.threshold
        assert json.loads(node.GetAttribute("MedAD.score")) == detection.score
        assert json.loads(node.GetAttribute("MedAD.p_value")) == detection.p_value
        assert json.loads(node.GetAttribute("MedAD.healthy_count")) == 6
        assert json.loads(node.GetAttribute("MedAD.warnings")) == list(detection.warnings)
        assert node.GetAttribute("MedAD.time").endswith("+00:00")


def test_slice_views_get_the_layers_and_without_views_nothing_breaks(standalone):
    detection, node, result, _ = show(standalone)
    view = standalone.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    show_detection(detection, node, standalone.scene)
    assert view.GetBackgroundVolumeID() == node.GetID()
    assert view.GetForegroundVolumeID() == result.anomaly.GetID()
    assert 0.3 < view.GetForegroundOpacity() < 1.0


def test_jumping_goes_to_the_regions_place_in_the_world(standalone):
    detection, _, result, matrix = show(standalone, transformed=True)
    view = standalone.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    view.SetOrientationToAxial()
    region = detection.regions[1]
    expected = (matrix @ [*region.peak_ras, 1.0])[:3]
    assert np.allclose(jump_to(result, region, standalone.scene), expected)
    assert np.allclose([view.GetSliceToRAS().GetElement(row, 3) for row in range(3)], expected)


def test_a_scan_without_findings_gives_empty_results(standalone):
    _, _, result, _ = show(standalone, make_detection(blobs=()))
    assert result.segmentation.GetSegmentation().GetNumberOfSegments() == 0
    assert table_rows(result.table) == [] and not voxels(result.labels).any()
    assert result.anomaly.GetDisplayNode().GetLowerThreshold() == 3.0


def test_a_second_run_replaces_the_first(standalone):
    _, node, first, _ = show(standalone, transformed=True)
    before = node_ids(standalone.scene)
    other = dataclasses.replace(make_detection(blobs=OTHER_BLOBS), score=99.0, provenance={"seed": 8})
    second = show_detection(other, node, standalone.scene)
    assert node_ids(standalone.scene) == before
    for role, made in made_nodes(second).items():
        assert made is getattr(first, role)
        assert json.loads(made.GetAttribute("MedAD.score")) == 99.0
        assert made.GetAttribute("MedAD.model.name") is None, "nothing of the first run may stay"
    assert len(table_rows(second.table)) == second.segmentation.GetSegmentation().GetNumberOfSegments() == 3
    assert np.array_equal(voxels(second.anomaly), other.anomaly.array)
    assert np.array_equal(exported_labels(second.segmentation, node, standalone.scene), other.labels.array)
    display = second.segmentation.GetDisplayNode()
    assert all(display.GetSegmentVisibility(f"Region_{rank}") for rank in (1, 2, 3))


def test_a_second_run_follows_the_input_to_its_new_transform(standalone):
    detection, node, _, _ = show(standalone)
    matrix = add_transform(standalone.scene, node)
    result = show_detection(detection, node, standalone.scene)
    points = surface_points(result, detection.regions[0])
    world = matrix @ [*detection.regions[0].centroid_ras, 1.0]
    assert np.linalg.norm(points.mean(axis=0) - world[:3]) < 1.5


def test_a_second_run_keeps_what_the_user_changed(standalone):
    detection, node, result, _ = show(standalone)
    result.anomaly.SetName("my map")
    result.anomaly.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeIron")
    result.segmentation.GetDisplayNode().SetOpacity3D(0.3)
    result.body.GetDisplayNode().SetVisibility(False)
    result.restored.GetDisplayNode().SetWindowLevel(11.0, 5.0)
    show_detection(detection, node, standalone.scene)
    assert result.anomaly.GetName() == "my map"
    assert result.anomaly.GetDisplayNode().GetColorNodeID() == "vtkMRMLColorTableNodeIron"
    assert result.segmentation.GetDisplayNode().GetOpacity3D() == 0.3
    assert not result.body.GetDisplayNode().GetVisibility()
    assert result.restored.GetDisplayNode().GetWindow() == 11.0


def test_a_result_that_the_user_deleted_comes_back(standalone):
    detection, node, first, _ = show(standalone)
    standalone.scene.RemoveNode(first.table)
    assert find_result(node, standalone.scene) is None
    second = show_detection(detection, node, standalone.scene)
    assert second.table.GetID() in node_ids(standalone.scene) and second.anomaly is first.anomaly


def test_two_inputs_keep_their_own_results(standalone):
    left = show(standalone, make_detection(name="left"))
    right = show(standalone, make_detection(name="right", blobs=OTHER_BLOBS))
    assert not {node.GetID() for node in made_nodes(left[2]).values()} & {
        node.GetID() for node in made_nodes(right[2]).values()
    }
    assert (len(table_rows(left[2].table)), len(table_rows(right[2].table))) == (2, 3)
    show_detection(make_detection(name="left", blobs=()), left[1], standalone.scene)
    assert (len(table_rows(left[2].table)), len(table_rows(right[2].table))) == (0, 3)
    assert find_result(right[1], standalone.scene).table is right[2].table


@pytest.mark.parametrize("step", ["show_segments", "place_beside", "show_in_slices"])
def test_a_first_run_that_fails_leaves_nothing_behind(standalone, monkeypatch, step):
    detection = make_detection()
    node = standalone.add_volume(detection.volume)
    hierarchy = subject_hierarchy(standalone)
    items, before = hierarchy.GetNumberOfItems(), node_ids(standalone.scene)
    original = getattr(scene_module, step)

    def break_after(*arguments, **settings):
        original(*arguments, **settings)
        raise MemoryError("out of memory")

    monkeypatch.setattr(scene_module, step, break_after)
    with pytest.raises(MemoryError):
        show_detection(detection, node, standalone.scene)
    assert node_ids(standalone.scene) == before
    assert hierarchy.GetNumberOfItems() == items


def test_a_second_run_that_fails_leaves_the_first_result(standalone, monkeypatch):
    detection, node, result, _ = show(standalone, transformed=True)
    view = standalone.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    view.SetForegroundOpacity(0.123)
    standalone.scene.RemoveNode(result.table)
    before = node_ids(standalone.scene)
    original = viewing.show_in_slices

    def break_after(*arguments, **settings):
        original(*arguments, **settings)
        raise MemoryError("out of memory")

    monkeypatch.setattr(scene_module, "show_in_slices", break_after)
    other = dataclasses.replace(make_detection(blobs=OTHER_BLOBS, threshold=2.0), score=99.0)
    with pytest.raises(MemoryError):
        show_detection(other, node, standalone.scene)
    assert node_ids(standalone.scene) == before
    assert np.array_equal(voxels(result.anomaly), detection.anomaly.array)
    assert np.array_equal(exported_labels(result.segmentation, node, standalone.scene), detection.labels.array)
    assert result.anomaly.GetAttribute("MedAD.score") == "12.25"
    assert result.anomaly.GetDisplayNode().GetLowerThreshold() == 3.0
    assert result.anomaly.GetNodeReference("MedAD.input") is node
    assert view.GetForegroundOpacity() == 0.123 and view.GetForegroundVolumeID() is None


def test_a_volume_that_changed_or_went_away_meanwhile_is_refused(standalone):
    detection = make_detection()
    moved, cropped, gone = (standalone.add_volume(detection.volume) for _ in range(3))
    moved.SetOrigin(1.0, 2.0, 3.0)
    cropped.GetImageData().SetDimensions(5, 5, 5)
    standalone.scene.RemoveNode(gone)
    before = node_ids(standalone.scene)
    for node, code in ((moved, "scan_moved"), (cropped, "scan_moved"), (gone, "scan_gone")):
        with raises(InputError, code, name="head"):
            show_detection(detection, node, standalone.scene)
    assert node_ids(standalone.scene) == before


def test_the_heat_scale_gets_lighter_and_less_transparent_in_equal_steps():
    colours = heat_colours()
    linear = np.where(colours[:, :3] <= 0.04045, colours[:, :3] / 12.92, ((colours[:, :3] + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    steps = np.diff(lightness)
    assert (steps > 0).all() and steps.max() < 2.5 * steps.mean()
    assert colours[0, 3] == 0.0 and colours[-1, 3] == 1.0 and (np.diff(colours[:, 3]) >= 0).all()


def test_a_scene_of_a_version_with_other_colours_gets_the_present_ones(standalone):
    earlier = heat_node(standalone.scene)
    for index in range(256):
        earlier.SetColor(index, "pale", 1.0, 0.95, 0.6, 1.0)
    *_, result, _ = show(standalone)
    node = result.anomaly.GetDisplayNode().GetColorNode()
    top = [0.0] * 4
    node.GetColor(255, top)
    assert node is earlier and np.allclose(top, heat_colours()[-1], atol=0.01)


def test_region_outlines_stand_out_from_the_heat_scale():
    heat = heat_colours()[:, :3]
    for rank in (1, 2, 5, 50):
        assert np.linalg.norm(heat - region_colour(rank), axis=1).min() > 0.4
    assert len({region_colour(rank) for rank in range(1, 6)}) == 5
