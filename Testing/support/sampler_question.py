"""A volume of codes with unlikely ones to draw."""

from __future__ import annotations

import torch

from MedADLib.methods.sampling.resample import resample_codes
from MedADLib.networks.code_prior import CodePrior, likelihood_of
from support.phantoms import one_thread  # noqa: F401


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
