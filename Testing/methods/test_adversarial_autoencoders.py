"""VAE-GAN and the adversarial autoencoder: what their games make of toy heads, and the methods around them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.model_files import model
from support.phantoms import one_thread  # noqa: F401
from support.refusals import accepted
from support.toy_slices import toy_data, toy_scan, with_cuboid

from MedADLib.errors import Cancelled, InputError, ModelError
from MedADLib.methods.adversarial import (
    AdversarialAutoencoder,
    AdversarialAutoencoderParameters,
    VAEGANParameters,
    VAEGANReconstruction,
)
from MedADLib.modelfile.model import load_model, save_model
from MedADLib.preprocessing.brain_space import BrainSpace
from MedADLib.preprocessing.intensity import PERCENTILES
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.loop import Plan, fit_slices
from MedADLib.training.recipes.adversarial import BATCH, code_statistics, train_adversarial_autoencoder, train_vae_gan
from MedADLib.volume import Volume

VAE_GAN = VAEGANParameters(size=(32, 32), channels=(8, 16, 16), latent=16, critic_channels=(8, 16))
AAE = AdversarialAutoencoderParameters(size=(32, 32), channels=(8, 16, 16), latent=16)
KINDS = {"vae_gan": (VAEGANReconstruction, VAE_GAN), "adversarial_autoencoder": (AdversarialAutoencoder, AAE)}
TRAINERS = {"vae_gan": train_vae_gan, "adversarial_autoencoder": train_adversarial_autoencoder}
RATES = {"vae_gan": 3e-3, "adversarial_autoencoder": 1e-3}
STEPS = {"vae_gan": 60, "adversarial_autoencoder": 90}
both = pytest.mark.parametrize("name", list(KINDS))
both_trained = pytest.mark.parametrize(
    "name", ["vae_gan", pytest.param("adversarial_autoencoder", marks=pytest.mark.slow)]
)


def fresh(name: str, seed: int = 1):
    kind, parameters = KINDS[name]
    return kind.untrained(parameters, seed)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Callable[[str], tuple]:
    """A method trained on toy heads when first asked for, its log, and the row of a training that hardly was one."""

    @functools.cache
    def made(name: str) -> tuple:
        slices, folder, method = toy_data().slices(), tmp_path_factory.mktemp(name), fresh(name)
        first = fit_slices(
            method.network, slices, Plan(1, 1e-9, every=1), code_statistics, folder / "first", size=BATCH
        )
        method = fresh(name)
        plan = Plan(STEPS[name], RATES[name])
        log = fit_slices(method.network, slices, plan, code_statistics, folder / "all", size=BATCH)
        method.network.requires_grad_(False)
        return method, log, first[-1]

    return made


@both_trained
def test_training_brings_the_error_on_unseen_heads_far_down(trained, name):
    _, log, first = trained(name)
    assert log[-1]["validation_error"] < 0.5 * first["validation_error"]


@both_trained
def test_a_lesion_raises_the_score_where_it_is(trained, name):
    method, _, _ = trained(name)
    image, mask = toy_scan(51)
    sick, lesion = with_cuboid(image, 0.2)
    healthy, found = method.restore(image, mask), method.restore(sick, mask)
    assert found.score[lesion].mean() > 2 * healthy.score[lesion].mean()
    assert found.sample_score > healthy.sample_score
    assert found.sample_score == pytest.approx(float(found.score[mask].mean()), rel=1e-5)
    assert (found.score[~mask] == 0).all() and (found.restored[~mask] == 0).all()
    assert np.isfinite(found.score).all() and np.allclose(found.score, np.abs(sick - found.restored) * mask, atol=1e-6)


def test_vae_gan_reconstructs_from_the_mean(trained):
    network = trained("vae_gan")[0].network
    images = torch.rand(3, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(images), network.decode(network.encoder(images)[:, :16]))
        (first, _), (second, _) = network.sample(images), network.sample(images)
    assert not torch.equal(first, second)


@both
def test_a_game_goes_on_after_an_interruption_as_if_there_had_been_none(tmp_path, name):
    slices, asked = toy_data(2).slices(), []
    methods = [fresh(name) for _ in range(3)]
    plan, stopping = Plan(4, 1e-3, every=2), Progress(cancelled=lambda: asked.append(1) or len(asked) >= 3)
    fit_slices(methods[0].network, slices, plan, code_statistics, tmp_path / "whole")
    with pytest.raises(Cancelled):
        fit_slices(methods[1].network, slices, plan, code_statistics, tmp_path / "broken", progress=stopping)
    fit_slices(methods[2].network, slices, plan, code_statistics, tmp_path / "broken")
    whole, resumed = methods[0].tensors(), methods[2].tensors()
    assert all(np.array_equal(whole[key], resumed[key]) for key in whole)


@both_trained
def test_a_saved_model_gives_the_same_bits(trained, tmp_path, name):
    method, _, _ = trained(name)
    image, mask = toy_scan(53)
    grid = Volume(image.astype(np.float16).astype(np.float32), np.diag([6.0, 6.0, 10.0, 1.0]), "template")
    kept = model().template
    template = BrainSpace(grid, mask, kept.histogram, kept.limits, np.linspace(0.1, 0.9, len(PERCENTILES)))
    registry = {method.name: type(method)}
    save_model(model(method=method, template=template, calibration=None), tmp_path / "m.medad", registry)
    loaded = load_model(tmp_path / "m.medad", registry).method
    assert loaded.parameters == method.parameters and loaded.name == name
    first, again = method.restore(image, mask), loaded.restore(image, mask, seed=9)
    assert np.array_equal(first.score, again.score) and np.array_equal(first.restored, again.restored)
    assert first.sample_score == again.sample_score


@both
def test_damaged_weights_are_refused(name):
    kind, parameters = KINDS[name]
    tensors, key = fresh(name).tensors(), "encoder.0.weight"
    for bad in ({k: v for k, v in tensors.items() if k != key}, tensors | {key: tensors[key][:1]}):
        with pytest.raises(ModelError):
            kind.from_tensors(parameters, bad)


@both_trained
def test_a_slice_is_treated_the_same_whatever_slices_are_with_it(trained, name):
    method, (image, mask) = trained(name)[0], toy_scan(52)
    whole, only = method.restore(image, mask), np.zeros_like(mask)
    only[14] = mask[14]
    alone = method.restore(image, only)
    assert np.allclose(alone.score[14], whole.score[14], atol=1e-5) and not alone.score[13].any()


@both
def test_the_training_command_gets_a_method_that_fits_its_scans_and_refuses_what_it_does_not_know(tmp_path, name):
    data, options = toy_data(2), Options(steps=1, latent=4, extra={"channels": [4, 4]})
    method, facts = TRAINERS[name](data, options, tmp_path, Progress())
    assert method.name == name and method.parameters.channels == (4, 4) and method.parameters.latent == 4
    assert method.fits((32, 32, 32)) and not method.fits((32, 16, 16)) and facts["last"]["step"] == 1
    for wrong in ({"chanels": [4]}, {"size": [32, 32]}, {"channels": "many"}, {"channels": [4] * 6}):
        with pytest.raises(InputError):
            TRAINERS[name](data, replace(options, extra=wrong), tmp_path / "wrong", Progress())


def test_without_constraint_it_is_the_plain_adversarial_autoencoder(tmp_path):
    options = Options(steps=1, extra={"constraint": 0.0, "channels": [4, 4], "latent": 4})
    method, facts = train_adversarial_autoencoder(toy_data(2), options, tmp_path, Progress())
    assert method.network.constraint == 0 and "train_autoencoder_constraint" not in facts["last"]


def test_settings_that_make_no_sense_are_refused():
    wrong = [
        (VAE_GAN, {"size": (30, 32)}),
        (VAE_GAN, {"critic_channels": ()}),
        (VAE_GAN, {"critic_channels": (8,) * 6}),
        (VAE_GAN, {"adversarial": -1.0}),
        (VAE_GAN, {"latent": 0}),
        (AAE, {"size": (32,)}),
        (AAE, {"constraint": -1.0}),
        (AAE, {"constraint": float("inf")}),
        (AAE, {"channels": (1 << 12,)}),
    ]
    assert accepted(ValueError, lambda row: replace(row[0], **row[1]), wrong) == []
