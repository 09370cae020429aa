"""Pooling and smoothing: against brute force, and at the edge of the mask."""

from __future__ import annotations

import time

import numpy as np
import pytest

from MedADLib.errors import InputError
from MedADLib.scoring.pooling import pool, smooth

SPACING = (0.9, 1.4, 3.0)


def example(seed: int = 0, shape: tuple = (7, 12, 14)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).astype(np.float32), rng.random(shape) < 0.7


def weighted_mean(score, mask, weight_of_offset):
    """For every voxel of the mask, the mean over the mask's voxels with the weight of their offset in mm."""
    where = np.argwhere(mask)
    result = np.zeros(score.shape)
    for voxel in where:
        weights = weight_of_offset((where - voxel) * np.array(SPACING[::-1]))
        result[tuple(voxel)] = (weights * score[mask]).sum() / weights.sum()
    return result


def overlap_with_box(size: float):
    """The share of a voxel at an offset that lies in a box of this size; a voxel's own share is its box, if smaller."""

    def weight(offsets):
        product = np.ones(len(offsets))
        for axis, step in enumerate(SPACING[::-1]):
            low = np.maximum(offsets[:, axis] - step / 2, -size / 2)
            high = np.minimum(offsets[:, axis] + step / 2, size / 2)
            share = np.maximum(high - low, 0) / step
            product *= np.where(offsets[:, axis] == 0, 1.0 if size < step else share, share)
        return product

    return weight


@pytest.mark.parametrize("size", [2.0, 3.0, 5.3, 40.0])
def test_the_average_is_over_a_box_in_millimetres_inside_the_mask(size):
    score, mask = example()
    expected = weighted_mean(score, mask, overlap_with_box(size))
    np.testing.assert_allclose(pool(score, mask, SPACING, 0, size), expected, atol=2e-6)


@pytest.mark.parametrize("size, reach_zyx", [(3.0, (0, 1, 1)), (5.0, (0, 1, 2)), (9.0, (1, 3, 4)), (99.0, (9, 99, 99))])
def test_the_minimum_is_over_the_voxels_inside_the_mask(size, reach_zyx):
    score, mask = example(1)
    where = np.argwhere(mask)
    expected = np.zeros_like(score)
    for voxel in where:
        expected[tuple(voxel)] = score[mask][(np.abs(where - voxel) <= reach_zyx).all(axis=1)].min()
    np.testing.assert_array_equal(pool(score, mask, SPACING, size, 0), expected)


def test_the_average_follows_the_minimum():
    score, mask = example(2)
    both = pool(score, mask, SPACING, 3.0, 6.0)
    np.testing.assert_allclose(both, pool(pool(score, mask, SPACING, 3.0, 0), mask, SPACING, 0, 6.0), atol=1e-6)
    assert np.abs(both - pool(pool(score, mask, SPACING, 0, 6.0), mask, SPACING, 3.0, 0)).max() > 0.1


@pytest.mark.parametrize("fwhm", [2.0, 6.0])
def test_smoothing_is_a_gaussian_inside_the_mask(fwhm):
    score, mask = example(3)
    sigma = fwhm / np.sqrt(8 * np.log(2))
    expected = weighted_mean(score, mask, lambda offsets: np.exp(-0.5 * (offsets**2).sum(axis=1) / sigma**2))
    np.testing.assert_allclose(smooth(score, mask, SPACING, fwhm), expected, atol=5e-3)


def test_smoothing_halves_a_point_at_half_the_width():
    score = np.zeros((1, 1, 41), np.float32)
    score[0, 0, 20] = 1
    smoothed = smooth(score, np.ones_like(score, bool), (1, 1, 1), 10.0)[0, 0]
    assert smoothed[15] / smoothed[20] == pytest.approx(0.5, abs=1e-4)
    assert smoothed.sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("pooled", [lambda *a: pool(*a, 3.0, 7.0), lambda *a: smooth(*a, 8.0)])
def test_a_constant_map_stays_constant_in_the_mask_and_the_background_is_zero(pooled):
    z, y, x = np.ogrid[:20, :30, :30]
    mask = ((z - 9) / 9.0) ** 2 + ((y - 15) / 13.0) ** 2 + ((x - 15) / 12.0) ** 2 < 1
    score = np.where(mask, np.float32(3.7), np.float32(np.nan))
    result = pooled(score, mask, SPACING)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[mask], 3.7, rtol=1e-6)
    assert (result[~mask] == 0).all()


def test_a_thin_false_alarm_goes_and_a_thick_finding_stays():
    score = np.zeros((20, 20, 20), np.float32)
    score[:, 4, :] = 5
    score[8:14, 10:16, 8:14] = 5
    result = pool(score, np.ones_like(score, bool), (1, 1, 1), 3.0, 3.0)
    assert result[:, 4, :].max() == 0 and result[11, 13, 11] == 5


def test_sizes_of_zero_change_nothing_inside():
    score, mask = example(4)
    np.testing.assert_array_equal(pool(score, mask, SPACING, 0, 0), np.where(mask, score, 0))
    np.testing.assert_array_equal(smooth(score, mask, SPACING, 0), np.where(mask, score, 0))


def test_an_empty_mask_gives_zeros():
    score, mask = example(5)
    assert not pool(score, np.zeros_like(mask), SPACING, 3, 7).any()


def test_the_input_is_left_alone():
    score, mask = example(6)
    before = score.copy()
    pool(score, mask, SPACING, 3, 7)
    smooth(score, mask, SPACING, 8)
    np.testing.assert_array_equal(score, before)


def test_unusable_sizes_and_shapes_are_refused():
    score, mask = example(7)
    for arguments in [
        (score, mask[1:], SPACING, 1, 1),
        (score, mask, SPACING, -1, 1),
        (score, mask, (1, 0, 1), 1, 1),
        (score, mask, SPACING, 1, float("nan")),
    ]:
        with pytest.raises(InputError):
            pool(*arguments)


def test_a_model_grid_is_pooled_in_a_fraction_of_a_second():
    score = np.random.default_rng(0).random((100, 160, 160), np.float32)
    mask = np.ones_like(score, bool)
    start = time.process_time()
    pool(score, mask, (1.2, 1.2, 1.5), 3, 7)
    assert time.process_time() - start < 2.0
