"""Slices without an image inside a scan are found along each axis, bridged, named and not examined, or refused."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion
from support.phantoms import head as toy_brain
from support.phantoms import toy_template
from support.raised import raises
from support.toy_head import head

from MedADLib.errors import InputError
from MedADLib.preprocessing.brain_extraction import brain_mask, is_skull_stripped
from MedADLib.preprocessing.empty_slices import bridged, check_slices, empty_slices, filled
from MedADLib.preprocessing.input_check import inspect
from MedADLib.volume import Volume

NAMES = ("inferior-superior", "posterior-anterior", "left-right")


@pytest.fixture(scope="module")
def stripped() -> tuple[Volume, np.ndarray]:
    volume, brain = head()
    return volume.with_array(np.where(brain, volume.array, 0)), brain


def lost(volume: Volume, axis: int, *numbers: int, value: float = 0.0) -> Volume:
    array = volume.array.copy()
    for number in numbers:
        array[(slice(None),) * axis + (number,)] = value
    return volume.with_array(array)


def codes(volume: Volume) -> list[str]:
    return [message.code for message in empty_slices(volume).messages]


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("numbers", [(38,), (20,), (55, 56), (30, 31, 32)])
def test_a_few_lost_slices_are_bridged_and_not_examined(stripped, axis, numbers):
    volume, brain = stripped
    wrong = lost(volume, axis, *numbers)
    (message,) = empty_slices(wrong).messages
    assert message.code == "empty_slices_bridged" and message.parameters["count"] == len(numbers)
    assert message.parameters["axis"] == NAMES[axis] and message.parameters["mm"] == pytest.approx(3 * len(numbers))
    assert str(numbers[0]) in message.parameters["numbers"]
    mask, _ = brain_mask(wrong)
    wanted = brain_mask(volume)[0].copy()
    wanted[(slice(None),) * axis + (list(numbers),)] = False
    assert np.array_equal(mask, wanted), "both sides belong to the brain"
    given, how = brain_mask(wrong, volume.with_array(brain.astype(np.uint8)))
    assert how.code == "part_given_mask" and not given[(slice(None),) * axis + (numbers[0],)].any()


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("numbers", [(36, 37, 38, 39), range(20, 60, 2), (20, 26, 32, 38, 44, 50)])
def test_more_are_refused_with_their_number(stripped, axis, numbers):
    volume, _ = stripped
    wrong = lost(volume, axis, *numbers)
    with raises(InputError, "empty_slices") as caught:
        brain_mask(wrong)
    assert caught.value.parameters["count"] == len(numbers) and caught.value.parameters["axis"] == NAMES[axis]
    report = inspect(wrong)
    assert report.verdict == "unfit" and report.reasons[-1].code == "empty_slices"


def test_lost_slices_along_several_axes_and_of_any_value(stripped):
    volume, brain = stripped
    wrong = lost(lost(volume, 0, 40), 2, 30, value=500)
    assert codes(wrong) == ["empty_slices_bridged"] * 2
    again = filled(wrong, empty_slices(wrong)).array
    inner = binary_erosion(brain, iterations=2)
    assert np.abs(again - volume.array)[inner].max() < 15 and not codes(volume.with_array(again))
    # As a lost slice is after a normalisation of the brain.
    array = np.where(brain, volume.array - 80, 0)
    array[38][brain[38]] = -80
    assert codes(volume.with_array(array)) == ["empty_slices_bridged"]


def test_lost_slices_of_a_head_with_a_skull():
    volume, _ = head()
    for axis, value in ((0, 0.0), (1, 7.0), (2, 0.0)):
        wrong = lost(volume, axis, 30, 31, value=value)
        assert codes(wrong) == ["empty_slices_bridged"] and not is_skull_stripped(filled(wrong, empty_slices(wrong)))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_the_voxels_does_not_matter(stripped, order):
    volume, _ = stripped
    wrong = lost(volume, 0, 35)
    columns = [2 - axis for axis in reversed(order)]
    affine = volume.affine.copy()
    affine[:3, :3] = affine[:3, columns]
    turned = Volume(wrong.array.transpose(order)[::-1], affine, "turned")
    (message,) = empty_slices(turned).messages
    assert message.parameters["axis"] == "inferior-superior" and message.parameters["count"] == 1


def test_whole_numbers_stay_whole(stripped):
    volume, _ = stripped
    wrong = lost(volume.with_array(volume.array.astype(np.int16)), 1, 33)
    assert filled(wrong, check_slices(wrong)).array.dtype == np.int16


def test_sound_scans_specks_and_tables_have_no_lost_slices(stripped):
    volume, brain = stripped
    assert codes(volume) == [] and filled(volume, empty_slices(volume)) is volume
    assert bridged(brain, empty_slices(volume)) is brain
    assert codes(head()[0]) == []
    speck = volume.array.copy()
    speck[3, 38, 38] = 100
    assert codes(volume.with_array(speck)) == []
    table = volume.array.copy()
    table[:, 5, :] = 60 + np.arange(table.shape[2])
    assert codes(volume.with_array(table)) == []
    assert codes(Volume(np.zeros((1, 20, 20), np.float32), np.eye(4))) == []


def test_the_model_sees_interpolated_slices_and_the_map_leaves_them_out():
    template = toy_template(3)[0]
    volume, brain = toy_brain(20)
    wrong = lost(volume, 2, 20)
    mask, _ = template.examined(wrong)
    sound, prepared = template.prepared(volume, brain), template.prepared(wrong, mask)
    both = sound.mask & prepared.mask
    assert both.sum() > 0.98 * sound.mask.sum()
    assert np.corrcoef(sound.image[both], prepared.image[both])[0, 1] > 0.97
    assert prepared.warnings()[0].code == "empty_slices_bridged" and prepared.native is wrong
    assert not prepared.map_to_native(np.ones(prepared.mask.shape, np.float32)).array[:, :, 20].any()
    assert np.array_equal(prepared.image_to_native(prepared.image).array[:, :, 20], wrong.array[:, :, 20])
    assert np.abs(prepared.standardised(wrong) - prepared.image).max() < 1e-5


def test_large_pieces_of_a_brain_are_kept_with_a_warning(stripped, caplog):
    volume, brain = stripped
    # A cut that is oblique to the axes, as lost slices are after resampling.
    z, _, x = np.indices(brain.shape)
    cut = np.abs(z - 45 - (x - 38) // 4) < 1
    with caplog.at_level("WARNING"):
        mask, _ = brain_mask(volume.with_array(np.where(cut, 0, volume.array)))
    assert (mask & brain).sum() > 0.99 * (brain & ~cut).sum()
    assert [record.msg.code for record in caplog.records] == ["brain_in_pieces"]
    caplog.clear()
    speck = volume.array.copy()
    speck[2:8, 2:8, 2:8] = 90
    assert np.array_equal(brain_mask(volume.with_array(speck))[0], brain_mask(volume)[0]) and not caplog.records
