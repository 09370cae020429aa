"""Slider positions and the volumes they stand for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.references import healthy_reference

from MedADLib.scoring.healthy_reference import ThresholdScale


def test_positions_and_volumes_go_both_ways_on_a_logarithmic_scale():
    scale = ThresholdScale.of(healthy_reference())
    assert (scale.least_ml, scale.most_ml) == pytest.approx((0.01, 30.0))
    for position in (0.001, 0.25, 0.5, 0.99, 1.0):
        assert scale.position(scale.ml(position)) == pytest.approx(position)
    assert scale.ml(0.5) == pytest.approx(np.sqrt(scale.least_ml * scale.most_ml))


def test_the_strict_end_lets_nothing_of_a_healthy_scan_pass():
    reference = healthy_reference()
    scale = ThresholdScale.of(reference)
    assert scale.ml(0.0) == 0.0 and scale.position(0.0) == 0.0 and scale.ml(-3) == 0.0
    assert reference.expected_false_positive_ml(5.25) == 0.0


def test_what_is_beyond_the_ends_is_at_the_ends():
    scale = ThresholdScale.of(healthy_reference())
    assert scale.position(1e6) == 1.0 and scale.position(1e-9) == 0.0 and scale.ml(7.0) == scale.most_ml


@pytest.mark.parametrize("curve", [np.zeros(7), np.full(7, 1e-7), np.linspace(3, 0, 7)])
def test_any_curve_gives_a_scale(curve):
    scale = ThresholdScale.of(dataclasses.replace(healthy_reference(), false_positive_ml=curve))
    assert 0 < scale.least_ml < scale.most_ml and np.isfinite(scale.ml(0.5))
