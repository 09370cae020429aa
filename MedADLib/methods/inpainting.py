"""Filling of unknown voxels from the known ones around them."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import avg_pool3d, interpolate


def fill(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill unknown voxels smoothly, by the pull-push algorithm (Gortler et al. 1996).

    Means of known voxels over cubes of 2, 4, 8 … voxels fill what finer cubes leave unknown, so near voxels count most
    and holes of any size are filled in the time of a few passes over the volume.

    Args:
        values: float32 (Z, Y, X); those of unknown voxels are not used.
        known: bool (Z, Y, X).

    Returns:
        float32 (Z, Y, X): the values where they are known; 0 everywhere if none is.
    """
    weights = torch.from_numpy(known.astype(np.float32))[None, None]
    sums = torch.from_numpy(np.where(known, values, 0).astype(np.float32))[None, None]
    levels = [(sums, weights)]
    while max(sums.shape) > 1:
        # Half of a cube is enough to trust its mean fully.
        cube = tuple(min(2, size) for size in sums.shape[2:])
        share, mean = (avg_pool3d(part, cube, ceil_mode=True, count_include_pad=False) for part in (weights, sums))
        trust = (2 * share).clamp(max=1)
        sums = mean * (trust / share.clamp(min=1e-6))
        weights = trust
        levels.append((sums, weights))
    found = sums / weights.clamp(min=1e-6)
    for sums, weights in reversed(levels[:-1]):
        coarse = interpolate(found, size=sums.shape[2:], mode="trilinear", align_corners=False)
        found = sums + (1 - weights) * coarse
    return found[0, 0].numpy()
