"""A result after saving and loading: whole scenes (.mrb) and the segmentation alone (.seg.nrrd)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.mrml import (
    NAME_TO_ESCAPE,
    StandaloneScene,
    Volume,
    add_transform,
    exported_labels,
    make_detection,
    node_ids,
    on_grid_of,
    slicer,
    surface_points,
    table_rows,
    terminology,
    voxels,
)
from support.raised import raises
from support.references import in_z_scores

from MedADLib.errors import InputError, OutputError
from MedADLib.results.colours import heat_colours, region_colour
from MedADLib.slicer.scene.display import legend_of
from MedADLib.slicer.scene.nodes import NODES, find_result
from MedADLib.slicer.scene.reading import read_detection
from MedADLib.slicer.scene.show import show_detection
from MedADLib.slicer.scene.volumes import node_affine


@pytest.fixture
def reloaded(standalone, tmp_path):
    """What was shown, the scene it was shown in, and its input's node in a scene loaded from the saved file."""
    detection = make_detection()
    node = standalone.add_volume(detection.volume)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(standalone.scene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "visit 1")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), folder)
    matrix = add_transform(standalone.scene, node)
    show_detection(detection, node, standalone.scene)
    standalone.save(tmp_path / "with result.mrb")
    assert [path.name for path in tmp_path.iterdir()] == ["with result.mrb"]
    loaded = StandaloneScene()
    loaded.load(tmp_path / "with result.mrb")
    return detection, matrix, loaded, loaded.scene.GetFirstNodeByName("head")


def test_a_saved_scene_brings_everything_back(reloaded):
    detection, matrix, loaded, node = reloaded
    result = find_result(node, loaded.scene)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(loaded.scene)
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
    assert hierarchy.GetItemName(folder) == "visit 1"
    for role in NODES:
        made = getattr(result, role)
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(made)) == folder, role
        assert made.GetAttribute("MedAD.input.name") == NAME_TO_ESCAPE
        assert json.loads(made.GetAttribute("MedAD.warnings")) == list(detection.warnings)
        if role != "table":
            assert made.GetTransformNodeID() == node.GetTransformNodeID() is not None, role
    for role in ("anomaly", "restored", "labels"):
        made = getattr(result, role)
        assert np.array_equal(voxels(made), on_grid_of(made, getattr(detection, role))), role
        assert np.abs(node_affine(made) - node_affine(node)).max() < 1e-9, role
    labels = exported_labels(result.segmentation, node, loaded.scene)
    assert np.array_equal(labels, on_grid_of(node, detection.labels))
    for row, region in zip(table_rows(result.table), detection.regions, strict=True):
        expected = (region.rank, region.peak, region.centroid_ras[2])
        # Slicer's table files hold six digits.
        assert (row["rank"], row["peak"], row["S"]) == pytest.approx(expected, rel=1e-5)
    assert not result.table.GetColumnUnitLabel("peak")
    assert result.body.GetPolyData().GetNumberOfPolys() > 100


def test_results_in_both_units_keep_them_in_a_saved_scene(standalone, tmp_path):
    for detection in (in_z_scores(make_detection(name="old")), make_detection(name="new")):
        show_detection(detection, standalone.add_volume(detection.volume), standalone.scene)
    standalone.save(tmp_path / "both.mrb")
    loaded = StandaloneScene()
    loaded.load(tmp_path / "both.mrb")
    nodes = (loaded.scene.GetFirstNodeByName(name) for name in ("old", "new"))
    old, new = (find_result(node, loaded.scene) for node in nodes)
    assert [read_detection(result).reference.unit for result in (old, new)] == ["z", "rarity"]
    assert [result.table.GetColumnUnitLabel("peak") or "" for result in (old, new)] == ["SD", ""]
    assert [result.anomaly.GetDisplayNode().GetWindowLevelMax() for result in (old, new)] == [10.0, 6.0]
    titles = [legend_of(result.anomaly).GetTitleText().split("\n")[0] for result in (old, new)]
    assert titles == ["z-score", "Rarity"]


