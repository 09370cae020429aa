"""The prior's matrix products as linear layers and as 1×1 convolutions: which form this processor is faster at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

from ..networks.prior import CodePrior
from ..networks.product import product
from .timing import Seconds, cores, timed

# Tokens that go through at once: few rows of a short stretch, a long stretch, a likelihood pass of some slices.
ROWS = (15, 60, 400, 1600)
RUNS = 30


@dataclass(frozen=True)
class Product:
    """One layer with so many tokens.

    Attributes:
        rows: Tokens.
        wide: Numbers of a token, before and after.
        linear: As a linear layer.
        convolution: As a 1×1 convolution, channels last.
    """

    rows: int
    wide: tuple[int, int]
    linear: Seconds
    convolution: Seconds

    @property
    def ratio(self) -> float:
        """How many times as long the convolution takes; of the fastest runs, for others may be busy."""
        return self.convolution.least / self.linear.least


def products(prior: CodePrior) -> list[Product]:
    """Time the layers of one block of a prior on one core.

    Args:
        prior: On the CPU.
    """
    block, found = prior.blocks[0], []
    with torch.inference_mode(), cores(1):
        for layer in (block.project, block.merge, block.widen, block.narrow):
            after, before = layer.weight.shape
            for rows in ROWS:
                tokens = torch.randn(rows, before, generator=torch.Generator().manual_seed(rows))
                forms = (partial(product, tokens, layer.weight, layer.bias, convolved) for convolved in (False, True))
                found.append(Product(rows, (before, after), *(timed(form, RUNS) for form in forms)))
    return found
