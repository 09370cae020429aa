"""Regions at many thresholds of one map: exactly those of find_regions, ties and all, and fast."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage

from MedADLib.scoring import component_tree
from MedADLib.scoring.component_tree import RegionForest
from MedADLib.scoring.regions import find_regions
from MedADLib.volume import Volume


def p_value(peak: float) -> float:
    return min(1.0, 2.0**-peak)


def smooth_map(seed: int, shape=(28, 31, 26), sigma: float = 1.3) -> Volume:
    noise = np.random.default_rng(seed).normal(size=shape)
    field = ndimage.gaussian_filter(noise, sigma)
    return Volume((3 * field / field.std()).astype(np.float32), np.diag([-0.8, 1.1, 2.0, 1.0]))


def stepped_map(seed: int) -> Volume:
    """Few different values, so that peaks, passes and volumes are often equal."""
    return Volume(np.random.default_rng(seed).integers(0, 5, (9, 10, 11)).astype(np.float32), np.eye(4))


def same(forest: RegionForest, anomaly: Volume, threshold: float, min_ml: float) -> int:
    labels, regions = forest.find(threshold, p_value, min_ml)
    expected_labels, expected = find_regions(anomaly, threshold, p_value, min_ml)
    assert regions == expected, threshold
    assert labels.dtype == np.int16 and np.array_equal(labels, expected_labels), threshold
    return len(regions)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("min_ml", [0.0, 0.03])
def test_smooth_fields_give_the_same_regions_at_every_threshold(seed, min_ml):
    anomaly = smooth_map(seed)
    forest = RegionForest(anomaly, 0.5)
    counts = {same(forest, anomaly, float(threshold), min_ml) for threshold in [*np.linspace(0.5, 14.0, 24), 99.0]}
    assert max(counts) > 10 and min(counts) == 0


@pytest.mark.parametrize("seed", range(6))
def test_ties_of_peaks_passes_and_volumes_change_nothing(seed):
    anomaly = stepped_map(seed)
    sparse = anomaly.with_array(anomaly.array * (np.random.default_rng(seed + 99).random(anomaly.array.shape) < 0.15))
    for field in (anomaly, sparse):
        forest = RegionForest(field, 0.0)
        for threshold in (0.0, 0.5, 1.0, 2.0, 3.0, 3.5, 4.0, 5.0):
            same(forest, field, threshold, 0.0)


def test_voxels_on_the_border_do_not_touch_those_of_the_opposite_side():
    array = np.zeros((4, 5, 6), np.float32)
    array[1, 2, 5] = array[1, 3, 0] = 4.0
    array[0, 0, 0] = array[3, 4, 5] = 3.0
    forest = RegionForest(Volume(array, np.eye(4)), 1.0)
    assert len(forest.find(2.0, p_value, 0.0)[1]) == 4


def test_thresholds_below_the_lowest_and_maps_without_anything_work_too():
    anomaly = smooth_map(9)
    assert same(RegionForest(anomaly, 6.0), anomaly, 2.0, 0.0) > 10
    empty = anomaly.with_array(np.zeros_like(anomaly.array))
    assert same(RegionForest(empty, 1.0), empty, 1.0, 0.0) == 0


def test_a_map_with_too_much_above_the_lowest_threshold_is_still_right(monkeypatch):
    monkeypatch.setattr(component_tree, "MOST_VOXELS", 500)
    anomaly = smooth_map(3)
    forest = RegionForest(anomaly, 0.1)
    assert forest.lowest > 1.0
    for threshold in (0.5, forest.lowest, 6.0):
        assert same(forest, anomaly, threshold, 0.0) > 0


def test_equal_regions_are_ranked_alike_whichever_way_the_axes_run():
    array = np.zeros((5, 6, 30), np.float32)
    array[2, 3, 2:5] = array[2, 3, 12:15] = array[2, 3, 22:25] = 4.0
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    turned = np.diag([1.0, 1.0, 1.0, 1.0])
    turned[0, 3] = -29.0
    labels, regions = find_regions(Volume(array, affine), 3.0, p_value, 0.0)
    flipped, same_regions = find_regions(Volume(array[:, :, ::-1].copy(), turned), 3.0, p_value, 0.0)
    assert np.array_equal(labels, flipped[:, :, ::-1])
    assert [r.centroid_ras for r in regions] == [r.centroid_ras for r in same_regions]


def test_another_threshold_takes_a_small_part_of_the_first_time():
    anomaly = Volume(np.tile(smooth_map(5, (64, 64, 64), 2.0).array, (2, 2, 2)), np.eye(4))
    forest = RegionForest(anomaly, 4.5)

    def seconds(work) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            found = work(5.0, p_value, 0.01)[1]
            times.append(time.process_time() - start)
            assert len(found) > 50
        return min(times)

    assert seconds(forest.find) < 0.5 * seconds(lambda *settings: find_regions(anomaly, *settings))
