"""Restoration by gradient ascent of the ELBO of a VAE or GMVAE with total variation (You et al. 2019).

Restoration by ascent: the most probable healthy slice near to what was seen.

Restoration by gradient ascent of the ELBO of a VAE or GMVAE, held back by total variation (You et al. 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import pad

from ..networks.conv_autoencoder import Bottleneck, check_sizes, grid_of
from ..networks.vae import GMVAE, VAE, Draw
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from .base import SliceNetwork, generated_slices
from .slicewise import examined_slices, generator_of, slice_batches

INNER = 5


def total_variation(difference: torch.Tensor) -> torch.Tensor:
    """Σ √(d_y² + d_x²) of each picture's forward differences, (N,).

    Args:
        difference: (N, 1, Y, X).
    """
    return _differences(difference).square().sum(1).sqrt().flatten(1).sum(1)


def most_probable(
    network: VAE,
    images: torch.Tensor,
    masks: torch.Tensor,
    weight: float,
    steps: int,
    rate: float,
    clip: float,
    draw: Draw | None = None,
    after_step: Callable[[int], None] = lambda steps: None,
) -> torch.Tensor:
    """X̂ = argmin E(X) + λ·‖X − Y‖_TV by gradient steps from X = Y on (You et al. 2019).

    E is −2σ²·ELBO with the sum of squared errors, not a mean over pixels or batch, so that a λ holds for any number of
    slices at once. The steps shrink linearly to 0. The gradient of TV is a sign, which lets X jump about Y, the more
    the larger λ is; so TV takes a proximal step after each gradient step of E instead: the change U = X − Y becomes
    argmin_V ½‖V − U‖² + size·λ·‖V‖_TV, by projected steps in its dual (Chambolle 2004) that go on where those of the
    step before stopped. The bounds of each pixel's gradient therefore hold for E alone.

    Args:
        network: In eval mode.
        images: Y, (N, 1, Y, X).
        masks: bool, (N, 1, Y, X); X is Y where they are false.
        weight: λ.
        steps: How many.
        rate: First step size.
        clip: Largest gradient of a pixel.
        draw: Noise of the latents, drawn anew in each step; None takes their means.
        after_step: Told the number of steps done.

    Returns:
        (N, 1, Y, X).
    """
    change = torch.zeros_like(images)
    dual = _differences(change)
    for step in range(steps):
        with torch.enable_grad():
            current = (images + change).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(network.energy(current, draw).sum(), current)
        size = rate * (1 - step / steps)
        change = torch.where(masks, change - size * gradient.clamp(-clip, clip), 0)
        if weight > 0:
            change, dual = _less_varied(change, masks, size * weight, dual)
        after_step(step + 1)
    return images + change


def _less_varied(
    change: torch.Tensor, masks: torch.Tensor, weight: float, dual: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """argmin_V ½‖V − change‖² + weight·‖V‖_TV with V = 0 outside the masks, and the dual (N, 2, Y, X) that gives it."""
    for _ in range(INNER):
        varied = torch.where(masks, change + weight * _divergence(dual), 0)
        dual = dual + _differences(varied) / (8 * weight)
        dual = dual / dual.square().sum(1, keepdim=True).sqrt().clamp_min(1)
    return torch.where(masks, change + weight * _divergence(dual), 0), dual


def _differences(picture: torch.Tensor) -> torch.Tensor:
    """Forward differences (N, 2, Y, X) along Y and X, 0 at the far edges."""
    return torch.cat([pad(picture.diff(dim=2), (0, 0, 0, 1)), pad(picture.diff(dim=3), (0, 1))], dim=1)


def _divergence(field: torch.Tensor) -> torch.Tensor:
    """Minus the adjoint of `_differences` of a field (N, 2, Y, X) that is 0 at the far edges: (N, 1, Y, X)."""
    down, right = field[:, :1], field[:, 1:]
    return down - pad(down, (0, 0, 1, 0))[:, :, :-1] + right - pad(right, (1, 0))[:, :, :, :-1]


def noise_of(keys: Sequence[tuple[int, int]]) -> Draw:
    """Standard normal numbers for a batch of slices, each from a stream of its own.

    A slice then has the same noise whatever slices it is with.

    Args:
        keys: Seed and slice number of each slice.
    """
    streams = [generator_of(key) for key in keys]

    def draw(like: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.randn(like.shape[1:], generator=stream) for stream in streams]).to(like)

    return draw


@dataclass(frozen=True)
class VAETVParameters:
    """Settings of network and restoration.

    You et al. 2019 take six convolutions of 64 channels to latents on a quarter of the grid, 500 steps, the first fifth
    of 5e-3 and then 2e-3, λ = 2.2 (VAE) or 1.8 (GMVAE). Here 40 larger steps shrink linearly to 0, which move a pixel
    almost as far, and the latents are dense: those of a grid know which intensities are healthy, but not where, so that
    a lesion that is no brighter or darker than all tissue is as likely as any brain (docs/RESULTS.md).

    Attributes:
        size: Slice size (Y, X).
        channels: Channels of each level.
        latent: Latent size; of each grid place if spatial.
        kl_weight: β; weighs the mean KL of a latent against the mean squared error of a pixel, see `VAE`.
        tv_weight: λ.
        steps: Gradient steps.
        rate: Size of the first step.
        clip: Largest gradient of a pixel.
        draw: Whether latents are drawn anew in each step, from the seed; else their means are taken.
        bottleneck: "dense", or "spatial" as in the paper.
    """

    size: tuple[int, ...] = (160, 160)
    channels: tuple[int, ...] = (16, 32, 64, 64, 64)
    latent: int = 128
    kl_weight: float = 0.0005
    tv_weight: float = 0.4
    steps: int = 40
    rate: float = 0.05
    clip: float = 50.0
    draw: bool = False
    bottleneck: Bottleneck = "dense"

    def __post_init__(self) -> None:
        check_sizes(self.size, self.channels, self.latent)
        if self.bottleneck == "spatial" and self.latent > 64:
            raise ValueError("at most 64 channels of spatial latents are allowed")
        if not 0 < self.kl_weight <= 1e3 or not 0 <= self.tv_weight <= 1e6 or not 1 <= self.steps <= 10_000:
            raise ValueError("weights must not be negative, and 1 to 10000 steps are allowed")
        if not 0 < self.rate <= 1 or not 0 < self.clip <= 1e6:
            raise ValueError("the step size must be above 0, at most 1, and the largest gradient above 0")

    def network(self) -> VAE:
        """A fresh network."""
        return VAE(self.size, self.channels, self.latent, self.kl_weight, bottleneck=self.bottleneck)


@dataclass(frozen=True)
class GMVAETVParameters(VAETVParameters):
    """Settings with a mixture prior.

    Attributes:
        clip: Largest gradient of a pixel.
        components: Gaussians C of the prior.
        mixing: Channels of w, on which the Gaussians depend.
        floor: λ_c; how far a place may prefer a component for free, in nats.
    """

    clip: float = 100.0
    components: int = 6
    mixing: int = 1
    floor: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.components <= 64 or not 1 <= self.mixing <= 64 or not 0 <= self.floor <= 100:
            raise ValueError("1 to 64 components and mixing channels, and a floor of 0 to 100 are allowed")
        _, rows, columns = grid_of(self.size, self.channels) if self.bottleneck == "spatial" else (1, 1, 1)
        if self.components * self.latent * rows * columns > 1 << 20:
            raise ValueError("the mixture is too large; take fewer components or more levels")

    def network(self) -> GMVAE:
        """A fresh network."""
        sizes = self.size, self.channels, self.latent, self.components, self.mixing
        return GMVAE(*sizes, self.floor, self.kl_weight, bottleneck=self.bottleneck)


class VAETV(SliceNetwork):
    """|X̂ − Y| with X̂ the most probable slice near to Y under a VAE (You et al. 2019); its mean is the sample score."""

    name = "vae_tv"
    Parameters = VAETVParameters

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Restoration:
        """Score |X̂ − Y|; see `Method.restore`."""
        progress, total, done = progress or Progress(), len(examined_slices(mask)), 0
        restored = np.where(mask, image, 0).astype(np.float32)
        for chosen, batch, _ in slice_batches(image, mask, device, None):

            def tell(steps: int, done: int = done, count: int = len(chosen)) -> None:
                part = (done + count * steps / self.parameters.steps) / total
                progress.update(part, f"slice {done + 1} of {total}, step {steps}")

            inside = torch.from_numpy(mask[chosen])[:, None].to(device)
            keys = [(seed, int(index)) for index in chosen]
            restored[chosen] = self.restored(batch, inside, keys, after_step=tell)[:, 0].cpu().numpy()
            done += len(chosen)
        restored = np.where(mask, np.maximum(restored, 0), 0).astype(np.float32)
        score = np.where(mask, np.abs(image - restored), 0).astype(np.float32)
        return Restoration(score, restored, float(score.sum() / max(mask.sum(), 1)))

    def restored(
        self,
        images: torch.Tensor,
        inside: torch.Tensor,
        keys: Sequence[tuple[int, int]],
        weight: float | None = None,
        after_step: Callable[[int], None] = lambda steps: None,
    ) -> torch.Tensor:
        """X̂ of slices.

        Args:
            images: Y, (N, 1, Y, X).
            inside: bool, (N, 1, Y, X).
            keys: Seed and slice number of each, for the noise.
            weight: λ; None takes that of the parameters.
            after_step: Told the number of steps done.
        """
        p = self.parameters
        network = self.network.to(images.device).eval()
        weight = p.tv_weight if weight is None else weight
        draw = noise_of(keys) if p.draw else None
        return most_probable(network, images, inside, weight, p.steps, p.rate, p.clip, draw, after_step)

    def prior_slices(self, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
        """Sample slices from the prior; see `WithPrior`."""
        return generated_slices(self.network, count, columns, seed)


class GMVAETV(VAETV):
    """The same under a GMVAE, whose prior is a mixture of Gaussians (You et al. 2019)."""

    name = "gmvae_tv"
    Parameters = GMVAETVParameters
