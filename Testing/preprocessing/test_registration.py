from __future__ import annotations

import numpy as np
import pytest
from support.phantoms import head

from MedADLib.preprocessing.registration import affine_to_native, resample
from MedADLib.volume import Volume


def turned(volume: Volume, matrix: np.ndarray) -> Volume:
    """The same voxels somewhere else in space: the known answer of the alignment."""
    return Volume(volume.array, matrix @ volume.affine, "turned")


def rotation(degrees: float, shift: tuple[float, float, float]) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.eye(4)
    matrix[:2, :2] = [[c, -s], [s, c]]
    matrix[:3, 3] = shift
    return matrix


@pytest.mark.parametrize("degrees", [0.0, 9.0])
def test_a_known_movement_is_found_to_half_a_voxel(degrees):
    volume, mask = head(3)
    # Away from the origin, as the brain of a template is: a rotation about the wrong centre is then far off.
    volume = turned(volume, rotation(0.0, (40.0, -60.0, 30.0)))
    known = rotation(degrees, (25.0, -12.0, 8.0))
    found = affine_to_native(volume, mask, turned(volume, known), mask)
    points = np.c_[volume.ras_from_voxels(np.argwhere(mask)), np.ones(mask.sum())]
    error = np.linalg.norm(((found - known) @ points.T)[:3], axis=0)
    assert error.mean() < 2.0


def test_alignment_does_not_mind_another_contrast_and_repeats_exactly():
    volume, mask = head(4)
    known = rotation(6.0, (5.0, 5.0, -5.0))
    inverted = turned(volume.with_array(np.where(mask, 1200 - volume.array, 0).astype(np.float32)), known)
    first = affine_to_native(volume, mask, inverted, mask)
    points = np.c_[volume.ras_from_voxels(np.argwhere(mask)), np.ones(mask.sum())]
    assert np.linalg.norm(((first - known) @ points.T)[:3], axis=0).mean() < 2.0
    assert np.array_equal(first, affine_to_native(volume, mask, inverted, mask))


def test_resampling_there_and_back_keeps_a_smooth_picture():
    volume, _ = head(5)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in volume.array.shape), indexing="ij")
    smooth = volume.with_array(np.exp(-3 * (x**2 + y**2 + z**2)).astype(np.float32))
    matrix = rotation(10.0, (3.0, 1.0, -2.0))
    there = smooth.with_array(resample(smooth, smooth, matrix))
    back = resample(there, smooth, np.linalg.inv(matrix))
    inner = (slice(12, -12),) * 3
    assert np.abs(back - smooth.array)[inner].max() < 0.02
