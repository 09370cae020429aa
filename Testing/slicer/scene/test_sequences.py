"""Sequences: every frame is read without moving the browser, and scrubbing shows each frame with its own result."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from support.mrml import (
    StandaloneScene,
    add_transform,
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
from MedADLib.slicer.scene import sequences
from MedADLib.slicer.scene.live_threshold import LiveThreshold
from MedADLib.slicer.scene.nodes import NODES, find_result
from MedADLib.slicer.scene.reading import read_detection
from MedADLib.slicer.scene.sequences import follow_frame, frames_of, show_sequence
from MedADLib.slicer.scene.show import show_detection
from MedADLib.slicer.scene.undo import can_undo, undo_detection
from MedADLib.slicer.scene.volumes import image_from_array, matrix_from_array

__all__ = ["no_mrml_errors", "standalone"]

FRAMES = 4


@dataclass
class Cine:
    """A sequence in a scene: frame n has n regions, except that frame 0 has three."""

    scene: slicer.vtkMRMLScene
    browser: slicer.vtkMRMLSequenceBrowserNode
    volume: slicer.vtkMRMLScalarVolumeNode
    detections: dict

    def show(self):
        return show_sequence(self.detections, self.volume, self.browser, self.scene)

    def check(self, result, number: int) -> None:
        """Scrub to a frame and compare all that is shown with its detection."""
        self.browser.SetSelectedItemNumber(number)
        detection = self.detections[number]
        assert np.array_equal(voxels(self.volume), detection.volume.array)
        for role in ("anomaly", "restored", "labels", "mask"):
            assert np.array_equal(voxels(getattr(result, role)), getattr(detection, role).array), role
        assert result.segmentation.GetSegmentation().GetNumberOfSegments() == len(detection.regions)
        assert [row["rank"] for row in table_rows(result.table)] == [region.rank for region in detection.regions]
        for node in result.nodes().values():
            assert json.loads(node.GetAttribute("MedAD.score")) == detection.score
            assert node.GetNodeReferenceID("MedAD.input") == self.volume.GetID()
        found = read_detection(result)
        assert (found.score, found.threshold) == (detection.score, detection.threshold)
        assert [region.peak for region in found.regions] == [region.peak for region in detection.regions]


def blobs(number: int):
    places = ((-9, 6, 8, 9.0, 6), (8, -7, -10, 6.0, 5), (0, 9, -9, 7.0 + number, 5))
    return places[: number or 3]


def frame_detection(number: int):
    affine = np.diag([1.5, 1.0, 2.5, 1.0])
    affine[:3, 3] = (-20.0, -17.0, -32.0)
    made = make_detection(affine, blobs(number))
    array = (made.volume.array + 10 * number).astype(np.int16)
    return replace(made, volume=made.volume.with_array(array), score=10.0 + number)


def make_cine(standalone: StandaloneScene, name: str = "cine") -> Cine:
    scene, detections = standalone.scene, {number: frame_detection(number) for number in range(FRAMES)}
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("s")
    for number, detection in detections.items():
        node = slicer.vtkMRMLScalarVolumeNode()
        node.SetIJKToRASMatrix(matrix_from_array(detection.volume.affine))
        node.SetAndObserveImageData(image_from_array(detection.volume.array))
        sequence.SetDataNodeAtValue(node, f"{0.5 * number:g}")
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{name} browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.SetSelectedItemNumber(1)
    volume = browser.GetProxyNode(sequence)
    volume.CreateDefaultDisplayNodes()
    return Cine(scene, browser, volume, detections)


@pytest.fixture
def cine(standalone) -> Cine:
    return make_cine(standalone)


def test_frames_are_read_without_moving_the_browser(cine):
    frames = frames_of(cine.volume)
    assert frames.count == FRAMES and frames.browser is cine.browser and frames.selected == 1
    for number in (3, 0, 2):
        volume = frames.volume(number)
        assert np.array_equal(volume.array, cine.detections[number].volume.array)
        assert volume.same_grid(cine.detections[number].volume) and volume.name == f"cine frame {number + 1}"
        cine.browser.SetSelectedItemNumber(2)
        assert frames.selected == 2 and np.array_equal(voxels(cine.volume), cine.detections[2].volume.array)
    with raises(InputError, "frame_gone", number=5, name="cine"):
        frames.volume(4)


def test_a_volume_of_no_sequence_has_no_frames(standalone, cine):
    assert frames_of(standalone.add_volume(make_detection().volume)) is None
    assert frames_of(slicer.vtkMRMLScalarVolumeNode()) is None


def test_scrubbing_shows_each_frame_with_its_result(cine):
    result = cine.show()
    assert cine.browser.GetSelectedItemNumber() == 1
    for number in (1, 3, 0, 2, 1):
        cine.check(result, number)
    assert find_result(cine.volume, cine.scene).anomaly is result.anomaly
    sequence = cine.browser.GetSequenceNode(result.table)
    assert (sequence.GetIndexName(), sequence.GetIndexUnit()) == ("time", "s")
    assert [sequence.GetNthIndexValue(n) for n in range(FRAMES)] == ["0", "0.5", "1", "1.5"]


def test_one_display_serves_all_frames(cine):
    result = cine.show()
    display, legends = result.anomaly.GetDisplayNode(), result.anomaly.GetNumberOfDisplayNodes()
    highest = max(detection.anomaly.array.max() for detection in cine.detections.values())
    for number in range(FRAMES):
        cine.browser.SetSelectedItemNumber(number)
        assert result.anomaly.GetDisplayNode() is display and result.anomaly.GetNumberOfDisplayNodes() == legends
        assert display.GetLowerThreshold() == pytest.approx(3.0) and display.GetUpperThreshold() > highest
    assert result.labels.GetDisplayNode().GetColorNode().GetNumberOfColors() >= 4


def test_the_user_may_scrub_while_frames_are_examined(cine):
    frames, found = frames_of(cine.volume), {}
    for number in range(frames.count):
        found[number] = replace(cine.detections[number], volume=frames.volume(number))
        cine.browser.SetSelectedItemNumber((number * 7 + 3) % FRAMES)
    last = cine.browser.GetSelectedItemNumber()
    result = show_sequence(found, cine.volume, cine.browser, cine.scene)
    assert cine.browser.GetSelectedItemNumber() == last
    cine.check(result, last)


def test_what_a_reader_changes_stays_with_its_frame(cine):
    result = cine.show()
    cine.browser.SetSelectedItemNumber(0)
    live = LiveThreshold(result, read_detection(result))
    live.set(live.false_positive_ml / 4)
    changed = live.detection.threshold
    assert changed > 3.0
    cine.browser.SetSelectedItemNumber(2)
    follow_frame(result)
    assert read_detection(result).threshold == 3.0
    assert result.anomaly.GetDisplayNode().GetLowerThreshold() == pytest.approx(3.0)
    cine.browser.SetSelectedItemNumber(0)
    follow_frame(result)
    assert read_detection(result).threshold == pytest.approx(changed)
    assert result.anomaly.GetDisplayNode().GetLowerThreshold() == pytest.approx(changed)


def test_a_second_run_replaces_the_first_and_can_be_taken_back(cine):
    result = cine.show()
    before = node_ids(cine.scene)
    first, cine.detections = cine.detections, {n: replace(d, score=70.0 + n) for n, d in cine.detections.items()}
    cine.browser.SetSelectedItemNumber(2)
    again = cine.show()
    assert again.nodes() == result.nodes() and len(node_ids(cine.scene)) == len(before)
    for number in (0, 3):
        cine.check(again, number)
    assert can_undo(again)
    undo_detection(again)
    cine.detections = first
    for number in (0, 3, 2):
        cine.check(result, number)


def test_a_first_run_can_be_taken_back(cine):
    before, items = node_ids(cine.scene), cine.browser.GetNumberOfSynchronizedSequenceNodes(True)
    undo_detection(cine.show())
    assert find_result(cine.volume, cine.scene) is None
    assert node_ids(cine.scene) == before and cine.browser.GetNumberOfSynchronizedSequenceNodes(True) == items
    cine.browser.SetSelectedItemNumber(3)
    assert np.array_equal(voxels(cine.volume), cine.detections[3].volume.array)


@pytest.mark.parametrize("name", ["show_detection", "show_labels", "surface_of"])
@pytest.mark.parametrize("earlier", [False, True], ids=["first run", "second run"])
def test_a_failure_leaves_the_scene_as_it_was(cine, monkeypatch, name, earlier):
    result = cine.show() if earlier else None
    before, items = node_ids(cine.scene), cine.browser.GetNumberOfSynchronizedSequenceNodes(True)
    wrong = {n: replace(d, score=99.0) for n, d in cine.detections.items()}

    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(sequences, name, fail)
    with pytest.raises(MemoryError):
        show_sequence(wrong, cine.volume, cine.browser, cine.scene)
    assert sorted(node_ids(cine.scene)) == sorted(before)
    assert cine.browser.GetNumberOfSynchronizedSequenceNodes(True) == items
    assert (find_result(cine.volume, cine.scene) is None) == (not earlier)
    if earlier:
        for number in (0, 3, 1):
            cine.check(result, number)


def test_frames_that_changed_or_are_missing_are_refused(cine):
    with raises(InputError, "frames_changed", examined=3, name="cine", count=4):
        show_sequence({n: cine.detections[n] for n in range(3)}, cine.volume, cine.browser, cine.scene)
    frames_of(cine.volume).sequence.GetNthDataNode(2).SetSpacing(1, 1, 1)
    before = node_ids(cine.scene)
    with raises(InputError, "frame_moved", number=3, name="cine"):
        cine.show()
    cine.scene.RemoveNode(cine.browser)
    with raises(InputError, "sequence_gone"):
        cine.show()
    assert set(node_ids(cine.scene)) < set(before)


def test_results_lie_under_the_scan_s_transform(cine):
    add_transform(cine.scene, cine.volume)
    result = cine.show()
    for number in range(FRAMES):
        cine.browser.SetSelectedItemNumber(number)
        for role, (class_name, _) in NODES.items():
            if class_name != "vtkMRMLTableNode":
                assert getattr(result, role).GetTransformNodeID() == cine.volume.GetTransformNodeID()


def test_two_sequences_and_single_runs_keep_apart(standalone, cine):
    other = make_cine(standalone, "other")
    other.detections = {n: replace(d, score=500.0 + n) for n, d in other.detections.items()}
    one, two = cine.show(), other.show()
    cine.check(one, 2)
    other.check(two, 0)
    cine.check(one, 3)
    cine.detections[3] = replace(cine.detections[3], score=77.0)
    show_detection(cine.detections[3], cine.volume, cine.scene)
    cine.check(one, 0)
    cine.check(one, 3)


def test_a_saved_scene_brings_every_frame_back(cine, standalone, tmp_path):
    cine.show()
    cine.browser.SetSelectedItemNumber(2)
    standalone.save(tmp_path / "cine.mrb")
    loaded = StandaloneScene()
    loaded.load(tmp_path / "cine.mrb")
    browser = loaded.scene.GetFirstNodeByName("cine browser")
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    again = Cine(loaded.scene, browser, volume, cine.detections)
    result = find_result(volume, loaded.scene)
    assert browser.GetSelectedItemNumber() == 2 and frames_of(volume).count == FRAMES
    for number in (2, 0, 3, 1):
        again.check(result, number)
