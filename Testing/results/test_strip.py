"""The strip of scan scores: where the marks lie, and what it says in words."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from support.synthetic import synthetic_detection

from MedADLib.results.strip import (
    DIAMOND,
    HEIGHT,
    OWN_ON_DARK,
    OWN_ON_LIGHT,
    RADIUS,
    SCORE_NAMES,
    describe,
    outline,
    score_lines,
    shapes,
    svg,
)
from MedADLib.scoring.scan_score import NAMES

WIDTH = 216.0


def scored(score, healthy, kind="top_1ml"):
    """A detection of this score, and the scores of healthy scans."""
    found = synthetic_detection()
    healthy = np.array(healthy, float)
    reference = replace(found.reference, sample_scores=healthy, maxima=healthy, scan_score=kind)
    p_value = reference.sample_p_value(score)
    return replace(found, score=score, p_value=p_value, healthy_count=len(healthy), reference=reference)


def of_kind(found, *kinds):
    return [shape for shape in shapes(found, WIDTH) if shape.kind in kinds]


def test_scores_lie_on_the_line_in_their_order_and_at_their_distances():
    circles = of_kind(scored(4.0, [1, 2, 3, 5]), "circle")
    (own,) = of_kind(scored(4.0, [1, 2, 3, 5]), "own")
    places = sorted([*(shape.x for shape in circles), own.x])
    assert np.allclose(np.diff(places), np.diff(places)[0]) and places[3] == own.x
    assert places[0] >= RADIUS and places[-1] <= WIDTH - RADIUS


def test_circles_do_not_overlap():
    random = np.random.default_rng(0)
    circles = of_kind(scored(2.5, random.normal(2.2, 0.3, 20)), "circle")
    points = np.array([(shape.x, shape.y) for shape in circles])
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e3 * np.eye(20)
    assert distances.min() >= 2 * RADIUS - 1e-6 and points[:, 1].min() > RADIUS


@pytest.mark.parametrize("healthy", [[3.0] * 60, np.linspace(1, 2, 500), [2.0]], ids=["equal", "many", "one"])
def test_any_healthy_scans_fit_into_the_strip(healthy):
    for score in (-1e6, 2.0, 1e6):
        for shape in shapes(scored(score, healthy), WIDTH):
            assert 0 <= shape.x <= WIDTH and 0 <= shape.y <= HEIGHT
            if shape.kind in ("own", "beyond"):
                assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in outline(shape))


@pytest.mark.parametrize(("score", "tip"), [(1000.0, 1), (-1000.0, -1)])
def test_a_score_far_from_all_healthy_ones_is_an_arrow_and_leaves_them_room(score, tip):
    found = scored(score, [1, 2, 3])
    (arrow,) = of_kind(found, "beyond")
    corners = np.array(outline(arrow))
    assert tip * (corners[0, 0] - arrow.x) == DIAMOND, "it points away from the healthy scans"
    places = [shape.x for shape in of_kind(found, "circle")]
    assert max(places) - min(places) > WIDTH / 3
    assert any(shape.text.endswith(f"this scan: {score:.0f}") for shape in of_kind(found, "text"))


def test_the_score_has_a_name_a_p_value_and_the_number_of_scans_that_a_smaller_one_needs():
    assert [str(line) for line in score_lines(scored(7, [1, 2, 3, 4, 5, 6]))] == [
        "Scan score 7: mean rarity of the most anomalous 1 mL",
        "p = 0.14, the smallest possible against 6 healthy scans",
        "p = 0.05 needs 19 healthy scans or more",
    ]
    assert [str(line) for line in score_lines(scored(3.5, range(1, 20), "method"))] == [
        "Scan score 3.5: anomaly score of the method",
        "p = 0.85 against 19 healthy scans; the smallest possible p is 0.05",
    ]
    assert "against one healthy scan" in score_lines(scored(3.5, [1]))[1]


def test_every_scan_score_has_a_name():
    assert set(NAMES) <= set(SCORE_NAMES)
    for kind in NAMES:
        assert len(score_lines(scored(1, [2], kind))[0]) > len("Scan score 1: ")


def test_nineteen_scans_are_the_fewest_for_a_p_value_of_five_hundredths():
    assert scored(99, range(19)).p_value == pytest.approx(0.05) and scored(99, range(18)).p_value > 0.05


def test_the_strip_of_the_page_describes_itself_and_is_well_formed():
    found = scored(7, [1, 2, 3, 4, 5, 6])
    drawing = ElementTree.fromstring(svg(found, WIDTH))
    assert drawing.get("role") == "img" and drawing.get("aria-label") == describe(found)
    assert "higher than 6 of 6 healthy scans; they score 1 to 6, median 3.5" in drawing.get("aria-label")
    tags = [part.tag for part in drawing]
    assert tags.count("circle") == 6 and tags.count("polygon") == 1


def luminance(colour):
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize(("colour", "ground"), [(OWN_ON_LIGHT, "#efefef"), (OWN_ON_DARK, "#353535")])
def test_the_text_of_the_scan_stands_out_from_its_ground(colour, ground):
    low, high = sorted(map(luminance, (colour, ground)))
    assert (high + 0.05) / (low + 0.05) >= 4.5
