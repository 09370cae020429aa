"""What a reader decides on regions: where it shows, and what it survives."""

from __future__ import annotations

import pytest
from support.mrml import (
    StandaloneScene,
    add_transform,
    make_detection,
    no_mrml_errors,
    standalone,
    table_rows,
)

from MedADLib.slicer.scene.decisions import ATTRIBUTE, Decisions
from MedADLib.slicer.scene.live_threshold import LiveThreshold
from MedADLib.slicer.scene.nodes import find_result
from MedADLib.slicer.scene.reading import read_detection
from MedADLib.slicer.scene.show import show_detection

__all__ = ["no_mrml_errors", "standalone"]

# Above 2 (10 ml) the second and the third are one region; above 3 (0.5 ml) they are two; above 4 neither is there.
BLOBS = ((-9, 6, 8, 9.0, 6), (9, 1, -10, 3.9, 5), (9, -7, -10, 3.8, 5))


@pytest.fixture
def shown(standalone):
    detection = make_detection(blobs=BLOBS)
    node = standalone.add_volume(detection.volume)
    add_transform(standalone.scene, node)
    result = show_detection(detection, node, standalone.scene)
    assert len(detection.regions) == 3
    return detection, result


def kept_and_names(result, detection):
    decisions = Decisions(result, detection)
    return [(decisions.of(region).kept, decisions.of(region).name) for region in detection.regions]


def seen(result):
    """What segmentation and table say: name and visibility, name and tick."""
    segmentation, display = result.segmentation.GetSegmentation(), result.segmentation.GetDisplayNode()
    ids = segmentation.GetSegmentIDs()
    segments = [(segmentation.GetSegment(name).GetName(), display.GetSegmentVisibility(name)) for name in ids]
    table = result.table.GetTable()
    names = [table.GetValueByName(row, "name").ToString() for row in range(table.GetNumberOfRows())]
    rows = [(name, bool(row["kept"])) for name, row in zip(names, table_rows(result.table))]
    assert segments == rows
    return rows


def test_at_first_everything_is_kept_under_its_rank(shown):
    detection, result = shown
    assert kept_and_names(result, detection) == [(True, f"Region {rank}") for rank in (1, 2, 3)]
    assert seen(result) == [(f"Region {rank}", True) for rank in (1, 2, 3)]
    assert result.table.GetAttribute(ATTRIBUTE) is None


def test_decisions_show_in_segmentation_and_table(shown):
    detection, result = shown
    decisions = Decisions(result, detection)
    decisions.rename(detection.regions[0], "  left\n temporal  ")
    decisions.keep(detection.regions[1], False)
    assert seen(result) == [("left temporal", True), ("Region 2", False), ("Region 3", True)]
    decisions.keep(detection.regions[1], True)
    decisions.rename(detection.regions[0], "")
    assert seen(result) == [(f"Region {rank}", True) for rank in (1, 2, 3)]


def test_another_panel_sees_them_too(shown):
    detection, result = shown
    Decisions(result, detection).keep(detection.regions[2], False)
    Decisions(result, detection).rename(detection.regions[2], "artefact")
    assert kept_and_names(result, detection)[2] == (False, "artefact")


def test_they_find_their_region_at_every_threshold(shown):
    detection, result = shown
    decisions, live = Decisions(result, detection), LiveThreshold(result, detection)
    decisions.rename(detection.regions[0], "first")
    decisions.rename(detection.regions[1], "second")
    decisions.keep(detection.regions[2], False)
    assert seen(result) == [("first", True), ("second", True), ("Region 3", False)]
    live.set(0.0)
    assert seen(result) == [("first", True)]
    live.set(10.0)
    assert seen(result) == [("first", True), ("second", True)], "of two in one region that of the larger peak counts"
    live.set(0.5)
    assert seen(result) == [("first", True), ("second", True), ("Region 3", False)]


def test_a_region_that_falls_apart_has_its_decision_where_its_peak_is(shown):
    detection, result = shown
    live = LiveThreshold(result, detection)
    joined = live.set(10.0)
    Decisions(result, joined).keep(joined.regions[1], False)
    Decisions(result, joined).rename(joined.regions[1], "both")
    live.set(0.5)
    assert seen(result) == [("Region 1", True), ("both", False), ("Region 3", True)]


