"""Convolutional encoder and decoder of a VQ-VAE: strided convolutions with residual units after or before each.

Layers, their order and the names of their weights are those of MONAI's VQ-VAE (Apache-2.0), of which a test makes sure:
models trained with either serve both. Importing MONAI itself would take longer than importing torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

CONVOLUTIONS = {2: (nn.Conv2d, nn.ConvTranspose2d), 3: (nn.Conv3d, nn.ConvTranspose3d)}


class Convolution(nn.Sequential):
    """A convolution under the name ``conv``, with a ReLU behind it unless it is bare.

    Args:
        convolution: The layer.
        bare: Whether nothing follows.
    """

    def __init__(self, convolution: nn.Module, bare: bool = False):
        super().__init__()
        self.add_module("conv", convolution)
        if not bare:
            self.add_module("activation", nn.ReLU())


class ResidualUnit(nn.Module):
    """Two 3-wide convolutions whose result is added to what they are given."""

    def __init__(self, dimensions: int, channels: int):
        super().__init__()
        plain = CONVOLUTIONS[dimensions][0]
        self.conv1 = Convolution(plain(channels, channels, 3, padding=1))
        self.conv2 = Convolution(plain(channels, channels, 3, padding=1), bare=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, channels, …) to features of the same shape."""
        return torch.relu_(features + self.conv2(self.conv1(features)))


class Encoder(nn.Module):
    """Images to a grid of vectors; every level halves the grid.

    Args:
        dimensions: 2 or 3.
        given: Channels of the images.
        channels: Of each level.
        residual_layers: Residual units of each level.
        width: Channels of the result.
    """

    def __init__(self, dimensions: int, given: int, channels: Sequence[int], residual_layers: int, width: int):
        super().__init__()
        plain = CONVOLUTIONS[dimensions][0]
        blocks: list[nn.Module] = []
        for before, after in zip((given, *channels), channels):
            blocks.append(Convolution(plain(before, after, 4, stride=2, padding=1)))
            blocks += [ResidualUnit(dimensions, after) for _ in range(residual_layers)]
        blocks.append(Convolution(plain(channels[-1], width, 3, padding=1), bare=True))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, given, …) to vectors (N, width, …)."""
        for block in self.blocks:
            images = block(images)
        return images


class Decoder(nn.Module):
    """A grid of vectors to images; every level doubles the grid.

    Args:
        dimensions: 2 or 3.
        given: Channels of the vectors.
        channels: Of each level of the encoder, in its order.
        residual_layers: Residual units of each level.
        wanted: Channels of the images.
    """

    def __init__(self, dimensions: int, given: int, channels: Sequence[int], residual_layers: int, wanted: int):
        super().__init__()
        plain, transposed = CONVOLUTIONS[dimensions]
        upwards = tuple(reversed(channels))
        blocks: list[nn.Module] = [Convolution(plain(given, upwards[0], 3, padding=1), bare=True)]
        for level, (before, after) in enumerate(zip(upwards, (*upwards[1:], wanted))):
            blocks += [ResidualUnit(dimensions, before) for _ in range(residual_layers)]
            grown = transposed(before, after, 4, stride=2, padding=1)
            blocks.append(Convolution(grown, bare=level == len(upwards) - 1))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors (N, given, …) to images (N, wanted, …)."""
        for block in self.blocks:
            vectors = block(vectors)
        return vectors
