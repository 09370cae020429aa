"""A volume in the space of whole fields of view and back: any orientation, spacing and size, and always to scale."""

from __future__ import annotations

import numpy as np
import pytest
from support.joint_phantoms import joint
from support.raised import raises
from support.refusals import accepted

from MedADLib.errors import InputError, ModelError
from MedADLib.preprocessing.grids import volume_grid
from MedADLib.preprocessing.intensity import BRIGHTEST, DARKEST
from MedADLib.preprocessing.space import CEILING
from MedADLib.preprocessing.spaces import template_from_tensors
from MedADLib.preprocessing.template_building import build_volume_template
from MedADLib.preprocessing.volume_space import VolumeSpace
from MedADLib.volume import Volume, extent_ras


@pytest.fixture(scope="module")
def template() -> VolumeSpace:
    return build_volume_template([str(n) for n in range(6)], lambda name: joint(int(name)))


def prepared(template, volume, mask=None):
    given = None if mask is None else volume.with_array(mask.astype(np.uint8))
    return template.prepared(volume, template.examined(volume, given)[0])


def rotation(degrees: float) -> np.ndarray:
    """About the axis that points to the upper right front."""
    axis = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * axis + (1 - np.cos(angle)) * axis @ axis


def noisy(shape, linear, name="noise") -> Volume:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = linear, (-30.0, 51.0, 77.0)
    return Volume(np.random.default_rng(0).normal(100, 10, shape).astype(np.float32), affine, name)


SCANS = {
    "RAS": ((30, 40, 36), np.diag([1.0, 1.0, 1.0])),
    "LAS": ((30, 40, 36), np.diag([-1.0, 1.0, 1.0])),
    "sagittal": ((36, 30, 40), np.array([[0, 0, -1.0], [-1.0, 0, 0], [0, -1.0, 0]])),
    "anisotropic": ((9, 40, 36), np.diag([1.0, 1.2, 4.0])),
    "fine": ((61, 83, 75), np.diag([0.5, -0.5, 0.5])),
    "oblique": ((30, 40, 36), rotation(25) @ np.diag([-1.0, 1.0, 1.0])),
}


@pytest.mark.parametrize("kind", SCANS)
def test_a_marked_spot_comes_back_where_it_was_and_lies_at_its_place_on_the_grid(kind):
    shape, linear = SCANS[kind]
    volume, space = noisy(shape, linear), VolumeSpace.empty((48, 64, 64), (1.0, 1.0, 1.0))
    marked = tuple(int(n * share) for n, share in zip(shape, (0.3, 0.6, 0.7)))
    array = volume.array.copy()
    # A single voxel of this intensity would be a hot one, and several of a far higher one metal, which are replaced.
    array[tuple(slice(n - 1, n + 2) for n in marked)] = 800
    scan = prepared(space, volume.with_array(array))
    spot = np.where(scan.image >= scan.image.max() - 0.01, np.float32(1), 0)
    there = space.image.ras_from_voxels(np.argwhere(spot)).mean(axis=0) + scan.to_native[:3, 3]
    here = volume.ras_from_voxels(np.array([marked]))[0]
    assert np.abs(there - here).max() <= 1.0
    assert np.array_equal(scan.to_native[:3, :3], np.eye(3))
    back = scan.map_to_native(spot)
    assert back.same_grid(volume)
    found = np.unravel_index(back.array.argmax(), shape)
    assert np.abs(np.subtract(found, marked)).max() <= 1
    weighted = np.average(np.argwhere(back.array > 0.1), axis=0, weights=back.array[back.array > 0.1])
    assert np.abs((weighted - marked) * volume.spacing[::-1]).max() <= 1.01


@pytest.mark.parametrize("kind", SCANS)
def test_the_centre_of_the_field_of_view_is_the_centre_of_the_grid(kind):
    shape, linear = SCANS[kind]
    volume, space = noisy(shape, linear), VolumeSpace.empty((48, 64, 64), (1.0, 1.0, 1.0))
    middle = volume.ras_from_voxels(0.5 * (np.array(shape) - 1)[None])[0]
    # Half a voxel of the grid, and what averaging adds at one end of an axis.
    assert np.abs(prepared(space, volume).to_native[:3, 3] - middle).max() <= 0.5 + 0.26


@pytest.mark.parametrize("shape", [(30, 40, 36), (31, 39, 37)])
def test_voxels_of_the_grids_size_are_taken_as_they_are(shape):
    volume, space = noisy(shape, np.diag([1.0, -1.0, 1.0])), VolumeSpace.empty((48, 64, 64), (1.0, 1.0, 1.0))
    scan = prepared(space, volume)
    assert scan.mask.sum() == volume.array.size
    darkest, brightest = scan.scaling.backward(np.array([0, CEILING]))
    assert np.abs(scan.image_to_native(scan.image).array - volume.array.clip(darkest, brightest)).max() < 0.01


