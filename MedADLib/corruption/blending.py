"""Two ways to blend a foreign picture into a healthy slice: linear (FPI) and by gradients (PII)."""

from __future__ import annotations

import torch

from .corrupted import HIGHEST, LOWEST, Corrupted
from .grid_equation import differences, solve

# Pixels closer than this are the same: nobody could say that they were replaced.
SAME = 1e-3


def blend_linearly(
    images: torch.Tensor, foreign: torch.Tensor, degree: torch.Tensor, tissue: torch.Tensor
) -> Corrupted:
    """x̃ = (1 − α) x + α y; foreign patch interpolation (FPI; Tan, Hou, Batten, Qiu and Kainz 2020).

    Args:
        images: x, (N, 1, Y, X).
        foreign: y, (N, 1, Y, X).
        degree: α of each pixel, 0 where nothing is to be blended in, (N, 1, Y, X).
        tissue: Pixels that may change, (N, 1, Y, X), 0 or 1.

    Returns:
        The blend, and as target α where x and y differ, else 0.
    """
    difference = foreign - images
    degree = degree * tissue * (difference.abs() > SAME)
    return Corrupted(images + degree * difference, degree)


def blend_by_gradients(
    images: torch.Tensor, foreign: torch.Tensor, degree: torch.Tensor, tissue: torch.Tensor
) -> Corrupted:
    """Poisson image interpolation (PII; Tan, Hou, Day, Simpson, Rueckert and Kainz 2021).

    Δx̃ = div v inside the patch, x̃ = x on its boundary, and v between two neighbours is the larger in size of
    (1 − α)∇x and α∇y. Without the seam of linear blending, what is left to see is the foreign structure itself.

    Args:
        images: x, (N, 1, Y, X).
        foreign: y, (N, 1, Y, X).
        degree: α of each pixel, (N, 1, Y, X); between two pixels, the larger of theirs counts.
        tissue: Pixels that may change and whose values may be a boundary, (N, 1, Y, X), 0 or 1. The step to other
            pixels, such as the background's, is no tissue's gradient and is left out.

    Returns:
        The blend, within the standard intensities, and α as target; 0 in slices whose patch is the same in both.
    """
    differs = ((foreign - images).abs() > SAME) & (degree > 0)
    degree = degree * tissue * differs.any(dim=(1, 2, 3), keepdim=True)
    between = (
        torch.maximum(degree[:, :, 1:], degree[:, :, :-1]),
        torch.maximum(degree[..., 1:], degree[..., :-1]),
    )
    guidance = []
    for share, own, other in zip(between, differences(images, tissue), differences(foreign, tissue)):
        own, other = (1 - share) * own, share * other
        guidance.append(torch.where(other.abs() > own.abs(), other, own))
    blend = solve(images, (degree > 0).to(images.dtype), tissue, (guidance[0], guidance[1]))
    return Corrupted(torch.where(degree > 0, blend.clamp(LOWEST, HIGHEST), images), degree)
