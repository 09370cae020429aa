"""Fast mode: fewer restorations of fewer slices where a method has them, and results that say how they were made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from support.phantoms import ToyModels, head, one_alignment, one_thread, toy_models  # noqa: F401
from support.toy_codes import random_networks, toy_parameters

from MedADLib import detect, load_model
from MedADLib.cli import main
from MedADLib.detection import Settings
from MedADLib.messages import Message
from MedADLib.methods.base import Method
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.methods.registry import METHODS
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


def scan(method: LatentRestoration, slices: int = 7) -> tuple[np.ndarray, np.ndarray]:
    size = method.parameters.size
    shape = size if len(size) == 3 else (slices, *size)
    mask = np.zeros(shape, bool)
    mask[:, 2:-2, 3:-2] = True
    return np.where(mask, np.random.default_rng(0).random(shape) + 0.2, 0).astype(np.float32), mask


def test_the_faster_form_draws_three_restorations_of_every_third_slice_with_the_same_networks(method):
    quick = method.faster()
    assert type(quick) is type(method) and quick.vqvae is method.vqvae and quick.prior is method.prior
    step = 3 if method.unit == "slice" else 1
    assert quick.parameters == replace(method.parameters, samples=3, slice_step=step)
    image, mask = scan(method)
    full, fast = method.restore(image, mask, seed=1), quick.restore(image, mask, seed=1)
    assert full.facts["restorations_drawn"] == method.parameters.samples
    assert fast.facts["restorations_drawn"] == 3
    assert 0 < fast.facts[f"restorations_per_{method.unit}"] <= 3
    assert full.facts[f"{method.unit}s"] == (7 if step == 3 else 1)
    assert fast.facts[f"{method.unit}s"] == (3 if step == 3 else 1)


def test_the_faster_form_gives_nearly_the_same_sample_score_and_map(method):
    image, mask = scan(method, 31)
    # As in a real scan, slices are like their neighbours.
    image = gaussian_filter(image, (4, 0, 0)) * mask if method.unit == "slice" else image
    full, fast = method.restore(image, mask, seed=1), method.faster().restore(image, mask, seed=1)
    assert fast.sample_score == pytest.approx(full.sample_score, rel=0.2) and full.sample_score > 0
    assert not np.array_equal(fast.score, full.score)
    assert np.corrcoef(fast.score[mask], full.score[mask])[0, 1] > 0.8


def test_the_faster_form_keeps_the_sampler_and_the_decoder(method, monkeypatch):
    monkeypatch.setattr(method, "sampler", "sequential")
    monkeypatch.setattr(method, "reduced", True)
    quick = method.faster()
    assert (quick.sampler, quick.reduced) == ("sequential", True)
    facts = quick.restore(*scan(method), seed=1).facts
    assert (facts["sampler"], facts["decoder"]) == ("sequential", "bfloat16")


@pytest.mark.parametrize("samples", [1, 3])
def test_a_model_with_few_restorations_of_few_slices_is_as_quick_as_it_gets(method, samples):
    step = 4 if method.unit == "slice" else 1
    parameters = replace(method.parameters, samples=samples, slice_step=step)
    assert type(method)(parameters, method.vqvae, method.prior).faster() is None


@pytest.mark.parametrize("setting", [{"samples": 2}, {"slice_step": 5}])
def test_fast_mode_never_asks_for_more_than_the_model_does(method, setting):
    if method.unit == "volume":
        setting = {"samples": 4}
    parameters = replace(method.parameters, **setting)
    quick = type(method)(parameters, method.vqvae, method.prior).faster().parameters
    assert quick.samples <= parameters.samples and quick.slice_step >= parameters.slice_step


def test_only_methods_with_many_restorations_have_a_faster_form_and_ensembles_of_them():
    assert {name for name, kind in METHODS.items() if kind.faster is not Method.faster} == {
        "latent_restoration",
        "volume_restoration",
        "ensemble",
    }


def test_a_result_in_fast_mode_states_it(toy):
    model, volume = load_model(toy.models["latent_restoration"]), head(30)[0]
    full, fast = detect(volume, model), detect(volume, model, Settings(fast=True))
    assert full.provenance["settings"]["fast"] is False and fast.provenance["settings"]["fast"] is True
    assert full.provenance["facts"]["restorations_drawn"] == 5
    assert fast.provenance["facts"]["restorations_drawn"] == 3 and fast.provenance["facts"]["slice_step"] == 3
    assert [warning for warning in fast.warnings if warning not in full.warnings] == [Message("fast_mode")]
    reference = model.calibration.fast.reference
    assert fast.reference is reference and full.reference is model.calibration.reference
    assert fast.threshold == reference.value_of(reference.threshold)
    assert fast.p_value == reference.sample_p_value(fast.score)
    assert fast.score == pytest.approx(full.score, rel=0.3)
    assert model.method.parameters.samples == 5, "the model in memory is as before"


def test_a_model_that_was_not_calibrated_in_fast_mode_warns_of_false_alarms(toy):
    model, volume = load_model(toy.models["latent_restoration"]), head(30)[0]
    old = replace(model, calibration=replace(model.calibration, fast=None))
    found = detect(volume, old, Settings(fast=True))
    assert found.reference is old.calibration.reference and found.provenance["facts"]["slice_step"] == 3
    assert Message("fast_mode_not_calibrated") in found.warnings


def test_a_model_without_a_faster_mode_runs_as_usual_and_states_it(toy):
    model, volume = load_model(toy.models["atlas"]), head(30)[0]
    usual, asked = detect(volume, model), detect(volume, model, Settings(fast=True))
    assert np.array_equal(usual.anomaly.array, asked.anomaly.array) and usual.regions == asked.regions
    assert asked.warnings == (*usual.warnings, Message("no_fast_mode", model=model.name))
    assert asked.warnings[-1].code == "no_fast_mode" and model.name in asked.warnings[-1]


def test_medad_detect_fast_informs_the_reader_and_writes_it_down(toy, tmp_path, capsys):
    head(30)[0].write(tmp_path / "scan.nii.gz")
    words = ["detect", tmp_path / "scan.nii.gz", "-o", tmp_path / "out", "--model", toy.models["latent_restoration"]]
    assert main.main([*map(str, words), "--fast", "--no-picture"]) == 0
    assert "medad: warning: examined in fast mode" in capsys.readouterr().err
    facts = json.loads((tmp_path / "out" / "scan.json").read_text("utf-8"))
    assert facts["settings"]["fast"] is True and facts["facts"]["restorations_drawn"] == 3
    assert any("fast mode" in warning for warning in facts["warnings"])
