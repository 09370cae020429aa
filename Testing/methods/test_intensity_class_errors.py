from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.model_files import forge
from support.source_code import ROOT
from support.toy_codes import random_networks, toy_parameters
from support.toy_slices import plain_scan, toy_data, toy_scan, with_cuboid

from MedADLib import load_model
from MedADLib.errors import InputError
from MedADLib.methods import latent_restoration
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.methods.slicewise import slice_positions
from MedADLib.methods.vae import VAEParameters, VariationalAutoencoder, kl_gradient
from MedADLib.modelfile.archive import read_archive
from MedADLib.networks.vae import VAE
from MedADLib.runtime.progress import Progress
from MedADLib.runtime.strict_json import json_of
from MedADLib.training.config import Options
from MedADLib.training.loop import Plan, fit_slices
from MedADLib.training.recipes.latent_restoration import train
from MedADLib.training.recipes.vae import energies, train_cevae, train_vae

MODELS = ROOT / "Resources" / "models"
CENTRES = (0.0, 0.3, 0.6, 0.9)


@pytest.fixture(scope="module")
def vae(tmp_path_factory) -> VariationalAutoencoder:
    """A trained VAE with the classes background, fluid, grey and white matter of the toy heads."""
    data, folder = toy_data(6), tmp_path_factory.mktemp("vae")
    parameters = VAEParameters((32, 32), (8, 16, 32), 16, error="categorical", centres=(0.0, 0.15, 0.5, 0.82))
    method = VariationalAutoencoder.untrained(parameters, seed=1)
    plan = Plan(120, 6e-3, every=120)
    fit_slices(method.network, data.slices(), plan, energies, folder)
    method.network.requires_grad_(False)
    return method.with_gradient_scale(data.validation)


def scored(method: VariationalAutoencoder, **changes) -> VariationalAutoencoder:
    return VariationalAutoencoder(replace(method.parameters, **changes), method.network)


def test_two_classes_cost_what_they_do_by_hand():
    torch.manual_seed(0)
    network = VAE((16, 16), (4, 8), 5, kl_weight=0.3, error="categorical", centres=(0.0, 1.0)).eval()
    images, masks = torch.rand(6, 1, 16, 16), torch.ones(6, 1, 16, 16)
    (posterior,) = network.posteriors(images)
    logits = network.decode(posterior.mean)
    bright = torch.sigmoid(logits[:, 1:] - logits[:, :1])
    by_hand = -torch.where(images > 0.5, bright, 1 - bright).log()
    terms = network.terms(images)
    assert torch.allclose(terms.errors, by_hand, atol=1e-5) and torch.allclose(terms.restored, bright, atol=1e-6)
    wanted = by_hand.mean() + 0.3 * posterior.divergence_from_standard().mean()
    assert network.energy(images).mean().item() / 256 == pytest.approx(wanted.item(), rel=1e-5)
    torch.manual_seed(7)
    loss, log = network.loss(images, masks, torch.zeros(6))
    torch.manual_seed(7)
    drawn = network.decode(posterior.at(torch.randn_like))
    bright = torch.sigmoid(drawn[:, 1:] - drawn[:, :1])
    by_hand = -torch.where(images > 0.5, bright, 1 - bright).log().mean()
    assert loss.item() == pytest.approx(
        by_hand.item() + 0.3 * posterior.divergence_from_standard().mean().item(), rel=1e-5
    )
    assert log["error"].item() == pytest.approx((bright - images).abs().mean().item(), rel=1e-5)


@pytest.mark.parametrize(("score", "value"), [("reconstruction", 0.3), ("product", 0.3), ("reconstruction", 0.0)])
def test_what_is_too_dark_scores_higher_than_healthy_tissue_and_so_does_a_hole(vae, score, value):
    image, mask = toy_scan(51)
    sick, lesion = with_cuboid(image, value)
    lesion, method = lesion & mask, scored(vae, score=score)
    healthy, found = method.restore(image, mask).score, method.restore(sick, mask).score
    assert found[lesion].mean() > 5 * healthy[lesion].mean() and not found[~mask].any()
    assert (found[lesion][:, None] > found[mask & ~lesion][None]).mean() > 0.9


def test_the_restored_image_is_the_expected_intensity(vae):
    image, mask = toy_scan(51)
    sick, lesion = with_cuboid(image, 0.3)
    restored = vae.restore(sick, mask).restored
    assert np.abs(restored - image)[lesion & mask].mean() < 0.5 * np.abs(sick - image)[lesion & mask].mean()
    assert restored.max() <= 0.82 + 1e-6 and len(np.unique(restored[mask])) > 100


def test_the_gradient_of_the_divergence_asks_the_encoder_only(vae):
    other = VAE((32, 32), (8, 16, 32), 16).eval()
    other.encoder.load_state_dict(vae.network.encoder.state_dict())
    images = torch.from_numpy(toy_scan(51)[0][12:20])[:, None]
    gradient = kl_gradient(vae.network, images)
    assert gradient.max() > 0 and torch.equal(gradient, kl_gradient(other, images))


def test_the_sample_score_is_the_divergence_and_the_energy_has_the_cross_entropy(vae):
    image, mask = toy_scan(51)
    result = vae.restore(image, mask)
    assert result.sample_score == result.facts["kl"] > 0
    energy = result.facts["reconstruction"] + vae.parameters.kl_weight * result.facts["kl"]
    assert result.facts["elbo"] == pytest.approx(energy)
    sick, _ = with_cuboid(image, 0.3)
    assert vae.restore(sick, mask).facts["reconstruction"] > result.facts["reconstruction"]


