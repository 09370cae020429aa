"""Regions: what is found, how it is numbered and measured."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import false_discovery_control

from MedADLib.errors import InputError
from MedADLib.scoring.regions import benjamini_hochberg, find_regions, midline_of, side_of
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


def test_the_peak_is_where_the_largest_value_is_and_in_the_middle_of_equal_ones():
    anomaly = random_map()
    labels, regions = find_regions(anomaly, 2.0, halving, min_ml=0.02)
    for region in regions:
        z, y, x = np.unravel_index(np.where(labels == region.label, anomaly.array, -1).argmax(), labels.shape)
        np.testing.assert_allclose(region.peak_ras, (OBLIQUE @ [x, y, z, 1.0])[:3])
    plateau = np.zeros((5, 5, 9), np.float32)
    plateau[1:4, 1:4, 1:8] = 4.0
    (region,) = find_regions(Volume(plateau, np.eye(4)), 1.0, halving, min_ml=0.0)[1]
    assert region.peak_ras == (4.0, 2.0, 2.0)


def test_the_peak_does_not_depend_on_the_order_of_the_axes():
    array = np.zeros((6, 7, 8), np.float32)
    array[2:4, 2:4, 3:5] = 4.0
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    turned[:3, 3] = (7, 6, 0)
    peaks = [
        find_regions(Volume(voxels, affine), 1.0, halving, min_ml=0.0)[1][0].peak_ras
        for voxels, affine in ((array, np.eye(4)), (array[:, ::-1, ::-1], turned))
    ]
    assert peaks[0] == peaks[1]


@pytest.mark.parametrize(
    ("right_share", "side"), [(1.0, "R"), (0.81, "R"), (0.8, "bilateral"), (0.2, "bilateral"), (0.19, "L"), (0.0, "L")]
)
def test_a_region_with_a_fifth_on_each_side_is_bilateral(right_share, side):
    assert side_of(right_share) == side


def head(shift_mm: float, width: int = 140) -> tuple[Volume, Volume]:
    """A mask of a head that lies this far to the right of the origin, and a map with regions left, right and across."""
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    affine[0, 3] = shift_mm + 2.0 * 39.5
    mask, anomaly = (np.zeros((12, 20, 80), np.uint8), np.zeros((12, 20, 80), np.float32))
    mask[:, :, 40 - width // 4 : 40 + width // 4] = 1
    # Columns run towards the left.
    for value, columns in ((9, slice(20, 25)), (8, slice(55, 60)), (7, slice(37, 44)), (6, slice(28, 41))):
        anomaly[2 * (value - 5) : 2 * (value - 5) + 1, 5:8, columns] = value
    return Volume(mask, affine), Volume(anomaly, affine)


@pytest.mark.parametrize("shift_mm", [0.0, 60.0, -35.0])
def test_sides_are_those_of_the_head_wherever_it_lies(shift_mm):
    mask, anomaly = head(shift_mm)
    midline = midline_of(mask)
    assert midline == pytest.approx(shift_mm)
    _, regions = find_regions(anomaly, 1.0, halving, min_ml=0.0, midline=midline)
    assert [region.side for region in regions] == ["R", "L", "bilateral", "R"]
    assert {region.side for region in find_regions(anomaly, 1.0, halving, min_ml=0.0)[1]} == {""}


def test_a_mask_of_one_hemisphere_a_slice_or_nothing_has_no_midline():
    mask, _ = head(0.0, width=72)
    assert midline_of(mask) is None
    whole, _ = head(0.0)
    assert midline_of(Volume(whole.array[:1], whole.affine)) is None
    assert midline_of(whole.with_array(np.zeros_like(whole.array))) is None


def test_thick_oblique_slices_do_not_hide_that_only_a_hemisphere_is_examined():
    tilt, affine = np.radians(15), np.eye(4)
    turned = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    affine[:3, :3] = turned @ np.diag([1.0, 1.0, 6.0])
    assert midline_of(Volume(np.ones((20, 100, 60), np.uint8), affine)) is None
    assert midline_of(Volume(np.ones((20, 100, 120), np.uint8), affine)) is not None
