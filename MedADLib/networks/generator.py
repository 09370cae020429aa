"""Generator: pictures out of Gaussian noise."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from .backbone import ConvDecoder, Expansion


class Generator(nn.Sequential):
    """G(z): codes (N, latent) to slices (N, 1, Y, X).

    The decoder of the autoencoders, without batch norm: a picture depends on its own code only, and the critic's turn,
    which looks at generated pictures, leaves nothing behind in the generator.

    Args:
        size: Slice size (Y, X), both divisible by 2 to the number of levels.
        channels: Of a critic's levels, in the critic's order.
        latent: Length of a code.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int], latent: int):
        expansion = Expansion(size, channels, latent, norm="none", act="leaky")
        super().__init__(expansion, ConvDecoder(channels, norm="none", act="leaky"))
