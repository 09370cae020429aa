"""Pictures drawn from what a method has learned alone, of no scan: whether its prior knows healthy anatomy."""

from __future__ import annotations

import numpy as np
import torch

from .methods.adversarial_reconstruction import Reconstruction
from .methods.context_encoding import ContextEncoder
from .methods.f_anogan import FAnoGAN
from .methods.latent_restoration import LatentRestoration
from .methods.method import Method
from .methods.resampling import resample_codes
from .methods.tv_restoration import VAETV
from .methods.vae import VariationalAutoencoder
from .methods.volume_restoration import VolumeRestoration


def slices_from_prior(method: Method, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
    """Slices that a method imagines.

    Args:
        method: Trained.
        count: How many for each column.
        columns: Heights in the brain, from low to high; where the prior does not know of heights, more draws.
        flat: Whether the method knows single slices, which have no height.
        seed: Of everything drawn.

    Returns:
        (count, Y, X) for each column: of volumes, slices of the same volumes. Nothing of a method without a prior.
    """
    if isinstance(method, VolumeRestoration):
        volumes = codes_from_prior(method, 0.0, count, seed)
        heights = np.linspace(0.1, 0.9, columns) * (volumes.shape[1] - 1)
        return [volumes[:, int(height)] for height in heights]
    if isinstance(method, LatentRestoration):
        positions = np.zeros(columns) if flat else np.linspace(-0.4, 0.4, columns, dtype=np.float32)
        seeds = range(seed, seed + columns) if flat else [seed] * columns
        return [codes_from_prior(method, float(place), count, key) for place, key in zip(positions, seeds)]
    network = _imagining(method)
    if network is None:
        return []
    with torch.inference_mode():
        pictures = network.cpu().eval().imagined(count * columns, torch.Generator().manual_seed(seed))
    return list(pictures[:, 0].float().numpy().reshape(columns, count, *pictures.shape[2:]))


def codes_from_prior(method: LatentRestoration, position: float, count: int, seed: int = 0) -> np.ndarray:
    """Slices drawn from an autoregressive prior, (count, Y, X), or volumes, (count, Z, Y, X).

    Args:
        method: Trained.
        position: Slice coordinate in [-0.5, 0.5]; 0 for volumes.
        count: How many.
        seed: Of the noise.
    """
    grid, length = method.parameters.grid, method.prior.length
    with torch.inference_mode():
        where = torch.tensor([position])
        codes = torch.zeros(1, length, dtype=torch.long)
        logits, cache = method.prior.fill(codes, where)
        everything = torch.ones(length, dtype=torch.bool)
        key = (seed, int(round((position + 0.5) * 1e6)))
        drawn = resample_codes(method.prior, codes[0], where, everything, logits[0], cache, count, key)
        return method.vqvae.pictures(drawn.view(count, *grid), where.expand(count))[:, 0].numpy()


def _imagining(method: Method) -> torch.nn.Module | None:
    """The network that turns draws from a normal prior into slices; a context encoder's latents have no prior."""
    if isinstance(method, FAnoGAN):
        return method.gan
    has_prior = isinstance(method, (VariationalAutoencoder, VAETV, Reconstruction))
    return method.network if has_prior and not isinstance(method, ContextEncoder) else None
