from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.refusals import accepted
from support.toy_slices import plain_scan, toy_data, toy_scan, with_cuboid
from torch import nn
from torch.nn.functional import interpolate

from MedADLib.errors import InputError, ModelError
from MedADLib.methods.morphaeus import MorphAEus, MorphAEusParameters, channels_for
from MedADLib.networks.features import FeatureNetwork
from MedADLib.networks.losses import dissimilarity, structure
from MedADLib.networks.morphaeus import (
    PERCEPTUAL_WEIGHT,
    Morphing,
    MorphLearner,
    PriorAutoencoder,
    integrate,
    levels_of,
    roughness,
    warp,
)
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.recipes.morphaeus import train

SIDE = 32
CHANNELS = (8, 16, 16, 16, 16)
SMALL = MorphAEusParameters((SIDE, SIDE), CHANNELS)


def anatomy() -> torch.Tensor:
    """A toy head, (1, 1, 32, 32): skull, two ventricles, one side brighter."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="ij")
    picture = torch.where((y / 0.8).square() + (x / 0.65).square() < 1, 0.7 + 0.1 * x, torch.zeros(()))
    for middle in (-0.22, 0.22):
        picture[((x - middle) / 0.12).square() + ((y + 0.1) / 0.3).square() < 1] = 0.25
    return picture[None, None]


def moved(seed: int, count: int = 8, reach: float = 1.5) -> torch.Tensor:
    """The anatomy of others: the toy head displaced smoothly."""
    generator = torch.Generator().manual_seed(seed)
    velocity = reach * torch.randn(count, 2, 3, 3, generator=generator)
    velocity = interpolate(velocity, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
    return warp(anatomy().expand(count, -1, -1, -1), integrate(velocity))


class OneHead(nn.Module):
    """An autoencoder that knows one anatomy: its prior is always the toy head, with the features of the image."""

    def __init__(self):
        super().__init__()
        self.reads = PriorAutoencoder((SIDE, SIDE), CHANNELS)

    def forward(self, images: torch.Tensor):
        return self.reads(images)._replace(prior=anatomy().expand(len(images), -1, -1, -1))


@pytest.fixture(scope="module")
def deforming() -> MorphAEus:
    """MorphAEus whose deformer has learned to move one head to others."""
    torch.manual_seed(0)
    network = Morphing((SIDE, SIDE), CHANNELS)
    network.autoencoder = OneHead()
    learner = MorphLearner(network, FeatureNetwork(), "deformer").train()
    optimizer = torch.optim.Adam(network.deformer.parameters(), 1e-2)
    heads = moved(0, 160)
    for step in range(100):
        if step == 50:
            optimizer.param_groups[0]["lr"] /= 3
        images = heads[torch.arange(8 * step, 8 * step + 8) % len(heads)]
        loss, _ = learner.loss(images, torch.ones_like(images), torch.zeros(8), torch.zeros(8))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval().requires_grad_(False)
    return MorphAEus(SMALL, network)


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (20, 45), (16, 12, 18)])
def test_any_size_goes_down_to_one_place_and_comes_back(size):
    torch.manual_seed(0)
    channels = channels_for(size, 16)
    network, images = Morphing(size, channels).eval(), torch.rand(2, 1, *size)
    drawn = network.autoencoder(images)
    assert drawn.encoded[-1].shape == (2, channels[-1], *(1,) * len(size)) and len(channels) == levels_of(size)
    made = network(images)
    assert made.prior.shape == made.morphed.shape == images.shape
    assert made.velocity.shape == made.displacement.shape == (2, len(size), *size)
    # Untrained, the deformer leaves the prior as it is.
    assert made.displacement.abs().max() < 0.01 and (made.jacobian() > 0.99).all()
    assert torch.allclose(made.morphed, made.prior, atol=0.01)


def test_the_paper_s_network_has_the_paper_s_features():
    drawn = Morphing((128, 128), (16, 32, 64, 128, 256, 256, 256)).eval().autoencoder(torch.rand(1, 1, 128, 128))
    shapes = [tuple(part.shape[1:]) for part in drawn.encoded]
    assert shapes[:3] == [(16, 64, 64), (32, 32, 32), (64, 16, 16)] and shapes[-1] == (256, 1, 1)
    assert [tuple(part.shape[1:]) for part in drawn.decoded[1:4]] == [(32, 64, 64), (64, 32, 32), (128, 16, 16)]


def test_the_loss_is_that_of_the_paper():
    torch.manual_seed(1)
    learner = MorphLearner(Morphing((SIDE, SIDE), CHANNELS), FeatureNetwork()).eval()
    images = moved(1, 3)
    masks = (images > 0.1).float()
    nn.init.normal_(learner.network.deformer.flow.weight, std=1.0)
    made = learner.network(images)
    back = warp(images, integrate(-made.velocity))
    restoration = (images - made.prior).square().mean()
    restoration = restoration + PERCEPTUAL_WEIGHT * structure(made.prior, images, learner.features).mean()
    alike = (dissimilarity(images, made.morphed, masks) + dissimilarity(made.prior, back, masks)) / 2
    for progress, smoothness in ((0.4, 1.2), (0.999, 2.997)):
        loss, log = learner.loss(images, masks, torch.zeros(3), torch.full((3,), progress))
        by_hand = restoration + alike + smoothness * roughness(made.velocity)
        assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
        assert log["roughness"] > 1e-6
    assert learner.loss(images, masks, torch.zeros(3), torch.zeros(3))[0].item() == pytest.approx(restoration.item())
    assert learner.smoothness(0) == 1e-3 and learner.smoothness(0.5) == 1.5
    assert MorphLearner(learner.network, learner.features, "joint").smoothness(0.9) == 1
    assert MorphLearner(learner.network, learner.features, "deformer").smoothness(0.9) == 0.01


def test_both_likenesses_teach_the_autoencoder_and_the_deformer():
    torch.manual_seed(2)
    learner = MorphLearner(Morphing((SIDE, SIDE), CHANNELS), FeatureNetwork()).train()
    images = moved(2)
    masks = torch.ones_like(images)
    for number in (0, 1):
        learner.zero_grad()
        made = learner.network(images)
        learner.morphing(images, masks, made)[number].backward()
        for part in (learner.network.autoencoder.last, learner.network.deformer.flow):
            assert part.weight.grad.abs().max() > 0


def test_kept_apart_the_deformation_teaches_the_deformer_alone():
    torch.manual_seed(2)
    together = MorphLearner(Morphing((SIDE, SIDE), CHANNELS), FeatureNetwork()).train()
    apart = MorphLearner(together.network, together.features, "apart")
    images = moved(2)
    masks, late = torch.ones_like(images), torch.ones(8)
    prior = together.network.autoencoder(images).prior
    alone = torch.autograd.grad(together.restoration(images, prior), together.network.autoencoder.last.weight)[0]
    taught = {}
    for name, learner in (("together", together), ("apart", apart)):
        learner.zero_grad()
        learner.loss(images, masks, torch.zeros(8), late)[0].backward()
        taught[name] = [part.weight.grad for part in (learner.network.autoencoder.last, learner.network.deformer.flow)]
    assert torch.allclose(taught["apart"][0], alone, atol=1e-6)
    assert not torch.allclose(taught["together"][0], alone, atol=1e-4)
    assert torch.allclose(taught["apart"][1], taught["together"][1], atol=1e-6) and taught["apart"][1].abs().max() > 0


def test_the_second_step_of_morphade_leaves_the_autoencoder_alone():
    torch.manual_seed(3)
    learner = MorphLearner(Morphing((SIDE, SIDE), CHANNELS), FeatureNetwork(), "deformer").train()
    before = {name: value.clone() for name, value in learner.network.autoencoder.state_dict().items()}
    images = moved(3)
    loss, log = learner.loss(images, torch.ones_like(images), torch.zeros(8), torch.zeros(8))
    loss.backward()
    assert learner.network.deformer.flow.weight.grad is not None and "restoration" not in log
    assert all(parameter.grad is None for parameter in learner.network.autoencoder.parameters())
    assert all(torch.equal(value, before[name]) for name, value in learner.network.autoencoder.state_dict().items())


def residuals(method: MorphAEus, images: torch.Tensor, kind: str) -> np.ndarray:
    volume = images[:, 0].numpy()
    found = MorphAEus(replace(SMALL, score=kind), method.network)
    return found.restore(volume, np.ones(volume.shape, bool)).score


def test_displaced_anatomy_is_forgiven_and_a_lesion_is_not(deforming):
    others = moved(1000)
    before, after = (residuals(deforming, others, kind).mean() for kind in ("prior", "morphed"))
    assert after < 0.5 * before
    sick = others.clone()
    sick[..., 20:24, 18:23] = 1.4
    lesion = np.zeros((8, SIDE, SIDE), bool)
    lesion[:, 20:24, 18:23] = True
    before, after = (residuals(deforming, sick, kind)[lesion].mean() for kind in ("prior", "morphed"))
    assert after > 0.8 * before
    assert after > 5 * residuals(deforming, sick, "morphed")[~lesion].mean()


def test_the_shift_that_was_made_is_the_shift_that_is_found(deforming):
    up = torch.zeros(1, 2, SIDE, SIDE)
    up[:, 0] = 2
    image = warp(anatomy(), up)
    displacement = deforming.network(image).displacement
    edge = (anatomy()[0, 0] > 0) & ~(anatomy()[0, 0].roll(4, 0) > 0)
    assert displacement[0, 0][edge].mean() > 0.25
    left = residuals(deforming, image, "morphed").mean()
    assert left < 0.8 * residuals(deforming, image, "prior").mean()


def test_scores_are_what_they_are_called_and_facts_tell_of_the_deformation(deforming):
    volume = moved(5)[:, 0].numpy() * 1.2
    mask = volume > 0.1
    made = deforming.network(torch.from_numpy(volume)[:, None])
    assert made.displacement.abs().max() > 0.5
    for kind, healthy, factor in (
        ("morphed", made.morphed, 1),
        ("prior", made.prior, 1),
        ("jacobian", made.morphed, made.jacobian()[:, 0].abs().numpy()),
    ):
        found = MorphAEus(replace(SMALL, score=kind), deforming.network).restore(volume, mask)
        healthy = np.where(mask, healthy[:, 0].numpy(), 0)
        assert np.allclose(found.restored, healthy, atol=1e-5)
        assert np.allclose(found.score, np.abs(volume - healthy) * mask * factor, atol=1e-4)
        assert found.sample_score == pytest.approx(float(found.score[mask].mean()), rel=1e-5)
    inside = torch.from_numpy(mask)
    assert found.facts["mean_displacement"] == pytest.approx(
        made.displacement.norm(dim=1)[inside].mean().item(), rel=1e-4
    )
    assert found.facts["smallest_jacobian"] == pytest.approx(made.jacobian()[:, 0][inside].min().item(), abs=1e-4)


@pytest.mark.parametrize(
    "schedule", ["morphaeus", *(pytest.param(other, marks=pytest.mark.slow) for other in ("apart", "morphade"))]
)
def test_a_user_trains_it_and_gets_the_same_again(tmp_path, schedule):
    options = Options(steps=4, seed=2, extra={"channels": list(CHANNELS), "score": "jacobian", "schedule": schedule})
    data = toy_data(2, plain_scan)
    method, facts = train(data, options, tmp_path / "a", Progress())
    assert method.parameters == replace(SMALL, score="jacobian") and facts["schedule"] == schedule
    again, _ = train(data, options, tmp_path / "b", Progress())
    tensors = method.tensors()
    assert all(np.array_equal(value, again.tensors()[name]) for name, value in tensors.items())
    reopened = MorphAEus.from_tensors(method.parameters, tensors)
    image, mask = with_cuboid(toy_scan(3)[0], 1.4)[0], toy_scan(3)[1]
    first, second = method.restore(image, mask), reopened.restore(image, mask, seed=9)
    assert np.array_equal(first.score, second.score) and first.facts == second.facts
    with pytest.raises(ModelError):
        MorphAEus.from_tensors(method.parameters, {name: tensors[name] for name in list(tensors)[1:]})


def test_wishes_that_make_no_sense_are_refused(tmp_path):
    for extra in ({"schedule": "best"}, {"schedule": ["joint"]}, {"score": "best"}, {"beta": 1.0}, {"size": [8, 8]}):
        with pytest.raises(InputError):
            train(toy_data(2, plain_scan), Options(steps=1, extra=extra), tmp_path, Progress())


def test_sizes_of_a_hostile_file_are_refused():
    wrong = [
        {"size": (32,)},
        {"size": (8, 8), "channels": (4, 4, 4)},
        {"size": (4096, 4096), "channels": (4,) * 12},
        {"channels": CHANNELS[:-1]},
        {"channels": (*CHANNELS[:-1], 0)},
        {"channels": (*CHANNELS[:-1], 100_000)},
        {"score": "best"},
    ]
    assert accepted(ValueError, lambda settings: replace(SMALL, **settings), wrong) == []
