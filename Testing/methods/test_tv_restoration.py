from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.raised import raises
from support.toy_slices import plain_scan, toy_data, with_cuboid

from MedADLib.errors import InputError, SettingError
from MedADLib.methods.tv_restoration import GMVAETV, VAETV, most_probable, noise_of
from MedADLib.networks.vae import GMVAE, VAE, Normal
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.recipes.tv_restoration import GRID, best_weight, healthy_changes, train_gmvae_tv, train_vae_tv
from MedADLib.training.slices import Slices

SETTINGS = {"channels": [8, 16, 16], "steps": 40, "kl_weight": 0.005, "rate": 0.02}


SPATIAL = {"bottleneck": "spatial", "latent": 2}
DENSE = {"latent": 16, "kl_weight": 0.0005}
KINDS = [
    pytest.param((train_vae_tv, VAETV, SPATIAL, 120), id="vae"),
    pytest.param((train_gmvae_tv, GMVAETV, SPATIAL, 120), id="gmvae", marks=pytest.mark.slow),
    pytest.param((train_vae_tv, VAETV, DENSE, 400), id="dense-vae", marks=pytest.mark.slow),
    pytest.param((train_gmvae_tv, GMVAETV, DENSE, 400), id="dense-gmvae", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=KINDS)
def training(request, tmp_path_factory):
    train, kind, latents, steps = request.param
    folder, settings = tmp_path_factory.mktemp(kind.name), SETTINGS | latents | {"tv_weight": 0.4}
    before = train(toy_data(8, plain_scan), Options(steps=1, seed=1, extra=settings), folder / "before", Progress())[1]
    method, facts = train(
        toy_data(8, plain_scan), Options(steps=steps, seed=1, extra=settings), folder / "after", Progress()
    )
    assert type(method) is kind and method.parameters.tv_weight == 0.4 and "tv_weights" not in facts
    return method, facts["last"], before["last"]


def weighted(method: VAETV, **changes) -> VAETV:
    return type(method)(replace(method.parameters, **changes), method.network)


def mixture(components: int, floor: float = 0.0) -> GMVAE:
    torch.manual_seed(3)
    return GMVAE((16, 16), (4, 8), 2, components, mixing=3, floor=floor).eval()


def test_with_one_component_and_w_ignored_its_divergence_is_that_of_the_vae():
    network, images = mixture(1), torch.rand(4, 1, 16, 16)
    with torch.no_grad():
        for layer in (network.mixture[0], network.mixture[2]):
            layer.weight.zero_()
            layer.bias.zero_()
        network.encoder[-1].weight[4:].zero_()
        network.encoder[-1].bias[4:].zero_()  # q(w|x) = p(w)
        vae = VAE((16, 16), (4, 8), 2, bottleneck="spatial").eval()
        state, last = network.encoder.state_dict(), f"{len(network.encoder) - 1}."
        of_z = {name: value[:4] if name.startswith(last) else value for name, value in state.items()}
        vae.encoder.load_state_dict(of_z)
        assert vae.divergence(images).min() > 1e-3
        assert torch.allclose(network.divergence(images), vae.divergence(images), rtol=1e-5)


def test_the_divergence_of_a_mixture_is_that_of_a_sum_written_out():
    network, images = mixture(3, floor=0.1), torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        network.mixture[2].weight.mul_(3)
        of_z, of_w = network.posteriors(images)
        z, w = of_z.at(torch.randn_like), of_w.at(torch.randn_like)
        found = network.divergence_of((of_z, of_w), (z, w))
        prior = network.prior(w)
    assert prior.mean.shape == (2, 3, 2, 4, 4)
    kl, normal = torch.distributions.kl_divergence, torch.distributions.Normal
    q_w, standard = normal(of_w.mean, (0.5 * of_w.log_variance).exp()), normal(0.0, 1.0)
    floored = 0
    for image in range(2):
        total = kl(q_w, standard)[image].sum().item()
        for y in range(4):
            for x in range(4):
                q = normal(of_z.mean[image, :, y, x], (0.5 * of_z.log_variance[image, :, y, x]).exp())
                parts = [
                    normal(prior.mean[image, c, :, y, x], (0.5 * prior.log_variance[image, c, :, y, x]).exp())
                    for c in range(3)
                ]
                density = torch.stack([part.log_prob(z[image, :, y, x]).sum().exp() for part in parts])
                share = density / density.sum()
                total += sum(share[c] * kl(q, parts[c]).sum() for c in range(3)).item()
                preference = torch.special.xlogy(share, 3 * share).sum().item()
                floored += preference < 0.1
                total += max(0.1, preference)
        assert found[image].item() == pytest.approx(total, rel=1e-4)
    assert 0 < floored < 32


def test_a_component_of_small_variance_does_not_win_far_from_its_mean():
    """What the sign error in the reference code of You et al. would bring about."""
    wide, narrow = (Normal(torch.zeros(1), torch.tensor([v])) for v in (2.0, -4.0))
    near, far = torch.tensor([0.01]), torch.tensor([3.0])
    assert narrow.log_density(near) > wide.log_density(near) and wide.log_density(far) > narrow.log_density(far)


def total_variation(image: torch.Tensor) -> torch.Tensor:
    """Σ √(d_y² + d_x²) of the forward differences, which are 0 at the far edges."""
    down, right = torch.zeros_like(image), torch.zeros_like(image)
    down[:, :, :-1], right[..., :-1] = image.diff(dim=2), image.diff(dim=3)
    return (down.square() + right.square()).sqrt().sum()


class Towards(torch.nn.Module):
    """E(x) = Σ (x − target)²: with TV, the denoising of Rudin, Osher and Fatemi, some of which have known solutions."""

    def __init__(self, target: torch.Tensor):
        super().__init__()
        self.target = target

    def energy(self, images, draw=None):
        return (images - self.target).square().flatten(1).sum(1)


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.6])
def test_the_ascent_ends_where_objective_and_total_variation_balance(weight):
    """A strip of height h and width r stays sharp and loses λ/r: two edges pull λ each, the square 2·r·loss."""
    target, images = torch.zeros(1, 1, 16, 24), torch.zeros(1, 1, 16, 24)
    target[..., 8:16] = 1
    everywhere = torch.ones_like(images, dtype=torch.bool)
    everywhere[..., 0] = everywhere[..., -1] = False
    restored = most_probable(Towards(target), images, everywhere, weight, 400, 0.05, 50.0)
    strip, ground = restored[..., 9:15], restored[..., 1:6]
    assert strip.mean().item() == pytest.approx(1 - weight / 8, abs=0.01)
    assert ground.mean().item() == pytest.approx(0, abs=0.01)
    objective = ((restored - target) ** 2).sum() + weight * total_variation(restored)
    for other in (torch.zeros_like(target), target, restored + 0.01 * torch.rand(target.shape), 0.98 * restored):
        assert objective <= ((other - target) ** 2).sum() + weight * total_variation(other) + 1e-3


