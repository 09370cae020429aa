"""Grids in every orientation."""

from __future__ import annotations

import numpy as np


def rotation(degrees):
    """Rotations about x, y, z by the degrees given."""
    result = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = [other for other in range(3) if other != axis]
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        result = result @ step
    return result


def affine(axes, spacing, origin=(11.0, -22.0, 33.0)):
    result = np.eye(4)
    result[:3, :3] = np.asarray(axes) * np.asarray(spacing)
    result[:3, 3] = origin
    return result


GEOMETRIES = {
    "RAS": affine(np.eye(3), (1, 1, 1)),
    "LPS, anisotropic": affine(np.diag([-1, -1, 1]), (0.8, 0.9, 6.5)),
    "LAS, left-handed": affine(np.diag([-1, 1, 1]), (0.868, 0.868, 1)),
    "PSR, permuted": affine([[0, 0, 1], [-1, 0, 0], [0, 1, 0]], (2, 3, 4)),
    "oblique": affine(rotation((12, -25, 40)), (1.1, 2.2, 3.3)),
    "oblique, left-handed": affine(rotation((-170, 35, 5)) @ np.diag([1, 1, -1]), (0.5, 0.7, 5)),
}