def test_noise_of_fine_scans_is_averaged_and_not_picked_out():
    space = VolumeSpace.empty((16, 32, 32), (2.0, 2.0, 2.0))
    fine = noisy((60, 120, 120), np.diag([0.5, 0.5, 0.5]))
    scan = prepared(space, fine)
    assert scan.scaling.backward(scan.image[scan.mask]).std() < 0.25 * fine.array.std()
    assert scan.mask.sum() * 8 == pytest.approx(fine.array.size / 8, rel=0.1)


def test_padding_is_empty_and_not_examined_and_what_is_too_large_is_cut_off():
    space = VolumeSpace.empty((32, 32, 32), (1.0, 1.0, 1.0))
    small = prepared(space, noisy((10, 20, 16), np.eye(3)))
    assert small.mask.sum() == 10 * 20 * 16 and (small.image[~small.mask] == 0).all() and small.beyond == 0
    assert small.mask[11:21, 6:26, 8:24].all()
    large = prepared(space, noisy((64, 48, 32), np.eye(3)))
    assert large.mask.all() and large.beyond == pytest.approx(2 / 3)
    back = large.map_to_native(np.ones_like(large.image)).array
    assert back[16:48, 8:40].min() == 1 and back[:15].max() == back[:, 41:].max() == 0
    (beyond,) = (text for text in large.warnings() if text.code == "volume_beyond_training")
    assert "67%" in beyond
    restored = large.image_to_native(large.image).array
    assert np.array_equal(restored[:15], large.native.array[:15])


@pytest.mark.parametrize("kind", SCANS)
def test_constant_maps_stay_constant_up_to_the_rim(kind):
    volume, space = noisy(*SCANS[kind]), VolumeSpace.empty((80, 96, 96), (1.0, 1.0, 1.0))
    scan = prepared(space, volume)
    back = scan.map_to_native(np.where(scan.mask, np.float32(3), np.float32(7)))
    assert np.allclose(back.array[1:-1, 1:-1, 1:-1], 3, atol=1e-4) and (back.array <= 3.0001).all()


@pytest.mark.parametrize("kind", SCANS)
def test_a_restored_image_has_the_intensities_of_the_resampled_one(kind):
    volume, space = noisy(*SCANS[kind]), VolumeSpace.empty((48, 64, 64), (1.0, 1.0, 1.0))
    scan = prepared(space, volume)
    back, resampled = scan.image_to_native(scan.image).array, scan.map_to_native(scan.image).array
    whole = tuple(slice(0, size) for size in volume.array.shape)
    apart = np.abs(back - scan.scaling.backward(resampled))[scan.restorable(whole)]
    assert apart.max() < 1e-6 * np.abs(volume.array).max()


def test_a_given_mask_is_what_is_examined():
    volume, space = noisy((30, 40, 36), np.diag([-1.0, 1.0, 1.0])), VolumeSpace.empty((32, 64, 64), (1.0, 1.0, 1.0))
    volume.array[:10] += 1e4
    mask = np.zeros(volume.array.shape, bool)
    mask[12:25, 10:30, 8:30] = True
    assert space.examined(volume, volume.with_array(mask.astype(np.uint8)))[1].code == "part_given_mask"
    scan = prepared(space, volume, mask)
    assert scan.mask.sum() == mask.sum() and (scan.image[~scan.mask] == 0).all()
    assert 50 < scan.scaling.low < scan.scaling.high < 150
    back = scan.map_to_native(np.ones_like(scan.image)).array
    assert (back[~mask] == 0).all() and back[mask].min() > 0.99
    assert np.array_equal(scan.image_to_native(scan.image).array[~mask], volume.array[~mask])
    with raises(InputError, "scan_little_examined"):
        prepared(space, volume, np.indices(mask.shape).sum(axis=0) == 40)
    with raises(InputError, "mask_not_on_grid"):
        space.examined(volume, noisy((5, 6, 7), np.eye(3)))


def test_intensities_are_those_of_the_1st_and_99th_percentile_whatever_the_scanner():
    volume, space = noisy((30, 40, 36), np.eye(3)), VolumeSpace.empty((32, 64, 64), (1.0, 1.0, 1.0))
    scan = prepared(space, volume)
    low, high = np.percentile(scan.image[scan.mask], (1, 99))
    assert (low, high) == pytest.approx((DARKEST, BRIGHTEST), abs=1e-3)
    shifted = prepared(space, volume.with_array(volume.array * 12 - 3000))
    assert np.abs(shifted.image - scan.image).max() < 1e-3
    volume.array[3, 3, 3] = 1e6
    assert np.abs(prepared(space, volume).image - scan.image).mean() < 1e-3
    with raises(InputError, "scan_one_intensity"):
        prepared(space, volume.with_array(np.ones_like(volume.array)))


def test_a_single_slice_is_refused(template):
    with raises(InputError, "scan_single_slice_for_volumes"):
        template.examined(joint(0, (1, 22, 18)))


def grid_for(*scans):
    """The grid for scans of (extent along x, y, z; spacing along x, y, z)."""
    return volume_grid([np.array(spacing) for _, spacing in scans], [np.array(extent) for extent, _ in scans])


