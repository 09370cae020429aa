"""Rarity: against the distribution that values are drawn from, and the tail against scipy."""

from __future__ import annotations

import time

import numpy as np
import pytest
import scipy.stats
from support.refusals import accepted

from MedADLib.errors import ModelError
from MedADLib.scoring import healthy_tail
from MedADLib.scoring.healthy_tail import HealthyTail, _pareto


def normal(seed: int, size: int = 250_000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(size, np.float32)


@pytest.fixture(scope="module")
def of_normal() -> HealthyTail:
    return HealthyTail.of([normal(seed) for seed in range(8)])


@pytest.mark.parametrize("rarity", [0.3, 1.0, 2.0, 3.0, 4.0])
def test_a_healthy_voxel_reaches_a_rarity_as_often_as_it_says(of_normal, rarity):
    found = of_normal.rarity(normal(100, 4_000_000))
    expected = 4_000_000 * 10.0**-rarity
    assert np.count_nonzero(found >= rarity) == pytest.approx(expected, abs=5 * np.sqrt(1.5 * expected))


def test_beyond_the_data_rarity_continues_as_the_distribution_does():
    """Of two million exponential values, the largest is about 14.5; the tail is right a decade beyond."""
    tail = HealthyTail.of([np.random.default_rng(n).exponential(size=250_000) for n in range(8)])
    assert 6 < tail.limit < 7 and tail.shape < 0.25
    assert tail.rarity(np.array([17.0])) == pytest.approx(17 / np.log(10), rel=0.1)


def test_rarity_increases_strictly_from_zero(of_normal):
    smallest = float(of_normal.values[0])
    values = np.concatenate([np.linspace(smallest, 6, 20_000), np.linspace(6.001, 1000, 20_000)])
    found = of_normal.rarity(values)
    assert (np.diff(found) > 0).all() and found[0] == 0 and np.isfinite(found).all()
    assert (of_normal.rarity(np.array([smallest - 1, -1e9])) == 0).all()
    assert of_normal.rarity(np.zeros((2, 3, 4), np.float32)).dtype == np.float32


def test_each_scan_counts_the_same_whatever_its_size():
    low, high = np.zeros(100_000, np.float32) + normal(1, 100_000) / 100, 5 + normal(2, 1_000) / 100
    tail = HealthyTail.of([low, high])
    assert tail.rarity(np.array([2.0, 4.0])) == pytest.approx(np.log10(2), abs=0.05)


@pytest.mark.parametrize("shape", [0.0, 0.1, 0.3])
def test_the_tail_is_that_of_scipy(shape):
    excesses = scipy.stats.genpareto.rvs(shape, scale=2.0, size=20_000, random_state=1)
    ordered = np.sort(excesses)
    scale, found = _pareto(ordered, 1 - np.arange(len(ordered)) / len(ordered))
    likely, _, likely_scale = scipy.stats.genpareto.fit(excesses, floc=0)
    assert (found, scale) == (pytest.approx(max(likely, 0), abs=0.03), pytest.approx(likely_scale, rel=0.04))
    tail = HealthyTail(np.array([0.0, 1.0]), np.array([0.0, 3.0]), scale, found, 20.0)
    there = np.array([1.5, 4.0, 30.0])
    expected = 3 - scipy.stats.genpareto.logsf(there - 1, found, scale=scale) / np.log(10)
    assert tail.rarity(there) == pytest.approx(expected, rel=1e-6)


def test_rarity_beyond_all_healthy_values_grows_by_the_logarithm_only():
    tail = HealthyTail(np.array([0.0, 3.0]), np.array([0.0, 3.0]), 1 / np.log(10), 0.0, limit=5.0)
    found = tail.rarity(np.array([4.0, 5.0, 6.0, 32.0]))
    assert found == pytest.approx([4.0, 5.0, 5 + np.log(2), 5 + np.log(28)])


def test_a_tail_with_an_end_point_gets_none():
    tail = HealthyTail.of([np.random.default_rng(n).random(100_000) for n in range(4)])
    beyond = tail.rarity(np.array([1.0, 1.01, 2.0, 10.0]))
    assert tail.shape == 0 and (np.diff(beyond) > 0).all()


@pytest.mark.parametrize("values", [[3.0], [1.0] * 40, [0.0] * 500 + [1.0], list(range(12))])
def test_few_or_equal_values_give_a_tail(values):
    tail = HealthyTail.of([np.array(values)])
    found = tail.rarity(np.array([min(values), max(values), max(values) + 1.0]))
    assert found[0] == 0 and found[2] > found[1] >= 0


def test_no_value_gives_no_tail():
    with pytest.raises(ValueError):
        HealthyTail.of([np.zeros(0)])


def test_the_curve_of_an_earlier_file_is_the_exceedance():
    thresholds = np.linspace(0, 6, 400)
    exceedance = scipy.stats.norm.sf(thresholds)
    tail = HealthyTail.of_curve(thresholds, np.where(exceedance > 1e-7, 1200 * exceedance, 0.0), 1200.0, 5.25)
    expected = -scipy.stats.norm.logsf(range(4)) / np.log(10)
    assert tail.rarity(np.array([0.0, 1.0, 2.0, 3.0])) == pytest.approx(expected, rel=1e-3)
    assert tail.rarity(np.array([4.5])) == pytest.approx(-np.log10(scipy.stats.norm.sf(4.5)), rel=0.05)
    found = tail.rarity(thresholds)
    assert (np.diff(found) > 0).all()
    assert tail.limit == tail.rarity(np.array([5.25]))[0] == pytest.approx(7, abs=0.5), "that of the largest value"
    below = tail.rarity(np.array([-9.0, -0.3, -0.1, 0.0]))
    assert below[0] == 0 and (np.diff(below) > 0).all()


def test_a_curve_with_plateaus_increases_strictly():
    thresholds = np.arange(10.0)
    tail = HealthyTail.of_curve(thresholds, np.array([100, 100, 50, 50, 5, 1, 1, 1, 0, 0.0]), 100.0, 7.5)
    found = tail.rarity(thresholds)
    assert (np.diff(found[1:]) > 0).all()
    assert found[3] == pytest.approx(np.log10(2))


@pytest.mark.parametrize("volumes", [[1, 2, 3], [0, 0, 0], [np.nan, 1, 0], [3, 2, -1]])
def test_a_curve_that_cannot_be_is_refused(volumes):
    with pytest.raises(ModelError) as caught:
        HealthyTail.of_curve(np.arange(3.0), np.array(volumes, float), 10.0, 1.5)
    assert caught.value.code == "calibration_tail"


def test_a_saved_tail_is_the_same(of_normal):
    again = HealthyTail.from_tensors(of_normal.tensors())
    values = np.linspace(-6, 40, 1000)
    assert np.array_equal(again.rarity(values), of_normal.rarity(values)) and again.limit == of_normal.limit


def test_a_tail_that_cannot_be_is_refused(of_normal):
    good = of_normal.tensors()
    values, rarities, beyond = (good[name] for name in healthy_tail.PARTS)
    long = np.arange(5000.0)
    wrong = {
        "values that fall": (values[::-1], rarities, beyond),
        "rarities that fall": (values, rarities[::-1], beyond),
        "equal knots": (np.zeros_like(values), rarities, beyond),
        "a knot that is not a number": (np.where(values == values[3], np.nan, values), rarities, beyond),
        "an infinite rarity": (values, np.append(rarities[:-1], np.inf), beyond),
        "more rarities than values": (values[:-1], rarities, beyond),
        "no knots": (values[:0], rarities[:0], beyond),
        "knots of two axes": (values[None], rarities[None], beyond),
        "too many knots": (long, long / 1000, beyond),
        "a rarity to begin with": (values, rarities + 0.1, beyond),
        "a rarity beyond belief": (values, rarities * 10, beyond),
        "a negative shape": (values, rarities, np.array([1.0, -0.1, 3.0])),
        "a huge shape": (values, rarities, np.array([1.0, 2.0, 3.0])),
        "no scale": (values, rarities, np.array([0.0, 0.1, 3.0])),
        "a scale that is not a number": (values, rarities, np.array([np.nan, 0.1, 3.0])),
        "an infinite limit": (values, rarities, np.array([1.0, 0.1, np.inf])),
        "no limit": (values, rarities, beyond[:2]),
    }
    named = {name: dict(zip(healthy_tail.PARTS, arrays)) for name, arrays in wrong.items()}
    assert accepted(ModelError, lambda name: HealthyTail.from_tensors(named[name]), named) == []


def test_a_whole_map_takes_a_fraction_of_a_second(of_normal):
    values = normal(5, 1_200_000)
    started = time.process_time()
    of_normal.rarity(values)
    assert time.process_time() - started < 0.5
