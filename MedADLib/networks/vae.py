"""Variational autoencoders with a normal or a Gaussian mixture prior, and their training on slices with holes.

With holes in its input, the VAE is also the context encoder or ceVAE: these differ in the loss only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from .conv_autoencoder import Bottleneck, ConvDecoder, ConvEncoder, Expansion, grid_of
from .losses import brain_mean
from .pixel_error import Error, PixelError

# Variances outside e⁻¹⁰…e¹⁰ have no practical meaning, and their squares overflow in half precision.
LIMIT = 10.0
# Returns standard normal numbers of a tensor's shape and device.
Noise = Callable[[torch.Tensor], torch.Tensor]

HIDDEN = 64


@dataclass(frozen=True)
class Holes:
    """Random squares cut out of images, by default as in ceVAE (Zimmerer et al. 2018).

    Each image has different squares; they may overlap.

    Attributes:
        fewest: Smallest number of squares in an image.
        most: Largest number of squares in an image.
        smallest: Smallest side as a fraction of the shorter side of the image.
        largest: Largest side as a fraction of the shorter side of the image.
    """

    fewest: int = 0
    most: int = 3
    smallest: float = 0.0
    largest: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.fewest <= self.most <= 16 or not 0 <= self.smallest <= self.largest <= 1:
            raise ValueError("an image can have 0 to 16 holes, with sides from 0 to 1 of its own")

    def __call__(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Cut holes at random, with PyTorch's global generator.

        Args:
            images: (N, 1, Y, X).
            masks: (N, 1, Y, X); pixels with 0 do not change, because a filled square would be obvious there.

        Returns:
            The images with holes; each hole has one value from U(0, 1) (standard intensities).
        """
        count, _, height, width = images.shape
        numbers = torch.randint(self.fewest, self.most + 1, (count,))
        rows, columns = torch.arange(height), torch.arange(width)
        filled = images
        for number in range(self.most):
            side = min(height, width) * (self.smallest + (self.largest - self.smallest) * torch.rand(count))
            top, left = torch.rand(count) * (height - side), torch.rand(count) * (width - side)
            fill = torch.rand(count, 1, 1, 1)
            tall = (rows >= top[:, None]) & (rows < (top + side)[:, None])
            wide = (columns >= left[:, None]) & (columns < (left + side)[:, None])
            square = (tall[:, :, None] & wide[:, None, :] & (number < numbers)[:, None, None])[:, None]
            filled = torch.where(square.to(images.device) & (masks > 0), fill.to(images), filled)
        return filled


