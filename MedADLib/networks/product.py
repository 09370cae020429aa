"""A linear layer that can compute as a 1×1 convolution, where the processor's library is faster at those.

The two add up in another order, so that results differ in the last bits; whoever draws codes from them settles near
ties, see `Draws`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import conv2d, linear


def product(tokens: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, convolved: bool = False) -> torch.Tensor:
    """Tokens (…, before) times a weight (after, before), plus a bias (after,); (…, after)."""
    if not convolved:
        return linear(tokens, weight, bias)
    picture = tokens.reshape(1, -1, 1, tokens.shape[-1]).permute(0, 3, 1, 2)
    found = conv2d(picture, weight[:, :, None, None], bias)
    return found.permute(0, 2, 3, 1).reshape(*tokens.shape[:-1], len(weight))


class Product(nn.Linear):
    """A linear layer of tokens.

    Attributes:
        convolved: Whether it computes as a convolution.
    """

    convolved = False

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (…, before) to (…, after)."""
        return product(tokens, self.weight, self.bias, self.convolved)


def convolve(network: nn.Module, convolved: bool) -> None:
    """Have all such layers of a network compute as convolutions, or as linear layers again."""
    for module in network.modules():
        if isinstance(module, Product):
            module.convolved = convolved
