"""Whole scans on a coarser grid as training batches, and the way to that grid and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import interpolate

from .slices import Slices


def resized(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A volume on another grid of the same field of view: linear, averaged over what a coarser voxel covers.

    Args:
        array: (Z, Y, X).
        shape: The other grid's (Z, Y, X).

    Returns:
        float32 of that shape.
    """
    volume = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    # The averaging interpolation knows planes only: (Y, X) first, then (Z, X), where X stays as it is.
    for sides in ((shape[1], shape[2]), (shape[0], shape[2])):
        volume = interpolate(volume[:, None], sides, mode="bilinear", antialias=True)[:, 0].transpose(0, 1)
    return volume.contiguous().numpy()


def coarse_scan(image: np.ndarray, mask: np.ndarray, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask (Z, Y, X) on another grid; there the mask holds all that the brain's voxels are made of."""
    return resized(image, shape), resized(mask, shape) > 0


class Volumes(Slices):
    """Whole scans in the place of slices: images and masks (N, Z, Y, X), all at position 0."""

    @classmethod
    def of(
        cls, scans: Sequence[tuple[np.ndarray, np.ndarray]], shape: Sequence[int], mirrored: bool = True
    ) -> Volumes:
        """Pairs of image and mask, each (Z, Y, X), on a grid of this shape."""
        images, masks = zip(*(coarse_scan(image, mask, shape) for image, mask in scans))
        count = len(scans)
        positions, numbers = np.zeros(count, np.float32), np.arange(count)
        return cls(np.stack(images).astype(np.float16), np.stack(masks), positions, numbers, mirrored)
