"""A single slice in a 2-D model's space and back: any orientation, spacing, size and depth of grey."""

from __future__ import annotations

import numpy as np
import pytest
from support.radiograph_phantoms import coronal, radiograph
from support.raised import raises
from support.synthetic import turned

from MedADLib.errors import InputError, ModelError
from MedADLib.preprocessing.brain_space import BrainSpace
from MedADLib.preprocessing.grids import slice_size
from MedADLib.preprocessing.slice_space import SliceSpace, SliceView, letterbox, resized
from MedADLib.preprocessing.spaces import kind_of, template_from_tensors
from MedADLib.preprocessing.template_building import build_slice_template
from MedADLib.volume import Volume


@pytest.fixture(scope="module")
def template() -> SliceSpace:
    return build_slice_template([str(n) for n in range(6)], lambda name: radiograph(int(name)), 96)


def prepared(template, volume, mask=None):
    given = None if mask is None else volume.with_array(mask.astype(np.uint8))
    return template.prepared(volume, template.examined(volume, given)[0])


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 1, 0), (2, 0, 1)])
@pytest.mark.parametrize("flips", [(), (0, 1), (1, 2), (0, 1, 2)])
def test_a_slice_is_the_same_image_however_it_is_stored(template, axes, flips):
    volume = radiograph(20)
    other = turned(volume, axes, flips)
    places = other.ras_from_voxels(np.argwhere(np.ones(other.array.shape)))
    back = np.rint(np.linalg.solve(volume.affine, np.c_[places, np.ones(len(places))].T))[:3].astype(int)
    assert np.array_equal(volume.array[back[2], back[1], back[0]], other.array.ravel())
    plain, same = prepared(template, volume), prepared(template, other)
    assert np.array_equal(plain.image, same.image)
    there = plain.map_to_native(plain.image)
    assert np.array_equal(same.map_to_native(same.image).array.ravel(), there.array[back[2], back[1], back[0]])


@pytest.mark.parametrize(
    ("rows", "columns"), [("S", "R"), ("S", "A"), ("A", "R")], ids=["coronal", "sagittal", "axial"]
)
def test_rows_go_up_and_columns_go_right_or_to_the_front(rows, columns):
    directions, affine = {"R": (1, 0, 0), "A": (0, 1, 0), "S": (0, 0, 1)}, np.eye(4)
    affine[:3, 0], affine[:3, 1] = -2.0 * np.array(directions[columns]), -3.0 * np.array(directions[rows])
    affine[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1])
    volume = Volume(np.arange(12, dtype=np.float32).reshape(1, 3, 4), affine)
    view = SliceView.of(volume)
    assert np.array_equal(view.image(volume.array), volume.array[0, ::-1, ::-1]) and view.spacing == (3.0, 2.0)
    assert np.array_equal(view.array(view.image(volume.array)), volume.array)


@pytest.mark.parametrize("size", [(72, 88), (300, 37), (20, 513), (5, 7), (1024, 1000)])
def test_constant_maps_and_images_come_back_exactly(template, size):
    volume = radiograph(21, size)
    scan = prepared(template, volume)
    for value in (1.0, 1 / 3, 1e-3, 4095.7):
        back = scan.map_to_native(np.where(scan.mask, np.float32(value), np.float32(7)))
        assert back.same_grid(volume) and (back.array == np.float32(value)).all()
    grey = scan.image_to_native(np.where(scan.mask, np.float32(0.5), 0)).array
    assert (grey == grey[0, 0, 0]).all() and grey[0, 0, 0] == pytest.approx(scan.scaling.backward(0.5))


def test_the_way_back_keeps_place_and_grey(template):
    volume = radiograph(22, (400, 300))
    scan = prepared(template, volume)
    back, resampled = scan.image_to_native(scan.image), scan.map_to_native(scan.image).array
    assert np.abs(back.array - scan.scaling.backward(resampled)).max() < 1e-6 * np.abs(volume.array).max()
    assert np.corrcoef(back.array.ravel(), volume.array.ravel())[0, 1] > 0.98
    assert np.abs(back.array - volume.array).mean() < 0.03 * np.ptp(volume.array)
    spot = np.zeros(scan.image.shape, np.float32)
    rows, columns = scan.box
    row, column = rows.start + 10, columns.start + 20
    spot[0, row, column] = 1
    mapped = scan.map_to_native(spot).array
    centre = np.average(np.argwhere(mapped > 0.01), axis=0, weights=mapped[mapped > 0.01])[1:]
    size = np.array([rows.stop - rows.start, columns.stop - columns.start])
    assert np.allclose((centre + 0.5) / (400, 300), (np.array([10, 20]) + 0.5) / size, atol=2e-3)


def test_anisotropic_pixels_keep_the_shape_of_the_body(template):
    fine, flat = prepared(template, radiograph(23, (144, 176))), prepared(template, radiograph(23, (144, 44)))
    assert fine.box == flat.box and np.array_equal(fine.mask, flat.mask)
    both = fine.mask
    assert np.corrcoef(fine.image[both], flat.image[both])[0, 1] > 0.97


def test_eight_and_sixteen_bits_are_the_same_image(template):
    volume = radiograph(24)
    plain = prepared(template, volume)
    for low, high in ((0, 255), (-1024, 64511), (0, 1)):
        scaled = volume.with_array((low + (high - low) * volume.array / volume.array.max()).astype(np.float32))
        assert np.abs(prepared(template, scaled).image - plain.image).max() < 1e-3
    burnt = volume.array.copy()
    burnt[0, :3, :3] = 1e6
    assert np.abs(prepared(template, volume.with_array(burnt)).image - plain.image)[0, 20:, 20:].max() < 0.02


