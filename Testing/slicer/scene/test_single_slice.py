"""The result of a 2-D model in a MRML scene."""

from __future__ import annotations

import numpy as np
import pytest
from support.mrml import StandaloneScene, exported_labels, on_grid_of, slicer, voxels
from support.phantoms import one_thread  # noqa: F401
from support.radiograph_phantoms import coronal, radiograph, toy_plane_model

from MedADLib import detect, load_model
from MedADLib.preprocessing.input_check import inspect
from MedADLib.slicer.scene.live_threshold import LiveThreshold
from MedADLib.slicer.scene.nodes import find_result
from MedADLib.slicer.scene.reading import read_detection
from MedADLib.slicer.scene.show import show_detection
from MedADLib.slicer.scene.volumes import volume_from_node
from MedADLib.volume import Volume

__all__ = ["slicer"]


@pytest.mark.parametrize("thickness", [0.8, 5.0])
def test_a_single_slice_is_shown_changed_saved_and_recalled(standalone, tmp_path, one_thread, thickness):  # noqa: F811
    scan = radiograph(120, lesion=(0.45, 0.2))
    scan = Volume(scan.array, coronal(thickness=thickness), "chest")
    detection = detect(scan, load_model(toy_plane_model()))
    assert detection.regions
    node = standalone.add_volume(scan)
    result = show_detection(detection, node, standalone.scene)
    shown = exported_labels(result.segmentation, node, standalone.scene)
    assert np.array_equal(shown > 0, detection.labels.array > 0)
    live = LiveThreshold(result, read_detection(result))
    fewer = live.set(live.false_positive_ml / 2)
    assert np.array_equal(voxels(result.labels), fewer.labels.array)
    standalone.save(tmp_path / "chest.mrb")
    loaded = StandaloneScene()
    loaded.load(tmp_path / "chest.mrb")
    again = find_result(loaded.scene.GetFirstNodeByName("chest"), loaded.scene)
    assert np.array_equal(voxels(again.labels), on_grid_of(again.labels, fewer.labels))
    assert read_detection(again).threshold == fewer.threshold and read_detection(again).score == detection.score


@pytest.mark.parametrize("name, physical", [("chest.png", False), ("CHEST.JPG", False), ("chest.nrrd", True)])
def test_a_slice_from_a_png_has_no_spacing(standalone, name, physical):
    node = standalone.add_volume(radiograph(120))
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(f"/scans/{name}")
    standalone.scene.AddNode(storage)
    node.SetAndObserveStorageNodeID(storage.GetID())
    volume = volume_from_node(node)
    assert (volume.has_spacing, volume.has_orientation) == (physical, physical)
    assert inspect(volume).facts[0].endswith("88 × 72 pixels") != physical
