"""Restoration by gradient ascent on the ELBO of a VAE or GMVAE with a total-variation penalty (You et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import pad

from ..errors import SettingError
from ..messages import Message
from ..networks.conv_autoencoder import Bottleneck, grid_of
from ..networks.vae import GMVAE, VAE, Noise
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from .base import BackboneParameters, SliceNetwork
from .slicewise import examined_slices, generator_of, slice_batches

INNER = 5


def most_probable(
    network: VAE,
    images: torch.Tensor,
    masks: torch.Tensor,
    weight: float,
    steps: int,
    rate: float,
    clip: float,
    noise: Noise | None = None,
    after_step: Callable[[int], None] = lambda steps: None,
) -> torch.Tensor:
    """Minimise E(X) + λ·‖X − Y‖_TV by gradient steps from X = Y (You et al. 2019).

    E is −2σ²·ELBO with the sum of squared errors, not a mean over pixels or batch, so that the meaning of λ does not
    depend on the number of slices. The step size decreases linearly to 0. The subgradient of TV has constant magnitude,
    which makes X oscillate about Y, the more the larger λ is. Therefore each gradient step of E is followed by a
    proximal step of TV: the change U = X − Y becomes argmin_V ½‖V − U‖² + size·λ·‖V‖_TV, by projected gradient
    steps in its dual (Chambolle 2004) that start from the dual of the step before. The clipping of each pixel's
    gradient applies to E alone.

    Args:
        network: In eval mode.
        images: Y, (N, 1, Y, X).
        masks: bool, (N, 1, Y, X); X is Y where they are false.
        weight: λ.
        steps: Number of steps.
        rate: First step size.
        clip: Largest gradient of a pixel.
        noise: Noise of the latents, sampled in each step; None uses their means.
        after_step: Called with the number of completed steps.

    Returns:
        The minimiser X̂, (N, 1, Y, X).
    """
    change = torch.zeros_like(images)
    dual = _differences(change)
    for step in range(steps):
        with torch.enable_grad():
            current = (images + change).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(network.energy(current, noise).sum(), current)
        size = rate * (1 - step / steps)
        change = torch.where(masks, change - size * gradient.clamp(-clip, clip), 0)
        if weight > 0:
            change, dual = _less_varied(change, masks, size * weight, dual)
        after_step(step + 1)
    return images + change


def _less_varied(
    change: torch.Tensor, masks: torch.Tensor, weight: float, dual: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimise ½‖V − change‖² + weight·‖V‖_TV with V = 0 outside the masks; return V and its dual (N, 2, Y, X)."""
    for _ in range(INNER):
        varied = torch.where(masks, change + weight * _divergence(dual), 0)
        dual = dual + _differences(varied) / (8 * weight)
        dual = dual / dual.square().sum(1, keepdim=True).sqrt().clamp_min(1)
    return torch.where(masks, change + weight * _divergence(dual), 0), dual


def _differences(image: torch.Tensor) -> torch.Tensor:
    """Compute forward differences (N, 2, Y, X) along Y and X, 0 at the far edges."""
    return torch.cat([pad(image.diff(dim=2), (0, 0, 0, 1)), pad(image.diff(dim=3), (0, 1))], dim=1)


def _divergence(field: torch.Tensor) -> torch.Tensor:
    """Apply the negative adjoint of `_differences` to a field (N, 2, Y, X), 0 at the far edges; (N, 1, Y, X)."""
    down, right = field[:, :1], field[:, 1:]
    return down - pad(down, (0, 0, 1, 0))[:, :, :-1] + right - pad(right, (1, 0))[:, :, :, :-1]


def noise_of(keys: Sequence[tuple[int, int]]) -> Noise:
    """Return normal noise by seed and slice number of each slice, independent of the other slices of the batch."""
    streams = [generator_of(key) for key in keys]

    def sample(like: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.randn(like.shape[1:], generator=stream) for stream in streams]).to(like)

    return sample


