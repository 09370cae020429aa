"""Restoration by ascent: the most probable healthy slice near to what was seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn.functional import pad

from ..networks.posterior import Draw
from ..networks.vae import VAE
from ..slices import generator_of

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
