"""Variational autoencoder whose prior is a mixture of Gaussians."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from .backbone import Bottleneck, ConvEncoder
from .pixel_error import Error
from .posterior import LIMIT, Normal, per_image
from .vae import VAE

HIDDEN = 64


class GMVAE(VAE):
    """Latents x ← z ← (w, c) with c uniform over C components and w ~ N(0, I) (Dilokthanakul et al. 2016).

    At every place of the latents' grid, which is a single one where they are dense, p(z|w,c) = N(μ_c(w), σ_c²(w)) by
    1×1 convolutions, and p(c|z,w) is the softmax over c of log N(z; μ_c, σ_c²).
    As in You et al. 2019 the energy of an image is::

        E(x) = Σ_pixels e(x − x̂) + κ·KL,
        KL   = Σ_places Σ_c p(c|z,w)·KL(q(z|x) ‖ p(z|w,c))  +  KL(q(w|x) ‖ N(0, I))
             + Σ_places max(floor, KL(p(c|z,w) ‖ U))

    with the floor λ_c below which a place may prefer a component for free, and κ = β·pixels/latents as in `VAE`.

    Args:
        size: Slice size (Y, X).
        channels: Of the backbone's levels.
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
        """q(z|x), (N, latent, h, w), and q(w|x), (N, mixing, h, w); h and w are 1 where latents are dense."""
        both = self.encoder(images).view(len(images), -1, *self.places)
        return Normal.of(both[:, : 2 * self.latent]), Normal.of(both[:, 2 * self.latent :])

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """What the decoder makes of latents z, (N, latent, h, w); see `VAE.decode`."""
        return super().decode(latents.view(len(latents), *self.shape))

    def prior(self, w: torch.Tensor) -> Normal:
        """p(z|w,c) of all components, (N, C, latent, h, w)."""
        mean, log_precision = self.mixture(w).float().unflatten(1, (2, self.components, self.latent)).unbind(1)
        return Normal(mean, -log_precision.clamp(-LIMIT, LIMIT))

    def imagined(self, count: int, noise: torch.Generator) -> torch.Tensor:
        """Pictures of w ~ N(0, I), c uniform at every place and z ~ p(z|w,c), (count, 1, Y, X)."""
        prior = self.prior(torch.randn(count, self.mixing, *self.places, generator=noise))
        component = torch.randint(self.components, (count, 1, 1, *self.places), generator=noise)
        component = component.expand(count, 1, self.latent, *self.places)
        mean, log_variance = (part.gather(1, component)[:, 0] for part in prior)
        latents = Normal(mean, log_variance).at(lambda like: torch.randn(like.shape, generator=noise))
        return self.compare.picture(self.decode(latents))

    def divergence_of(self, posteriors: tuple[Normal, ...], values: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """KL of each image in nats, (N,); see the class."""
        (z, w), (of_z, of_w) = values, posteriors
        prior = self.prior(w)
        log_share = prior.log_density(z[:, None]).sum(2).log_softmax(1)
        share = log_share.exp()
        of_z = Normal(of_z.mean[:, None], of_z.log_variance[:, None])
        from_prior = (share * of_z.divergence(prior).sum(2)).sum(1)
        preference = (share * (log_share + math.log(self.components))).sum(1).clamp_min(self.floor)
        return per_image(from_prior + preference) + per_image(of_w.divergence_from_standard())
