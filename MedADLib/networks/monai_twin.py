"""Encoder and decoder of the VQ-VAE as MONAI classes, for comparison and for MONAI's own tools."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def monai_encoder(dimensions: int, given: int, channels: Sequence[int], residual_layers: int, width: int) -> nn.Module:
    """Build the MONAI equivalent of `vqvae.Encoder`, with the same weight names; importing MONAI takes seconds."""
    from monai.networks.nets.vqvae import Encoder

    return Encoder(
        in_channels=given,
        out_channels=width,
        downsample_parameters=((2, 4, 1, 1),) * len(channels),
        **_shared(dimensions, channels, residual_layers),
    )


def monai_decoder(dimensions: int, given: int, channels: Sequence[int], residual_layers: int, wanted: int) -> nn.Module:
    """Build the MONAI equivalent of `vqvae.Decoder`, with the same weight names."""
    from monai.networks.nets.vqvae import Decoder

    return Decoder(
        in_channels=given,
        out_channels=wanted,
        upsample_parameters=((2, 4, 1, 1, 0),) * len(channels),
        output_act=None,
        **_shared(dimensions, channels, residual_layers),
    )


def _shared(dimensions: int, channels: Sequence[int], residual_layers: int) -> dict:
    return {
        "spatial_dims": dimensions,
        "channels": channels,
        "num_res_layers": residual_layers,
        "num_res_channels": channels,
        "dropout": 0.0,
        "act": "RELU",
    }