def test_a_decision_on_a_joined_region_leaves_those_on_its_parts(shown):
    detection, result = shown
    live = LiveThreshold(result, detection)
    Decisions(result, detection).rename(detection.regions[2], "part")
    joined = live.set(10.0)
    assert seen(result)[1] == ("part", True)
    Decisions(result, joined).keep(joined.regions[1], False)
    assert seen(result)[1] == ("part", False)
    live.set(0.5)
    assert seen(result) == [("Region 1", True), ("part", False), ("part", True)]


def test_ranks_that_change_hands_take_no_visibility_along(shown):
    detection, result = shown
    Decisions(result, detection).keep(detection.regions[0], False)
    other = make_detection(blobs=((9, 1, -10, 8.0, 5),))
    show_detection(other, result.input, result.input.GetScene())
    assert seen(result) == [("Region 1", True)], "a new run starts afresh"
    assert kept_and_names(result, other) == [(True, "Region 1")]


def test_they_survive_saving_and_opening(shown, standalone, tmp_path):
    detection, result = shown
    decisions = Decisions(result, detection)
    decisions.rename(detection.regions[1], 'odd "name"; é %3B <3>')
    decisions.keep(detection.regions[2], False)
    standalone.save(tmp_path / "scene.mrb")
    loaded = StandaloneScene()
    loaded.load(tmp_path / "scene.mrb")
    again = find_result(loaded.scene.GetFirstNodeByName("head"), loaded.scene)
    recalled = read_detection(again)
    expected = [(True, "Region 1"), (True, 'odd "name"; é %3B <3>'), (False, "Region 3")]
    assert kept_and_names(again, recalled) == expected
    live = LiveThreshold(again, recalled)
    live.set(0.0)
    live.set(0.5)
    assert kept_and_names(again, live.detection) == expected
    assert seen(again)[2] == ("Region 3", False)


def test_a_name_given_in_the_segment_editor_is_taken_over(shown, standalone, tmp_path):
    detection, result = shown
    live = LiveThreshold(result, detection)
    result.segmentation.GetSegmentation().GetSegment("Region_3").SetName("renamed elsewhere")
    live.set(0.0)
    live.set(0.5)
    assert seen(result)[2] == ("renamed elsewhere", True)
    result.segmentation.GetSegmentation().GetSegment("Region_1").SetName("just before saving")
    standalone.save(tmp_path / "scene.mrb")
    loaded = StandaloneScene()
    loaded.load(tmp_path / "scene.mrb")
    again = find_result(loaded.scene.GetFirstNodeByName("head"), loaded.scene)
    names = [name for _, name in kept_and_names(again, read_detection(again))]
    assert names == ["just before saving", "Region 2", "renamed elsewhere"]


def test_reading_names_back_says_whether_there_were_any(shown):
    detection, result = shown
    decisions = Decisions(result, detection)
    assert not decisions.read_back()
    result.segmentation.GetSegmentation().GetSegment("Region_2").SetName("mine")
    assert decisions.read_back() and not decisions.read_back()
    assert decisions.of(detection.regions[1]).name == "mine"


def test_segments_that_the_user_removed_are_no_obstacle(shown):
    detection, result = shown
    result.segmentation.GetSegmentation().RemoveSegment("Region_2")
    decisions = Decisions(result, detection)
    decisions.keep(detection.regions[1], False)
    decisions.rename(detection.regions[1], "gone")
    assert kept_and_names(result, detection)[1] == (False, "gone")


def test_a_garbled_memory_is_an_empty_one(shown):
    detection, result = shown
    garbled = ("", "nonsense", "{}", "[3]", '[{"ras": [1, 2], "kept": true, "name": ""}]', '[{"ras": [NaN, 0, 0]}]')
    for text in garbled:
        result.table.SetAttribute(ATTRIBUTE, text)
        assert kept_and_names(result, detection)[0] == (True, "Region 1"), text
