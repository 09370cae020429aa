"""VQ-VAE for slices or volumes: a convolutional encoder and decoder around our quantiser."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .codec import Decoder, Encoder
from .pixel_error import Error, PixelError
from .quantiser import Quantiser

COMMITMENT = 0.25


class VQVAE(nn.Module):
    """Slices to a grid of discrete codes and back (van den Oord et al. 2017; conditioning after Naval Marimont 2021).

    A constant channel with the slice's position is given to the encoder and to the decoder. With three dimensions,
    volumes (N, 1, Z, Y, X) take the place of slices, their codes are (N, d, h, w), and their position is 0.

    Args:
        channels: Channels of each level; every level halves the grid.
        residual_layers: Residual units of each level.
        codes: Codebook size K.
        width: Length of a code vector.
        error: Of a pixel, "l1" or "categorical".
        centres: Class centres of a categorical error.
        dimensions: 2 for slices, 3 for volumes.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        residual_layers: int,
        codes: int,
        width: int,
        error: Error = "l1",
        centres: Sequence[float] = (),
        dimensions: int = 2,
    ):
        super().__init__()
        self.compare = PixelError(error, centres)
        self.encoder = Encoder(dimensions, 2, channels, residual_layers, width)
        self.decoder = Decoder(dimensions, width + 1, channels, residual_layers, self.compare.channels)
        self.quantiser = Quantiser(codes, width)
        self.to(memory_format=torch.channels_last if dimensions == 2 else torch.channels_last_3d)

    def encode(self, images: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Code indices of slices.

        Args:
            images: Standard intensities, (N, 1, Y, X).
            positions: Slice coordinate in [-0.5, 0.5], (N,).

        Returns:
            int64 (N, h, w).
        """
        return self.quantiser.indices(self.encoder(_with_position(images, positions)))

    def decode(self, indices: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """What the decoder makes of code indices (N, h, w), as (N, channels, Y, X); see `PixelError`."""
        return self.decoder(_with_position(self.quantiser.embed(indices), positions))

    def pictures(self, indices: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Slices of code indices (N, h, w), as (N, 1, Y, X), float32."""
        return self.compare.picture(self.decode(indices, positions))

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The error plus commitment.

        Args:
            images: (N, 1, Y, X).
            masks: Brain, (N, 1, Y, X), 0 or 1; the error is summed everywhere and divided by the brain's pixels.
            positions: (N,).

        Returns:
            The loss, and what to log: ``error`` (mean absolute error per brain pixel), ``commitment``,
            ``codes_used`` in this batch.
        """
        quantised, indices, commitment = self.quantiser(self.encoder(_with_position(images, positions)))
        decoded, brain = self.decoder(_with_position(quantised, positions)), masks.sum().clamp_min(1)
        loss = self.compare(decoded, images).sum() / brain + COMMITMENT * commitment
        error = (self.compare.picture(decoded.detach()) - images).abs().sum() / brain
        return loss, {"error": error, "commitment": commitment.detach(), "codes_used": indices.unique().numel()}


def _with_position(tensor: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The tensor with one more channel that holds each sample's position everywhere."""
    constant = positions.to(tensor.dtype).view(-1, *[1] * (tensor.ndim - 1)).expand(-1, 1, *tensor.shape[2:])
    return torch.cat([tensor, constant], dim=1)
