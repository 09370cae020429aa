"""A T1 brain of three tissues with known borders, on several grids."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from MedADLib.volume import Volume

FLUID, GREY, WHITE, NOISE = 300.0, 900.0, 1400.0, 25.0
TURN = np.array([[0.98, -0.199, 0.0], [0.199, 0.98, 0.0], [0.0, 0.0, 1.0]])
AXES = {
    "towards right, anterior, superior": np.diag([2.0, 2.0, 2.0]),
    "left-handed, permuted and oblique": TURN @ np.array([[0.0, 0.0, -2.0], [2.0, 0.0, 0.0], [0.0, -2.0, 0.0]]),
    "thick slices": np.diag([-1.5, 2.0, 4.5]),
}


@lru_cache
def phantom(axes: str = "towards right, anterior, superior") -> tuple[Volume, np.ndarray, np.ndarray]:
    """A brain of fluid, folded grey and white matter with ventricles: volume, brain mask, tissue labels."""
    affine = np.eye(4)
    affine[:3, :3] = AXES[axes]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    extent = np.abs(affine[:3, :3].T / spacing[:, None]) @ [140.0, 176.0, 132.0]
    shape = np.ceil(extent / spacing).astype(int)[::-1]
    affine[:3, 3] = -affine[:3, :3] @ ((shape[::-1] - 1) / 2) + [3.0, -12.0, 7.0]
    z, y, x = np.indices(shape, dtype=np.float32)
    right, front, up = (affine[r, 0] * x + affine[r, 1] * y + affine[r, 2] * z + affine[r, 3] for r in range(3))
    right, front, up = right - 3, front + 12, up - 7
    distance = np.sqrt((right / 66) ** 2 + (front / 84) ** 2 + (up / 62) ** 2)
    folds = 0.06 * np.sin(right / 4) * np.sin(front / 4) * np.sin(up / 4)
    tissue = np.select([distance + folds < 0.78, distance + folds < 0.92, distance < 1], [3, 2, 1], 0)
    tissue[(np.abs(right) / 12) ** 2 + (front / 25) ** 2 + ((up - 8) / 12) ** 2 < 1] = 1
    clean = ndimage.gaussian_filter(np.array([0, FLUID, GREY, WHITE])[tissue], 0.4)
    noise = np.random.default_rng(0).normal(scale=NOISE, size=tissue.shape)
    brain = tissue > 0
    array = np.where(brain, np.maximum(clean + noise, 50), 0).astype(np.float32)
    return Volume(array, affine, "phantom"), brain, tissue


def parts(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected parts of a mask by face, edge or corner: their numbers, and how many."""
    return ndimage.label(mask, np.ones((3, 3, 3)))
