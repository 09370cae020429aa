"""MorphAEus (Bercea, Rueckert and Schnabel 2023): an autoencoder's picture, and how to deform it to fit the scan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import interpolate

from .warping import integrate, jacobian_determinant, warp

LEVELS = 3
WIDTH = 32
FLOW_SPREAD = 1e-5
CONV = {2: nn.Conv2d, 3: nn.Conv3d}
UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
LINEAR = {2: "bilinear", 3: "trilinear"}


def levels_of(size: Sequence[int]) -> int:
    """How many halvings, rounded up, lead from a grid to a single place."""
    return math.ceil(math.log2(max(size)))


class Drawn(NamedTuple):
    """What the autoencoder makes of images.

    Attributes:
        prior: x_prior, (N, 1, Y, X).
        encoded: Features of the encoder on the grids that are halved 1, 2, ... times.
        decoded: Features of the decoder on the grids that are halved 0, 1, 2, ... times.
    """

    prior: torch.Tensor
    encoded: list[torch.Tensor]
    decoded: list[torch.Tensor]

    def detached(self) -> Drawn:
        """The same values, through which nothing teaches the autoencoder."""
        return Drawn(self.prior.detach(), *([part.detach() for part in parts] for parts in self[1:]))


class Morphed(NamedTuple):
    """A prior that was made to fit, all float32.

    Attributes:
        prior: x_prior, (N, 1, Y, X).
        velocity: v in pixels, (N, 2, Y, X) along Y, X; of volumes (N, 3, Z, Y, X).
        displacement: u in pixels, the same shape.
        morphed: x_morph = x_prior∘φ, φ(p) = p + u(p).
    """

    prior: torch.Tensor
    velocity: torch.Tensor
    displacement: torch.Tensor
    morphed: torch.Tensor

    def jacobian(self) -> torch.Tensor:
        """det(∂φ/∂p) of each pixel, (N, 1, Y, X)."""
        return jacobian_determinant(self.displacement)


class PriorAutoencoder(nn.Module):
    """Halves an image to a single place, whose channels are the latent, and draws x_prior from it.

    Down: 3×3 convolution with stride 2, batch norm, swish. Up: linear interpolation to the next grid, 3×3 convolution,
    batch norm, swish; last a 1×1 convolution. Grids of odd size halve upwards (5 to 3), so that any size goes down to
    1 × 1.

    Two things are not as in the paper. It ends in a sigmoid, for intensities from 0 to 1; standard intensities go
    beyond 1, and where to is what tells many a lesion, so here the end is linear. And its latent is normalised over
    batches of 64; in batches that a CPU has time for, a single place is too few numbers for that, so the last level
    down has no batch norm.

    Args:
        size: Of images (Y, X) or volumes (Z, Y, X).
        channels: Of each level, as many as `levels_of` says.

    Raises:
        ValueError: If the levels are too few or too many.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int]):
        super().__init__()
        if len(channels) != levels_of(size):
            raise ValueError(f"a size of {tuple(size)} needs {levels_of(size)} levels, not {len(channels)}")
        dims = self.dims = len(size)
        self.down = nn.ModuleList(
            _layer(dims, before, after, stride=2) for before, after in zip((1, *channels[:-1]), channels[:-1])
        )
        self.down.append(nn.Sequential(CONV[dims](channels[-2], channels[-1], 3, 2, 1), nn.SiLU()))
        self.up = nn.ModuleList(
            _layer(dims, before, after, stride=1) for before, after in zip((*channels[1:], channels[-1]), channels)
        )
        self.last = CONV[dims](channels[0], 1, 1)

    def forward(self, images: torch.Tensor) -> Drawn:
        """Draw x_prior of images (N, 1, Y, X), with the features on the way."""
        encoded = []
        for layer in self.down:
            encoded.append(layer(encoded[-1] if encoded else images))
        grids = [tuple(part.shape[2:]) for part in (images, *encoded)]
        decoded = [encoded[-1]]
        for layer, grid in zip(reversed(self.up), reversed(grids[:-1])):
            wide = interpolate(decoded[0], size=grid, mode=LINEAR[self.dims], align_corners=False)
            decoded.insert(0, layer(wide))
        return Drawn(self.last(decoded[0]).float(), encoded, decoded)


class Deformer(nn.Module):
    """A velocity field out of the features of encoder and decoder on the grids halved 3, 2 and 1 times.

    On each grid: the features of both, and what came from the coarser grid, through a transposed 3×3 convolution with
    stride 2 to 32 channels, batch norm and swish; last a 3×3 convolution to the velocity, whose weights begin at
    N(0, 1e-5²) and so with almost no deformation.

    Args:
        dims: 2 or 3.
        channels: Of the autoencoder's levels; at least 4.
    """

    def __init__(self, dims: int, channels: Sequence[int]):
        super().__init__()
        self.stages, self.after = nn.ModuleList(), nn.ModuleList()
        for level in range(LEVELS, 0, -1):
            carried = 0 if level == LEVELS else WIDTH
            before = channels[level - 1] + channels[level] + carried
            self.stages.append(UP[dims](before, WIDTH, 3, 2, 1, bias=False))
            self.after.append(nn.Sequential(NORM[dims](WIDTH), nn.SiLU()))
        self.flow = CONV[dims](WIDTH, dims, 3, 1, 1)
        nn.init.normal_(self.flow.weight, std=FLOW_SPREAD)
        nn.init.zeros_(self.flow.bias)

    def forward(self, drawn: Drawn) -> torch.Tensor:
        """The velocity in pixels, float32 (N, 2, Y, X) along Y, X; of volumes (N, 3, Z, Y, X)."""
        carried: list[torch.Tensor] = []
        for level, stage, after in zip(range(LEVELS, 0, -1), self.stages, self.after):
            given = torch.cat([drawn.encoded[level - 1], drawn.decoded[level], *carried], dim=1)
            carried = [after(stage(given, output_size=drawn.decoded[level - 1].shape[2:]))]
        return self.flow(carried[0]).float()


class Morphing(nn.Module):
    """The autoencoder and its deformer.

    Args:
        size: Of images (Y, X) or volumes (Z, Y, X).
        channels: Of the autoencoder's levels.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int]):
        super().__init__()
        self.autoencoder = PriorAutoencoder(size, channels)
        self.deformer = Deformer(len(size), channels)

    def forward(self, images: torch.Tensor) -> Morphed:
        """x_prior of images (N, 1, Y, X) or (N, 1, Z, Y, X), and x_morph."""
        return self.fit(self.autoencoder(images))

    def fit(self, drawn: Drawn) -> Morphed:
        """Deform what the autoencoder drew; the fields are float32 also where the features are not."""
        velocity = self.deformer(drawn)
        with torch.autocast(velocity.device.type, enabled=False):
            displacement = integrate(velocity)
            return Morphed(drawn.prior, velocity, displacement, warp(drawn.prior, displacement))


def _layer(dims: int, before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(CONV[dims](before, after, 3, stride, 1, bias=False), NORM[dims](after), nn.SiLU())
