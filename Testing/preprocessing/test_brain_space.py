from __future__ import annotations

import numpy as np
import pytest
from support.phantoms import head, toy_template
from support.raised import raises

from MedADLib.errors import InputError, ModelError
from MedADLib.preprocessing.brain_space import BrainSpace
from MedADLib.volume import Volume


@pytest.fixture(scope="module")
def template() -> BrainSpace:
    return toy_template(3)[0]


def test_a_template_is_mirror_symmetric_and_needs_three_scans(template):
    image = template.image.array
    assert np.abs(image - image[:, :, ::-1]).max() < 1e-6
    with raises(InputError, "template_few_scans"):
        toy_template(2)


def test_scans_of_any_position_and_orientation_meet_in_model_space(template):
    volume, mask = head(20)
    plain = template.prepared(volume, mask)
    flipped = Volume(volume.array[:, ::-1], volume.affine @ _flip(1, volume.array.shape[1]), "left-handed")
    moved = np.eye(4)
    moved[:3, :3] = _turn(20.0)
    moved[:3, 3] = (60.0, 10.0, -30.0)
    permuted = Volume(np.ascontiguousarray(volume.array.transpose(2, 1, 0)), moved @ volume.affine @ _swap(), "oblique")
    for other, other_mask in ((flipped, mask[:, ::-1]), (permuted, np.ascontiguousarray(mask.transpose(2, 1, 0)))):
        prepared = template.prepared(other, other_mask)
        both = prepared.mask & plain.mask
        assert both.sum() > 0.95 * plain.mask.sum()
        assert np.corrcoef(prepared.image[both], plain.image[both])[0, 1] > 0.9


def test_the_way_back_puts_things_where_they_were(template):
    volume, mask = head(21)
    prepared = template.prepared(volume, mask)
    back = prepared.image_to_native(prepared.image)
    # A thin rim is interpolated with the background; inside, the intensities are the scan's own again.
    inner = mask & (np.abs(np.gradient(mask.astype(float))).sum(axis=0) == 0)
    assert np.corrcoef(back.array[inner], volume.array[inner])[0, 1] > 0.9
    assert abs(np.median(back.array[inner]) / np.median(volume.array[inner]) - 1) < 0.03
    assert np.array_equal(back.array[~mask], volume.array[~mask])
    assert back.same_grid(volume)


def test_a_restoration_keeps_the_fine_detail_of_the_scan_where_it_changes_nothing(template):
    volume, mask = head(21)
    noise = np.random.default_rng(3).normal(0, 0.1 * volume.array[mask].mean(), volume.array.shape)
    volume = Volume((volume.array + noise * mask).astype(np.float32), volume.affine, "fine")
    prepared = template.prepared(volume, mask)
    assert np.abs(prepared.image_to_native(prepared.image).array - volume.array).max() < 1e-3 * volume.array.max()
    healed = prepared.image.copy()
    healed[14:18, 20:24, 30:34] += 0.5
    changed = prepared.map_to_native((healed - prepared.image).astype(np.float32)).array
    restored = prepared.image_to_native(healed).array
    smooth = np.abs(restored - volume.array)
    assert smooth[mask & (changed == 0)].max() < 1e-3 * volume.array.max()
    # The noise of the scan is not added to what replaces the lesion.
    inside = changed > 0.45
    assert np.corrcoef(restored[inside], noise[inside])[0, 1] < 0.9
    assert smooth[inside].mean() > 0.2 * volume.array[mask].mean()


def test_a_map_goes_back_to_where_it_was(template):
    volume, mask = head(21)
    prepared = template.prepared(volume, mask)
    spot = np.zeros(prepared.image.shape, np.float32)
    spot[14:18, 20:24, 30:34] = 1
    centre = template.image.ras_from_voxels(np.argwhere(spot)).mean(axis=0)
    expected = (prepared.to_native @ np.append(centre, 1))[:3]
    mapped = prepared.map_to_native(spot)
    found = mapped.ras_from_voxels(np.argwhere(mapped.array > 0.5)).mean(axis=0)
    assert np.linalg.norm(found - expected) < 3.0
    assert mapped.array[~mask].max() == 0


def test_only_an_out_of_distribution_scan_gets_a_warning(template):
    volume, mask = head(22)
    assert template.prepared(volume, mask).warnings() == []
    inverted = volume.with_array(np.where(mask, np.maximum(1400 - volume.array, 0), 0).astype(np.float32))
    assert "out_of_distribution" in [text.code for text in template.prepared(inverted, mask).warnings()]


def test_a_brain_of_a_mouse_is_refused(template):
    volume, mask = head(23, spacing=(0.4, 0.4, 0.4))
    with raises(InputError, "brain_too_small"):
        template.prepared(volume, mask & (np.indices(mask.shape)[0] == 25))


def test_a_template_survives_saving_and_refuses_missing_parts(template):
    again = BrainSpace.from_tensors(template.parameters(), template.tensors())
    assert np.abs(again.image.array - template.image.array).max() < 1e-3
    assert again.limits == template.limits and np.array_equal(again.mask, template.mask)
    tensors = template.tensors()
    del tensors["mask"]
    with raises(ModelError, "template_incomplete"):
        BrainSpace.from_tensors(template.parameters(), tensors)


def _flip(axis: int, size: int) -> np.ndarray:
    matrix = np.eye(4)
    matrix[axis, axis], matrix[axis, 3] = -1, size - 1
    return matrix


def _swap() -> np.ndarray:
    return np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float)


def _turn(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
