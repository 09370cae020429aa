"""Variational autoencoder; with holes to fill also the context encoder and ceVAE, which differ in the loss only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from .backbone import Bottleneck, ConvDecoder, ConvEncoder, Expansion, grid_of
from .holes import Holes
from .pixel_error import Error, PixelError
from .posterior import Draw, Normal, per_image


class Terms(NamedTuple):
    """What an energy is made of.

    Attributes:
        restored: Pictures (N, 1, Y, X), float32.
        errors: e of each pixel, (N, 1, Y, X), float32.
        divergence: KL of each image in nats, (N,).
    """

    restored: torch.Tensor
    errors: torch.Tensor
    divergence: torch.Tensor

    @property
    def error(self) -> torch.Tensor:
        """Σ_pixels e of each image, (N,)."""
        return per_image(self.errors)


class VAE(nn.Module):
    """q(z|x) = N(μ(x), σ²(x)), p(z) = N(0, I) and a decoder x̂(z) (Kingma and Welling 2014).

    The energy of an image is E(x) = Σ_pixels e(x − x̂) + κ·KL(q(z|x) ‖ p(z)), κ = β·pixels/latents. Divided by the
    number of pixels this is the mean error plus β times the mean KL of a latent, the form in which recipes give β
    (ceVAE .01, the VAE of MedIAnomaly .005), so that one β suits all sizes. For e = square, E = −κ·ELBO + constant with
    the Gaussian likelihood of variance κ/2; for e = absolute value, with the Laplace likelihood of scale κ. The
    categorical error is a likelihood of its own, so that E = −ELBO for κ = 1, as with β = 128/160² = .005.

    With a context share c, the loss is that of ceVAE (Zimmerer et al. 2018): (1 − c)·E(x) + c·Σ e(x − x̂(μ(x̃)))
    with x̃ the image with holes, compared with the *whole* image. c = 0 is the VAE, c = 1 the context encoder of
    Pathak et al. 2016 without its adversary.

    Args:
        size: Slice size (Y, X).
        channels: Of the backbone's levels.
        latent: Latent size; of each grid place if spatial.
        kl_weight: β.
        error: e.
        bottleneck: Dense or spatial latents.
        context: c.
        holes: What x̃ lacks.
        centres: Class centres of a categorical error.
    """

    def __init__(
        self,
        size: Sequence[int],
        channels: Sequence[int],
        latent: int,
        kl_weight: float = 0.01,
        error: Error = "l2",
        bottleneck: Bottleneck = "dense",
        context: float = 0.0,
        holes: Holes | None = None,
        centres: Sequence[float] = (),
    ):
        super().__init__()
        self.compare = PixelError(error, centres)
        self.encoder = ConvEncoder(size, channels, 2 * latent, bottleneck)
        self.expand = Expansion(size, channels, latent, bottleneck)
        self.decoder = ConvDecoder(channels, self.compare.channels)
        _, rows, columns = grid_of(size, channels)
        self.pixels, self.context, self.holes = size[0] * size[1], context, holes or Holes()
        self.shape = (latent, rows, columns) if bottleneck == "spatial" else (latent,)
        self.latents = math.prod(self.shape)
        self.divergence_weight = kl_weight * self.pixels / self.latents

    def posteriors(self, images: torch.Tensor) -> tuple[Normal, ...]:
        """q(z|x) of slices (N, 1, Y, X): (N, latent), or (N, latent, h, w) if spatial."""
        return (Normal.of(self.encoder(images)),)

    def divergence_of(self, posteriors: tuple[Normal, ...], values: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """KL of each image in nats, (N,), of the posteriors and what was drawn from them."""
        return per_image(posteriors[0].divergence_from_standard())

    def divergence(self, images: torch.Tensor) -> torch.Tensor:
        """KL(q(z|x) ‖ p(z)) of each image in nats, (N,), at the means."""
        posteriors = self.posteriors(images)
        return self.divergence_of(posteriors, tuple(posterior.mean for posterior in posteriors))

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """What the decoder makes of latents z, (N, channels, Y, X); see `PixelError`."""
        return self.decoder(self.expand(latents))

    def imagined(self, count: int, noise: torch.Generator) -> torch.Tensor:
        """Pictures of latents drawn from the prior p(z), (count, 1, Y, X)."""
        return self.compare.picture(self.decode(torch.randn(count, *self.shape, generator=noise)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Reconstruction with z = μ, (N, 1, Y, X)."""
        return self.compare.picture(self.decode(self.posteriors(images)[0].mean))

    def terms(self, images: torch.Tensor, draw: Draw | None = None) -> Terms:
        """Error and KL of each image.

        Args:
            images: (N, 1, Y, X).
            draw: Gives the noise of the latents; None takes their means.
        """
        posteriors = self.posteriors(images)
        values = tuple(posterior.at(draw) for posterior in posteriors)
        decoded = self.decode(values[0])
        divergence = self.divergence_of(posteriors, values)
        return Terms(self.compare.picture(decoded), self.compare(decoded, images), divergence)

    def energy(self, images: torch.Tensor, draw: Draw | None = None) -> torch.Tensor:
        """E(x) of each image, (N,); see the class. Sums, so that an image's energy is its own business."""
        terms = self.terms(images, draw)
        return terms.error + self.divergence_weight * terms.divergence

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Mean energy per pixel, with the holes' share.

        Args:
            images: (N, 1, Y, X).
            masks: Brain, (N, 1, Y, X); holes are made in it.
            positions: (N,); not used.

        Returns:
            The loss, and of it ``divergence`` in nats an image, ``context_error`` a pixel, and ``error``: mean absolute
            error per brain pixel.
        """
        total, log = images.new_zeros(()), {}
        if self.context < 1:
            terms = self.terms(images, torch.randn_like)
            energy = terms.error + self.divergence_weight * terms.divergence
            total, restored = total + (1 - self.context) * energy.mean() / self.pixels, terms.restored
            log["divergence"] = terms.divergence.mean().detach()
        if self.context > 0:
            filled = self.decode(self.posteriors(self.holes(images, masks))[0].mean)
            error = self.compare(filled, images).mean()
            total, log["context_error"] = total + self.context * error, error.detach()
            restored = restored if self.context < 1 else self.compare.picture(filled)
        error = ((restored - images).abs() * masks).sum() / masks.sum().clamp_min(1)
        return total, log | {"error": error.detach()}
