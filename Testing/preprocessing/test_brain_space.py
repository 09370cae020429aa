from __future__ import annotations

import numpy as np
import pytest
from support.phantoms import head, toy_template

from MedADLib.errors import InputError, ModelError
from MedADLib.preprocessing.brain_space import BrainSpace
from MedADLib.volume import Volume


@pytest.fixture(scope="module")
def template() -> BrainSpace:
    return toy_template(3)[0]


def test_a_template_is_mirror_symmetric_and_needs_three_scans(template):
    image = template.image.array
    assert np.abs(image - image[:, :, ::-1]).max() < 1e-6
    with pytest.raises(InputError) as caught:
        toy_template(2)
    assert caught.value.code == "template_few_scans"


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

    spot = np.zeros(prepared.image.shape, np.float32)
    spot[14:18, 20:24, 30:34] = 1
    centre = template.image.ras_from_voxels(np.argwhere(spot)).mean(axis=0)
    expected = (prepared.to_native @ np.append(centre, 1))[:3]
    mapped = prepared.map_to_native(spot)
    found = mapped.ras_from_voxels(np.argwhere(mapped.array > 0.5)).mean(axis=0)
    assert np.linalg.norm(found - expected) < 3.0
    assert mapped.array[~mask].max() == 0


def test_an_unlike_scan_is_called_unlike_and_a_like_one_is_not(template):
    volume, mask = head(22)
    assert template.prepared(volume, mask).warnings() == []
    inverted = volume.with_array(np.where(mask, np.maximum(1400 - volume.array, 0), 0).astype(np.float32))
    assert "unlike_training" in [text.code for text in template.prepared(inverted, mask).warnings()]


def test_a_brain_of_a_mouse_is_refused(template):
    volume, mask = head(23, spacing=(0.4, 0.4, 0.4))
    with pytest.raises(InputError) as caught:
        template.prepared(volume, mask & (np.indices(mask.shape)[0] == 25))
    assert caught.value.code == "brain_too_small"


def test_a_template_survives_saving_and_refuses_missing_parts(template):
    again = BrainSpace.from_tensors(template.parameters(), template.tensors())
    assert np.abs(again.image.array - template.image.array).max() < 1e-3
    assert again.limits == template.limits and np.array_equal(again.mask, template.mask)
    tensors = template.tensors()
    del tensors["mask"]
    with pytest.raises(ModelError) as caught:
        BrainSpace.from_tensors(template.parameters(), tensors)
    assert caught.value.code == "template_incomplete"


def _flip(axis: int, size: int) -> np.ndarray:
    matrix = np.eye(4)
    matrix[axis, axis], matrix[axis, 3] = -1, size - 1
    return matrix


def _swap() -> np.ndarray:
    return np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float)


def _turn(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
