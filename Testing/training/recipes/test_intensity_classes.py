from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from MedADLib.errors import InputError
from MedADLib.training.recipes.intensity_classes import class_centres, exact_k_means_1d


def cost(values: np.ndarray, centres: np.ndarray) -> float:
    """Sum of squared distances to the nearest centre."""
    return float(((values[:, None] - centres) ** 2).min(axis=1).sum())


def tissue(seed: int = 0) -> np.ndarray:
    """Intensities with three modes, as fluid, grey and white matter have."""
    random = np.random.default_rng(seed)
    modes = ((0.2, 0.04, 900), (0.5, 0.06, 2000), (0.8, 0.05, 1500))
    return np.concatenate([random.normal(*mode) for mode in modes])


def test_centres_are_as_good_as_those_of_scikit_learn():
    from sklearn.cluster import KMeans

    values = tissue()
    other = KMeans(10, n_init=20, random_state=0).fit(values[:, None])
    ours = exact_k_means_1d(values, 10)
    assert cost(values, ours) <= 1.0005 * other.inertia_
    three = KMeans(3, n_init=20, random_state=0).fit(values[:, None])
    assert np.allclose(exact_k_means_1d(values, 3), np.sort(three.cluster_centers_[:, 0]), atol=1e-3)


def test_no_partition_is_better():
    values = np.random.default_rng(3).random(12)
    ordered = np.sort(values)
    partitions = (np.split(ordered, cuts) for cuts in combinations(range(1, 12), 3))
    best = min(sum(float(((part - part.mean()) ** 2).sum()) for part in parts) for parts in partitions)
    assert cost(values, exact_k_means_1d(values, 4)) == pytest.approx(best, rel=1e-9)


def test_order_does_not_matter_and_nothing_is_drawn():
    values = tissue()
    shuffled = np.random.default_rng(1).permutation(values)
    assert np.allclose(exact_k_means_1d(values, 7), exact_k_means_1d(shuffled, 7), rtol=1e-12)
    assert class_centres(values) == class_centres(values)


def test_background_and_outliers_get_no_class():
    values = np.clip(tissue(), 0.05, None)
    centres = class_centres(values)
    assert len(centres) == 10 and np.diff(centres).min() > 0
    assert class_centres(np.concatenate([values, np.zeros(5000)])) == centres
    assert max(class_centres(np.concatenate([values, [900.0]]))) < 1


@pytest.mark.parametrize("values", [np.zeros(50), np.array([1.0, 2.0, 3.0] * 20)])
def test_too_few_intensities_are_refused(values):
    with pytest.raises(InputError):
        class_centres(values)
