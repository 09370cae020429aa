"""A patch of another healthy scan, blended into a slice: FPI, PII, and the first half of DISYRE's corruption."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from .blending import blend_by_gradients, blend_linearly
from .corrupted import Corrupted, for_each

Blend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], Corrupted]
BLENDINGS: dict[str, Blend] = {"linear": blend_linearly, "poisson": blend_by_gradients}


def paste_foreign(
    images: torch.Tensor,
    masks: torch.Tensor,
    foreign: torch.Tensor,
    foreign_masks: torch.Tensor,
    shapes: torch.Tensor,
    degrees: torch.Tensor,
    blend: Blend = blend_linearly,
) -> Corrupted:
    """Blend foreign tissue into healthy slices.

    Only where both slices hold brain: a patch of the other's background would be a black hole that needs no learning
    to be found.

    Args:
        images: Healthy slices, (N, 1, Y, X).
        masks: Their brains, (N, 1, Y, X), 0 or 1.
        foreign: Slices of other scans at the same height, (N, 1, Y, X).
        foreign_masks: Their brains, (N, 1, Y, X), 0 or 1.
        shapes: Where, (N, 1, Y, X), 0 to 1, as from `shapes`.
        degrees: α, (N,), 0 to 1.
        blend: How.

    Returns:
        The corrupted slices, with α times the shape as target where the slices differ.
    """
    return blend(images, foreign, for_each(degrees, images) * shapes, masks * foreign_masks)


def matched(foreign: torch.Tensor, images: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """The foreign slices with the darkest and the brightest pixel inside brought to those of the images.

    Args:
        foreign: (N, 1, Y, X).
        images: (N, 1, Y, X).
        inside: Pixels that count, (N, 1, Y, X), 0 where they do not.

    Returns:
        Of the same shape; unchanged where nothing is inside or all foreign pixels there are the same.
    """
    (low, high), (least, most) = _range(foreign, inside), _range(images, inside)
    usable = (high > low) & (low < math.inf)
    gain = torch.where(usable, (most - least) / (high - low), 1)
    return torch.where(usable, (foreign - low) * gain + least, foreign)


def _range(values: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    low = torch.where(inside > 0, values, math.inf).amin(dim=(1, 2, 3), keepdim=True)
    return low, torch.where(inside > 0, values, -math.inf).amax(dim=(1, 2, 3), keepdim=True)
