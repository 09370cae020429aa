"""Disentangled anomaly generation (DAG) of DISYRE v2 (Naval Marimont et al. 2024, arXiv:2407.06635)."""

from __future__ import annotations

import torch

from .blending import Corrupted, matched, paste_foreign
from .shapes import blobs, shift_bands


def corrupt(
    images: torch.Tensor,
    masks: torch.Tensor,
    foreign: torch.Tensor,
    foreign_masks: torch.Tensor,
    edges: torch.Tensor,
    degrees: torch.Tensor,
    biases: torch.Tensor,
    generator: torch.Generator,
    shapes: torch.Tensor | None = None,
) -> Corrupted:
    """Blend in foreign tissue of matched range and shift intensity bands, inside one smooth random shape per slice.

    The two change structure and brightness, each with its own strength. For restoration in time steps, the step of
    a slice is the one with the noise level nearest to `Corrupted.level`.

    Args:
        images: Healthy slices, (N, 1, Y, X).
        masks: Their brains, (N, 1, Y, X), 0 or 1.
        foreign: Slices of other scans at the same height, (N, 1, Y, X).
        foreign_masks: Their brains, (N, 1, Y, X), 0 or 1.
        edges: Borders between intensity bands, as from `band_edges`.
        degrees: α of the foreign tissue, (N,), 0 to 1.
        biases: Magnitude of the intensity shift, (N,), 0 to 1.
        generator: Random generator; the numbers do not depend on the strengths.
        shapes: Where the slices may change, (N, 1, Y, X), 0 to 1; None draws one blob per slice.

    Returns:
        The corrupted slices; the target is the larger of α and the actual intensity shift.
    """
    shapes = blobs(masks, generator) if shapes is None else shapes
    rescaled = matched(foreign, images, shapes * masks * foreign_masks)
    first = paste_foreign(images, masks, rescaled, foreign_masks, shapes, degrees)
    second = shift_bands(first.images, masks, shapes, edges, biases, generator)
    return Corrupted(second.images, torch.maximum(first.target, second.target))
