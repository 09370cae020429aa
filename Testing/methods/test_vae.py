from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.toy_slices import plain_scan, toy_data, with_cuboid

from MedADLib.errors import InputError
from MedADLib.methods.vae import SCALE_PERCENTILE, VAEParameters, VariationalAutoencoder, kl_gradient, smoothed
from MedADLib.networks.vae import LIMIT, VAE, Normal, per_image
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.loop import Plan, fit_slices
from MedADLib.training.recipes.vae import energies, train_vae

SMALL = VAEParameters(size=(32, 32), channels=(8, 16, 32), latent=16)


@pytest.fixture(scope="module")
def training(tmp_path_factory) -> tuple[VariationalAutoencoder, list[dict], dict]:
    """A trained VAE, its log, and the first row of a training that hardly was one."""
    data, folder = toy_data(8, plain_scan), tmp_path_factory.mktemp("vae")
    slices, method = data.slices(), VariationalAutoencoder.untrained(SMALL, seed=1)
    before = fit_slices(method.network, slices, Plan(1, 1e-9, every=1), energies, folder / "before")
    method = VariationalAutoencoder.untrained(SMALL, seed=1)
    log = fit_slices(method.network, slices, Plan(120, 3e-3, every=60), energies, folder / "after")
    method.network.requires_grad_(False)
    return method.with_gradient_scale(data.validation), log, before[-1]


def scored(method: VariationalAutoencoder, **changes) -> VariationalAutoencoder:
    return VariationalAutoencoder(replace(method.parameters, **changes), method.network)


def some_normals(*shape: int) -> Normal:
    generator = torch.Generator().manual_seed(2)
    return Normal(torch.randn(shape, generator=generator), 0.5 * torch.randn(shape, generator=generator))


def test_densities_and_divergences_are_those_of_pytorch():
    first, second = some_normals(3, 4), some_normals(2, 3, 4)
    second = Normal(*(part[1] for part in second))
    a, b = (torch.distributions.Normal(n.mean, (0.5 * n.log_variance).exp()) for n in (first, second))
    standard = torch.distributions.Normal(0.0, 1.0)
    assert torch.allclose(first.divergence(second), torch.distributions.kl_divergence(a, b), atol=1e-5)
    assert torch.allclose(first.divergence_from_standard(), torch.distributions.kl_divergence(a, standard), atol=1e-5)
    assert torch.allclose(first.log_density(second.mean), a.log_prob(second.mean), atol=1e-5)


def test_variances_stay_within_bounds_and_samples_have_them():
    wild = Normal.of(torch.tensor([[1.0, 2.0, -1e4, 1e4]]))
    assert wild.log_variance.tolist() == [[-LIMIT, LIMIT]] and wild.mean.tolist() == [[1.0, 2.0]]
    torch.manual_seed(0)
    normal = Normal(torch.full((100_000, 1), 3.0), torch.full((100_000, 1), np.log(4.0)))
    drawn = normal.at(torch.randn_like)
    assert drawn.mean() == pytest.approx(3, abs=0.05) and drawn.std() == pytest.approx(2, abs=0.05)
    assert torch.equal(normal.at(None), normal.mean)


def test_the_loss_is_the_mean_error_and_the_weighted_mean_divergence():
    torch.manual_seed(0)
    network = VAE((16, 16), (4, 8), 5, kl_weight=0.3, error="l1")
    images, masks = torch.rand(6, 1, 16, 16), torch.ones(6, 1, 16, 16)
    torch.manual_seed(7)
    loss, log = network.loss(images, masks, torch.zeros(6))
    torch.manual_seed(7)
    (posterior,) = network.posteriors(images)
    restored = network.decode(posterior.mean + (0.5 * posterior.log_variance).exp() * torch.randn(6, 5))
    by_hand = (restored - images).abs().mean() + 0.3 * posterior.divergence_from_standard().mean()
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert log["error"].item() == pytest.approx((restored - images).abs().mean().item(), rel=1e-5)
    assert log["divergence"].item() == pytest.approx(5 * posterior.divergence_from_standard().mean().item(), rel=1e-5)


def test_an_energy_is_of_its_image_alone(training):
    network, images = training[0].network, torch.rand(5, 1, 32, 32)
    assert torch.allclose(network.energy(images)[2:3], network.energy(images[2:3]), rtol=1e-5)


def test_the_gradient_is_that_of_finite_differences():
    torch.manual_seed(5)
    network = VAE((16, 16), (6, 8), 5).double().eval().requires_grad_(False)
    # Distributions are kept in float32 elsewhere; here the differences need more digits.
    network.posteriors = lambda images: (Normal(*network.encoder(images).chunk(2, dim=1)),)
    images, step = torch.rand(2, 1, 16, 16, dtype=torch.float64), 1e-6
    gradient = kl_gradient(network, images)
    assert gradient.shape == images.shape and (gradient >= 0).all()
    for number, y, x in ((0, 3, 4), (0, 15, 0), (1, 8, 8), (1, 0, 11)):
        up, down = images.clone(), images.clone()
        up[number, 0, y, x] += step
        down[number, 0, y, x] -= step
        slope = (network.divergence(up) - network.divergence(down)) / (2 * step)
        assert abs(slope[number]).item() == pytest.approx(gradient[number, 0, y, x].item(), rel=1e-5, abs=1e-9)
        assert slope[1 - number] == 0


