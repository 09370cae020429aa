"""A training that goes on later computes as it began, however busy the computer is by then."""

from __future__ import annotations

import json

import pytest

from MedADLib.networks import autotune
from MedADLib.training.checkpoint import bfloat16_suits


@pytest.mark.parametrize("first", [True, False])
def test_the_first_answer_is_kept(first, tmp_path, monkeypatch):
    record = tmp_path / "work" / "vae" / "precision.json"
    monkeypatch.setattr(autotune, "bfloat16_is_faster", lambda device: first)
    assert bfloat16_suits("cpu", record) is first
    monkeypatch.setattr(autotune, "bfloat16_is_faster", lambda device: not first)
    assert bfloat16_suits("cpu", record) is first and json.loads(record.read_text()) == {"bfloat16": first}


@pytest.mark.parametrize("text", ["", "[]", '{"bfloat16": "yes"}'])
def test_a_damaged_record_is_made_anew(text, tmp_path, monkeypatch):
    record = tmp_path / "precision.json"
    record.write_text(text)
    monkeypatch.setattr(autotune, "bfloat16_is_faster", lambda device: True)
    assert bfloat16_suits("cpu", record) is True and json.loads(record.read_text()) == {"bfloat16": True}


def test_the_trial_itself_gives_an_answer():
    assert isinstance(autotune.bfloat16_is_faster("cpu"), bool)


def test_a_decoder_is_timed_once_a_process_and_only_where_the_processor_can(monkeypatch):
    asked = []
    monkeypatch.setattr(autotune, "bfloat16_is_faster", lambda device: asked.append(device) or True)
    for can, told in ((False, False), (True, True)):
        monkeypatch.setattr(autotune, "_known_to_processor", lambda can=can: can)
        autotune.decodes_faster.cache_clear()
        assert autotune.decodes_faster("cpu") is told and autotune.decodes_faster("cpu") is told
    assert asked == ["cpu"]
    autotune.decodes_faster.cache_clear()
