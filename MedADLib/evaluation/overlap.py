"""Overlap of a finding with a reference mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ..detection import Detection
    from ..scoring.regions import Region
    from ..volume import Volume


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Compute the Dice overlap of two masks of one shape by MONAI, in single precision.

    Args:
        found: Mask, True or non-zero inside.
        truth: Reference of the same shape.

    Returns:
        The overlap, in [0, 1]; NaN if the reference is empty.
    """
    import torch
    from monai.metrics.meandice import compute_dice

    masks = (torch.from_numpy(np.ascontiguousarray(mask, dtype=bool).reshape(1, 1, -1)) for mask in (found, truth))
    return float(compute_dice(*masks))


class KnownLesion(NamedTuple):
    """A lesion of known extent, and what a detection found of it.

    Attributes:
        centre: Centroid of the lesion, RAS mm.
        volume_ml: Its volume in mL.
        region: First region that overlaps it; None if there is none.
        dice: Dice of all regions that overlap it.
        covered: Share of the lesion inside regions.
        dice_of_all: Dice of all regions.
    """

    centre: np.ndarray
    volume_ml: float
    region: Region | None
    dice: float
    covered: float
    dice_of_all: float

    @classmethod
    def of(cls, detection: Detection, truth: Volume) -> KnownLesion:
        """Compare a detection with the mask of one lesion on the same grid."""
        lesion, labels = truth.array > 0, detection.labels.array
        centre = truth.ras_from_voxels(np.argwhere(lesion)).mean(axis=0)
        touching = [region for region in detection.regions if (lesion & (labels == region.label)).any()]
        return cls(
            centre,
            float(lesion.sum() * truth.voxel_ml),
            touching[0] if touching else None,
            dice(np.isin(labels, [region.label for region in touching]), lesion),
            float((lesion & (labels > 0)).sum() / lesion.sum()),
            dice(labels > 0, lesion),
        )
