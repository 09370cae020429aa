"""Small numerical algorithms that several packages share: evenly spread subsets and k-means."""

from __future__ import annotations

import numpy as np


def evenly_spread(count: int, most: int) -> np.ndarray:
    """Select at most `most` of `count` indices, evenly spread from the first to the last, increasing."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))


def k_means(
    points: np.ndarray, centres: np.ndarray, rounds: int, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Move centres to the means of their nearest points (Lloyd 1982) until no point changes its centre.

    The result depends on the start; in one dimension, `intensity_classes.exact_k_means_1d` finds the best centres.

    Args:
        points: Shape (N, D).
        centres: Start of the centres, (K, D).
        rounds: Largest number of moves.
        weights: Weight of each point, (N,); None for 1.

    Returns:
        The centres, float64 (K, D), and the centre nearest to each point, (N,). A centre without points stays.
    """
    points, centres, nearest = np.asarray(points, np.float64), np.asarray(centres, np.float64), None
    weights = np.ones(len(points)) if weights is None else weights
    for _ in range(rounds):
        before, nearest = nearest, _nearest(points, centres)
        if before is not None and np.array_equal(before, nearest):
            break
        total = np.bincount(nearest, weights, len(centres))
        sums = np.stack([np.bincount(nearest, weights * column, len(centres)) for column in points.T], axis=1)
        centres = np.where(total[:, None] > 0, sums / np.where(total > 0, total, 1)[:, None], centres)
    return centres, _nearest(points, centres)


def _nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the index of the nearest centre for each point; of equally near ones the first."""
    return np.stack([((points - centre) ** 2).sum(axis=1) for centre in centres]).argmin(axis=0)
