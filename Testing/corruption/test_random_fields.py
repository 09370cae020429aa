"""Crops of periodic random fields."""

from __future__ import annotations

import numpy as np
import pytest

from MedADLib.corruption.random_fields import random_crop

SPACING = (1.5, 1.2, 1.2)


def test_noise_is_smooth_over_the_wanted_width():
    random = np.random.default_rng(0)

    def similarity(width: float) -> float:
        noise = random_crop((16, 100, 100), SPACING, width, random)
        return float(np.corrcoef(noise[:, :, :-2].ravel(), noise[:, :, 2:].ravel())[0, 1])

    assert abs(similarity(0.0)) < 0.05
    # Noise that a Gaussian of SD s smoothed correlates by exp(-d² / 4 s²) at the distance d.
    for width in (1.6, 4.2):
        assert similarity(width) == pytest.approx(np.exp(-(2.4**2) / (4 * width**2)), abs=0.06)
