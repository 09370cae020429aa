"""The other scores of trained networks that a comparison shows."""

from __future__ import annotations

import numpy as np
import pytest

from MedADLib.methods.atlas import Atlas
from MedADLib.methods.latent_restoration import LatentRestoration, LatentRestorationParameters
from MedADLib.methods.vae import ContextEncoder, ContextEncoderParameters, VAEParameters, VariationalAutoencoder

SIZE, CHANNELS = (32, 32), (8, 8, 8)


@pytest.fixture(scope="module")
def scan() -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((2, *SIZE), bool)
    mask[:, 4:28, 6:26] = True
    return np.where(mask, np.random.default_rng(0).random(mask.shape), 0).astype(np.float32), mask


def test_every_score_of_a_vae_is_shown_with_its_sample_score(scan):
    method = VariationalAutoencoder.untrained(VAEParameters(SIZE, CHANNELS, 4, gradient_scale=0.01))
    found = {name: reading.restore(*scan) for name, reading in method.alternative_scores().items()}
    assert list(found) == ["reconstruction, sample reconstruction", "KL gradient, sample KL", "product, sample elbo"]
    error, gradient, product = (restoration.score for restoration in found.values())
    np.testing.assert_allclose(error * gradient, product, rtol=1e-5)
    assert [r.sample_score for r in found.values()] == [method.restore(*scan).facts[k] for k in
                                                       ("reconstruction", "kl", "elbo")]  # fmt: skip


def test_the_plain_reconstruction_draws_nothing_anew(scan):
    parameters = LatentRestorationParameters(
        SIZE, CHANNELS, 1, 16, 8, prior_width=16, prior_layers=1, prior_heads=2, restoration_nll=0.0, samples=3
    )
    (plain,) = LatentRestoration.untrained(parameters).alternative_scores().values()
    assert LatentRestoration.untrained(parameters).restore(*scan).facts["codes_redrawn_per_slice"] > 0
    assert plain.restore(*scan).facts["codes_redrawn_per_slice"] == 0


def test_methods_of_one_score_have_no_other_reading(scan):
    assert ContextEncoder.untrained(ContextEncoderParameters(SIZE, CHANNELS, 4)).alternative_scores() == {}
    assert Atlas.train([scan, scan, scan], (1.0, 1.0, 1.0), True).alternative_scores() == {}
