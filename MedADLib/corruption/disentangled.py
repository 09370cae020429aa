"""DISYRE's corruption (DAG; Naval Marimont, Siomos and Tarroni 2024): foreign structure, and a bias of intensities."""

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
) -> Corrupted:
    """Inside one smooth random shape a slice, blend in foreign tissue of matched range, then shift intensity bands.

    The two act on structure and on brightness, each with its own strength. For restoration in time steps, the step of
    a slice is the one whose noise level is nearest to `Corrupted.level`.

    Args:
        images: Healthy slices, (N, 1, Y, X).
        masks: Their brains, (N, 1, Y, X), 0 or 1.
        foreign: Slices of other scans at the same height, (N, 1, Y, X).
        foreign_masks: Their brains, (N, 1, Y, X), 0 or 1.
        edges: Borders between intensity bands, as from `band_edges`.
        degrees: α of the foreign tissue, (N,), 0 to 1.
        biases: Size of the bias, (N,), 0 to 1.
        generator: Source of randomness; draws the same whatever the strengths.

    Returns:
        The corrupted slices; the target is the larger of α and the bias that came about.
    """
    shapes = blobs(masks, generator)
    alike = matched(foreign, images, shapes * masks * foreign_masks)
    first = paste_foreign(images, masks, alike, foreign_masks, shapes, degrees)
    second = shift_bands(first.images, masks, shapes, edges, biases, generator)
    return Corrupted(second.images, torch.maximum(first.target, second.target))
