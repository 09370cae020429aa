"""Fast mode: fewer restorations where a method has them, and results that say how they were made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from phantoms import ToyModels, head, one_thread, toy_models  # noqa: F401
from toy_codes import random_networks, toy_parameters

from MedADLib import cli, detect, load_model
from MedADLib.detection import Settings
from MedADLib.methods import METHODS
from MedADLib.methods.faster import faster_form
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.methods.volume_restoration import VolumeRestoration, VolumeRestorationParameters

VOLUME = VolumeRestorationParameters(
    (12, 20, 24), (8, 16), 1, 8, 4, 16, 2, 2, restoration_nll=3.0, sample_nll=3.0, samples=8, working=(8, 16, 16)
)
SETTINGS = {
    LatentRestoration: toy_parameters(restoration_nll=2.0, sample_nll=2.0, samples=15),
    VolumeRestoration: VOLUME,
}


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda kind: kind.unit)
def method(request) -> LatentRestoration:
    return random_networks(request.param, SETTINGS[request.param])


@pytest.fixture(scope="module")
def toy(one_thread) -> Iterator[ToyModels]:  # noqa: F811
    return toy_models()


def scan(method: LatentRestoration) -> tuple[np.ndarray, np.ndarray]:
    size = method.parameters.size
    shape = size if len(size) == 3 else (3, *size)
    mask = np.zeros(shape, bool)
    mask[:, 2:-2, 3:-2] = True
    return np.where(mask, np.random.default_rng(0).random(shape) + 0.2, 0).astype(np.float32), mask


def test_the_faster_form_draws_five_restorations_with_the_same_networks(method):
    quick = faster_form(method)
    assert type(quick) is type(method) and quick.vqvae is method.vqvae and quick.prior is method.prior
    assert quick.parameters == replace(method.parameters, samples=5)
    image, mask = scan(method)
    full, fast = method.restore(image, mask, seed=1), quick.restore(image, mask, seed=1)
    assert full.facts["restorations_drawn"] == method.parameters.samples
    assert fast.facts["restorations_drawn"] == 5
    assert 0 < fast.facts[f"restorations_per_{method.unit}"] <= 5


def test_the_faster_form_gives_the_same_sample_score_and_nearly_the_same_map(method):
    image, mask = scan(method)
    full, fast = method.restore(image, mask, seed=1), faster_form(method).restore(image, mask, seed=1)
    assert fast.sample_score == full.sample_score > 0
    assert not np.array_equal(fast.score, full.score)
    assert np.corrcoef(fast.score[mask], full.score[mask])[0, 1] > 0.8


def test_the_faster_form_keeps_the_sampler_and_the_decoder(method, monkeypatch):
    monkeypatch.setattr(method, "sampler", "sequential")
    monkeypatch.setattr(method, "reduced", True)
    quick = faster_form(method)
    assert (quick.sampler, quick.reduced) == ("sequential", True)
    facts = quick.restore(*scan(method), seed=1).facts
    assert (facts["sampler"], facts["decoder"]) == ("sequential", "bfloat16")


@pytest.mark.parametrize("samples", [1, 5])
def test_a_model_with_few_restorations_is_as_quick_as_it_gets(method, samples):
    few = type(method)(replace(method.parameters, samples=samples), method.vqvae, method.prior)
    assert faster_form(few) is None


def test_only_methods_with_many_restorations_have_a_faster_form():
    assert {name for name, kind in METHODS.items() if hasattr(kind, "faster")} == {
        "latent_restoration",
        "volume_restoration",
    }


def test_a_result_in_fast_mode_says_so(toy):
    model, volume = load_model(toy.models["latent_restoration"]), head(30)[0]
    full, fast = detect(volume, model), detect(volume, model, Settings(fast=True))
    assert full.provenance["settings"]["fast"] is False and fast.provenance["settings"]["fast"] is True
    assert full.provenance["facts"]["restorations_drawn"] == 15
    assert fast.provenance["facts"]["restorations_drawn"] == 5
    assert not any("fast" in warning for warning in full.warnings)
    assert [warning for warning in fast.warnings if "fast" in warning] == [
        "examined in fast mode, a little less exactly than the healthy scans it is compared with"
    ]
    assert fast.score == full.score and fast.p_value == full.p_value
    assert model.method.parameters.samples == 15, "the model in memory is as before"


def test_a_model_without_a_faster_mode_runs_as_usual_and_says_so(toy):
    model, volume = load_model(toy.models["atlas"]), head(30)[0]
    usual, asked = detect(volume, model), detect(volume, model, Settings(fast=True))
    assert np.array_equal(usual.anomaly.array, asked.anomaly.array) and usual.regions == asked.regions
    assert asked.warnings == (*usual.warnings, f"the model {model.name} has no faster mode; it ran as usual")


def test_medad_detect_fast_tells_the_reader_and_writes_it_down(toy, tmp_path, capsys):
    head(30)[0].write(tmp_path / "scan.nii.gz")
    words = ["detect", tmp_path / "scan.nii.gz", "-o", tmp_path / "out", "--model", toy.models["latent_restoration"]]
    assert cli.main([*map(str, words), "--fast", "--no-picture"]) == 0
    assert "medad: warning: examined in fast mode" in capsys.readouterr().err
    facts = json.loads((tmp_path / "out" / "scan.json").read_text("utf-8"))
    assert facts["settings"]["fast"] is True and facts["facts"]["restorations_drawn"] == 5
    assert any("fast mode" in warning for warning in facts["warnings"])