@dataclass(frozen=True)
class VAETVParameters(BackboneParameters):
    """Settings of network and restoration.

    You et al. 2019 use six convolutions of 64 channels to latents on a quarter of the grid, 500 steps, the first fifth
    of 5e-3 and then 2e-3, λ = 2.2 (VAE) or 1.8 (GMVAE). Here, 40 larger steps decrease linearly to 0 and move a pixel
    almost as far, and the latents are dense. Latents on a grid model which intensities are healthy but not where, so
    a lesion within the intensity range of healthy tissue is as probable as any brain (docs/RESULTS.md).

    Attributes:
        kl_weight: β, weight of the mean KL of a latent relative to the mean squared error of a pixel; see `VAE`.
        tv_weight: λ.
        steps: Gradient steps.
        rate: Size of the first step.
        clip: Largest gradient of a pixel.
        draw: Whether latents are sampled in each step, from the seed; otherwise their means are used.
        bottleneck: "dense", or "spatial" as in the paper.
    """

    kl_weight: float = 0.0005
    tv_weight: float = 0.4
    steps: int = 40
    rate: float = 0.05
    clip: float = 50.0
    draw: bool = False
    bottleneck: Bottleneck = "dense"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bottleneck == "spatial" and self.latent > 64:
            raise SettingError("spatial_latents")
        if not 0 < self.kl_weight <= 1e3 or not 0 <= self.tv_weight <= 1e6 or not 1 <= self.steps <= 10_000:
            raise SettingError("tv_weights")
        if not 0 < self.rate <= 1 or not 0 < self.clip <= 1e6:
            raise SettingError("tv_step_size")

    def network(self) -> VAE:
        """Build the network with random weights from torch's current seed."""
        return VAE(self.size, self.channels, self.latent, self.kl_weight, bottleneck=self.bottleneck)


@dataclass(frozen=True)
class GMVAETVParameters(VAETVParameters):
    """Settings with a mixture prior.

    Attributes:
        clip: Largest gradient of a pixel.
        components: Number C of Gaussians in the prior.
        mixing: Channels of w, the latent that the Gaussians depend on.
        floor: λ_c, smallest KL of the component posterior at a position that is penalised, in nats.
    """

    clip: float = 100.0
    components: int = 6
    mixing: int = 1
    floor: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.components <= 64 or not 1 <= self.mixing <= 64 or not 0 <= self.floor <= 100:
            raise SettingError("mixture_sizes")
        _, rows, columns = grid_of(self.size, self.channels) if self.bottleneck == "spatial" else (1, 1, 1)
        if self.components * self.latent * rows * columns > 1 << 20:
            raise SettingError("mixture_too_large")

    def network(self) -> GMVAE:
        """Build the network with random weights from torch's current seed."""
        sizes = self.size, self.channels, self.latent, self.components, self.mixing
        return GMVAE(*sizes, self.floor, self.kl_weight, bottleneck=self.bottleneck)


class VAETV(SliceNetwork):
    """Restoration |X̂ − Y| with X̂ the most probable slice near Y under a VAE (You et al. 2019).

    X̂ minimises E(X) + λ·‖X − Y‖_TV, see `most_probable`. Sample score: the mean of |X̂ − Y| over the brain.
    """

    name = "vae_tv"
    Parameters = VAETVParameters

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score |X̂ − Y|."""
        total, done = len(examined_slices(mask)), 0
        restored = np.where(mask, image, 0).astype(np.float32)
        for chosen, batch, _ in slice_batches(image, mask, device, None):

            def on_step(steps: int, done: int = done, count: int = len(chosen)) -> None:
                part = (done + count * steps / self.parameters.steps) / total
                progress.update(part, Message("progress_slice_step", number=done + 1, count=total, step=steps))

            inside = torch.from_numpy(mask[chosen])[:, None].to(device)
            keys = [(seed, int(index)) for index in chosen]
            restored[chosen] = self.restored(batch, inside, keys, after_step=on_step)[:, 0].cpu().numpy()
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
        """Compute X̂ of slices.

        Args:
            images: Y, (N, 1, Y, X).
            inside: Brain, bool, (N, 1, Y, X).
            keys: Seed and slice number of each slice, for the noise.
            weight: λ; None uses that of the parameters.
            after_step: Called with the number of completed steps.

        Returns:
            (N, 1, Y, X).
        """
        p = self.parameters
        network = self.network.to(images.device).eval()
        weight = p.tv_weight if weight is None else weight
        noise = noise_of(keys) if p.draw else None
        return most_probable(network, images, inside, weight, p.steps, p.rate, p.clip, noise, after_step)


class GMVAETV(VAETV):
    """TV restoration under a GMVAE, a VAE with a Gaussian mixture prior (You et al. 2019)."""

    name = "gmvae_tv"
    Parameters = GMVAETVParameters
