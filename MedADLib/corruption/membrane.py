"""What is left of a slice when its unusual part is replaced by a smooth continuation of its surroundings."""

from __future__ import annotations

import torch

from .grid_equation import solve

# The smallest degree that a segmenter is trained with; what it says below is no finding.
UNTOUCHED = 0.05
LARGEST = 0.999


def smoothed_over(images: torch.Tensor, masks: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Minimise Σ_p h_p (u_p − x_p)² + Σ_pq (u_p − u_q)² with h = (1 − α)/α: a membrane held by what is healthy.

    Where α is below 0.05 the slice stays as it is; where α is 1 it is the harmonic continuation of its surroundings.

    Args:
        images: x, (N, 1, Y, X).
        masks: Brain, (N, 1, Y, X), 0 or 1; the membrane ends at its edge.
        share: α, how much of each pixel is not to be trusted, (N, 1, Y, X), 0 to 1.

    Returns:
        u, (N, 1, Y, X).
    """
    # A whole slice that nothing holds would have no level.
    share = share.clamp(max=LARGEST)
    hold = (1 - share) / share.clamp_min(UNTOUCHED)
    return solve(images, (share > UNTOUCHED).to(images.dtype), masks, None, hold)
