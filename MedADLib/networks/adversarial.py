"""The Wasserstein game with a gradient penalty (WGAN-GP): what a critic and its opponent are told.

Arjovsky et al. 2017 and Gulrajani et al. 2017: the critic D, of slope 1 almost everywhere, makes E[D(real)] −
E[D(fake)] as large as it can, which then is the Wasserstein distance of the two distributions; the opponent makes it
small. The penalty looks at the slope of every sample by itself, so a critic must not mix samples: no batch norm.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

PENALTY = 10.0
CRITIC_STEPS = 5
BETAS = (0.0, 0.9)

Critic = Callable[[torch.Tensor], torch.Tensor]
Loss = tuple[torch.Tensor, dict[str, torch.Tensor]]


def gradient_penalty(critic: Critic, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """10 · E[(‖∇D(x̃)‖₂ − 1)²] at x̃ = εx + (1 − ε)x̂, ε ~ U(0, 1) for each sample.

    Computed in full precision, because the gradient of a gradient does not survive half of it.

    Args:
        critic: Gives one number a sample, (N,).
        real: (N, ...).
        fake: As `real`.
    """
    with torch.autocast(real.device.type, enabled=False), torch.enable_grad():
        part = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
        between = torch.lerp(fake.detach().float(), real.detach().float(), part).requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        # The root has no slope of its own at 0.
        steepness = slope.flatten(1).square().sum(dim=1).add(1e-12).sqrt()
        return PENALTY * (steepness - 1).square().mean()


def critic_loss(critic: Critic, real: torch.Tensor, fake: torch.Tensor) -> Loss:
    """E[D(fake)] − E[D(real)] + gradient penalty; nothing of it reaches what made `fake`.

    Args:
        critic: Gives one number a sample, (N,).
        real: (N, ...).
        fake: As `real`.

    Returns:
        The loss, and ``wasserstein`` (the distance as the critic sees it) and ``penalty``.
    """
    distance = critic(real.detach()).float().mean() - critic(fake.detach()).float().mean()
    penalty = gradient_penalty(critic, real, fake)
    return penalty - distance, {"wasserstein": distance.detach(), "penalty": penalty.detach()}


def opponent_loss(critic: Critic, fake: torch.Tensor) -> torch.Tensor:
    """−E[D(fake)], for what made `fake`."""
    return -critic(fake).float().mean()
