"""``medad models``: what it lists, verifies and shows, and what it says of models that are not there."""

from __future__ import annotations

import json
from dataclasses import replace

from support.command_line import one_line, run

# The store is imported here because it would keep the stand-in of a test during which it is first imported.
from MedADLib.cli import main
from MedADLib.errors import ModelError
from MedADLib.modelfile import model as modelfile_model
from MedADLib.modelfile import store
from MedADLib.modelfile.store import ModelSummary


def test_models_are_listed_with_what_is_wrong_with_them(monkeypatch, capsys, tmp_path):
    good = ModelSummary("brain-t1", tmp_path / "brain-t1.medad", "1.0.0", "finds lesions", "T1", "atlas", "2026-01-01")
    bad = replace(good, name="bad", method="", version="", description="", error="it is cut")
    monkeypatch.setattr(store, "list_models", lambda: [good, bad])
    assert run("models") == run("models", "list") == 0
    said = capsys.readouterr().out
    purpose = "T1 (compares each voxel with the mean and SD of healthy scans)"
    assert f"brain-t1\t1.0.0\tatlas\t{purpose}" in said and "it is cut" in said
    assert run("models", "--json-log") == 0
    assert [model["name"] for model in json.loads(capsys.readouterr().out)["models"]] == ["brain-t1", "bad"]


def test_verifying_goes_on_after_a_bad_model_and_fails_in_the_end(monkeypatch, capsys, tmp_path):
    def verify(name):
        if name == "bad":
            raise ModelError("model_cut_short", path="bad")
        return ModelSummary(name, tmp_path, "1.0.0", method="atlas")

    monkeypatch.setattr(modelfile_model, "verify_model", verify)
    assert run("models", "verify", "bad", "good") == 1
    said = capsys.readouterr()
    assert said.err == f"medad: error: {ModelError('model_cut_short', path='bad')}\n" and "good: intact" in said.out
    assert run("models", "verify", "good") == 0


def test_the_card_of_a_model_is_shown(capsys):
    assert run("models", "card", "brain-t1-atlas") == 0
    said = capsys.readouterr().out
    assert said.startswith("# brain-t1-atlas") and "Not a medical device" in said


def test_a_missing_model_is_one_line(capsys, tmp_path):
    assert main.main(["models", "info", str(tmp_path / "no.medad")]) == 1
    assert "no.medad" in one_line(capsys)