class Normal(NamedTuple):
    """Independent normal distributions; tensors of one shape, (N, …)."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    @classmethod
    def of(cls, both: torch.Tensor) -> Normal:
        """Split a network's output into means and log variances, concatenated along axis 1; float32."""
        mean, log_variance = both.float().chunk(2, dim=1)
        return cls(mean, log_variance.clamp(-LIMIT, LIMIT))

    def at(self, noise: Noise | None) -> torch.Tensor:
        """Return a sample μ + σ·ε with ε from `noise`; the mean if it is None."""
        return self.mean if noise is None else self.mean + (0.5 * self.log_variance).exp() * noise(self.mean)

    def log_density(self, values: torch.Tensor) -> torch.Tensor:
        """Compute log N(values; μ, σ²) = −½·log 2π − ½·log σ² − ½·(values − μ)²/σ², elementwise."""
        distance = (values - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (math.log(2 * math.pi) + self.log_variance + distance)

    def divergence(self, other: Normal) -> torch.Tensor:
        """Compute KL(self ‖ other) = ½·[log σ₂²/σ₁² + (σ₁² + (μ₁ − μ₂)²)/σ₂² − 1], elementwise."""
        ratio = self.log_variance - other.log_variance
        distance = (self.mean - other.mean).square() * (-other.log_variance).exp()
        return 0.5 * (ratio.exp() + distance - 1 - ratio)

    def divergence_from_standard(self) -> torch.Tensor:
        """Compute KL(self ‖ N(0, 1)), elementwise."""
        return 0.5 * (self.log_variance.exp() + self.mean.square() - 1 - self.log_variance)


def per_image(values: torch.Tensor) -> torch.Tensor:
    """Sum over all axes except the first, (N,)."""
    return values.flatten(1).sum(1)


class Terms(NamedTuple):
    """Terms of an energy.

    Attributes:
        restored: Reconstructions x̂, (N, 1, Y, X), float32.
        errors: e of each pixel, (N, 1, Y, X), float32.
        divergence: KL of each image in nats, (N,).
    """

    restored: torch.Tensor
    errors: torch.Tensor
    divergence: torch.Tensor

    @property
    def error(self) -> torch.Tensor:
        """Compute Σ_pixels e of each image, (N,)."""
        return per_image(self.errors)


class VAE(nn.Module):
    """Variational autoencoder (Kingma and Welling 2014): q(z|x) = N(μ(x), σ²(x)), p(z) = N(0, I) and a decoder x̂(z).

    The energy of an image is E(x) = Σ_pixels e(x − x̂) + κ·KL(q(z|x) ‖ p(z)), κ = β·pixels/latents. Divided by the
    number of pixels, this is the mean error plus β times the mean KL of a latent, the convention of published recipes
    (ceVAE .01, the VAE of MedIAnomaly .005), so that β does not depend on the sizes. For e = square, E = −κ·ELBO +
    constant with the Gaussian likelihood of variance κ/2; for e = absolute value, with the Laplace likelihood of scale
    κ. The categorical error is a negative log-likelihood, so that E = −ELBO for κ = 1, as with β = 128/160² = .005.

    With a context share c, the loss is that of ceVAE (Zimmerer et al. 2018): (1 − c)·E(x) + c·Σ e(x − x̂(μ(x̃)))
    with x̃ the image with holes; the error covers the *whole* image. c = 0 is the VAE, c = 1 the context encoder of
    Pathak et al. 2016 without its adversarial loss.

    Args:
        size: Slice size (Y, X).
        channels: Channels of the backbone's levels.
        latent: Latent size; of each grid position if spatial.
        kl_weight: β.
        error: e.
        bottleneck: Dense or spatial latents.
        context: c.
        holes: Holes of x̃.
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
        """Compute q(z|x) of slices (N, 1, Y, X): (N, latent), or (N, latent, h, w) if spatial."""
        return (Normal.of(self.encoder(images)),)

    def divergence_of(self, posteriors: tuple[Normal, ...], values: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Compute the KL of each image in nats, (N,), from the posteriors and the values sampled from them."""
        return per_image(posteriors[0].divergence_from_standard())

    def divergence(self, images: torch.Tensor) -> torch.Tensor:
        """Compute KL(q(z|x) ‖ p(z)) of each image in nats, (N,), at the means."""
        posteriors = self.posteriors(images)
        return self.divergence_of(posteriors, tuple(posterior.mean for posterior in posteriors))

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents z to (N, channels, Y, X); see `PixelError`."""
        return self.decoder(self.expand(latents))

    def sample_prior(self, count: int, noise: torch.Generator) -> torch.Tensor:
        """Decode latents sampled from the prior p(z), to (count, 1, Y, X)."""
        return self.compare.image(self.decode(torch.randn(count, *self.shape, generator=noise)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Reconstruct slices (N, 1, Y, X) with z = μ."""
        return self.compare.image(self.decode(self.posteriors(images)[0].mean))

    def terms(self, images: torch.Tensor, noise: Noise | None = None) -> Terms:
        """Compute reconstruction, error and KL of each image.

        Args:
            images: (N, 1, Y, X).
            noise: Returns the noise of the latents; None uses their means.
        """
        posteriors = self.posteriors(images)
        values = tuple(posterior.at(noise) for posterior in posteriors)
        decoded = self.decode(values[0])
        divergence = self.divergence_of(posteriors, values)
        return Terms(self.compare.image(decoded), self.compare(decoded, images), divergence)

    def energy(self, images: torch.Tensor, noise: Noise | None = None) -> torch.Tensor:
        """Compute E(x) of each image, (N,); see the class. It is a sum, so it does not depend on the other images."""
        terms = self.terms(images, noise)
        return terms.error + self.divergence_weight * terms.divergence

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute the mean energy per pixel, and the error on images with holes with its share c.

        Args:
            images: (N, 1, Y, X).
            masks: Brain, (N, 1, Y, X); holes are inside it.
            positions: (N,); not used.

        Returns:
            The loss, and ``divergence`` in nats per image, ``context_error`` per pixel, and ``error``: mean absolute
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
            restored = restored if self.context < 1 else self.compare.image(filled)
        return total, log | {"error": brain_mean((restored - images).abs(), masks).detach()}


class GMVAE(VAE):
    """VAE with a Gaussian mixture prior (GMVAE, Dilokthanakul et al. 2016).

    x ← z ← (w, c), with c uniform over C components and w ~ N(0, I). At every position of the latents' grid, which is
    1 × 1 if they are dense, p(z|w,c) = N(μ_c(w), σ_c²(w)) by 1×1 convolutions, and p(c|z,w) is the softmax over c of
    log N(z; μ_c, σ_c²). As in You et al. 2019, the energy of an image is::

        E(x) = Σ_pixels e(x − x̂) + κ·KL,
        KL   = Σ_places Σ_c p(c|z,w)·KL(q(z|x) ‖ p(z|w,c))  +  KL(q(w|x) ‖ N(0, I))
             + Σ_places max(floor, KL(p(c|z,w) ‖ U))

    with κ = β·pixels/latents as in `VAE`, and a floor λ_c below which the KL of p(c|z,w) is not penalised.

    Args:
        size: Slice size (Y, X).
        channels: Channels of the backbone's levels.
        latent: Channels of z.
        components: C.
        mixing: Channels of w.
        floor: λ_c in nats.
        kl_weight: β.
        error: e.
        bottleneck: Spatial (You et al.) or dense latents.
    """

    def __init__(
        self,
        size: Sequence[int],
        channels: Sequence[int],
        latent: int,
        components: int = 6,
        mixing: int = 1,
        floor: float = 0.5,
        kl_weight: float = 0.01,
        error: Error = "l2",
        bottleneck: Bottleneck = "spatial",
    ):
        super().__init__(size, channels, latent, kl_weight, error, bottleneck)
        self.places = self.shape[1:] or (1, 1)
        self.latent, self.components, self.floor = latent, components, floor
        self.mixing = mixing
        self.encoder = ConvEncoder(size, channels, 2 * (latent + mixing), bottleneck)
        self.mixture = nn.Sequential(
            nn.Conv2d(mixing, HIDDEN, 1), nn.ReLU(), nn.Conv2d(HIDDEN, 2 * components * latent, 1)
        )

    def posteriors(self, images: torch.Tensor) -> tuple[Normal, ...]:
        """Compute q(z|x), (N, latent, h, w), and q(w|x), (N, mixing, h, w); h and w are 1 if latents are dense."""
        both = self.encoder(images).view(len(images), -1, *self.places)
        return Normal.of(both[:, : 2 * self.latent]), Normal.of(both[:, 2 * self.latent :])

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents z, (N, latent, h, w); see `VAE.decode`."""
        return super().decode(latents.view(len(latents), *self.shape))

    def prior(self, w: torch.Tensor) -> Normal:
        """Compute p(z|w,c) of all components, (N, C, latent, h, w)."""
        mean, log_precision = self.mixture(w).float().unflatten(1, (2, self.components, self.latent)).unbind(1)
        return Normal(mean, -log_precision.clamp(-LIMIT, LIMIT))

    def sample_prior(self, count: int, noise: torch.Generator) -> torch.Tensor:
        """Decode samples w ~ N(0, I), c uniform at every position and z ~ p(z|w,c), to (count, 1, Y, X)."""
        prior = self.prior(torch.randn(count, self.mixing, *self.places, generator=noise))
        component = torch.randint(self.components, (count, 1, 1, *self.places), generator=noise)
        component = component.expand(count, 1, self.latent, *self.places)
        mean, log_variance = (part.gather(1, component)[:, 0] for part in prior)
        latents = Normal(mean, log_variance).at(lambda like: torch.randn(like.shape, generator=noise))
        return self.compare.image(self.decode(latents))

    def divergence_of(self, posteriors: tuple[Normal, ...], values: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Compute the KL of each image in nats, (N,); see the class."""
        (z, w), (of_z, of_w) = values, posteriors
        prior = self.prior(w)
        log_share = prior.log_density(z[:, None]).sum(2).log_softmax(1)
        share = log_share.exp()
        of_z = Normal(of_z.mean[:, None], of_z.log_variance[:, None])
        from_prior = (share * of_z.divergence(prior).sum(2)).sum(1)
        preference = (share * (log_share + math.log(self.components))).sum(1).clamp_min(self.floor)
        return per_image(from_prior + preference) + per_image(of_w.divergence_from_standard())
