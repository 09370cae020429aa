"""Texts of the page of a result as its threshold moves: regions and p-values, without a browser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import mrml  # noqa: F401
from support.synthetic import synthetic_detection

from MedADLib.browser.live_result import MOST_ROWS, LiveResult
from MedADLib.browser.views import Stage
from MedADLib.results.decisions import Decision
from MedADLib.scoring.healthy_reference import HealthyReference, Threshold
from MedADLib.scoring.regions import find_regions

REFERENCE = HealthyReference(
    maxima=np.array([5.0, 6.5, 7.5, 8.5]),
    sample_scores=np.array([1.0, 5.0, 13.0, 20.0]),
    thresholds=np.arange(0.0, 11.0),
    false_positive_ml=np.array([1000.0, 100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.1, 0.0]),
    brain_ml=4000.0,
    threshold=Threshold(20.0, "ml"),
)


def detection(spots=3, **changes):
    """Spots with peaks 9, 8 and 7, at a threshold of 3, which 20 ml of a healthy scan pass."""
    calibrated = {"reference": REFERENCE, "healthy_count": REFERENCE.count, "expected_false_positive_ml": 20.0}
    return replace(synthetic_detection(spots=spots), **calibrated, **changes)


@pytest.fixture
def live():
    stage = Stage()
    yield page_of(stage, detection())
    assert stage.result is not None


def page_of(stage, detection, decided=None):
    return LiveResult(stage.show(detection, decided), stage.decisions)


def at(live, ml):
    return live.move(live._live.scale.position(ml))


def test_at_first_everything_is_as_it_was_found(live):
    assert len(live.rows()) == 3 and live.allowed() == "20 mL"
    assert live.threshold() == "rarity 3 (1 healthy voxel in 1,000)"
    assert not live.move(live.position)
    assert live.verdict() == "More anomalous than 2 of 4 healthy scans; 3 regions."


@pytest.mark.parametrize(("ml", "threshold", "regions"), [(5.0, 5.0, 3), (0.5, 8.0, 2), (0.1, 9.0, 1)])
def test_a_stricter_threshold_leaves_the_regions_that_reach_it(live, ml, threshold, regions):
    assert at(live, ml * 1.001)
    found = live.detection
    assert found.threshold == threshold and len(live.rows()) == regions == len(found.regions)
    labels, expected = find_regions(found.anomaly, threshold, REFERENCE.region_p_value)
    assert [region.peak for region in found.regions] == [region.peak for region in expected]
    assert np.array_equal(found.labels.array, labels)


def test_the_p_values_are_those_of_the_healthy_scans(live):
    at(live, 5.0 * 1.001)
    assert [row["p"] for row in live.rows()] == ["0.2", "0.4", "0.6"]


def test_the_way_back_leads_back(live):
    before = live.detection
    assert live.move(0.0) and live.rows() == [] and live.count() == "No region at this threshold"
    assert live.verdict().startswith("More anomalous than 2 of 4 healthy scans; no region")
    assert at(live, 20.0 * 1.001)
    assert np.array_equal(live.detection.labels.array, before.labels.array)
    assert live.count().startswith("3 regions, ")


def test_nothing_is_delineated_again_within_one_step_of_the_threshold(live):
    before = live.detection
    assert not at(live, 21.0)
    assert live.detection is before and live.allowed() == "20 mL", "what the threshold reaches"


def test_the_chosen_region_stays_chosen_when_the_threshold_moves(live):
    assert live.select(3).peak == 7.0 and live.select(9) is None
    live.select(2)
    at(live, 0.5 * 1.001)
    assert live.selected.peak == 8.0
    at(live, 0.1 * 1.001)
    assert live.selected is None


def test_a_long_table_is_cut_and_states_it(live):
    region = live.detection.regions[0]
    many = tuple(replace(region, rank=rank, label=rank) for rank in range(1, MOST_ROWS + 6))
    live._live.detection = replace(live.detection, regions=many)
    assert len(live.rows()) == MOST_ROWS and f"the first {MOST_ROWS} listed" in live.count()


def test_a_place_names_the_sides_of_the_body(live):
    region = replace(live.detection.regions[0], peak_ras=(-23.4, 40.2, -5.0), side="L")
    live._live.detection = replace(live.detection, regions=(region,))
    (row,) = live.rows()
    assert row["place"] == "L 23, A 40, I 5" and row["side"] == "L"
    assert row["title"].startswith("L, peak at 23 mm left, 40 mm anterior, 5 mm inferior")


def test_how_it_was_made_is_reported(live):
    facts = dict(live.facts())
    assert facts["Model"] == "brain-t1 1.0" and facts["Random seed"] == "0"
    assert facts["Device"] == "cpu" and facts["Healthy scans"] == "4"
    assert "Fast mode" not in facts


def test_a_result_of_fast_mode_is_reported_as_such():
    made = detection()
    fast = replace(made, provenance={**made.provenance, "settings": {"fast": True}})
    assert ("Fast mode", "yes") in page_of(Stage(), fast).facts()


def test_what_a_reader_rejected_stays_so_at_every_threshold_and_names_stay_too():
    stage = Stage()
    decided = {2: Decision(False, "Region 2"), 3: Decision(True, "cyst")}
    page = page_of(stage, detection(), decided)
    shown = stage.result.segmentation.GetDisplayNode().GetSegmentVisibility
    for ml, threshold, listed in ((20.0, 3.0, [1, 3]), (5.0, 5.0, [1, 3]), (0.5, 8.0, [1]), (20.0, 3.0, [1, 3])):
        at(page, ml * 1.001)
        assert page.detection.threshold == threshold and [row["rank"] for row in page.rows()] == listed
        assert shown("Region_1") and not shown("Region_2")
        assert page.count().endswith("; 1 rejected before") and page.select(2) is None
        assert [row["name"] for row in page.rows()] == ["", "cyst"][: len(listed)]
    assert page.rows()[1]["title"].startswith("cyst: ")
    assert stage.result.segmentation.GetSegmentation().GetSegment("Region_3").GetName() == "cyst"


def test_with_everything_rejected_nothing_is_listed_and_the_reason_is_given():
    stage = Stage()
    page = page_of(stage, detection(spots=1), {1: Decision(False, "Region 1")})
    assert page.rows() == [] and page.regions() == []
    assert page.count() == "No region at this threshold; 1 rejected before"


def test_one_result_after_another_leaves_nothing_of_the_one_before():
    stage = Stage()
    stage.show(detection())
    before = nodes_of(stage)
    page = page_of(stage, detection(spots=1))
    assert len(page.rows()) == 1 and nodes_of(stage) == before


def nodes_of(stage):
    """Classes of the nodes in the scene; tables of colours are kept for the next result."""
    names = [node.GetClassName() for node in stage.standalone.scene.GetNodes()]
    return sorted(name for name in names if "Table" not in name)


def image_of(found):
    """The same result of an image without spacing and orientation."""
    known = {**found.provenance.get("input", {}), "has_spacing": False, "has_orientation": False}
    return replace(found, provenance={**found.provenance, "input": known})


def test_an_image_has_pixels_in_place_of_ml_and_mm():
    stage = Stage()
    page = page_of(stage, image_of(detection()))
    texts = [page.allowed(), page.allowed_title(), page.count(), page.verdict(), page.place_title(), page.size_title()]
    texts += [text for row in page.rows() for text in (row["place"], row["title"], row["volume"])]
    texts += [text for fact in page.facts() for text in fact]
    assert not [text for text in texts if "mL" in text or " mm" in text]
    first = page.rows()[0]
    assert int(first["volume"]) == int((page.detection.labels.array == 1).sum()) and page.size_title() == "px"
    assert first["place"].startswith("col ") and "% of a healthy image" in page.allowed()


def test_a_scan_keeps_ml_and_mm(live):
    assert (live.size_title(), live.place_title()) == ("mL", "Peak at, mm")
    assert live.allowed_title() == "Expected false positives (mL per healthy scan)"


def test_the_page_says_that_there_are_only_specks():
    stage, found = Stage(), detection()
    settings = {**found.provenance, "settings": {"smallest_region_ml": 5000.0}}
    none = np.zeros_like(found.labels.array)
    page = page_of(stage, replace(found, regions=(), labels=found.labels.with_array(none), provenance=settings))
    assert page.count().startswith("Only specks") and page.nothing().startswith("Only specks")
    assert "only specks" in page.verdict()
    assert at(page, 0.0) and page.count() == "No region at this threshold" and page.nothing().startswith("Nothing")
