"""Filling of unknown voxels."""

from __future__ import annotations

import numpy as np
import pytest

from MedADLib.methods.inpainting import fill

Z, Y, X = np.mgrid[:20, :31, :24].astype(np.float32)


def test_known_voxels_stay_and_a_hole_continues_what_is_around_it():
    values = 2 + 0.05 * X - 0.03 * Y + 0.02 * Z
    known = (Z - 10) ** 2 + (Y - 15) ** 2 + (X - 12) ** 2 > 36
    found = fill(np.where(known, values, 99), known)
    assert np.allclose(found[known], values[known], atol=1e-5)
    assert np.abs(found - values)[~known].max() < 0.2 and values.max() - values.min() > 2


def test_a_hole_in_a_constant_is_constant():
    assert np.allclose(fill(np.full(Z.shape, 3, np.float32), X > 5), 3, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 7, 9), (5, 1, 1), (1, 1, 1)])
def test_volumes_of_one_slice_or_voxel_are_filled(shape):
    known = np.zeros(shape, bool)
    known.flat[0] = True
    assert np.allclose(fill(np.full(shape, 2, np.float32), known), 2, atol=1e-4)


def test_without_any_known_voxel_there_is_nothing_to_continue():
    found = fill(np.ones((4, 5, 6), np.float32), np.zeros((4, 5, 6), bool))
    assert found.shape == (4, 5, 6) and not found.any()
