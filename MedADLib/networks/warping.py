"""Smooth, invertible deformations of slices and volumes from velocity fields.

MONAI's `Warp` and `DVF2DDF` compute the same, and the tests hold these functions to them. Here no grid is kept from
call to call, and scaling and squaring takes 40 % of the time on a CPU, which is much of a training step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import grid_sample

STEPS = 7


def warp(images: torch.Tensor, displacement: torch.Tensor) -> torch.Tensor:
    """Images of elsewhere: x∘φ with φ(p) = p + u(p), linear between pixels, the border going on beyond the edge.

    Args:
        images: x, (N, C, Y, X) or (N, C, Z, Y, X).
        displacement: u in pixels, (N, 2, Y, X) along Y, X, or (N, 3, Z, Y, X) along Z, Y, X.

    Returns:
        The images' shape.
    """
    return _sample(images, _turned(displacement))


def integrate(velocity: torch.Tensor, steps: int = STEPS) -> torch.Tensor:
    """Displacement of the flow of a stationary velocity after time 1, by scaling and squaring (Arsigny et al. 2006).

    With φ the flow of v, that of −v is φ⁻¹.

    Args:
        velocity: v in pixels, (N, 2, Y, X) or (N, 3, Z, Y, X), components as of `warp`.
        steps: Squarings.

    Returns:
        u in pixels, the velocity's shape.
    """
    turned = _turned(velocity) / 2**steps
    for _ in range(steps):
        turned = turned + _sample(turned, turned)
    return (turned * _pixels(turned)).flip(1)


def jacobian_determinant(displacement: torch.Tensor) -> torch.Tensor:
    """det(∂φ/∂p) of φ(p) = p + u(p): how many times larger a place is before the warp; at 0 or below, φ folds.

    Central differences, one-sided at the edges.

    Args:
        displacement: u in pixels, (N, 2, Y, X) or (N, 3, Z, Y, X).

    Returns:
        (N, 1, Y, X) or (N, 1, Z, Y, X).
    """
    dims = displacement.shape[1]
    slopes = torch.stack(torch.gradient(displacement, dim=list(range(2, 2 + dims))), dim=2)
    matrices = slopes.movedim((1, 2), (-2, -1)) + torch.eye(dims, device=displacement.device)
    return torch.linalg.det(matrices)[:, None]


def roughness(velocity: torch.Tensor) -> torch.Tensor:
    """½·mean ‖∇v‖²: central differences in all directions, the mean over pixels off the edges and over components.

    Half of MONAI's `DiffusionLoss`, whose way of indexing PyTorch is about to read in another way.

    Args:
        velocity: v in pixels, (N, 2, Y, X) or (N, 3, Z, Y, X), 3 pixels or more each way.

    Returns:
        A scalar.
    """
    dims = velocity.ndim - 2
    inner = (..., *(slice(1, -1),) * dims)
    slopes = torch.gradient(velocity, dim=list(range(2, 2 + dims)))
    return 0.5 * sum(slope[inner].square().mean() for slope in slopes)


def _sample(images: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
    grid = _identity(turned.shape[2:], turned.device) + turned.movedim(1, -1)
    return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _turned(displacement: torch.Tensor) -> torch.Tensor:
    """As PyTorch wants it: X first, in halves of the grid's width."""
    flipped = displacement.flip(1)
    return flipped / _pixels(flipped)


def _pixels(field: torch.Tensor) -> torch.Tensor:
    """Pixels in half of the grid's width, X first, to multiply a field with."""
    halves = [max(n - 1, 1) / 2 for n in reversed(field.shape[2:])]
    return torch.tensor(halves, device=field.device).view(1, -1, *(1,) * len(halves))


def _identity(size: Sequence[int], device: torch.device) -> torch.Tensor:
    lines = [torch.linspace(-1, 1, n, device=device) if n > 1 else torch.zeros(1, device=device) for n in size]
    return torch.stack(torch.meshgrid(*lines, indexing="ij")[::-1], dim=-1)