def test_padding_is_not_examined_and_a_letterbox_lies_in_the_middle(template):
    volume = radiograph(25)
    scan = prepared(template, volume)
    rows, columns = scan.box
    assert (columns.start, columns.stop) == (0, 96) and 0 <= 96 - rows.stop - rows.start <= 1
    inside = np.zeros_like(scan.mask)
    inside[0][scan.box] = True
    assert np.array_equal(scan.mask, inside) and (scan.image[~inside] == 0).all()
    assert letterbox((10, 1000), (64, 64)) == (slice(31, 32), slice(0, 64))


def test_a_given_mask_is_what_is_examined(template):
    volume = radiograph(26)
    mask = np.zeros(volume.array.shape, bool)
    mask[:, 10:50, 20:60] = True
    scan = prepared(template, volume, mask)
    back = scan.map_to_native(scan.mask.astype(np.float32)).array
    assert (back[~mask] == 0).all() and back[mask].mean() > 0.97
    assert np.array_equal(scan.image_to_native(scan.image).array[~mask], volume.array[~mask])
    with raises(InputError, "slice_little_examined"):
        prepared(template, volume, mask & (np.indices(mask.shape)[1] == 10) & (np.indices(mask.shape)[2] < 22))


def test_resizing_averages_areas_and_interpolates_between_centres():
    assert np.allclose(resized(np.array([[1.0, 2, 3, 4, 5, 6]]), (1, 2)), [[2, 5]])
    assert np.allclose(resized(np.array([[0.0, 3.0, 6.0]]), (1, 2)), [[1.0, 5.0]])
    assert np.allclose(resized(np.array([[0.0, 4.0]]), (1, 4)), [[0, 1, 3, 4]])
    noise = np.random.default_rng(0).random((97, 61))
    assert resized(noise, (13, 7)).mean() == pytest.approx(noise.mean(), rel=1e-6)


def test_the_grid_suits_the_images():
    def views(*sizes):
        return [SliceView.of(Volume(np.zeros((1, *size), np.float32), np.eye(4))) for size in sizes]

    assert slice_size(views((2048, 2048))) == (160, 160)
    assert slice_size(views((2500, 2048), (2500, 2050), (300, 3000))) == (160, 160)
    assert slice_size(views((100, 200))) == (96, 192) or slice_size(views((100, 200))) == (96, 160)
    assert slice_size(views((28, 28))) == (64, 64)
    assert slice_size(views((512, 256)), 256) == (256, 128)
    for longest in (0, 100, 4096):
        with pytest.raises(InputError) as caught:
            slice_size(views((64, 64)), longest)
        assert caught.value.code == "template_size" and caught.value.parameters["multiple"] == 32


def test_a_template_of_few_or_mixed_images_is_refused():
    with raises(InputError, "template_few_scans"):
        build_slice_template(["1", "2"], lambda name: radiograph(int(name)))
    thick = Volume(np.zeros((2, 72, 88), np.float32), coronal())
    with raises(InputError, "scan_not_single_slice"):
        build_slice_template(["1", "2", "3"], lambda name: thick if name == "2" else radiograph(int(name)))


def test_only_out_of_distribution_images_get_a_warning(template):
    volume = radiograph(27)
    assert prepared(template, volume).warnings() == []
    inverted = volume.with_array(volume.array.max() - volume.array)
    assert "out_of_distribution" in [text.code for text in prepared(template, inverted).warnings()]
    upright = Volume(volume.array[:, :, :20], volume.affine, "strip")
    assert "volume_other_shape" in [text.code for text in prepared(template, upright).warnings()]


def test_what_is_not_an_image_is_refused(template):
    volume = radiograph(28)
    with raises(InputError, "scan_one_intensity"):
        prepared(template, volume.with_array(np.ones_like(volume.array)))
    with raises(InputError, "scan_several_slices"):
        template.examined(Volume(np.zeros((2, 72, 88), np.float32), coronal()))
    with raises(InputError, "scan_not_single_slice"):
        prepared(template, Volume(np.arange(88, dtype=np.float32).reshape(1, 1, 88), coronal()))


def test_a_template_survives_saving_and_unknown_kinds_are_refused(template):
    parameters, tensors = template.parameters(), template.tensors()
    again = template_from_tensors(parameters, tensors)
    assert isinstance(again, SliceSpace) and np.abs(again.image.array - template.image.array).max() < 1e-3
    assert again.limits == template.limits and "96 x 96 pixels" in again.describe()
    assert kind_of({"affine": [], "limits": {}}) == BrainSpace.kind == "brain"
    for kind in ("spiral", 7, None, ["plane"]):
        with raises(ModelError, "space_unknown"):
            template_from_tensors(parameters | {"kind": kind}, tensors)
    with raises(ModelError, "template_incomplete"):
        template_from_tensors(parameters | {"more": 1}, tensors)
    with raises(ModelError, "template_incomplete"):
        template_from_tensors({key: value for key, value in parameters.items() if key != "kind"}, tensors)
    with raises(ModelError, "template_not_single_slice"):
        template_from_tensors(parameters, tensors | {"image": np.zeros((2, 96, 96)), "mask": np.ones((2, 96, 96))})