def test_the_grid_holds_the_usual_scan_and_is_not_finer():
    assert grid_for(*[((35, 51, 35), (1, 1, 1))] * 5) == ((35, 64, 64), (1, 1, 1))
    # An abdomen has more pixels than can be had; slices are as thick as the scans'.
    (slices, rows, columns), spacing = grid_for(*[((400, 300, 450), (0.8, 0.8, 5.0))] * 5)
    assert (slices, rows, columns) == (90, 128, 160) and spacing == (2.5, 2.5, 5.0)
    # A knee of sagittal slices: fine from back to front and upwards only.
    assert grid_for(*[((90, 160, 160), (3, 1.0, 1.0))] * 5) == ((160, 160, 96), (1, 1, 1))
    # Long thin scans do not get more slices than fit into memory, and small ones not less than a network takes.
    assert grid_for(*[((64, 64, 2000), (1, 1, 1))] * 5) == ((160, 64, 64), (1, 1, 12.5))
    assert grid_for(*[((9, 8, 5), (1, 1, 5))] * 5) == ((2, 32, 32), (1, 1, 5))
    # 33 pixels are not worth twice the grid, and one large scan is not worth a coarse one.
    assert grid_for(*[((33, 30, 30), (1, 1, 1))] * 5)[0] == (30, 32, 32)
    assert grid_for(*[((60, 60, 60), (1, 1, 1))] * 30, ((500, 500, 900), (1, 1, 1))) == ((60, 64, 64), (1, 1, 1))


def test_extents_are_reported_along_right_anterior_superior():
    shape, linear = SCANS["sagittal"]
    assert extent_ras(noisy(shape, linear @ np.diag([2.0, 3.0, 5.0]))).tolist() == [36 * 5, 40 * 2, 30 * 3]


def test_the_template_is_the_mean_of_what_most_scans_show(template):
    assert template.image.array.shape == (20, 32, 32) and template.image.spacing.tolist() == [2, 2, 2.5]
    assert not template.symmetric and template.region == "field of view"
    assert template.mask.sum() == np.prod(joint(0).array.shape) and (template.image.array[~template.mask] == 0).all()
    assert "volumes of 32 x 32 x 20 voxels of 2 x 2 x 2.5 mm, examined in the whole field" in template.describe()
    with raises(InputError, "template_few_scans"):
        build_volume_template(["1", "2"], lambda name: joint(int(name)))
    wide = prepared(template, joint(9, (20, 30, 30)))
    assert np.array_equal(wide.mask, template.mask) and wide.beyond > 0.5


def test_only_out_of_distribution_volumes_get_a_warning(template):
    volume = joint(20)
    assert prepared(template, volume).warnings() == []
    inverted = volume.with_array(volume.array.max() - volume.array)
    assert "out_of_distribution" in [text.code for text in prepared(template, inverted).warnings()]
    narrow = Volume(volume.array[:, :, :8], volume.affine, "narrow")
    assert "volume_other_shape" in [text.code for text in prepared(template, narrow).warnings()]


def test_a_template_survives_saving(template):
    again = template_from_tensors(template.parameters(), template.tensors())
    assert isinstance(again, VolumeSpace) and again.limits == template.limits
    assert np.array_equal(again.mask, template.mask) and np.array_equal(again.histogram, template.histogram)
    assert np.array_equal(again.image.affine, template.image.affine)
    assert np.abs(again.image.array - template.image.array).max() < 1e-3
    assert np.array_equal(prepared(again, joint(30)).image, prepared(template, joint(30)).image)


def without(content: dict, name: str) -> dict:
    return {key: value for key, value in content.items() if key != name}


def test_malformed_templates_are_refused(template):
    own, arrays = template.parameters(), template.tensors()
    wrong = [
        (lambda p: p | {"more": 1}, None),
        (lambda p: without(p, "affine"), None),
        (lambda p: p | {"affine": np.diag([2.0, -2.0, 2.5, 1.0]).tolist()}, None),
        (lambda p: p | {"affine": [[0, 2, 0, 0], [2, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]}, None),
        (lambda p: p | {"affine": [[0, 0, 0, 0]] * 4}, None),
        (lambda p: p | {"affine": "upright"}, None),
        (lambda p: p | {"limits": {"histogram": 1.0}}, None),
        (lambda p: p | {"limits": [1, 2, 3]}, None),
        (None, lambda t: without(t, "histogram")),
        (None, lambda t: t | {"landmarks": np.arange(13.0)}),
        (None, lambda t: t | {"mask": t["mask"][1:]}),
        (None, lambda t: t | {"mask": np.zeros_like(t["mask"])}),
        (None, lambda t: t | {"histogram": -t["histogram"]}),
        (None, lambda t: t | {"image": t["image"][0]}),
        (None, lambda t: t | {"image": t["image"][:1], "mask": t["mask"][:1]}),
    ]

    def opened(row):
        parameters, tensors = row
        return template_from_tensors(parameters(own) if parameters else own, tensors(arrays) if tensors else arrays)

    assert [wrong.index(row) for row in accepted(ModelError, opened, wrong)] == []
