"""A reoriented volume: the same voxels in the same places, as ITK turns them, without a copy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk

from MedADLib.volume import Volume, orientation, reoriented


def tilted(code: str) -> Volume:
    """A volume of unequal sides that lies 20 degrees from the axes that its letters name."""
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.8, 1.1, 1.7])
    affine[:3, 3] = (4, -7, 30)
    volume = Volume(np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6), affine)
    return Volume.from_sitk(sitk.DICOMOrient(volume.to_sitk(), code))


CODES = ["".join(sides) for order in itertools.permutations(("RL", "AP", "SI")) for sides in itertools.product(*order)]


@pytest.mark.parametrize("towards", ["LPS", "RAS"])
def test_any_of_the_48_orientations_is_turned_as_itk_turns_it(towards):
    assert len(CODES) == 48
    for code in CODES:
        volume = tilted(code)
        expected = Volume.from_sitk(sitk.DICOMOrient(volume.to_sitk(), towards))
        turned = reoriented(volume, towards)
        assert orientation(volume) == code and orientation(turned) == towards
        assert np.array_equal(turned.array, expected.array)
        assert np.allclose(turned.affine, expected.affine)


def test_no_voxel_is_copied():
    volume = tilted("SAL")
    assert np.shares_memory(reoriented(volume, "RAS").array, volume.array)


def test_turning_there_and_back_changes_nothing():
    volume = tilted("PSR")
    back = reoriented(reoriented(volume, "LPS"), "PSR")
    assert np.array_equal(back.array, volume.array) and np.allclose(back.affine, volume.affine)