def test_training_finds_the_classes(tmp_path):
    options = Options(steps=3, latent=4, extra={"channels": [4, 8], "error": "categorical"})
    data = toy_data(2)
    method, _ = train_vae(data, options, tmp_path, Progress())
    centres, intensities = method.parameters.centres, np.concatenate([image[mask] for image, mask in data.train])
    assert len(centres) == 11 and centres[0] == 0 and np.diff(centres).min() > 0
    assert intensities.min() < centres[1] < centres[-1] < intensities.max()


def test_centres_are_not_a_setting_and_depend_on_the_error(tmp_path):
    for wrong in ({"centres": [0.1, 0.2]}, {"error": "categorical", "centres": [0.1, 0.2]}, {"error": "classes"}):
        with pytest.raises(InputError):
            train_vae(toy_data(2, plain_scan), Options(steps=1, extra=wrong), tmp_path, Progress())
    for wrong in ({"error": "categorical"}, {"centres": (0.1, 0.2)}, {"error": "categorical", "centres": (0.2, 0.1)}):
        with pytest.raises(ValueError):
            VAEParameters(**wrong)


def test_a_context_encoder_can_classify_too(tmp_path):
    options = Options(steps=2, latent=4, extra={"channels": [4, 8], "error": "categorical"})
    method, _ = train_cevae(toy_data(2, plain_scan), options, tmp_path, Progress())
    image, mask = plain_scan(50)
    assert len(method.parameters.centres) == 11 and method.restore(image, mask).score[mask].mean() > 0


@pytest.fixture(scope="module")
def networks() -> LatentRestoration:
    method = random_networks(LatentRestoration, toy_parameters(error="categorical", centres=CENTRES))
    method.reduced = False  # so that maps can be compared with sums of our own
    return method


def scan(seed: int = 0, slices: int = 9) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    mask = np.zeros((slices, 16, 24), bool)
    mask[1:-1, 2:14, 3:22] = True
    return np.where(mask, random.random(mask.shape), 0).astype(np.float32), mask


def test_without_unlikely_codes_the_score_is_the_cross_entropy_of_the_decoded_scan(networks):
    image, mask = scan()
    result = networks.restore(image, mask)
    with torch.inference_mode():
        where, seen = torch.from_numpy(slice_positions(len(image))), torch.from_numpy(image)[:, None]
        share = networks.vqvae.decode(networks.vqvae.encode(seen, where), where).softmax(1).numpy()
    classes = np.abs(image[..., None] - CENTRES).argmin(-1)
    entropy = -np.log(np.take_along_axis(share, classes[:, None], 1))[:, 0]
    assert np.allclose(result.score, np.where(mask, entropy, 0), atol=1e-4)
    expected = np.einsum("zkyx,k->zyx", share, CENTRES)
    assert np.allclose(result.restored, np.where(mask, expected, 0), atol=1e-5)


def test_restorations_are_weighed_by_their_mean_cross_entropy(networks, monkeypatch):
    image, _ = scan(2, 1)
    image = np.random.default_rng(1).random((1, 16, 24)).astype(np.float32)
    drawn = torch.randint(0, 8, (3, 24), generator=torch.Generator().manual_seed(3))
    monkeypatch.setattr(latent_restoration, "resample_codes", lambda *given: drawn)
    result = networks.restore(image, np.ones(image.shape, bool))
    with torch.inference_mode():
        share = networks.vqvae.decode(drawn.view(3, 4, 6), torch.zeros(3)).softmax(1).numpy()
    classes = np.abs(image[..., None] - CENTRES).argmin(-1)
    entropy = -np.log(np.take_along_axis(share, np.repeat(classes[:, None], 3, 0), 1))[:, 0]
    weights = np.exp(3 / entropy.mean((1, 2)))
    weights /= weights.sum()
    assert weights.max() < 0.9
    assert np.allclose(result.score[0], np.einsum("j,jyx->yx", weights, entropy), atol=1e-4)


def test_latent_restoration_is_trained_with_overrides(tmp_path):
    extra = {"channels": [4, 8], "residual_layers": 1, "codes": 300, "prior_width": 16, "prior_layers": 1}
    options = Options(steps=3, prior_steps=2, seed=2, extra=extra | {"error": "categorical", "samples": 2})
    data = toy_data(2, plain_scan)
    method, facts = train(data, options, tmp_path / "a", Progress())
    p = method.parameters
    assert (p.channels, p.codes, p.samples, len(p.centres), p.centres[0]) == ((4, 8), 300, 2, 11, 0.0)
    assert 0 < p.restoration_nll < p.sample_nll < 100 and facts["vqvae"]["step"] == 3
    again = LatentRestoration.from_tensors(p, method.tensors())
    image, mask = plain_scan(50)
    first, second = method.restore(image, mask, seed=1), again.restore(image, mask, seed=1)
    assert np.array_equal(first.score, second.score) and np.array_equal(first.restored, second.restored)
    for wrong in ({"restoration_nll": 1.0}, {"centres": [0.1, 0.2]}, {"error": "l2"}, {"lambda": 1}):
        with pytest.raises(InputError):
            train(data, replace(options, extra=wrong), tmp_path / "b", Progress())


def test_models_of_earlier_versions_have_no_classes(tmp_path):
    path = tmp_path / "earlier.medad"
    shutil.copy(MODELS / "brain-t1-vqvae.medad", path)
    method = json_of(read_archive(path), "configs/medad.json")["method"]
    for later in ("error", "centres"):
        del method["parameters"][later]
    assert load_model(forge(path, method=method)).method.parameters.error == "l1"
