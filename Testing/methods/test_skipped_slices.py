"""Skipped slices: a fast restoration of some slices, interpolated scores for the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import interp1d
from support.raised import raises
from support.toy_codes import random_networks, toy_parameters

from MedADLib.errors import SettingError
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.methods.slicewise import every_nth, interpolate_slices

pytestmark = pytest.mark.usefixtures("one_thread")
SLICES = 9


@pytest.fixture(scope="module")
def method() -> LatentRestoration:
    return random_networks(LatentRestoration, toy_parameters(restoration_nll=2.0, sample_nll=2.0, samples=3))


def stepping(method: LatentRestoration, step: int) -> LatentRestoration:
    return type(method)(replace(method.parameters, slice_step=step), method.vqvae, method.prior)


def scan(method: LatentRestoration, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((SLICES, *method.parameters.size), bool)
    mask[1:-1, 2:-2, 3:-2] = True
    return np.where(mask, np.random.default_rng(seed).random(mask.shape) + 0.2, 0).astype(np.float32), mask


@pytest.mark.parametrize(
    ("examined", "step", "expected"),
    [
        (range(3, 10), 1, range(3, 10)),
        (range(3, 10), 2, [3, 5, 7, 9]),
        (range(3, 11), 3, [3, 6, 9, 10]),
        ([4], 3, [4]),
        ([], 2, []),
    ],
)
def test_the_first_and_the_last_slice_are_always_looked_at(examined, step, expected):
    assert every_nth(np.array(list(examined), int), step).tolist() == list(expected)


def test_between_two_slices_values_are_interpolated_as_scipy_does():
    examined = np.array([2, 3, 4, 5, 8, 9, 10])
    used = every_nth(examined, 3)
    values = np.random.default_rng(1).random((12, 3, 4)).astype(np.float32)
    expected = interp1d(used, values[used], axis=0)(examined)
    before = values.copy()
    interpolate_slices(values, used, examined)
    assert np.allclose(values[examined], expected, atol=1e-6)
    others = np.setdiff1d(np.arange(12), examined)
    assert np.array_equal(values[others], before[others])


def test_slices_that_are_looked_at_are_restored_as_ever(method):
    image, mask = scan(method)
    whole, quick = method.restore(image, mask, seed=3), stepping(method, 2).restore(image, mask, seed=3)
    assert np.allclose(quick.score[1:-1:2], whole.score[1:-1:2], atol=1e-5)
    assert np.allclose(quick.restored[1:-1:2], whole.restored[1:-1:2], atol=1e-5)
    assert (quick.facts["slices"], quick.facts["slice_step"]) == (4, 2) and "slice_step" not in whole.facts


def test_slices_between_have_their_neighbours_change_and_score(method):
    image, mask = scan(method)
    quick = stepping(method, 2).restore(image, mask, seed=3)
    change = quick.restored - image
    free = quick.restored[1:4].min(axis=0) > 0
    assert np.allclose(change[2][free], (change[1] + change[3])[free] / 2, atol=1e-6) and free.any()
    assert np.allclose(quick.score[2], (quick.score[1] + quick.score[3]) / 2, atol=1e-6)
    assert (quick.score[~mask] == 0).all() and (quick.restored[~mask] == 0).all()


def test_the_scans_score_counts_slices_that_were_left_out_as_their_neighbours(method):
    image, mask = scan(method)
    alone = []
    for index in range(1, SLICES - 1):
        only = np.zeros_like(mask)
        only[index] = mask[index]
        alone.append(method.restore(image, only, seed=3).sample_score)
    assert method.restore(image, mask).sample_score == pytest.approx(sum(alone), rel=1e-4) and min(alone) > 0
    quick = stepping(method, 3).restore(image, mask).sample_score
    assert quick == pytest.approx(np.interp(range(7), [0, 3, 6], np.array(alone)[[0, 3, 6]]).sum(), rel=1e-4)


@pytest.mark.parametrize("step", [0, 101])
def test_steps_that_make_no_sense_are_refused(step):
    with raises(SettingError, "slice_step_out_of_range"):
        toy_parameters(slice_step=step)
