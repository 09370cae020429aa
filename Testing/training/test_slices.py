from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401

from MedADLib.errors import InputError
from MedADLib.methods.slicewise import examined_slices, slice_positions
from MedADLib.training.augmentation import Augmentation
from MedADLib.training.slices import Slices

NOTHING = {
    "rotation": 0.0,
    "shrink": 0.0,
    "grow": 0.0,
    "elastic": 0.0,
    "shift": 0.0,
    "contrast": 0.0,
    "blur": 0.0,
    "noise": 0.0,
}


def numbered(scans: int = 2, slices: int = 10) -> Slices:
    """Slices of which each is filled with its own number: 0, 1, 2, ..."""
    images = np.arange(scans * slices, dtype=np.float32)[:, None, None] * np.ones((8, 8), np.float32)
    images = images.reshape(scans, slices, 8, 8)
    return Slices.of([(image, np.ones(image.shape, bool)) for image in images])


def test_positions_go_evenly_from_the_lowest_to_the_highest_slice():
    assert np.allclose(slice_positions(5), [-0.5, -0.25, 0, 0.25, 0.5])
    assert slice_positions(1).tolist() == [0.0]


def test_slices_with_hardly_any_brain_are_left_out():
    mask = np.zeros((4, 20, 20), bool)
    mask[1].flat[:3], mask[2].flat[:4], mask[3] = True, True, True
    assert examined_slices(mask).tolist() == [2, 3]
    slices = Slices.of([(np.arange(4, dtype=np.float32)[:, None, None] * mask, mask)] * 2)
    assert slices.images.shape == (4, 20, 20)
    assert np.allclose(slices.positions, [1 / 6, 0.5] * 2)
    assert slices.images[:, 0, 0].tolist() == [2, 3, 2, 3]


def test_every_slice_comes_once_in_an_epoch_and_the_next_one_has_another_order():
    slices = numbered()
    epochs = []
    for epoch in range(2):
        numbers = [slices.batch(4 * epoch + n, 5, seed=0, augmentation=None)[0][:, 0, 0, 0] for n in range(4)]
        epochs.append(torch.cat(numbers).tolist())
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0] != epochs[1]


def test_a_batch_depends_on_step_and_seed_only():
    slices, augmentation = numbered(), Augmentation()
    first = slices.batch(3, 6, 0, augmentation)
    torch.rand(7)
    for a, b in zip(first, slices.batch(3, 6, 0, augmentation)):
        assert torch.equal(a, b)
    assert not torch.equal(slices.batch(3, 6, 1, augmentation)[0], first[0])
    assert [part.dtype for part in first] == [torch.float32] * 3
    assert first[0].shape == first[1].shape == (6, 1, 8, 8)


def test_pictures_keep_their_position_and_a_small_set_still_makes_a_batch():
    slices = numbered()
    images, _, positions = slices.batch(1, 4, 0, None)
    assert np.allclose(positions, slice_positions(10)[images[:, 0, 0, 0].int() % 10])
    assert len(slices.batch(5, 64, 0, None)[0]) == 20


