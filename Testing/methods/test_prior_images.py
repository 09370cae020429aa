"""Pictures drawn from a prior alone: what a method with random weights imagines is no scan, and repeats by seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401

from MedADLib.methods.registry import METHODS
from MedADLib.networks.vae import GMVAE

pytestmark = pytest.mark.usefixtures("one_thread")
SIZE, CHANNELS = (16, 24), (4, 8)
IMAGINING = {
    "vae": {"latent": 6},
    "vae_tv": {"latent": 2},
    "gmvae_tv": {"latent": 2, "components": 3},
    "vae_gan": {"latent": 6, "critic_channels": (4, 8)},
    "adversarial_autoencoder": {"latent": 6},
    "cevae": {"latent": 6},
}


def method_of(name):
    kind = METHODS[name]
    return kind.untrained(kind.Parameters(size=SIZE, channels=CHANNELS, **IMAGINING.get(name, {})), seed=3)


@pytest.mark.parametrize("name", IMAGINING)
def test_draws_differ_from_each_other_and_repeat_by_seed(name):
    method = method_of(name)
    found = method.prior_slices(2, 3, flat=False, seed=1)
    assert [part.shape for part in found] == [(2, *SIZE)] * 3
    pictures = np.concatenate(found)
    assert np.isfinite(pictures).all() and len(np.unique(pictures.reshape(6, -1), axis=0)) == 6
    assert np.array_equal(pictures, np.concatenate(method.prior_slices(2, 3, flat=False, seed=1)))
    assert not np.array_equal(pictures, np.concatenate(method.prior_slices(2, 3, flat=False, seed=2)))


def test_f_anogan_shows_what_its_generator_makes():
    kind = METHODS["f_anogan"]
    method = kind.untrained(kind.Parameters(size=SIZE, resolution=(8, 8), channels=CHANNELS, latent=5))
    found = method.prior_slices(1, 2, flat=True)
    codes = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    assert np.allclose(np.concatenate(found), method.gan.generator(codes).detach()[:, 0], atol=1e-6)


@pytest.mark.parametrize("name", ["context_encoder", "autoencoder"])
def test_methods_without_a_prior_imagine_nothing(name):
    assert method_of(name).prior_slices(2, 3, flat=False) == []


def test_latents_of_a_mixture_are_those_of_its_components():
    network = GMVAE(SIZE, CHANNELS, latent=1, components=2)
    with torch.no_grad():
        network.mixture[2].weight.zero_()
        # Mean, then log precision, of two components: -5 and 5, both with almost no spread.
        network.mixture[2].bias.copy_(torch.tensor([-5.0, 5.0, 10.0, 10.0]))
    seen = []
    network.decode = lambda latents: seen.append(latents) or torch.zeros(len(latents), 1, *SIZE)
    network.sample_prior(50, torch.Generator().manual_seed(0))
    near = torch.stack([(seen[0] + 5).abs() < 0.1, (seen[0] - 5).abs() < 0.1])
    assert near.any(0).all() and 0.4 < near[0].float().mean() < 0.6
