"""A memory of healthy codes: what is not in it cannot be put together from it (MemAE, Gong et al. 2019)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import normalize, relu


class Memory(nn.Module):
    """Replaces a code by a sparse average of learned ones.

    The weights of a code z over the slots m_i are w = softmax(cos(z, m_i)); those below λ are cut, in a form that has a
    gradient, ŵ_i = max(w_i − λ, 0)·w_i / (|w_i − λ| + ε), and the rest is divided by its sum. The paper recommends λ
    between 1 and 3 times 1/slots; 1/slots is taken, which always leaves something.

    Args:
        slots: Number of slots N.
        latent: Length of a code.
    """

    def __init__(self, slots: int, latent: int):
        super().__init__()
        self.threshold = 1 / slots
        self.items = nn.Parameter(torch.randn(slots, latent))

    def forward(self, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the memory makes of codes.

        Args:
            codes: (N, latent).

        Returns:
            Codes (N, latent), and the weights that made them (N, slots), which are positive or 0 and add up to 1.
        """
        # In half precision, weights that are nearly λ would be cut at random.
        with torch.autocast(codes.device.type, enabled=False):
            weights = torch.softmax(normalize(codes.float(), dim=1) @ normalize(self.items, dim=1).T, dim=1)
            above = weights - self.threshold
            kept = relu(above) * weights / (above.abs() + 1e-12)
            kept = kept / kept.sum(dim=1, keepdim=True).clamp_min(1e-12)
            return kept @ self.items, kept


def entropy(weights: torch.Tensor) -> torch.Tensor:
    """Mean of −Σ_i w_i log w_i in nats, of weights (N, slots)."""
    return -(weights * weights.clamp_min(1e-12).log()).sum(dim=1).mean()
