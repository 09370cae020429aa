from __future__ import annotations

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401

from MedADLib.methods.volume_restoration import coarse_scan, resized
from MedADLib.training.augmentation import Augmentation
from MedADLib.training.slices import Volumes

STILL = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)


def ramp(shape: tuple[int, ...]) -> np.ndarray:
    """1 + z + 2 y + 3 x over the field of view, whatever the grid."""
    z, y, x = np.meshgrid(*[(np.arange(n) + 0.5) / n for n in shape], indexing="ij")
    return 1 + z + 2 * y + 3 * x


@pytest.mark.parametrize("shape", [(8, 10, 12), (5, 20, 7), (20, 25, 30)])
def test_another_grid_has_the_same_field_of_view(shape):
    found = resized(ramp((10, 20, 14)), shape)
    assert found.shape == shape and found.dtype == np.float32
    inside = tuple(slice(n // 5, n - n // 5) for n in shape)
    assert np.allclose(found[inside], ramp(shape)[inside], atol=0.02)
    assert np.allclose(resized(np.full((10, 20, 14), 3.0), shape), 3.0, atol=1e-5)


def test_a_coarser_voxel_is_an_average_and_not_a_sample():
    checks = np.indices((12, 12, 12)).sum(0) % 2
    assert np.allclose(resized(checks, (4, 4, 4)), 0.5, atol=0.1)


@pytest.mark.parametrize("shape", [(6, 8, 9), (10, 12, 14), (14, 30, 17)])
def test_nothing_from_outside_the_coarse_mask_comes_back_into_the_brain(shape):
    random = np.random.default_rng(0)
    mask = random.random((10, 20, 14)) < 0.02
    _, coarse = coarse_scan(mask.astype(np.float32), mask, shape)
    assert not coarse.all()
    assert np.allclose(resized(coarse, mask.shape)[mask], 1.0, atol=1e-6)


def volumes(count: int = 6) -> Volumes:
    random = np.random.default_rng(0)
    scans = [(random.random((8, 10, 12)), np.ones((8, 10, 12), bool)) for _ in range(count)]
    return Volumes.of(scans, (8, 8, 8))


def test_a_batch_depends_on_step_and_seed_only_and_every_scan_comes_once_in_an_epoch():
    data, augmentation = volumes(), Augmentation()
    first = data.batch(4, 2, 0, augmentation)
    torch.rand(7)
    assert all(torch.equal(a, b) for a, b in zip(first, data.batch(4, 2, 0, augmentation)))
    assert not torch.equal(data.batch(4, 2, 1, augmentation)[0], first[0])
    assert first[0].shape == first[1].shape == (2, 1, 8, 8, 8) and first[2].tolist() == [0, 0]
    epoch = torch.cat([data.batch(step, 2, 0, None)[0] for step in range(3)])
    assert len(epoch.flatten(1).unique(dim=0)) == 6


def box(count: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """An off-centre box of 8 × 16 × 24 of 40 × 48 × 64 voxels, brighter at one end of each axis."""
    mask = torch.zeros(count, 1, 40, 48, 64)
    mask[:, :, 17:25, 14:30, 22:46] = 1
    return mask * torch.from_numpy(ramp((40, 48, 64))).float() / 8, mask


def test_without_any_change_a_volume_is_itself_or_its_mirror_image_left_to_right():
    images, masks = box()
    found, found_masks = STILL(images, masks, torch.Generator().manual_seed(0))
    same = [torch.allclose(a, b, atol=1e-3) for a, b in zip(found, images)]
    mirrored = [torch.allclose(a, b.flip(-1), atol=1e-3) for a, b in zip(found, images)]
    assert all(a != b for a, b in zip(same, mirrored)) and 0 < sum(same) < len(same)
    assert torch.equal(found_masks[same], masks[same])
    kept, _ = STILL(images, masks, torch.Generator().manual_seed(0), mirrored=False)
    assert torch.allclose(kept, images, atol=1e-3)


def test_a_turned_box_keeps_its_size_though_the_grid_is_no_cube():
    images, masks = box(24)
    turned = Augmentation(90, 0, 0, 0, 0, 0, 0, 0)
    _, found = turned(images, masks, torch.Generator().manual_seed(0), mirrored=False)
    wanted = torch.tensor([8.0, 16.0, 24.0]) / 12**0.5
    for mask in found[:, 0]:
        places = mask.nonzero().double()
        spread = torch.linalg.eigvalsh(torch.cov(places.T)).sqrt()
        inside = places.min() > 0 and (places.max(0).values < torch.tensor([39, 47, 63])).all()
        assert not inside or torch.allclose(spread.float(), wanted, rtol=0.06)
    assert len({int(mask.sum((0, 1)).gt(0).sum()) for mask in found[:, 0]}) > 6


def test_all_changes_together_leave_a_volume_a_volume():
    images, masks = box()
    found, found_masks = Augmentation()(images, masks, torch.Generator().manual_seed(1))
    assert found.shape == images.shape and found.dtype == torch.float32
    assert set(found_masks.unique().tolist()) == {0.0, 1.0} and (found[found_masks == 0] == 0).all()
    sizes = found_masks.sum((1, 2, 3, 4)) / masks[0].sum()
    assert sizes.min() > 0.5 and sizes.max() < 1.6 and len(found.flatten(1).unique(dim=0)) == len(found)
