"""The algorithms that packages share: evenly spread subsets, and k-means as scipy computes it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from MedADLib.runtime.numerics import evenly_spread, k_means


@pytest.mark.parametrize(("count", "most"), [(100, 7), (7, 100), (1, 5), (5, 1), (64, 64), (65, 64)])
def test_a_subset_has_the_first_and_the_last_index_and_even_steps(count, most):
    chosen = evenly_spread(count, most)
    assert len(chosen) == min(count, most) and chosen[0] == 0 and (most == 1 or chosen[-1] == count - 1)
    assert len(chosen) < 2 or (np.diff(chosen).min() >= 1 and np.ptp(np.diff(chosen)) <= 1)


def test_a_subset_of_nothing_is_empty():
    assert evenly_spread(0, 5).tolist() == []


@pytest.mark.parametrize("size", [1, 3])
def test_centres_are_those_of_scipy(size):
    random = np.random.default_rng(size)
    points = np.concatenate([random.normal(mean, 0.5, (40, size)) for mean in (0, 2, 5)])
    start = points[[0, 50, 100]]
    expected, labels = kmeans2(points, start, iter=100, minit="matrix")
    centres, nearest = k_means(points, start, 100)
    assert np.allclose(centres, expected, atol=1e-12) and np.array_equal(nearest, labels)


def test_a_weight_counts_a_point_so_many_times_and_a_centre_without_points_stays():
    points, weights = np.array([[0.0], [1.0], [5.0]]), np.array([1, 3, 2])
    start = np.array([[0.0], [6.0], [99.0]])
    centres, nearest = k_means(points, start, 10, weights)
    assert centres.ravel().tolist() == [0.75, 5.0, 99.0] and nearest.tolist() == [0, 0, 1]
    assert np.array_equal(k_means(np.repeat(points, weights, axis=0), start, 10)[0], centres)
