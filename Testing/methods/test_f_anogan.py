"""f-AnoGAN: both trainings, the scores, and AnoGAN's search, on toy heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.model_files import model
from support.phantoms import one_thread  # noqa: F401
from support.refusals import accepted
from support.toy_slices import toy_data, toy_scan, with_cuboid

from MedADLib.errors import InputError, ModelError
from MedADLib.methods.adversarial import FAnoGAN, FAnoGANParameters, objective, resampled, search_codes
from MedADLib.modelfile.model import load_model, save_model
from MedADLib.preprocessing.brain_space import BrainSpace
from MedADLib.preprocessing.intensity import PERCENTILES
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.loop import Plan
from MedADLib.training.recipes.adversarial import resolution_for, train, train_encoder, train_gan
from MedADLib.volume import Volume

SMALL = FAnoGANParameters(size=(32, 32), resolution=(16, 16), channels=(16, 32), latent=16)


@pytest.fixture(scope="module")
def training(tmp_path_factory) -> tuple[FAnoGAN, dict[str, list[dict]]]:
    """A trained f-AnoGAN, and the logs of both trainings, each with that of a training that hardly was one."""
    data, folder = toy_data(), tmp_path_factory.mktemp("f-anogan")
    slices = data.slices()
    hardly, logs = Plan(1, 1e-9, every=1), {}
    method = FAnoGAN.untrained(SMALL, seed=1)
    on_cpu = ("cpu", Progress())
    logs["no game"] = train_gan(method, slices, hardly, folder / "no-game", *on_cpu)
    method = FAnoGAN.untrained(SMALL, seed=1)
    logs["game"] = train_gan(method, slices, Plan(60, 1e-3, every=30), folder / "game", *on_cpu)
    logs["no encoder"] = train_encoder(method, slices, hardly, folder / "no-encoder", *on_cpu)
    logs["encoder"] = train_encoder(method, slices, Plan(75, 2e-3, every=75), folder / "encoder", *on_cpu)
    method.gan.requires_grad_(False)
    return method, logs


def test_the_generator_comes_near_mean_and_spread_of_slices_it_has_not_seen(training):
    _, logs = training
    # On these slices the mean is 0.24 a pixel and the standard deviation 0.13.
    assert logs["no game"][-1]["validation_error"] > 0.18
    assert logs["game"][-1]["validation_error"] < 0.09
    assert logs["game"][-1]["train_critic_wasserstein"] > 0


def test_the_encoder_finds_codes_of_unseen_healthy_slices(training):
    _, logs = training
    assert logs["encoder"][-1]["validation_squared_error"] < 0.25 * logs["no encoder"][-1]["validation_squared_error"]
    assert logs["encoder"][-1]["validation_error"] < 0.25 * logs["no encoder"][-1]["validation_error"]


def test_a_lesion_raises_the_score_where_it_is(training):
    method, _ = training
    image, mask = toy_scan(51)
    sick, lesion = with_cuboid(image, 0.2)
    healthy, found = method.restore(image, mask), method.restore(sick, mask)
    assert found.score[lesion].mean() > 2 * healthy.score[lesion].mean()
    assert found.score[lesion].mean() > 2 * found.score[mask & ~lesion].mean()
    assert found.sample_score > healthy.sample_score
    assert (found.score[~mask] == 0).all() and (found.restored[~mask] == 0).all()
    assert np.isfinite(found.score).all() and found.score.dtype == found.restored.dtype == np.float32


def test_the_scores_are_those_of_the_recipe(training):
    method, _ = training
    at_network_size = FAnoGAN(replace(SMALL, size=(16, 16)), method.gan, method.encoder)
    image = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    mask = np.ones(image.shape, bool)
    found = at_network_size.restore(image, mask)
    images = torch.from_numpy(image)[:, None]
    with torch.no_grad():
        codes = method.encoder.eval()(images)
        pictures = method.gan.generator(codes)
        features = (method.gan.critic.features(images) - method.gan.critic.features(pictures)).square().mean()
        again = method.encoder(pictures)
    assert np.allclose(found.score, (images - pictures).abs()[:, 0].numpy(), atol=1e-6)
    expected = float((images - pictures).square().mean() + SMALL.kappa * features)
    assert found.sample_score == pytest.approx(expected, rel=1e-5)
    assert found.facts["code_distance"] == pytest.approx(float((codes - again).square().sum(1).mean()), rel=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 1.0])
def test_the_search_s_objective_is_that_of_the_paper(gamma):
    """Schlegl et al. 2017: (1 − γ)·Σ|x − G(z)| + γ·Σ|f(x) − f(G(z))|, of each slice."""
    gan = FAnoGAN.untrained(SMALL, seed=1).gan.eval()
    images, codes = torch.rand(3, 1, *SMALL.resolution), torch.randn(3, SMALL.latent)
    with torch.no_grad():
        found = objective(gan, images, codes, gamma)
        for number, (image, code) in enumerate(zip(images, codes)):
            picture = gan.generator(code[None])
            apart = np.abs((image[None] - picture).numpy()).sum()
            features = np.abs((gan.critic.features(image[None]) - gan.critic.features(picture)).numpy()).sum()
            assert features > 0.01 * apart
            assert float(found[number]) == pytest.approx((1 - gamma) * apart + gamma * features, rel=1e-4)


def test_the_search_goes_down_its_objective_and_leaves_the_networks_alone(training):
    method, _ = training
    before = method.tensors()
    images = resampled(torch.from_numpy(toy_scan(51)[0][12:16])[:, None], SMALL.resolution)
    start = torch.randn(4, SMALL.latent, generator=torch.Generator().manual_seed(3))
    values = [objective(method.gan, images, start, 0.1)]
    for steps in (0, 5, 40):
        codes = search_codes(method.gan, images, start, steps, 0.05, 0.1)
        values.append(objective(method.gan, images, codes, 0.1))
        assert not codes.requires_grad
    assert torch.equal(values[1], values[0])
    assert (values[2] < values[1]).all() and (values[3] < values[2]).all()
    assert float(values[3].mean()) < 0.7 * float(values[0].mean())
    alone = search_codes(method.gan, images[:1], start[:1], 5, 0.05, 0.1)
    assert torch.allclose(alone, search_codes(method.gan, images, start, 5, 0.05, 0.1)[:1], atol=1e-3)
    assert all(np.array_equal(value, before[key]) for key, value in method.tensors().items())


def test_the_search_of_a_scan_depends_on_the_seed_only_if_it_starts_from_noise(training):
    method, _ = training
    image, mask = toy_scan(52)
    image, mask = image[10:14], mask[10:14]
    for origin, depends in (("prior", True), ("encoder", False)):
        searching = FAnoGAN(replace(SMALL, search_steps=4, search_from=origin), method.gan, method.encoder)
        first, again, other = (searching.restore(image, mask, seed=seed).score for seed in (1, 1, 2))
        assert np.array_equal(first, again) and first[mask].any() and np.isfinite(first).all()
        assert np.array_equal(first, other) is not depends


def test_a_saved_model_gives_the_same_bits(training, tmp_path):
    method, _ = training
    image, mask = toy_scan(53)
    grid = Volume(image.astype(np.float16).astype(np.float32), np.diag([6.0, 6.0, 10.0, 1.0]), "template")
    kept = model().template
    template = BrainSpace(grid, mask, kept.histogram, kept.limits, np.linspace(0.1, 0.9, len(PERCENTILES)))
    registry = {FAnoGAN.name: FAnoGAN}
    save_model(model(method=method, template=template, calibration=None), tmp_path / "m.medad", registry)
    loaded = load_model(tmp_path / "m.medad", registry).method
    assert loaded.parameters == method.parameters
    first, again = method.restore(image, mask), loaded.restore(image, mask, seed=9)
    assert np.array_equal(first.score, again.score) and np.array_equal(first.restored, again.restored)
    assert first.sample_score == again.sample_score and first.facts == again.facts


def test_damaged_weights_are_refused(training):
    tensors = training[0].tensors()
    key = "gan.critic.head.weight"
    for bad in (
        {k: v for k, v in tensors.items() if k != key},
        tensors | {"more": np.zeros(3, np.float32)},
        tensors | {key: tensors[key][:, 1:]},
    ):
        with pytest.raises(ModelError):
            FAnoGAN.from_tensors(SMALL, bad)


def test_the_training_command_gets_a_method_that_fits_its_scans_and_refuses_what_it_does_not_know(tmp_path):
    data, options = toy_data(2), Options(steps=1, prior_steps=1, latent=4, extra={"channels": [4, 4], "kappa": 0.5})
    method, facts = train(data, options, tmp_path, Progress())
    assert method.parameters == FAnoGANParameters((32, 32), (64, 64), (4, 4), 4, 0.5)
    assert method.fits((32, 32, 32)) and not method.fits((32, 16, 16))
    assert facts["generator"]["step"] == facts["encoder"]["step"] == 1
    restoration = method.restore(*data.validation[0])
    assert np.isfinite(restoration.score).all() and np.isfinite(restoration.sample_score)
    for wrong in ({"chanels": [4]}, {"size": [32, 32]}, {"kappa": "much"}, {"resolution": [60, 60]}):
        with pytest.raises(InputError):
            train(data, replace(options, extra=wrong), tmp_path / "wrong", Progress())


@pytest.mark.parametrize(
    ("size", "wanted"), [((160, 160), (64, 64)), ((192, 160), (64, 48)), ((512, 64), (64, 16)), ((1000, 8), (64, 16))]
)
def test_the_networks_grid_keeps_about_the_shape_of_a_slice(size, wanted):
    assert resolution_for(size) == wanted


def test_resampling_keeps_a_smooth_slice():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 40), torch.linspace(-1, 1, 40), indexing="ij")
    images = (1 - 0.5 * (y.square() + x.square()))[None, None]
    assert torch.equal(resampled(images, (40, 40)), images)
    again = resampled(resampled(images, (16, 16)), (40, 40))
    assert (again - images)[..., 3:-3, 3:-3].abs().max() < 0.02
    flat = resampled(torch.full((1, 1, 40, 40), 0.7), (16, 16))
    assert torch.allclose(flat, torch.full((1, 1, 16, 16), 0.7), atol=1e-6)


def test_settings_that_make_no_sense_are_refused():
    wrong = [
        {"size": (32,)},
        {"size": (0, 32)},
        {"resolution": (15, 16)},
        {"resolution": (1 << 12, 1 << 12)},
        {"channels": ()},
        {"latent": 0},
        {"kappa": -1.0},
        {"gamma": 1.5},
        {"search_steps": -1},
        {"search_steps": 10**6},
        {"search_rate": 0.0},
        {"kappa": float("nan")},
    ]
    assert accepted(ValueError, lambda settings: replace(SMALL, **settings), wrong) == []
