"""Methods of latent restoration whose networks are random, and yet have something to choose from."""

from __future__ import annotations

import torch

from MedADLib.methods.latent_restoration import LatentRestoration, LatentRestorationParameters


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
