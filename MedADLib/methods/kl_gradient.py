"""The KL-gradient score: how fast a pixel takes a slice away from what a variational autoencoder expects."""

from __future__ import annotations

import torch
from torch.nn.functional import conv2d

from ..networks.vae import VAE

WINDOW, SIGMA = 7, 3.0


def kl_gradient(network: VAE, images: torch.Tensor) -> torch.Tensor:
    """|∂KL(q(z|x) ‖ p(z))/∂x| (Zimmerer et al. 2019), of each slice by itself.

    Args:
        network: In eval mode, so that slices of a batch do not touch each other; nothing is drawn.
        images: (N, 1, Y, X).

    Returns:
        (N, 1, Y, X), in nats per standard intensity.
    """
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(network.divergence(images).sum(), images)
    return gradient.abs()


def smoothed(values: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Gaussian of 7×7 pixels and σ = 3 within the masks; a constant stays that constant up to the edge.

    Zimmerer et al. smooth slices of 64×64. The window is in pixels of whatever size here too; the calibration's
    pooling, in mm, does the rest.

    Args:
        values: (N, 1, Y, X).
        masks: Where values count, bool or 0 and 1, (N, 1, Y, X).

    Returns:
        (N, 1, Y, X), 0 outside the masks.
    """
    masks = masks.to(values)
    profile = torch.arange(WINDOW, dtype=values.dtype, device=values.device) - WINDOW // 2
    profile = (-profile.square() / (2 * SIGMA**2)).exp()
    kernel = (profile[:, None] * profile / profile.sum() ** 2)[None, None]
    weights = conv2d(masks, kernel, padding=WINDOW // 2).clamp_min(1e-6)
    return conv2d(values * masks, kernel, padding=WINDOW // 2) / weights * masks
