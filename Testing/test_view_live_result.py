"""What the page of a result says as its threshold moves: regions, p-values and words, without browser or scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import synthetic_detection

from MedADLib.browser.live_result import MOST_ROWS, FalsePositiveScale, LiveResult
from MedADLib.reference import HealthyReference
from MedADLib.regions import find_regions
from MedADLib.threshold import Threshold

REFERENCE = HealthyReference(
    maxima=np.array([5.0, 6.5, 7.5, 8.5]),
    sample_scores=np.array([1.0, 5.0, 13.0, 20.0]),
    thresholds=np.arange(0.0, 11.0),
    false_positive_ml=np.array([1000.0, 100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.1, 0.0]),
    brain_ml=1200.0,
    threshold=Threshold(20.0, "ml"),
)


@pytest.fixture
def live():
    """Four spots with peaks 9, 8, 7 and 6, at a threshold of 3, which 20 ml of a healthy scan pass."""
    return LiveResult(replace(synthetic_detection(spots=4), reference=REFERENCE, expected_false_positive_ml=20.0))


def at(live, ml):
    return live.move(live.scale.position(ml))


def test_at_first_everything_is_as_it_was_found(live):
    assert len(live.rows()) == 4 and live.allowed() == "20 ml" and live.threshold() == "3 healthy spreads"
    assert live.scale.millilitres(live.position) == pytest.approx(20.0)
    assert live.verdict().startswith("More unusual than 2 of 4 healthy scans")
    assert "below\u00a00.2." in live.verdict()


@pytest.mark.parametrize(("ml", "threshold", "regions"), [(6.0, 5.0, 4), (1.0, 7.0, 3), (0.5, 8.0, 2), (0.1, 9.0, 1)])
def test_a_stricter_threshold_leaves_the_regions_that_reach_it(live, ml, threshold, regions):
    assert at(live, ml * 1.001)
    found = live.detection
    assert found.threshold == threshold and len(live.rows()) == regions == len(found.regions)
    assert found.expected_false_positive_ml <= ml
    again, expected = find_regions(found.anomaly, threshold, REFERENCE.region_p_value)
    assert found.regions == expected and np.array_equal(found.labels.array, again)
    assert set(np.unique(found.labels.array)) == set(range(regions + 1))


def test_the_p_values_are_those_of_the_healthy_scans(live):
    at(live, 6.0)
    assert [row["p"] for row in live.rows()] == ["0.2", "0.4", "0.6", "0.8"]


def test_the_laxest_threshold_takes_in_the_whole_brain_and_the_way_back_leads_back(live):
    before = live.detection
    assert live.move(1.0)
    assert len(live.rows()) == 1 and live.detection.labels.array.astype(bool).sum() == before.mask.array.sum()
    assert live.count().startswith("1 region, ")
    assert at(live, 20.0)
    assert live.detection.regions == before.regions
    assert np.array_equal(live.detection.labels.array, before.labels.array)


def test_nothing_is_delineated_again_within_one_step_of_the_threshold(live):
    before = live.detection
    assert not at(live, 21.0)
    assert live.detection is before and live.allowed() == "21 ml"


def test_no_region_is_said_in_words():
    live = LiveResult(replace(synthetic_detection(spots=0), reference=REFERENCE))
    assert live.rows() == [] and live.count() == "No region at this threshold"


def test_the_chosen_region_stays_chosen_when_the_ranks_shift(live):
    assert live.select(3).peak == 7.0 and live.select(9) is None
    live.select(2)
    at(live, 0.5)
    assert live.selected.peak == 8.0
    at(live, 0.1)
    assert live.selected is None


def test_regions_below_the_smallest_size_stay_out(live):
    settings = {"settings": {"smallest_region_ml": 50.0}}
    larger = LiveResult(replace(live.detection, provenance=settings))
    at(larger, 6.0)
    assert larger.rows() == []


def test_a_long_table_is_cut_and_says_so(live):
    region = live.detection.regions[0]
    many = tuple(replace(region, rank=rank, label=rank) for rank in range(1, MOST_ROWS + 6))
    live = LiveResult(replace(live.detection, regions=many))
    assert len(live.rows()) == MOST_ROWS and f"the first {MOST_ROWS} listed" in live.count()


def test_a_place_names_the_sides_of_the_body(live):
    row = LiveResult(
        replace(live.detection, regions=(replace(live.detection.regions[0], centroid_ras=(-23.4, 40.2, -5.0)),))
    ).rows()[0]
    assert row["place"] == "L 23  A 40  I 5" and row["title"].startswith("23 mm left, 40 mm anterior, 5 mm inferior")


def test_how_it_was_made_is_told(live):
    facts = dict(live.facts())
    assert facts["Model"] == "brain-t1 1.0" and facts["Seed, device"] == "0, cpu" and facts["Healthy scans"] == "6"


def test_the_scale_has_equal_factors_and_ends_at_what_healthy_scans_can_tell():
    scale = FalsePositiveScale.of(REFERENCE)
    assert scale.millilitres(0.0) == 0.1 and scale.millilitres(1.0) == pytest.approx(1000.0)
    assert scale.millilitres(0.5) == pytest.approx(10.0)
    for ml in (0.1, 3.0, 999.0):
        assert scale.millilitres(scale.position(ml)) == pytest.approx(ml)
    assert scale.position(0.0) == 0.0 and scale.position(1e9) == 1.0


def test_a_reference_that_saw_nothing_still_has_a_scale():
    silent = replace(REFERENCE, false_positive_ml=np.zeros(11))
    assert 0 < FalsePositiveScale.of(silent).low_ml < FalsePositiveScale.of(silent).high_ml