def test_a_saved_scene_keeps_how_it_looks(reloaded):
    detection, _, loaded, node = reloaded
    result = find_result(node, loaded.scene)
    display = result.anomaly.GetDisplayNode()
    assert display.GetApplyThreshold() and display.GetLowerThreshold() == detection.threshold
    assert display.GetWindowLevelMin() == 0.0 and display.GetWindowLevelMax() == 6.0
    colours = np.zeros((256, 4))
    for index in range(256):
        display.GetColorNode().GetColor(index, colours[index])
    assert np.abs(colours - heat_colours()).max() < 0.01
    assert not result.segmentation.GetDisplayNode().GetVisibility2DFill()
    for region in detection.regions:
        segment = result.segmentation.GetSegmentation().GetSegment(f"Region_{region.rank}")
        assert segment.GetName() == f"Region {region.rank}"
        assert np.allclose(segment.GetColor(), region_colour(region.rank), atol=0.01)
        assert terminology(segment)[1] == "SCT^49755003^Morphologically Altered Structure"


def test_surfaces_can_be_made_again_in_place_after_loading(reloaded):
    detection, matrix, loaded, node = reloaded
    result = find_result(node, loaded.scene)
    assert result.segmentation.CreateClosedSurfaceRepresentation()
    for region in detection.regions:
        world = matrix @ [*region.centroid_ras, 1.0]
        assert np.linalg.norm(surface_points(result, region).mean(axis=0) - world[:3]) < 1.5


def test_a_run_after_loading_replaces_the_loaded_result(reloaded):
    _, _, loaded, node = reloaded
    before = node_ids(loaded.scene)
    other = make_detection(node_affine(node), blobs=((-9, 6, 8, 9.0, 6), (8, -7, -10, 6.0, 5), (10, 8, 6, 5.0, 4)))
    result = show_detection(other, node, loaded.scene)
    assert node_ids(loaded.scene) == before
    assert len(table_rows(result.table)) == 3
    assert np.array_equal(exported_labels(result.segmentation, node, loaded.scene), other.labels.array)


def test_two_saved_scenes_in_one_keep_their_results_apart(reloaded, tmp_path):
    detection, _, loaded, node = reloaded
    loaded.load(tmp_path / "with result.mrb")
    nodes = [found for found in loaded.scene.GetNodes() if found.GetName().startswith("head") and is_input(found)]
    assert len(nodes) == 2
    first, second = (find_result(found, loaded.scene) for found in nodes)
    assert first.anomaly is not second.anomaly and second.anomaly.GetNodeReference("MedAD.input") is nodes[1]


def is_input(node):
    return node.GetAttribute("MedAD.role") is None and node.IsA("vtkMRMLScalarVolumeNode")


def test_the_segmentation_file_holds_every_voxel_on_the_scans_grid(standalone, tmp_path):
    detection = make_detection()
    node = standalone.add_volume(detection.volume)
    add_transform(standalone.scene, node)
    result = show_detection(detection, node, standalone.scene)
    path = tmp_path / "regions.seg.nrrd"
    storage = standalone.scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    result.segmentation.SetAndObserveStorageNodeID(storage.GetID())
    assert storage.WriteData(result.segmentation)

    sitk = pytest.importorskip("SimpleITK")
    saved = Volume.from_sitk(sitk.ReadImage(str(path)))
    assert saved.same_grid(detection.volume, tolerance_mm=1e-6)
    assert np.array_equal(saved.array, detection.labels.array)

    other = StandaloneScene()
    segmentation = other.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    reader = other.scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    reader.SetFileName(str(path))
    assert reader.ReadData(segmentation)
    reference = other.add_volume(detection.volume)
    assert np.array_equal(exported_labels(segmentation, reference, other.scene), detection.labels.array)


def test_a_scene_that_cannot_be_written_or_read_states_it_and_leaves_nothing(standalone, tmp_path, capfd):
    with raises(OutputError, "not_written", path=str(tmp_path / "missing" / "scene.mrb")):
        standalone.save(tmp_path / "missing" / "scene.mrb")
    with raises(InputError, "scene_unreadable", path=str(tmp_path / "missing.mrb")):
        standalone.load(tmp_path / "missing.mrb")
    (tmp_path / "no scene.mrb").write_bytes(b"this is no zip file")
    with raises(InputError, "scene_unreadable", path=str(tmp_path / "no scene.mrb")):
        standalone.load(tmp_path / "no scene.mrb")
    assert "ERR|" in capfd.readouterr().err, "MRML itself must have complained of the broken file"
    assert [path.name for path in tmp_path.iterdir()] == ["no scene.mrb"]


def test_a_relative_path_works(standalone, tmp_path, monkeypatch):
    standalone.add_volume(make_detection().volume)
    monkeypatch.chdir(tmp_path)
    standalone.save("scene.mrb")
    other = StandaloneScene()
    other.load("scene.mrb")
    assert other.scene.GetFirstNodeByName("head") is not None
