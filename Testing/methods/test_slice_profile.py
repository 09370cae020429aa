from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import savgol_filter

from MedADLib.methods.synthetic_anomalies import smoothed, volume_score, window_of


@pytest.mark.parametrize(("count", "window"), [(9, 5), (12, 7), (40, 5), (70, 9), (200, 21)])
def test_the_profile_is_smoothed_as_scipy_does(count, window):
    profile = np.random.default_rng(count).random(count)
    assert np.allclose(smoothed(profile, window), savgol_filter(profile, window, 3), atol=1e-9)


def test_a_cubic_is_left_alone_and_a_spike_is_flattened():
    line = np.linspace(-1, 1, 30)
    cubic = 2 * line**3 - line**2 + 0.3
    assert np.allclose(smoothed(cubic, 7), cubic)
    spike = np.zeros(30)
    spike[12] = 1
    assert smoothed(spike, 7)[12] < 0.5


@pytest.mark.parametrize(("count", "window"), [(1, 5), (10, 5), (48, 5), (70, 7), (75, 7), (199, 19), (211, 21)])
def test_the_window_is_odd_and_about_a_tenth(count, window):
    assert window_of(count) == window


def test_the_score_is_the_mean_of_the_highest_quarter():
    steps = np.repeat([0.1, 0.2, 0.9, 0.3], 25)
    assert volume_score(steps) == pytest.approx(0.9, abs=0.03)
    assert volume_score(np.array([0.7])) == 0.7
    assert volume_score(np.array([0.1, 0.2, 0.3, 0.8])) == 0.8
    assert volume_score(np.full(40, 0.25)) == pytest.approx(0.25)
