"""Methods of latent restoration whose networks are random, and yet have something to choose from."""

from __future__ import annotations

import torch

from MedADLib.methods.latent_restoration import LatentRestoration, LatentRestorationParameters
from MedADLib.methods.sampling.resample import resample_codes
from MedADLib.networks.code_prior import CodePrior, likelihood_of

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


CODES = 9


def random_prior(length: int, seed: int = 0, further: tuple[int, ...] = ()) -> CodePrior:
    torch.manual_seed(seed)
    prior = CodePrior(CODES, length, width=16, layers=2, heads=4, further=further).eval()
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return prior.requires_grad_(False)


class Question:
    """Some slices and their likelihood pass."""

    def __init__(self, prior: CodePrior, codes: torch.Tensor, positions: torch.Tensor):
        self.prior, self.codes, self.positions = prior, codes, positions
        with torch.inference_mode():
            self.logits, self.cache = prior.fill(codes, positions)
            self.nll = likelihood_of(self.logits, codes)

    def ask(self, sampler: str, mask: str, threshold: float, samples: int, seed: int = 0, allowed=None) -> torch.Tensor:
        allowed = torch.ones_like(self.codes, dtype=torch.bool) if allowed is None else allowed
        places, limit = (allowed & (self.nll > threshold), None) if mask == "static" else (allowed, threshold)
        key = (seed, list(range(3, 3 + len(self.codes))))
        given = self.prior, self.codes, self.positions, places, self.logits, self.cache, samples, key
        with torch.inference_mode():
            return resample_codes(*given, lambda done: None, limit, sampler).view(len(self.codes), samples, -1)