def test_smoothing_is_a_gaussian_that_keeps_constants_and_sees_nothing_outside():
    point, everywhere = torch.zeros(1, 1, 21, 21), torch.ones(1, 1, 21, 21)
    point[0, 0, 10, 10] = 1
    blob = smoothed(point, everywhere)[0, 0]
    assert blob.sum() == pytest.approx(1, abs=1e-5) and (blob > 0).sum() == 49
    assert blob[10, 13] / blob[10, 10] == pytest.approx(np.exp(-0.5), rel=1e-4)
    disc = (torch.arange(21) - 10).square()
    inside = (disc[:, None] + disc < 60)[None, None]
    values = torch.where(inside, 2.5, 1e6)
    assert torch.allclose(smoothed(values, inside)[inside], torch.tensor(2.5), rtol=1e-5)
    assert not smoothed(values, inside)[~inside].any()


def test_training_lowers_the_energy_on_unseen_heads(training):
    _, log, before = training
    assert log[-1]["validation_energy"] < 0.4 * before["validation_energy"]
    assert log[-1]["validation_error"] < 0.5 * before["validation_error"]
    assert {"train_error", "train_divergence", "validation_divergence"} <= set(log[-1])


@pytest.mark.parametrize("score", ["reconstruction", "product"])
def test_a_lesion_scores_higher_than_healthy_tissue(training, score):
    method = scored(training[0], score=score)
    image, mask = plain_scan(51)
    sick, lesion = with_cuboid(image, 1.3)
    healthy, found = method.restore(image, mask).score, method.restore(sick, mask).score
    assert found[lesion].mean() > 5 * healthy[lesion].mean()
    assert (found[lesion][:, None] > found[mask & ~lesion][None]).mean() > 0.95


def test_the_gradient_sees_a_lesion(training):
    method = scored(training[0], score="kl_gradient")
    image, mask = plain_scan(51)
    sick, lesion = with_cuboid(image, 1.3)
    rise = np.abs(method.restore(sick, mask).score - method.restore(image, mask).score)
    slices = lesion.any((1, 2))
    assert rise[lesion].mean() > 0.01 and not rise[~slices].any()


def test_the_product_is_that_of_error_and_scaled_gradient(training):
    image, mask = plain_scan(52)
    image = with_cuboid(image, 0.2)[0]
    error, gradient, product = (
        scored(training[0], score=score).restore(image, mask).score
        for score in ("reconstruction", "kl_gradient", "product")
    )
    assert np.allclose(product, error * gradient, rtol=1e-4, atol=1e-6) and product.any()
    halved = scored(training[0], score="product", gradient_scale=2 * training[0].parameters.gradient_scale)
    assert np.allclose(halved.restore(image, mask).score, product / 2, rtol=1e-4, atol=1e-7)


def test_the_gradient_is_scaled_by_healthy_scans_and_not_by_the_scan_itself(training):
    method = scored(training[0], score="kl_gradient")
    image, mask = plain_scan(50)
    assert np.percentile(method.restore(image, mask).score[mask], SCALE_PERCENTILE) == pytest.approx(1, rel=1e-3)
    other, inside = plain_scan(53)
    assert np.percentile(method.restore(other, inside).score[inside], SCALE_PERCENTILE) != pytest.approx(1, rel=1e-3)


def test_sample_scores_are_what_they_are_called(training):
    image, mask = plain_scan(52)
    image = with_cuboid(image, 0.2)[0]
    network = training[0].network.eval()
    used = np.flatnonzero(mask.reshape(len(mask), -1).mean(1) >= 0.01)
    with torch.no_grad():
        slices = torch.from_numpy(image[used])[:, None]
        kl = (network.divergence(slices) / 16).numpy()
        error = (network(slices) - slices).square().mean((1, 2, 3)).numpy()
    energy = error + training[0].parameters.kl_weight * kl
    for name, values in (("kl", kl), ("reconstruction", error), ("elbo", energy)):
        for pool, value in (("mean", values.mean()), ("max", values.max())):
            found = scored(training[0], sample_score=name, over_slices=pool).restore(image, mask)
            assert found.sample_score == pytest.approx(float(value), rel=1e-4)


def test_a_user_trains_it_with_overrides(tmp_path):
    options = Options(steps=3, latent=4, seed=2, extra={"channels": [4, 8], "score": "product"})
    method, facts = train_vae(toy_data(2, plain_scan), options, tmp_path / "a", Progress())
    assert method.parameters.latent == 4 and method.parameters.channels == (4, 8)
    assert method.parameters.gradient_scale not in (0, 1) and facts["last"]["step"] == 3
    again, _ = train_vae(toy_data(2, plain_scan), options, tmp_path / "b", Progress())
    assert again.parameters == method.parameters
    assert all(np.array_equal(value, again.tensors()[name]) for name, value in method.tensors().items())
    for wrong in ({"gradient_scale": 2.0}, {"beta": 1.0}, {"score": "best"}):
        with pytest.raises(InputError):
            train_vae(toy_data(2, plain_scan), replace(options, extra=wrong), tmp_path / "c", Progress())


def test_sums_over_an_image_leave_the_others_out():
    assert per_image(torch.arange(12.0).view(2, 1, 2, 3)).tolist() == [15, 51]
