"""Results of scans that do not fit the model, or fit it doubtfully, in texts and in the figure."""

from __future__ import annotations

import re
from dataclasses import replace
from unittest import mock

import pytest
from support.synthetic import synthetic_detection

from MedADLib.detection import Detection, no_p_value
from MedADLib.messages import Message
from MedADLib.results import figure
from MedADLib.results.record import Record
from MedADLib.results.strip import describe, score_lines, shapes, svg
from MedADLib.results.text import doubt, panel_verdict, provenance_text, top_regions, verdict

REASON = Message("fit_other_contrast", structure=-0.5, contrast=-0.4)


def detection_of(verdict: str, *warnings: str) -> Detection:
    detection = synthetic_detection(warnings=warnings)
    fit = {"verdict": verdict, "seems": "t2_or_pd" if verdict == "unfit" else "", "measured": {"likeness": 0.0}}
    return replace(detection, provenance={**detection.provenance, "fit": fit})


@pytest.fixture
def unfit() -> Detection:
    found = detection_of("unfit", REASON)
    nan = no_p_value(0.0)
    regions = tuple(replace(region, p_value=nan, q_value=nan) for region in found.regions)
    return replace(found, p_value=nan, regions=regions)


def page_texts(detection: Detection, path) -> list[str]:
    texts = []
    original = figure.Page.text

    def text(page, left, top, text, **style):
        texts.append((top, str(text)))
        original(page, left, top, text, **style)

    with mock.patch.object(figure.Page, "text", text):
        figure.draw(detection, path)
    return [text for _, text in sorted(texts)]


def test_no_verdict_and_no_p_value_appear_anywhere(unfit, tmp_path):
    parts = (verdict(unfit), panel_verdict(unfit), *score_lines(unfit), svg(unfit, 400), describe(unfit))
    texts = [*map(str, parts), provenance_text(unfit), *top_regions(unfit), *page_texts(unfit, tmp_path / "a.png")]
    for text in texts:
        assert not re.search(r"\b[pq] =|\bnan\b|of \d+ healthy scans|against", text), text
    assert verdict(unfit).startswith("NOT INTERPRETABLE") and panel_verdict(unfit).startswith("NOT INTERPRETABLE")
    assert shapes(unfit, 400.0) == []
    on_page = page_texts(unfit, tmp_path / "a.png")
    assert "NOT INTERPRETABLE" in on_page and any("T2- or proton" in text.replace("\n", " ") for text in on_page)


def test_a_record_without_p_values_comes_back(unfit):
    document = Record.of(unfit).as_json()
    assert document["p_value"] is None and document["regions"][0]["q_value"] is None
    back = Record.from_json(document)
    assert back.p_value != back.p_value and back.regions[0].q_value != back.regions[0].q_value
    assert back.region_p_value(9.0) != back.region_p_value(9.0)


def test_a_doubt_stands_above_the_verdict(tmp_path):
    detection = detection_of("doubtful", Message("head_turned"), "something else")
    line = doubt(detection)
    assert line.startswith("DOUBTFUL: the head is turned") and detection.interpretable
    texts = page_texts(detection, tmp_path / "a.png")
    found = [number for number, text in enumerate(texts) if text.startswith("DOUBTFUL")]
    scores = [number for number, text in enumerate(texts) if "p = " in text]
    assert found and found[0] < min(scores)
    assert doubt(detection_of("fits")) is None and doubt(synthetic_detection()) is None
