"""A scan without signal is refused before anything is computed from it, in each kind of space."""

from __future__ import annotations

import numpy as np
import pytest
from support.phantoms import head
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.preprocessing.brain_space import BrainSpace
from MedADLib.preprocessing.slice_space import SliceSpace
from MedADLib.preprocessing.space import check_signal
from MedADLib.preprocessing.volume_space import VolumeSpace
from MedADLib.volume import Volume


@pytest.fixture(scope="module")
def scan():
    volume, mask = head(0)
    return volume.with_array(volume.array.astype(np.float32)), mask


@pytest.mark.parametrize("value", [0.0, 700.0, -3.0, 1e6, 1e-20])
def test_one_intensity_inside_the_mask_is_refused_whatever_lies_outside(scan, value):
    volume, mask = scan
    constant = volume.with_array(np.where(mask, np.float32(value), volume.array))
    given = volume.with_array(mask.astype(np.uint8))
    spacing = volume.spacing
    brain = BrainSpace.without_mean(volume.array.shape, volume.affine, landmarks=np.linspace(0.1, 0.9, 13))
    for space in (brain, VolumeSpace.empty(volume.array.shape, spacing)):
        with raises(InputError, "scan_one_intensity", name=volume.name):
            space.examined(constant, given)
        assert space.examined(volume, given)[0].any()
    flat = SliceSpace.empty((64, 64))
    with raises(InputError, "scan_one_intensity"):
        flat.examined(Volume(np.full((1, 8, 8), value, np.float32), np.eye(4), "slice"))


def test_rounding_of_one_intensity_is_no_signal_and_a_large_zero_point_is_no_loss_of_it(scan):
    volume, mask = scan
    noise = np.random.default_rng(0).integers(-1, 2, mask.shape)
    rounded = np.full(mask.shape, 1000.0, np.float32) * (1 + noise * np.finfo(np.float32).eps).astype(np.float32)
    with raises(InputError, "scan_one_intensity"):
        check_signal(volume.with_array(rounded), mask)
    for shifted in (volume.array + 32768, volume.array - 500, volume.array * 1e-6, volume.array / volume.array.sum()):
        check_signal(volume.with_array(shifted), mask)
    integers = volume.array.astype(np.int16)
    check_signal(volume.with_array(integers), mask)
    with raises(InputError, "scan_one_intensity"):
        check_signal(volume.with_array(np.where(mask, np.int16(-32768), integers)), mask)
