"""Hot voxels, dead voxels and zingers are replaced before anything is measured; lesions and sound scans stay."""

from __future__ import annotations

import numpy as np
import pytest
from support.phantoms import head

from MedADLib.evaluation.simulation.insertion import LesionSpec, insert_lesion
from MedADLib.io.reading import read_image
from MedADLib.preprocessing.intensity import without_wrong_voxels
from MedADLib.volume import Volume

# Values of wrong voxels of the toy head, which has fluid of about 150 and white matter of 900 around a background of 0.
VALUES = {"zinger": 1e6, "hot": 3500.0, "dead": 0.0, "negative": -1e6}


def noisy(seed: int, mm: float) -> tuple[Volume, np.ndarray]:
    """A toy head on a grid of cubes, with 1 % noise, and its brain."""
    volume, brain = head(seed, (mm, mm, mm), min(round(200 / mm), 64))
    noise = np.random.default_rng(seed).normal(0, 9, volume.array.shape)
    return volume.with_array(np.where(brain, volume.array + noise, 0).astype(np.float32)), brain


def inside_tissue(scan: Volume, random: np.random.Generator, count: int) -> list[tuple[int, ...]]:
    """Return places at random, far from fluid, rim and each other: there, a voxel without signal is no fluid."""
    from scipy.ndimage import minimum_filter

    free, places = minimum_filter(scan.array, 5, mode="constant") > 350, []
    for _ in range(count):
        places.append(tuple(random.choice(np.argwhere(free))))
        free[tuple(slice(max(index - 3, 0), index + 5) for index in places[-1])] = False
    return places


@pytest.mark.parametrize("mm", [2.0, 4.0])
@pytest.mark.parametrize("count", [1, 30])
@pytest.mark.parametrize("size", [1, 2])
def test_wrong_voxels_of_any_number_sign_and_size_are_replaced_on_any_grid(mm, count, size):
    random = np.random.default_rng(int(10 * mm) + count + size)
    scan, brain = noisy(int(mm), mm)
    wrong = scan.array.copy()
    changed = np.zeros(brain.shape, bool)
    for number, (z, y, x) in enumerate(inside_tissue(scan, random, count)):
        for step in range(size):
            wrong[z, y, x + step] = list(VALUES.values())[number % len(VALUES)]
            changed[z, y, x + step] = True
    found = without_wrong_voxels(scan.with_array(wrong), brain).array
    assert np.array_equal(found[~changed], scan.array[~changed])
    assert found[changed].min() > 350 and found[changed].max() < 1.05 * scan.array.max()


@pytest.mark.parametrize("mm", [1.0, 4.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("size", [(2, 2, 2), (3, 2, 4), (1, 1, 5)])
def test_metal_of_several_voxels_is_replaced_from_around(mm, sign, size):
    random = np.random.default_rng(7)
    clean = np.where(np.indices((30, 32, 34)).min(axis=0) > 4, random.normal(900, 30, (30, 32, 34)), 0)
    scan = Volume(clean.astype(np.float32), np.diag([mm, mm, mm, 1.0]), "scan")
    brain, wrong = scan.array > 0, scan.array.copy()
    block = tuple(slice(12, 12 + side) for side in size)
    wrong[block] = sign * 9e8
    # The brain that was found may have a hole there.
    for mask in (brain, brain & (wrong < 1e6)):
        found = without_wrong_voxels(scan.with_array(wrong), mask).array
        assert found[block].min() > 800 and found[block].max() < 1000
        found[block] = scan.array[block]
        assert np.array_equal(found, scan.array)


def test_metal_at_the_rim_of_the_brain_and_of_the_scan_is_replaced():
    random = np.random.default_rng(8)
    scan = Volume(random.normal(900, 30, (20, 24, 28)).astype(np.float32), np.diag([2, 2, 2, 1.0]), "scan")
    brain, wrong = np.zeros(scan.array.shape, bool), scan.array.copy()
    brain[:, 8:] = True
    wrong[:2, 7:10, 10:12] = 9e8
    found = without_wrong_voxels(scan.with_array(wrong), brain).array
    assert found.max() < 1100 and np.array_equal(found[wrong < 1e8], scan.array[wrong < 1e8])


def test_what_is_larger_than_some_ml_or_away_from_the_brain_stays():
    random = np.random.default_rng(9)
    clean = random.normal(900, 30, (60, 64, 68)).astype(np.float32)
    brain = np.indices(clean.shape).min(axis=0) > 8
    for place in ((slice(20, 30),) * 3, (slice(2, 4),) * 3):
        wrong = clean.copy()
        wrong[place] = 9e8
        scan = Volume(wrong, np.diag([2, 2, 2, 1.0]), "scan")
        assert without_wrong_voxels(scan, brain) is scan


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_a_wrong_pixel_of_a_slice_is_replaced(value, kind):
    image = np.random.default_rng(1).normal(500, 20, (1, 40, 50)).astype(kind)
    image[:, :, :10] = 0
    wrong = image.copy()
    wrong[0, 20, 30] = value
    found = without_wrong_voxels(Volume(wrong, np.eye(4), "slice"), np.ones(image.shape, bool)).array
    assert found.dtype == kind and 450 < found[0, 20, 30] < 550
    wrong[0, 20, 30] = found[0, 20, 30]
    assert np.array_equal(found, wrong)


@pytest.mark.parametrize("value", [0.0, 150.0, 3500.0], ids=["void", "fluid", "bright"])
@pytest.mark.parametrize("corner", [0.0, 0.5], ids=["cross", "cube"])
def test_a_lesion_of_two_mm_on_a_grid_of_one_stays(value, corner):
    random = np.random.default_rng(3)
    scan = np.where(np.indices((40, 40, 40)).min(axis=0) > 4, random.normal(900, 30, (40, 40, 40)), 0)
    far = np.linalg.norm(np.indices(scan.shape) - (20 + corner), axis=0)
    scan[far <= 1] = value
    volume = Volume(scan.astype(np.float32), np.eye(4), "lesion")
    assert without_wrong_voxels(volume, np.indices(scan.shape).min(axis=0) > 4) is volume


def test_noise_stays():
    volume = Volume(np.random.default_rng(5).normal(100, 20, (60, 60, 60)).astype(np.float32), np.eye(4), "noise")
    assert without_wrong_voxels(volume, np.ones(volume.array.shape, bool)) is volume


def test_sound_scans_with_and_without_small_lesions_stay(data_dir):
    for name in ("healthy_t1_ds002748/sub-60_T1w", "healthy_t1_ixi_2mm/IXI034-HH-1260-T1_ds", "stroke_cstar/T1"):
        scan = read_image(data_dir / f"{name}.nii.gz")
        brain = scan.array > 0.1 * np.percentile(scan.array, 99)
        assert without_wrong_voxels(scan, brain) is scan, name
    scan = read_image(data_dir / "healthy_t1_ds002748" / "sub-60_T1w.nii.gz")
    for radius in (1.0, 2.0):
        lesion = insert_lesion(scan, scan.array > 0, LesionSpec("spots", "strong", radius_mm=radius), seed=4)
        assert lesion.mask.array.any() and without_wrong_voxels(lesion.volume, scan.array > 0) is lesion.volume
