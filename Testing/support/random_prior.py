"""A prior over codes with random weights."""

from __future__ import annotations

import torch

from MedADLib.networks.code_prior import CodePrior
from support.phantoms import one_thread  # noqa: F401

CODES = 9


def random_prior(length: int, seed: int = 0, further: tuple[int, ...] = ()) -> CodePrior:
    torch.manual_seed(seed)
    prior = CodePrior(CODES, length, width=16, layers=2, heads=4, further=further).eval()
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return prior.requires_grad_(False)