def test_a_gradient_is_clipped_pixel_by_pixel():
    target = torch.tensor([10.0, 0.1]).view(1, 1, 1, 2)
    inside = torch.ones(1, 1, 1, 2, dtype=torch.bool)
    once = most_probable(Towards(target), torch.zeros(1, 1, 1, 2), inside, 0.0, 1, 0.1, 0.5)
    assert once.flatten().tolist() == pytest.approx([0.05, 0.02])


def test_training_lowers_the_energy_on_unseen_heads(training):
    _, last, before = training
    assert last["validation_energy"] < 0.4 * before["validation_energy"]


def test_a_large_weight_leaves_the_scan_as_it_is_and_none_changes_it_most(training):
    image, mask = plain_scan(51)
    image = with_cuboid(image, 0.2)[0]
    changes = [weighted(training[0], tv_weight=w).restore(image, mask).score[mask].mean() for w in (0.0, 0.4, 1e4)]
    assert changes[0] > changes[1] > 20 * changes[2] and changes[2] < 2e-3


def test_what_is_outside_the_mask_is_not_touched(training):
    images, masks, _ = Slices.of([plain_scan(51)]).batch(0, 6, 0, None)
    images = images + 0.3
    restored = training[0].restored(images, masks > 0, [(0, n) for n in range(6)])
    assert (
        torch.equal(restored[masks == 0], images[masks == 0]) and (restored != images)[masks > 0].float().mean() > 0.9
    )


