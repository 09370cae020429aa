"""Methods of latent restoration whose networks are random, and yet have something to choose from."""

from __future__ import annotations

import torch

from MedADLib.methods.latent_restoration import LatentRestoration, LatentRestorationParameters

SIZES = {"size": (16, 24), "channels": (8, 16), "residual_layers": 1, "codes": 8, "width": 4}
PRIOR_SIZES = {"prior_width": 16, "prior_layers": 2, "prior_heads": 2}


def toy_parameters(**settings) -> LatentRestorationParameters:
    """Slices of 16 × 24 with a grid of 4 × 6 codes."""
    return LatentRestorationParameters(**SIZES, **PRIOR_SIZES, **settings)


def random_networks(kind: type[LatentRestoration], parameters: LatentRestorationParameters) -> LatentRestoration:
    """Random networks with a codebook whose codes are all used, and a prior that prefers some codes clearly."""
    method = kind.untrained(parameters, seed=4)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        images, where = torch.rand(16, 1, *parameters.coded, generator=generator), torch.zeros(16)
        method.vqvae.train()
        for _ in range(10):
            method.vqvae.loss(images, torch.ones_like(images), where)
        method.vqvae.eval()
        for parameter in method.prior.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    for network in (method.vqvae, method.prior):
        network.requires_grad_(False)
    return method
