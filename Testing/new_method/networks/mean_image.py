"""One learned slice: the network of `methods.mean_image`."""

from __future__ import annotations

import torch
from torch import nn


class MeanImage(nn.Module):
    """A slice that is as near as possible to all training slices.

    Args:
        size: Slice size (Y, X).
    """

    def __init__(self, size: tuple[int, ...]):
        super().__init__()
        self.image = nn.Parameter(torch.zeros(1, 1, *size))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The learned slice for each slice (N, 1, Y, X)."""
        return self.image.expand_as(images)

    def sample_prior(self, count: int, noise: torch.Generator) -> torch.Tensor:
        """Sample slices (count, 1, Y, X): the learned one with some noise."""
        return self.image + 0.1 * torch.randn(count, *self.image.shape[1:], generator=noise)

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Mean squared error, and ``error``, the mean absolute error per brain pixel."""
        difference = self(images) - images
        error = (difference.abs() * masks).sum() / masks.sum().clamp_min(1)
        return difference.square().mean(), {"error": error.detach()}
