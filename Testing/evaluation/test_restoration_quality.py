"""Healing and sharpness of restorations with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from MedADLib.evaluation.restoration_quality import RestorationSums

RANDOM = np.random.default_rng(0)
MASK = np.zeros((14, 24, 24), bool)
MASK[1:-1, 1:-1, 1:-1] = True
TRUTH = np.zeros_like(MASK)
TRUTH[5:8, 8:12, 8:12] = True
HEALTHY = np.where(MASK, RANDOM.uniform(0.3, 0.7, MASK.shape), 0).astype(np.float32)
SCAN = np.where(TRUTH, HEALTHY - 0.2, HEALTHY).astype(np.float32)


def sums(restored: np.ndarray) -> RestorationSums:
    return RestorationSums.of(restored, SCAN, MASK, TRUTH, HEALTHY)


def test_a_perfect_restoration_heals_all_and_the_scan_itself_nothing():
    assert sums(HEALTHY).healing == 0 and sums(SCAN).healing == pytest.approx(1)
    assert sums((HEALTHY + SCAN) / 2).healing == pytest.approx(0.5, abs=1e-5)
    assert np.isnan(RestorationSums.of(SCAN, SCAN, MASK, TRUTH, None).healing)
    assert np.isnan(RestorationSums.of(HEALTHY, HEALTHY, MASK, np.zeros_like(TRUTH), HEALTHY).healing)


def test_the_scan_itself_is_as_sharp_as_the_scan_and_blur_lowers_its_own_axis_most():
    assert sums(SCAN).sharpness == (1, 1, 1) and sums(SCAN).psnr == np.inf
    z, y, x = sums(gaussian_filter1d(SCAN, 1.0, axis=1)).sharpness
    assert y < 0.3 and y < z and y < x
    for axis, streaks in enumerate((RANDOM.normal(0, 0.1, (14, 1, 1)), RANDOM.normal(0, 0.1, (1, 24, 1)))):
        sharp = sums((SCAN + streaks).astype(np.float32)).sharpness
        assert sharp[axis] > 1.2 and max(np.delete(sharp, axis)) == pytest.approx(1, abs=0.01)


def test_noise_outside_lesions_gives_its_psnr_and_the_lesion_does_not_count():
    noisy = (SCAN + RANDOM.normal(0, 0.01, SCAN.shape)).astype(np.float32)
    assert sums(noisy).psnr == pytest.approx(40, abs=0.3)
    assert sums(np.where(TRUTH, 5, noisy).astype(np.float32)).psnr == sums(noisy).psnr


def test_cases_add_up_and_survive_storing():
    first, second = sums(HEALTHY), sums(SCAN)
    assert (first + second).healing == pytest.approx(0.5)
    assert RestorationSums.total([first, second]) == first + second
    assert RestorationSums.from_array(first.as_array()) == first
