"""Regions: what is found, how it is numbered and measured."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import false_discovery_control

from MedADLib.errors import InputError
from MedADLib.regions import benjamini_hochberg, find_regions
from MedADLib.volume import Volume

OBLIQUE = np.array(
    [[-0.8, 0.0, 0.0, 40.0], [0.0, 1.2 * np.cos(0.3), -2.0 * np.sin(0.3), -7.0],
     [0.0, 1.2 * np.sin(0.3), 2.0 * np.cos(0.3), 5.0], [0.0, 0.0, 0.0, 1.0]]
)  # fmt: skip


def halving(peak: float) -> float:
    return min(1.0, 2.0**-peak)


def random_map(seed: int = 0, shape: tuple = (36, 40, 38)) -> Volume:
    noise = np.random.default_rng(seed).normal(size=shape)
    noise = ndimage.gaussian_filter(noise, 1.2) * 20
    return Volume(np.pad(noise, ((4, 0), (3, 0), (2, 0))).astype(np.float32), OBLIQUE)


def test_regions_agree_with_a_region_by_region_reference():
    anomaly = random_map()
    labels, regions = find_regions(anomaly, 2.0, halving, min_ml=0.02)
    reference, count = ndimage.label(anomaly.array >= 2.0, np.ones((3, 3, 3)))
    kept = [k for k in range(1, count + 1) if (reference == k).sum() * anomaly.voxel_ml >= 0.02]
    assert len(kept) > 10 and len(kept) < count, "the example must have regions to keep and to drop"
    kept.sort(key=lambda k: (-anomaly.array[reference == k].max(), -(reference == k).sum()))
    assert len(regions) == len(kept)
    assert labels.dtype == np.int16
    for rank, (region, k) in enumerate(zip(regions, kept), start=1):
        here = reference == k
        np.testing.assert_array_equal(labels == rank, here)
        zyx = np.argwhere(here)
        assert (region.rank, region.label) == (rank, rank)
        assert region.volume_ml == pytest.approx(here.sum() * 0.8 * 1.2 * 2.0 / 1000)
        assert region.peak == pytest.approx(anomaly.array[here].max())
        assert region.mean == pytest.approx(anomaly.array[here].mean(), rel=1e-5)
        centre = OBLIQUE @ [*zyx.mean(axis=0)[::-1], 1.0]
        np.testing.assert_allclose(region.centroid_ras, centre[:3])
        x0, x1, y0, y1, z0, z1 = region.bounding_box
        assert [z0, y0, x0] == zyx.min(axis=0).tolist()
        assert [z1, y1, x1] == (zyx.max(axis=0) + 1).tolist()
        assert region.p_value == halving(region.peak)
    np.testing.assert_array_equal(labels > 0, np.isin(reference, kept))
    np.testing.assert_allclose(
        [r.q_value for r in regions], false_discovery_control([r.p_value for r in regions], method="bh")
    )


def test_voxels_that_touch_by_a_corner_are_one_region():
    array = np.zeros((5, 5, 5), np.float32)
    array[1, 1, 1] = array[2, 2, 2] = 4.0
    array[4, 4, 4] = 5.0
    labels, regions = find_regions(Volume(array, np.eye(4)), 1.0, halving, min_ml=0.0)
    assert [r.volume_ml for r in regions] == pytest.approx([0.001, 0.002])
    assert labels[1, 1, 1] == labels[2, 2, 2] == 2


def test_equal_peaks_are_ranked_by_volume():
    array = np.zeros((3, 3, 12), np.float32)
    array[1, 1, 1:3] = 4.0
    array[1, 1, 5:10] = 4.0
    _, regions = find_regions(Volume(array, np.eye(4)), 1.0, halving, min_ml=0.0)
    assert [r.volume_ml for r in regions] == pytest.approx([0.005, 0.002])


def test_a_region_of_exactly_the_smallest_volume_stays():
    array = np.zeros((3, 3, 60), np.float32)
    array[1, 1, :50] = 4.0
    array[1, 1, 51:] = 4.0
    labels, regions = find_regions(Volume(array, np.eye(4)), 1.0, halving, min_ml=0.05)
    assert [r.volume_ml for r in regions] == pytest.approx([0.05])
    assert not labels[1, 1, 51:].any(), "voxels of a dropped region belong to no region"


def test_a_value_on_the_threshold_counts_and_the_background_never_does():
    array = np.zeros((3, 3, 3), np.float32)
    array[1, 1, 1] = 2.0
    assert len(find_regions(Volume(array, np.eye(4)), 2.0, halving, min_ml=0.0)[1]) == 1
    labels, regions = find_regions(Volume(array, np.eye(4)), 0.0, halving, min_ml=0.0)
    assert (labels > 0).sum() == 1 and len(regions) == 1


@pytest.mark.parametrize("threshold, min_ml", [(100.0, 0.0), (1.0, 1000.0)])
def test_nothing_unusual_gives_no_regions(threshold, min_ml):
    anomaly = random_map()
    labels, regions = find_regions(anomaly, threshold, halving, min_ml)
    assert regions == () and not labels.any() and labels.shape == anomaly.array.shape


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(InputError):
        find_regions(random_map(), float("nan"), halving)


def test_more_regions_than_labels_keeps_the_most_unusual():
    array = np.zeros((70, 70, 70), np.float32)
    array[::2, ::2, ::2] = np.random.default_rng(1).permutation(35**3).reshape(35, 35, 35) + 1.0
    labels, regions = find_regions(Volume(array, np.eye(4)), 1.0, lambda peak: 0.5, min_ml=0.0)
    assert len(regions) == 32767 and labels.min() == 0 and labels.max() == 32767
    assert labels[np.unravel_index(array.argmax(), array.shape)] == 1
    assert regions[-1].peak == 35**3 - 32767 + 1


@pytest.mark.parametrize("p", [[], [0.3], [0.04, 0.01, 0.01, 0.9, 1.0, 0.03], np.linspace(0, 1, 50) ** 3])
def test_q_values_agree_with_scipy(p):
    expected = false_discovery_control(p, method="bh") if len(p) else []
    np.testing.assert_allclose(benjamini_hochberg(np.array(p)), expected, atol=1e-15)


def test_a_large_map_takes_about_a_second():
    anomaly = Volume(np.zeros((256, 256, 256), np.float32), np.eye(4))
    block = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(64, 64, 64)), 1.5).astype(np.float32) * 30
    anomaly.array[:] = np.tile(block, (4, 4, 4))
    start = time.process_time()
    _, regions = find_regions(anomaly, 3.0, halving)
    assert len(regions) > 300
    assert time.process_time() - start < 6.0
