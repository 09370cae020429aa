"""Critics for the Wasserstein game: one number a sample, each sample by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .backbone import grid_of


class ImageCritic(nn.Module):
    """Judges slices, and lends f-AnoGAN the features that it judges by.

    Strided convolutions (kernel 4) with leaky ReLU and layer norm, then one dense layer. The first convolution has no
    norm, or a slice's brightness would be lost before it is seen.

    Args:
        size: Slice size (Y, X), both divisible by 2 to the number of levels.
        channels: Channels of each level; every level halves the grid.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int]):
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for after in channels:
            norm = [nn.GroupNorm(1, after)] if layers else []
            layers += [nn.Conv2d(before, after, 4, 2, 1), *norm, nn.LeakyReLU(0.2)]
            before = after
        channel, rows, columns = grid_of(size, channels)
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Linear(channel * rows * columns, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """f(x), the last activations before the judgement, (N, features)."""
        return self.body(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Judgement of slices (N, 1, Y, X), as (N,)."""
        return self.head(self.features(images))[:, 0]


class CodeCritic(nn.Sequential):
    """Judges codes (N, latent), as (N,): two hidden layers with leaky ReLU.

    Args:
        latent: Length of a code.
        width: Of the hidden layers.
    """

    def __init__(self, latent: int, width: int = 256):
        layers = [nn.Linear(latent, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Linear(width, 1), nn.Flatten(0))
