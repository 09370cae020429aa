"""Autoencoder of feature maps with a loss of structural similarity: the network of `methods.feature_autoencoder`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .losses import SSIM_WINDOW, brain_mean, error_map

KERNEL = 5
# Window of the similarity in training, and that of the score, in pixels of the feature maps.
TRAINING_WINDOW, SCORE_WINDOW = 5, SSIM_WINDOW


class FeatureMapAutoencoder(nn.Module):
    """Convolutional autoencoder of feature maps (FAE, Meissen et al. 2023).

    Every level halves the grid by a convolution of width 5, with batch norm, leaky ReLU and dropout of whole channels;
    the code is the coarsest grid. The features are scaled by `low` and `span` to mostly 0 to 1, the range for which the
    constants of the similarity are meant.

    Args:
        inputs: Channels of the feature maps.
        channels: Channels of each level.
        dropout: Share of dropped channels.
        resolution: Grid (Z, Y, X) of the stored mean of healthy scans, which is shown as pseudo-healthy image.
    """

    def __init__(self, inputs: int, channels: Sequence[int], dropout: float, resolution: Sequence[int]):
        super().__init__()
        self.register_buffer("low", torch.zeros(inputs))
        self.register_buffer("span", torch.ones(inputs))
        self.register_buffer("healthy", torch.zeros(tuple(resolution)))
        sizes = [inputs, *channels]
        self.encoder = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, KERNEL, 2, KERNEL // 2, bias=False), *_after(after, dropout))
            for before, after in zip(sizes, sizes[1:])
        )
        # The size of an output follows from that of the encoder's input, which may be odd.
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(before, after, KERNEL, 2, KERNEL // 2)
            for before, after in zip(sizes[::-1], sizes[-2::-1])
        )
        self.norms = nn.ModuleList(nn.Sequential(*_after(after, dropout)) for after in sizes[-2:0:-1])

    def scaled(self, features: torch.Tensor) -> torch.Tensor:
        """Scale features (N, C, h, w)."""
        return (features - self.low[:, None, None]) / self.span[:, None, None]

    def forward(self, scaled: torch.Tensor) -> torch.Tensor:
        """Reconstruct scaled features, float32 (N, C, h, w)."""
        sizes, current = [], scaled
        for level in self.encoder:
            sizes.append(current.shape[2:])
            current = level(current)
        for number, (layer, size) in enumerate(zip(self.decoder, reversed(sizes))):
            current = layer(current, output_size=size)
            if number < len(self.norms):
                current = self.norms[number](current)
        return current.float()

    def error(self, features: torch.Tensor, window: int = SCORE_WINDOW) -> torch.Tensor:
        """Compute 1 − SSIM of features (N, C, h, w) and their reconstruction, mean over the channels, (N, 1, h, w)."""
        scaled = self.scaled(features)
        return error_map("ssim", self(scaled), scaled, None, window).mean(1, keepdim=True)

    def loss(self, features: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute the mean error in the brain.

        Args:
            features: (N, C, h, w).
            masks: Where the feature maps show brain, (N, 1, h, w), 0 or 1.

        Returns:
            The loss, and ``error``, the same.
        """
        error = brain_mean(self.error(features, TRAINING_WINDOW), masks)
        return error, {"error": error.detach()}


def _after(channels: int, dropout: float) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.LeakyReLU(), nn.Dropout2d(dropout)]
