"""AnoGAN's search (Schlegl et al. 2017) for the code whose generated picture is nearest to a slice."""

from __future__ import annotations

import torch

from ..networks.adversarial_generation import WassersteinGAN


def objective(gan: WassersteinGAN, images: torch.Tensor, codes: torch.Tensor, gamma: float) -> torch.Tensor:
    """(1 − γ)·Σ|x − G(z)| + γ·Σ|f(x) − f(G(z))| of each slice, (N,), with f the features of the critic."""
    pictures = gan.generator(codes)
    apart = (images - pictures).abs().flatten(1).sum(dim=1)
    features = (gan.critic.features(images) - gan.critic.features(pictures)).abs().sum(dim=1)
    return (1 - gamma) * apart + gamma * features


def search_codes(
    gan: WassersteinGAN, images: torch.Tensor, start: torch.Tensor, steps: int, rate: float, gamma: float
) -> torch.Tensor:
    """The best code that Adam passes on its way down the objective; generator and critic stay as they are.

    Adam scales every number of a code by itself, so slices searched together do not influence each other.

    Args:
        gan: Trained.
        images: (N, 1, Y, X) on the generator's grid.
        start: Codes (N, latent).
        steps: Of Adam.
        rate: Its learning rate.
        gamma: γ.

    Returns:
        (N, latent), never worse than `start`.
    """
    with torch.enable_grad():
        codes = start.detach().clone().requires_grad_(True)
        optimizer = torch.optim.Adam([codes], lr=rate)
        best, lowest = start.clone(), torch.full((len(start),), torch.inf, device=start.device)
        for step in range(steps + 1):
            values = objective(gan, images, codes, gamma)
            better = values.detach() < lowest
            best[better], lowest = codes.detach()[better], torch.minimum(values.detach(), lowest)
            if step < steps:
                (codes.grad,) = torch.autograd.grad(values.sum(), codes)
                optimizer.step()
    return best
