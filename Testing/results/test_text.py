"""A result in words: the verdict of the panel, and how the result was made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.references import in_z_scores
from support.synthetic import synthetic_detection

from MedADLib import messages
from MedADLib.messages import Message, Sentence, set_translator, translated
from MedADLib.results.text import (
    count_of_regions,
    location,
    out_of_distribution,
    panel_verdict,
    provenance_text,
    top_regions,
    verdict,
)


def detection(score=12.5, scores=(1.0, 2.0, 3.0, 4.0, 5.0), spots=2):
    found = synthetic_detection(spots=spots)
    reference = dataclasses.replace(
        found.reference, sample_scores=np.array(scores), maxima=np.array(scores, dtype=float)
    )
    return dataclasses.replace(found, score=score, reference=reference, healthy_count=len(scores))


@pytest.fixture
def shouted():
    """A translation into capitals, which shows what went through the translator."""
    set_translator(lambda context, text: text.upper() if "{" not in text else f"«{text}»")
    yield
    set_translator(None)


@pytest.mark.parametrize(
    "score, scores, words",
    [
        (12.5, (1, 2, 3, 4, 5), "More anomalous than 5 of 5 healthy scans"),
        (5.0, (1, 2, 3, 4, 5), "More anomalous than 4 of 5 healthy scans"),
        (3.0, (3, 3, 3), "No more anomalous than any of 3 healthy scans"),
        (0.0, (1, 2), "No more anomalous than any of 2 healthy scans"),
        (9.0, (1,), "More anomalous than 1 of 1 healthy scan;"),
        (1.0, (1,), "No more anomalous than the one healthy scan"),
    ],
)
def test_the_verdict_counts_healthy_scans_that_score_less(score, scores, words):
    text = panel_verdict(detection(score, scores))
    assert text.startswith(words)


def test_the_verdict_in_full():
    assert panel_verdict(detection()) == "More anomalous than 5 of 5 healthy scans; 2 regions"
    assert panel_verdict(detection(spots=1)).endswith("; 1 region")


def test_without_a_region_the_verdict_states_how_large_the_largest_value_is():
    text = panel_verdict(detection(spots=0))
    assert text.endswith("; no region above a rarity of 3, the largest value is 0.5")
    empty = detection(spots=0)
    empty = dataclasses.replace(empty, anomaly=empty.anomaly.with_array(empty.anomaly.array * 0))
    assert "largest value is 0" in panel_verdict(empty)
    specks = dataclasses.replace(detection(spots=2), regions=())
    assert "only specks above a rarity of 3" in panel_verdict(specks)
    assert "only specks above a z-score of 3" in panel_verdict(in_z_scores(specks))


def test_a_location_is_the_peak_with_its_side():
    region = detection().regions[0]
    for side, words in (("R", "R, peak at 23 mm right"), ("bilateral", "bilateral, peak at 23"), ("", "peak at 23 mm")):
        text = location(detection(), dataclasses.replace(region, peak_ras=(23.2, -40.0, 5.0), side=side))
        assert text.startswith(words) and text.endswith("40 mm posterior, 5 mm superior")


def test_how_a_result_was_made_names_everything():
    found = detection()
    provenance = {
        **found.provenance,
        "settings": {"threshold": "1ml", "smallest_region_ml": 0.05},
        "brain_mask": "found by deepbet",
        "resemblance": {"overlap": 0.9321},
        "facts": {"tokens": 17, "none": None, "list": [1, 2]},
        "input": {"name": "scan", "sha256": "cd" * 32},
        "something_new": "as it is",
    }
    text = provenance_text(dataclasses.replace(found, provenance=provenance, warnings=("another contrast",)))
    for fact in (
        "name: brain-t1", "version: 1.0", "sha256: " + "ab" * 32, "sha256: " + "cd" * 32, "Random seed: 0",
        "Device: CPU", "Method: Atlas", "threshold: 1ml", "smallest region listed (mL): 0.05",
        "Examined part: found by deepbet", "overlap with the template: 0.9321", "medad: 0.1.0", "Time: 0.1 s",
        "brain mask: 0.1 s", "another contrast", "score 12.5 (anomaly score of the method)", "2 regions",
        "higher than 5 of 5 healthy scans; they score 1 to 5, median 3", "Rarity is −log10 of the share of healthy",
        "none: not known", "list: 1, 2", "Something new: as it is",
    ):  # fmt: skip
        assert fact in text, fact


def test_numbers_and_parts_of_a_restoration_are_given_in_words_and_few_digits():
    found = detection()
    facts = {"codes_redrawn_per_slice": 6.092105263157895, "restorations_drawn": 5, "mask": "static", "slices": 76}
    seconds = {"encode": 1.23456, "nll": 2.0, "restore": 1234.56, "a new part": 1}
    provenance = {"method": "latent_restoration", "device": "cuda:0", "facts": facts, "seconds": seconds}
    lines = provenance_text(dataclasses.replace(found, provenance=provenance)).splitlines()
    for line in (
        "Method: Restoration", "Device: cuda:0", "  codes resampled per slice: 6.092", "  number of restorations: 5",
        "  mask: static", "  slices: 76", "  encoding: 1.235 s", "  likelihood of codes: 2 s",
        "  resampling of codes: 1235 s", "  a new part: 1 s",
    ):  # fmt: skip
        assert line in lines, line


def test_a_result_that_knows_little_can_be_asked_too():
    text = provenance_text(dataclasses.replace(detection(), provenance={}, warnings=()))
    assert "Warnings: none" in text and "Model" not in text


@pytest.mark.parametrize(("spots", "words"), [(0, "no region above"), (1, "1 region, "), (2, "2 regions, ")])
def test_regions_are_counted_in_one_sentence(spots, words):
    text = count_of_regions(detection(spots=spots))
    assert text.startswith(words) and "above a rarity of 3 (1 healthy voxel in 1,000; expected false pos" in text
    text = count_of_regions(in_z_scores(detection(spots=spots)))
    assert "above a z-score of 3 (SD above the healthy mean; expected false positives:" in text


def test_one_healthy_scan_is_in_the_singular():
    assert "against one healthy scan;" in verdict(detection(scores=(1,)))
    assert "against 5 healthy scans;" in verdict(detection())


def test_every_sentence_of_a_result_can_be_translated(shouted):
    found = detection()
    assert panel_verdict(found) == "«More anomalous than 5 of 5 healthy scans»; «2 regions»"
    assert location(found, found.regions[0]).count("«") == 4, "peak and its three distances"
    assert top_regions(found)[0].startswith("«1. ") and "peak «rarity 9», p =" in top_regions(found)[0]
    text = provenance_text(dataclasses.replace(found, warnings=(Message("mm_left", mm=2),)))
    for title in ("RESULT\n", "MODEL\n", "METHOD: Atlas", "WARNINGS\n", "  «2 mm left»", "«score 12.5"):
        assert title in text, title
    assert verdict(found).startswith("score 12.5"), "files stay in English"
    assert translated(verdict(found)).startswith("«score 12.5")


def test_an_out_of_distribution_warning_is_known_by_its_code_or_in_older_results_by_its_words(monkeypatch):
    more = {"out_of_distribution": ("messages.preprocessing", Sentence("another contrast, distance {distance}"))}
    catalogue = {**messages._catalogue(), **more}
    monkeypatch.setattr(messages, "_catalogue", lambda: catalogue)
    coded, older = Message("out_of_distribution", distance=9), "this scan is unlike the model's training data. Beware"
    other = Message("exchange_damaged", path="unlike the model's training data", detail="")
    for warnings, expected in (((other, coded), coded), (("slow", older), older), ((other, "slow"), ""), ((), "")):
        assert out_of_distribution(dataclasses.replace(detection(), warnings=warnings)) == expected