def brains(count: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """A disc of 0.6, a little right of the middle, with a bright dot."""
    y, x = np.mgrid[:48, :48]
    mask = (y - 24) ** 2 + (x - 26) ** 2 < 15**2
    image = np.where(mask, 0.6, 0)
    image[20:23, 32:35] = 1.0
    return (torch.from_numpy(a.astype(np.float32))[None, None].repeat(count, 1, 1, 1) for a in (image, mask))


def changed(**settings: float) -> tuple[torch.Tensor, torch.Tensor]:
    images, masks = brains()
    return Augmentation(**(NOTHING | settings))(images, masks, torch.Generator().manual_seed(0))


def test_without_any_change_a_slice_is_itself_or_its_mirror_image():
    images, masks = brains()
    found, found_masks = changed()
    same = [torch.allclose(a, b, atol=1e-3) for a, b in zip(found, images)]
    mirrored = [torch.allclose(a, b.flip(-1), atol=1e-3) for a, b in zip(found, images)]
    assert all(a != b for a, b in zip(same, mirrored)) and 16 < sum(same) < 48
    assert torch.equal(found_masks[same], masks[same])


def test_all_changes_together_leave_a_slice_a_slice():
    images, masks = brains()
    augmentation = Augmentation(elastic=0.3)
    found, found_masks = augmentation(images, masks, torch.Generator().manual_seed(1))
    assert found.shape == images.shape and found.dtype == torch.float32
    assert set(found_masks.unique().tolist()) == {0.0, 1.0}
    assert (found[found_masks == 0] == 0).all()
    assert found.min() >= 0 and found.max() <= 1.5
    areas = found_masks.sum((1, 2, 3)) / masks[0].sum()
    assert areas.min() > 0.85**2 - 0.08 and areas.max() < 1.1**2 + 0.08
    again = augmentation(images, masks, torch.Generator().manual_seed(1))
    assert torch.equal(again[0], found) and len(found.flatten(1).unique(dim=0)) == len(found)


@pytest.mark.parametrize(("setting", "least", "most"), [("shrink", 0.85, 1.0), ("grow", 1.0, 1.15)])
def test_scaling_stays_within_its_range_and_uses_it(setting, least, most):
    _, masks = changed(**{setting: 0.15})
    factors = (masks.sum((1, 2, 3)) / changed()[1][0].sum()).sqrt()
    assert factors.min() > least - 0.02 and factors.max() < most + 0.02
    assert factors.max() - factors.min() > 0.1


def test_shifts_and_turns_stay_within_their_range():
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")

    def centres(masks):
        sizes = masks.sum((1, 2, 3))
        return torch.stack([(masks[:, 0] * axis).sum((1, 2)) / sizes - 23.5 for axis in (y, x)], 1)

    before = centres(changed()[1])
    moved = centres(changed(shift=4.0)[1])
    assert (moved - before).abs().max() < 4.5 and (moved - before).abs().max() > 2
    images, _ = changed(rotation=20.0)
    dots = centres((images > 0.8).float())
    angles = torch.rad2deg(torch.atan2(-dots[:, 0], dots[:, 1].abs()))
    usual = float(torch.rad2deg(torch.atan2(torch.tensor(2.5), torch.tensor(9.5))))
    assert (angles - usual).abs().max() < 22 and (angles - usual).abs().max() > 10


def test_a_rotation_is_that_of_monai():
    from monai.transforms import Rotate

    generator = torch.Generator().manual_seed(3)
    angle = math.radians(20 * (2 * torch.rand(1, generator=generator).item() - 1))
    image = torch.rand(1, 1, 24, 33, generator=generator)
    only = Augmentation(rotation=20, shrink=0, grow=0, elastic=0, shift=0, contrast=0, blur=0, noise=0)
    found, _ = only(image, torch.ones_like(image), torch.Generator().manual_seed(3), mirrored=False)
    theirs = Rotate(-angle, mode="bilinear", padding_mode="zeros", align_corners=False)(image[0])
    assert torch.allclose(found[0, :, 8:-8, 8:-8], torch.as_tensor(theirs)[:, 8:-8, 8:-8], atol=1e-5)


def test_brightness_sharpness_and_noise_each_do_their_part():
    inner = (slice(None), 0, slice(28, 34), slice(22, 27))
    means = changed(contrast=0.15)[0][inner].mean((1, 2))
    assert means.std() > 0.02 and (means - 0.6).abs().max() < 0.15 * 0.1 + 0.075 + 1e-3
    spreads = changed(noise=0.1)[0][inner].std((1, 2))
    assert 0.01 < spreads.mean() < 0.1
    assert changed(blur=1.0)[0].amax((1, 2, 3)).std() < 1e-3
    assert changed(elastic=2.0)[1].flatten(1).unique(dim=0).shape[0] == 64


def test_a_neighbour_in_another_scan_is_at_the_same_height_and_never_of_the_same_scan():
    slices = numbered(scans=4, slices=10)
    assert slices.scans.tolist() == np.repeat(range(4), 10).tolist()
    chosen = np.arange(40)
    drawn = np.stack([slices.near(slices.positions, [0, step], slices.scans) for step in range(40)])
    assert (slices.scans[drawn] != slices.scans[chosen]).all()
    assert (slices.positions[drawn] == slices.positions[chosen]).all()
    assert all(len(set(slices.scans[drawn[:, index]])) == 3 for index in chosen)
    assert np.array_equal(slices.near(slices.positions, [0, 7], slices.scans), drawn[7])
    between = slices.near(np.array([-0.49, 0.07, 3.0], np.float32), [1])
    assert (between % 10).tolist() == [0, 5, 9]


def test_one_scan_has_no_neighbours():
    slices = numbered(scans=1)
    assert len(slices.near(slices.positions, [0])) == 10
    with pytest.raises(InputError) as caught:
        slices.near(slices.positions, [0], slices.scans)
    assert caught.value.code == "only_one_scan"
