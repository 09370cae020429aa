"""Whether pictures are of two clearly different kinds, such as brains and chests, by what they show in outline.

Pictures of one kind differ too, but between their two most different groups lies no gap, and the means of the groups
are still alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .plane_grid import resized

SIDE = 8
# Two or three odd pictures are no kind of their own.
SMALLEST_KIND, SMALLEST_SHARE = 3, 0.1
ROUNDS = 20


class TwoKinds(NamedTuple):
    """The most different two groups of pictures.

    Attributes:
        apart: 1 less the correlation of the groups' means.
        tidy: The mean silhouette: 1 if every picture is like its own group alone, 0 if like both.
        group: Which pictures are in the first, bool (n,).
    """

    apart: float
    tidy: float
    group: np.ndarray


def thumbnail(picture: np.ndarray) -> tuple[float, ...]:
    """A picture (rows, columns) in few numbers of mean 0 and length 1, the same for any gain and offset."""
    small = resized(picture.astype(np.float32), (SIDE, SIDE)).astype(np.float64).ravel()
    small -= small.mean()
    return tuple(np.round(small / max(float(np.linalg.norm(small)), 1e-12), 4).tolist())


def two_kinds(thumbnails: np.ndarray) -> TwoKinds:
    """Divide pictures into two groups by 2-means, begun along the direction in which they differ most.

    Args:
        thumbnails: (n, numbers), as `thumbnail` gives them.

    Returns:
        The groups; 0 apart if one of them is too small to be a kind.
    """
    count = len(thumbnails)
    if count < 2 * SMALLEST_KIND:
        return TwoKinds(0.0, 0.0, np.zeros(count, bool))
    group = np.linalg.svd(thumbnails - thumbnails.mean(axis=0), full_matrices=False)[0][:, 0] > 0
    for _ in range(ROUNDS):
        if group.all() or not group.any():
            break
        far = [((thumbnails - thumbnails[group == side].mean(axis=0)) ** 2).sum(axis=1) for side in (True, False)]
        group, before = far[0] < far[1], group
        if (group == before).all():
            break
    smaller = min(group.sum(), count - group.sum())
    if smaller < max(SMALLEST_KIND, SMALLEST_SHARE * count):
        return TwoKinds(0.0, 0.0, group)
    apart = 1.0 - np.corrcoef(thumbnails[group].mean(axis=0), thumbnails[~group].mean(axis=0))[0, 1]
    return TwoKinds(float(apart), _silhouette(1.0 - thumbnails @ thumbnails.T, group), group)


def _silhouette(distance: np.ndarray, group: np.ndarray) -> float:
    """The mean silhouette (Rousseeuw 1987) of two groups of at least two.

    Args:
        distance: (n, n), 0 on the diagonal.
        group: bool (n,).
    """
    sums = np.stack([distance[:, group].sum(axis=1), distance[:, ~group].sum(axis=1)])
    counts = np.array([group.sum(), (~group).sum()])
    own = np.where(group, sums[0] / (counts[0] - 1), sums[1] / (counts[1] - 1))
    other = np.where(group, sums[1] / counts[1], sums[0] / counts[0])
    return float(((other - own) / np.maximum(np.maximum(own, other), 1e-12)).mean())
