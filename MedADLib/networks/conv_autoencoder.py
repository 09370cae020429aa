"""Convolutional encoder and decoder of the slice-wise autoencoders (AE4AD, Cai et al. 2024).

Every network of the family consists of an encoder, an expansion and a decoder; they differ in loss and score:

    code = ConvEncoder(size, channels, out)(images)         (N, 1, Y, X) to (N, out), or (N, out, h, w) if spatial
    features = Expansion(size, channels, latent)(code)      back to (N, channels[-1], h, w)
    restored = ConvDecoder(channels, out)(features)         to (N, out, Y, X)

The architecture is that of AE4AD: kernel 4, stride 2, batch norm and ReLU on every level, a dense bottleneck with one
hidden layer of 1024 on each side. AE4AD uses it for 64×64 pixels; here, larger slices have more levels, so that the
last grid has a few pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import nn

HIDDEN = 1024
Bottleneck = Literal["dense", "spatial"]
Norm = Literal["batch", "instance", "none"]
Act = Literal["relu", "leaky", "silu"]


def grid_of(size: Sequence[int], channels: Sequence[int]) -> tuple[int, int, int]:
    """Return channels, rows and columns of the features after the last level."""
    return channels[-1], size[0] >> len(channels), size[1] >> len(channels)


class ConvEncoder(nn.Sequential):
    """Encoder of slices (N, 1, Y, X) to codes.

    Args:
        size: Slice size (Y, X), both divisible by 2 to the number of levels.
        channels: Channels of each level; every level halves the grid.
        out: Length of a code (at each grid position if spatial); twice the latent size for a mean and a variance.
        bottleneck: "dense", code (N, out), or "spatial", a 1×1 convolution that keeps the grid, code (N, out, h, w).
        norm: Norm after each convolution, and, if "batch", in the hidden layer; WGAN-GP critics must not use "batch".
        act: Nonlinearity.
    """

    def __init__(
        self,
        size: Sequence[int],
        channels: Sequence[int],
        out: int,
        bottleneck: Bottleneck = "dense",
        norm: Norm = "batch",
        act: Act = "relu",
    ):
        layers: list[nn.Module] = []
        before = 1
        for after in channels:
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=norm == "none"), *_norm(norm, after), _act(act)]
            before = after
        if bottleneck == "spatial":
            layers.append(nn.Conv2d(before, out, 1))
        else:
            channel, rows, columns = grid_of(size, channels)
            layers += [nn.Flatten(), *_hidden(channel * rows * columns, norm, act), nn.Linear(HIDDEN, out)]
        super().__init__(*layers)


class Expansion(nn.Sequential):
    """Map of a code to the features (N, channels[-1], h, w) of the decoder; arguments as in `ConvEncoder`."""

    def __init__(
        self,
        size: Sequence[int],
        channels: Sequence[int],
        latent: int,
        bottleneck: Bottleneck = "dense",
        norm: Norm = "batch",
        act: Act = "relu",
    ):
        grid = grid_of(size, channels)
        if bottleneck == "spatial":
            super().__init__(nn.Conv2d(latent, grid[0], 1))
        else:
            flat = grid[0] * grid[1] * grid[2]
            super().__init__(*_hidden(latent, norm, act), nn.Linear(HIDDEN, flat), nn.Unflatten(1, grid))


class ConvDecoder(nn.Sequential):
    """Decoder of features (N, channels[-1], h, w) to images (N, out, Y, X); the last layer is linear.

    Args:
        channels: Channels of the encoder's levels, in the encoder's order.
        out: Channels of an image.
        norm: As in `ConvEncoder`.
        act: As in `ConvEncoder`.
    """

    def __init__(self, channels: Sequence[int], out: int = 1, norm: Norm = "batch", act: Act = "relu"):
        layers: list[nn.Module] = []
        before = channels[-1]
        for after in reversed(channels[:-1]):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=norm == "none"), *_norm(norm, after), _act(act)]
            before = after
        super().__init__(*layers, nn.ConvTranspose2d(before, out, 4, 2, 1))


def _hidden(before: int, norm: Norm, act: Act) -> list[nn.Module]:
    return [nn.Linear(before, HIDDEN), *([nn.BatchNorm1d(HIDDEN)] if norm == "batch" else []), _act(act)]


def _norm(norm: Norm, channels: int) -> list[nn.Module]:
    if norm == "none":
        return []
    return [nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels, affine=True)]


def _act(act: Act) -> nn.Module:
    return {"relu": nn.ReLU, "leaky": lambda: nn.LeakyReLU(0.2), "silu": nn.SiLU}[act]()
