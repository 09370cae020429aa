"""Calibration of an ensemble: one map for each member, rarities that are joined and calibrated once more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.raised import raises

from MedADLib.errors import ModelError
from MedADLib.scoring.calibration import COMBINATIONS, MEAN, Calibration, Pooling
from MedADLib.scoring.healthy_reference import Threshold
from MedADLib.scoring.leave_one_out import calibrate_scores

SHAPE, SPACING = (20, 22, 24), (2.0, 2.0, 2.0)
MASK = np.ones(SHAPE, bool)
MASK[:2] = False
# Two scales of the first member, one of the second.
POOLINGS = (Pooling(0.0, 2.0), Pooling(4.0, 8.0), Pooling(0.0, 3.0, 1))
ONE_ML = Threshold(1.0, "ml")


def maps(seed: int) -> np.ndarray:
    """Raw maps of two members in different units, (2, Z, Y, X)."""
    random = np.random.default_rng(seed)
    return np.stack([random.normal(5, 1, SHAPE), np.exp(random.normal(0, 1, SHAPE))]).astype(np.float32) * MASK


def calibrated(poolings=POOLINGS, count: int = 8, **more) -> Calibration:
    scores = [maps(seed) for seed in range(count)]
    return calibrate_scores(scores, [MASK] * count, SPACING, poolings, ONE_ML, [1.0] * count, **more)


@pytest.fixture(scope="module")
def found() -> dict[str, Calibration]:
    return {name: calibrated(combination=name) for name in COMBINATIONS}


def test_the_rarity_of_a_member_is_the_largest_over_its_own_scales(found):
    score = maps(99)
    for calibration in found.values():
        first, second = calibration.rarities(score, MASK, SPACING).of_members
        of_scale = []
        for scale, part in zip(calibration.scales, score[[0, 0, 1]]):
            z_scores = scale.voxelwise.z_scores(scale.pooling.applied(part, MASK, SPACING), MASK)[MASK]
            above = max(float(np.median(z_scores)) - scale.level.mean, 0)
            of_scale.append(scale.tail.rarity(z_scores - np.float32(above)))
        np.testing.assert_array_equal(first, np.maximum(*of_scale[:2]))
        np.testing.assert_array_equal(second, of_scale[2])


def test_the_map_is_the_largest_or_the_mean_rarity_calibrated_once_more(found):
    score = maps(99)
    for name, join in (("max", np.max), ("mean", np.mean)):
        calibration = found[name]
        joined = join(calibration.rarities(score, MASK, SPACING).of_members, axis=0)
        wanted = calibration.combined.rarity(joined)
        np.testing.assert_allclose(calibration.anomaly_map(score, MASK, SPACING)[MASK], wanted, rtol=1e-5)


def test_one_healthy_voxel_in_a_hundred_has_a_rarity_of_two(found):
    for calibration in found.values():
        values = np.concatenate([calibration.anomaly_map(maps(n), MASK, SPACING)[MASK] for n in range(100, 110)])
        assert np.mean(values >= 2) == pytest.approx(0.01, rel=0.4)


def test_an_anomaly_that_one_member_sees_shows_more_in_the_largest_one_that_both_see_more_in_the_mean(found):
    place = (slice(9, 12), slice(9, 12), slice(9, 12))

    def value(name: str, *members: int) -> float:
        score = maps(99)
        for member in members:
            score[(member, *place)] += (2.0, 3.0)[member]
        return float(found[name].anomaly_map(score, MASK, SPACING)[place].mean())

    assert value("max", 0) > value("mean", 0)
    assert value("mean", 0, 1) > value("max", 0, 1) >= value("max", 0)


def test_two_equal_members_give_the_map_of_one():
    score = maps(99)
    same = [np.stack([maps(seed)[0]] * 2) for seed in range(8)]
    twice = calibrate_scores(same, [MASK] * 8, SPACING, (Pooling(0, 4), Pooling(0, 4, 1)), ONE_ML, [1.0] * 8)
    once = calibrate_scores([s[0] for s in same], [MASK] * 8, SPACING, (Pooling(0, 4),), ONE_ML, [1.0] * 8)
    both = twice.anomaly_map(np.stack([score[0]] * 2), MASK, SPACING)
    np.testing.assert_allclose(both, once.anomaly_map(score[0], MASK, SPACING), atol=0.05)


def test_fast_mode_joins_the_members_too():
    own, scores = [1.0] * 6, [maps(seed) for seed in range(6)]
    quick = ([score * np.float32(1.5) for score in scores], own)
    calibration = calibrated(count=6, quick=quick, combination=MEAN)
    fast = calibration.anomaly_map(maps(50) * np.float32(1.5), MASK, SPACING, fast=True)
    np.testing.assert_allclose(fast, calibration.anomaly_map(maps(50), MASK, SPACING), atol=0.02)


def test_the_calibration_comes_back_from_its_file(found):
    for calibration in found.values():
        again = Calibration.from_tensors(calibration.parameters(), calibration.tensors())
        assert again.poolings == calibration.poolings and again.combination == calibration.combination
        assert again.member_count == 2
        score = maps(99)
        ours, theirs = (each.anomaly_map(score, MASK, SPACING) for each in (calibration, again))
        np.testing.assert_allclose(ours, theirs, atol=0.03)


def test_a_single_method_has_no_entry_for_members_in_its_file():
    parameters = calibrated(POOLINGS[:2]).parameters()
    assert "combination" not in parameters and not any("member" in scale for scale in parameters["scales"])


def test_members_that_do_not_fit_are_refused(found):
    parameters, tensors = found["max"].parameters(), found["max"].tensors()
    for numbers in ((0, 1, 0), (0, 0, 2), (1, 1, 0), (0, 0, -1), (0, 0, "1"), (0, 0, True)):
        scales = [scale | {"member": number} for scale, number in zip(parameters["scales"], numbers)]
        with raises(ModelError, "calibration_members"):
            Calibration.from_tensors(parameters | {"scales": scales}, tensors)
    with raises(ModelError, "calibration_members"):
        Calibration.from_tensors(parameters | {"combination": "least"}, tensors)
    with raises(ModelError, "calibration_incomplete"):
        scales = [{k: v for k, v in scale.items() if k != "member"} for scale in parameters["scales"]]
        Calibration.from_tensors(parameters | {"scales": scales}, tensors)
    with raises(ModelError, "calibration_members"):
        replace(found["max"], combination="least")
