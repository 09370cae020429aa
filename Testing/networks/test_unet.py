from __future__ import annotations

import pytest
import torch
from support.phantoms import one_thread  # noqa: F401

from MedADLib.networks.unet import CorruptionSegmenter, Denoiser, UNet

CHANNELS = (8, 16, 16)


def images(count: int = 3, side: int = 32) -> torch.Tensor:
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(0))


def net(kind=UNet, *arguments, **settings):
    torch.manual_seed(0)
    return kind(CHANNELS, *arguments, **settings).eval()


def test_the_result_has_the_size_of_the_slice_and_every_weight_matters():
    network = net(inputs=2, outputs=3)
    found = network(torch.cat([images(), images() ** 2], 1))
    assert found.shape == (3, 3, 32, 32)
    found.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


def test_a_slice_is_treated_the_same_whatever_slices_are_with_it_in_training_too():
    network = net().train()
    assert torch.allclose(network(images())[:1], network(images()[:1]), atol=1e-5)


def test_what_is_far_is_seen_through_the_lower_levels():
    network, changed = net(), images()
    changed[:, :, :4, :4] += 1
    difference = (network(changed) - network(images())).abs()
    assert difference[:, :, :4, :4].mean() > 4 * difference[:, :, 20:, 20:].mean() > 0


def test_conditions_do_nothing_at_first_and_can_be_learned():
    network = net(conditions=2)
    same = images(1, 16).expand(3, -1, -1, -1)
    told = [torch.tensor([[-0.4, 0.1], [0.2, 0.9], [0.5, 0.0]]), torch.zeros(3, 2)]
    assert torch.equal(network(same, told[0]), network(same, told[1]))
    goal = told[0][:, :1, None, None].expand(3, 1, 16, 16)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(40):
        loss = (network(same, told[0]) - goal).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.04 < 0.5 * float(goal[:, 0, 0, 0].var(unbiased=False))


def test_an_untrained_segmenter_says_healthy_and_its_loss_is_least_at_the_degree():
    network = net(CorruptionSegmenter)
    positions, masks = torch.zeros(3), torch.ones(3, 1, 32, 32)
    assert 0 < network.predict(images(), positions).mean() < 0.2
    torch.nn.init.zeros_(network.last.weight)
    losses = {}
    for degree in (0.1, 0.4, 0.7):
        torch.nn.init.constant_(network.last.bias, float(torch.logit(torch.tensor(degree))))
        losses[degree], log = network.loss(images(), masks, positions, torch.full_like(masks, 0.4))
        assert float(log["error"]) == pytest.approx(abs(degree - 0.4), abs=1e-5)
    assert min(losses, key=losses.get) == 0.4


@pytest.mark.parametrize("kind", [CorruptionSegmenter, Denoiser])
def test_what_is_outside_the_brain_is_not_learned_from(kind):
    network, masks = net(kind), torch.zeros(3, 1, 32, 32)
    masks[..., 8:20, 8:20] = 1
    target = torch.rand(masks.shape, generator=torch.Generator().manual_seed(1))
    losses = [network.loss(images(), masks, torch.zeros(3), part)[0] for part in (target, target * masks)]
    assert torch.equal(*losses)


def test_an_untrained_denoiser_gives_the_slice_back():
    assert torch.equal(net(Denoiser).predict(images(), torch.zeros(3)), images())
