"""Results of scans that do not fit the model, or fit it doubtfully, in texts and in the figure."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from unittest import mock

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from support.synthetic import synthetic_detection

from MedADLib.browser.live_result import LiveResult
from MedADLib.detection import Detection, no_p_value
from MedADLib.messages import Message
from MedADLib.results import figure
from MedADLib.results.decisions import Decision, default_name
from MedADLib.results.record import Record
from MedADLib.results.strip import describe, score_lines, shapes, svg
from MedADLib.results.text import count_of_regions, doubt, panel_verdict, provenance_text, top_regions, verdict
from MedADLib.results.writing import write_detection

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
    detection = detection_of("doubtful", Message("head_turned", angle=90.0), "something else")
    line = doubt(detection)
    assert line.startswith("DOUBTFUL: the head is turned") and detection.interpretable
    texts = page_texts(detection, tmp_path / "a.png")
    found = [number for number, text in enumerate(texts) if text.startswith("DOUBTFUL")]
    scores = [number for number, text in enumerate(texts) if "p = " in text]
    assert found and found[0] < min(scores)
    assert doubt(detection_of("fits")) is None and doubt(synthetic_detection()) is None


def test_no_healthy_scan_explains_the_threshold(unfit):
    for one in (unfit, replace(unfit, regions=())):
        assert "expected false positives" not in provenance_text(one)
        assert not re.search("expected|healthy", count_of_regions(one))
    assert "expected false positives" in count_of_regions(detection_of("fits"))


def test_the_mark_stands_above_all_other_sentences(unfit, tmp_path):
    name, mark, *others = page_texts(unfit, tmp_path / "a.png")
    assert (name, mark) == (unfit.volume.name, "NOT INTERPRETABLE")
    assert others[0].startswith("The scan does not fit the model") and "regions" in others[1]


def test_the_mark_stands_first_in_the_json_file(unfit, tmp_path):
    write_detection(unfit, tmp_path, "scan", figure=False)
    facts = json.loads((tmp_path / "scan.json").read_text(encoding="utf-8"))
    assert list(facts)[:2] == ["generated_by", "verdict"] and facts["verdict"] == "NOT INTERPRETABLE"
    assert facts["p_value"] is None and "smallest_p_value" not in facts
    assert facts["summary"][0].startswith("NOT INTERPRETABLE")


def test_the_browser_view_gives_no_number_of_healthy_scans(unfit):
    decided = mock.Mock(of=lambda region: Decision(True, default_name(region)))
    page = LiveResult(mock.Mock(detection=unfit), decided)
    assert page.verdict().startswith("NOT INTERPRETABLE") and page.allowed() == "" and page.strip().count("circle") == 0
    assert not any("healthy" in row["title"] for row in page.rows())
    assert "healthy voxel" not in page.threshold() and "Healthy scans" not in dict(page.facts())


def test_the_doubt_covers_no_other_text(tmp_path, monkeypatch):
    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda own, *parts, **kept: (figures.append(own), save(own, *parts, **kept)))
    figure.draw(detection_of("doubtful", Message("head_turned", angle=90.0)), tmp_path / "a.png")
    boxes = {text.get_text(): text.get_window_extent() for text in figures[0].findobj(Text) if text.get_text()}
    line = next(text for text in boxes if text.startswith("DOUBTFUL"))
    assert [text for text, box in boxes.items() if text != line and box.overlaps(boxes[line])] == []
