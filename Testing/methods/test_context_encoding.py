from __future__ import annotations

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.refusals import accepted
from support.toy_slices import plain_scan, toy_data, with_cuboid

from MedADLib.methods.vae import ContextEncoder, ContextVAE
from MedADLib.networks.vae import VAE, Holes
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.loop import Plan, fit
from MedADLib.training.recipes.vae import train_cevae, train_context_encoder
from MedADLib.training.slices import Slices

WISHES = {"channels": [8, 16, 32], "latent": 16}


def cut(holes: Holes, count: int = 40, seed: int = 0) -> torch.Tensor:
    """Where holes were cut into slices of 2s."""
    torch.manual_seed(seed)
    filled = holes(torch.full((count, 1, 32, 48), 2.0), torch.ones(count, 1, 32, 48))
    return filled != 2


def test_every_image_has_squares_of_its_own_and_all_of_them():
    one = cut(Holes(1, 1, 0.25, 0.25))[:, 0]
    sides = [(int(hole.any(1).sum()), int(hole.any(0).sum()), int(hole.sum())) for hole in one]
    assert all(7 <= tall <= 9 and 7 <= wide <= 9 and area == tall * wide for tall, wide, area in sides)
    assert len({tuple(hole.nonzero()[0].tolist()) for hole in one}) > 20
    three = cut(Holes(3, 3, 0.25, 0.25)).sum((1, 2, 3))
    assert three.float().mean() > 2.2 * 64 and three.max() <= 3 * 81


def test_the_number_of_squares_and_their_sides_vary_within_bounds():
    holes = cut(Holes(), 200)
    share = holes.float().mean((1, 2, 3))
    assert 0.15 < (share == 0).float().mean() < 0.4
    assert holes[:, 0].any(2).sum(1).max() <= 32 and share.max() < 0.6 and len(share.unique()) > 80
    assert not cut(Holes(0, 0)).any()


def test_holes_have_one_value_each_and_lie_within_the_mask():
    torch.manual_seed(1)
    images, masks = torch.rand(8, 1, 32, 32) + 2, torch.zeros(8, 1, 32, 32)
    masks[:, :, 8:24, 8:24] = 1
    filled = Holes(1, 1, 0.5, 0.5)(images, masks)
    changed = filled != images
    assert changed.any() and not (changed & (masks == 0)).any()
    for image, hole in zip(filled, changed):
        assert len(image[hole].unique()) <= 1 and ((image[hole] >= 0) & (image[hole] <= 1)).all()


def test_holes_that_make_no_sense_are_refused():
    wrong = [{"fewest": 4}, {"most": 17}, {"smallest": 0.6}, {"largest": 1.1}, {"fewest": -1}]
    assert accepted(ValueError, lambda bad: Holes(**bad), wrong) == []


def fresh(context: float) -> VAE:
    torch.manual_seed(4)
    return VAE((32, 32), (4, 8), 6, 0.01, "l1", context=context)


def test_without_context_it_is_the_vae_bit_for_bit(tmp_path):
    train = Slices.of([plain_scan(1)])
    networks = [fresh(0.0), ContextVAE.Parameters(size=(32, 32), channels=(4, 8), latent=6, context=0.0).network()]
    networks[1].load_state_dict(networks[0].state_dict())
    for number, network in enumerate(networks):
        batches, nothing = (lambda step: train.batch(step, 8, 0, None)), (lambda network: {"error": 0.0})
        fit(network, batches, nothing, Plan(4, 1e-3, every=4), tmp_path / str(number))
    first, second = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_loss_mixes_the_vae_with_filled_holes_compared_with_the_whole_image():
    images, masks, positions = Slices.of([plain_scan(1)]).batch(0, 8, 0, None)
    losses = {}
    for context in (0.0, 0.3):
        network = fresh(context)
        torch.manual_seed(9)
        losses[context], log = network.loss(images, masks, positions)
    torch.manual_seed(9)
    torch.randn(8, 6)  # the noise of the latents comes first
    holes = Holes()(images, masks)
    assert (holes != images).any()
    filled = network(holes)
    by_hand = 0.7 * losses[0.0] + 0.3 * (filled - images).abs().mean()
    assert losses[0.3].item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert log["context_error"].item() == pytest.approx((filled - images).abs().mean().item(), rel=1e-5)


def test_the_context_encoder_takes_the_mean_of_its_latents():
    images, masks, positions = Slices.of([plain_scan(1)]).batch(0, 8, 0, None)
    network = ContextEncoder.Parameters(size=(32, 32), channels=(4, 8), latent=6).network()
    network.holes = lambda images, masks: images
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        losses.append(network.loss(images, masks, positions)[0].item())
    assert losses[0] == losses[1] == pytest.approx((network(images) - images).square().mean().item(), rel=1e-5)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((train_context_encoder, ContextEncoder, 100), id="context_encoder"),
        pytest.param((train_cevae, ContextVAE, 200), id="cevae", marks=pytest.mark.slow),
    ],
)
def training(request, tmp_path_factory):
    train, kind, steps = request.param
    folder = tmp_path_factory.mktemp(kind.name)
    before = train(toy_data(8, plain_scan), Options(steps=1, seed=1, extra=WISHES), folder / "before", Progress())[1]
    method, facts = train(
        toy_data(8, plain_scan), Options(steps=steps, seed=1, extra=WISHES), folder / "after", Progress()
    )
    assert type(method) is kind and not method.network.training
    return method, facts["last"], before["last"]


def test_training_lowers_the_error_on_unseen_heads(training):
    _, last, before = training
    assert last["validation_error"] < 0.7 * before["validation_error"]
    assert last["train_context_error"] < 0.5 * before["train_context_error"]


def test_a_lesion_scores_higher_than_healthy_tissue(training):
    method = training[0]
    image, mask = plain_scan(51)
    sick, lesion = with_cuboid(image, 1.3)
    healthy, found = method.restore(image, mask).score, method.restore(sick, mask).score
    assert found[lesion].mean() > 4 * healthy[lesion].mean()
    assert (found[lesion][:, None] > found[mask & ~lesion][None]).mean() > 0.95


def test_the_scan_is_as_unusual_as_recipes_say(training):
    method = training[0]
    image, mask = plain_scan(51)
    result = method.restore(with_cuboid(image, 1.3)[0], mask)
    expected = "elbo" if method.name == "cevae" else "reconstruction"
    assert result.sample_score == result.facts[expected] and np.isfinite(result.sample_score)