def test_a_lesion_is_changed_more_than_healthy_tissue(training):
    image, mask = plain_scan(51)
    sick, lesion = with_cuboid(image, 0.2)
    healthy = training[0].restore(image, mask).score
    found = training[0].restore(sick, mask)
    assert found.score[lesion].mean() > 3 * healthy[lesion].mean()
    assert (found.score[lesion][:, None] > found.score[mask & ~lesion][None]).mean() > 0.95
    assert np.abs(found.restored - image)[lesion].mean() < 0.8 * np.abs(sick - image)[lesion].mean()
    assert found.sample_score == pytest.approx(found.score[mask].mean(), rel=1e-4)


def test_noise_belongs_to_seed_and_slice():
    like = torch.zeros(2, 3, 4, 4)
    draw, other = noise_of([(0, 5), (0, 6)]), noise_of([(0, 6), (1, 5)])
    first, second, others = draw(like), draw(like), other(like)
    assert torch.equal(first[1], others[0]) and not torch.equal(first, second)
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[0], others[1])


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ((1.0, 0.5, 0.1, 0.08, 0.06, 0.05), 0.2),
        ((1.0, 0.2, 0.15, 0.1, 0.05, 0.02), 0.1),
        ((1.0, 0.5, 0.1, 0.3, 0.6, 0.9), 0.1),
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 0.0),
    ],
)
def test_the_weight_is_where_more_of_it_stops_to_help(changes, chosen):
    grid = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert best_weight(grid, changes) == chosen
    assert best_weight(grid, [10 * change + 3 for change in changes]) == chosen


@pytest.mark.parametrize(("grid", "changes"), [((0, 1), (2, 1)), ((0, 1, 1), (3, 2, 1)), ((0, 1, 2), (2, 1))])
def test_a_choice_needs_increasing_weights_with_a_change_each(grid, changes):
    with raises(SettingError, "tv_choice"):
        best_weight(grid, changes)


def test_healthy_scans_change_less_the_larger_the_weight(training):
    slices = Slices.of([plain_scan(50)])
    changes = healthy_changes(weighted(training[0], steps=20), slices, (0.0, 0.3, 3.0), count=4)
    assert changes[0] > changes[1] > changes[2] > 0
    assert healthy_changes(weighted(training[0], steps=20), slices, (0.3,), count=4) == [changes[1]]


def test_training_chooses_the_weight_and_keeps_it_in_the_parameters(tmp_path):
    settings = SETTINGS | {"steps": 3, "draw": True}
    options = Options(steps=2, latent=1, extra=settings)
    method, facts = train_vae_tv(toy_data(2, plain_scan), options, tmp_path / "a", Progress())
    assert list(facts["tv_weights"]) == [f"{weight:g}" for weight in GRID] and method.parameters.latent == 1
    assert method.parameters.tv_weight == best_weight(GRID, list(facts["tv_weights"].values()))
    again, other = train_vae_tv(toy_data(2, plain_scan), options, tmp_path / "b", Progress())
    assert again.parameters == method.parameters and other["tv_weights"] == facts["tv_weights"]
    assert all(np.array_equal(value, again.tensors()[name]) for name, value in method.tensors().items())
    with pytest.raises(InputError, match="lambda"):
        train_vae_tv(toy_data(2, plain_scan), replace(options, extra={"lambda": 1.0}), tmp_path / "c", Progress())
