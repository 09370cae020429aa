"""Geometry of `Volume`: where a voxel lies must not depend on the file format, orientation or spacing."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from support.synthetic import GEOMETRIES, brain_volume, rotation

from MedADLib.errors import InputError, OutputError
from MedADLib.io.reading import read_image
from MedADLib.volume import Volume, stem


@pytest.fixture(params=GEOMETRIES, ids=GEOMETRIES)
def volume(request):
    array = np.random.default_rng(3).normal(size=(5, 6, 7)).astype(np.float32)
    return Volume(array, GEOMETRIES[request.param], "scan")


def test_itk_and_we_agree_where_each_voxel_lies(volume):
    image = volume.to_sitk()
    for zyx in [(0, 0, 0), (4, 0, 3), (2, 5, 6)]:
        lps = image.TransformIndexToPhysicalPoint([int(i) for i in zyx[::-1]])
        assert np.allclose(volume.ras_from_voxels([zyx])[0], np.array(lps) * [-1, -1, 1], atol=1e-9)
        assert image[zyx[::-1]] == pytest.approx(volume.array[zyx])
    back = Volume.from_sitk(image)
    assert np.allclose(back.affine, volume.affine, atol=1e-9)
    assert np.array_equal(back.array, volume.array)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_round_trip_through_a_file_keeps_voxels_and_place(volume, suffix, tmp_path):
    path = tmp_path / f"scan{suffix}"
    volume.write(path)
    back = read_image(path)
    assert np.array_equal(back.array, volume.array)
    assert back.same_grid(volume, tolerance_mm=1e-3)
    assert back.name == "scan"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_spacing_and_voxel_volume_survive_any_direction(volume):
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    assert np.allclose(volume.spacing, spacing)
    assert volume.voxel_ml == pytest.approx(np.prod(spacing) / 1000)


def test_a_grid_is_the_same_only_if_every_voxel_is():
    volume = brain_volume()
    assert volume.same_grid(brain_volume())
    shifted = volume.affine.copy()
    shifted[0, 3] += 0.5
    assert not volume.same_grid(Volume(volume.array, shifted))
    # A rotation about the first voxel moves the far corner only.
    turned = volume.affine.copy()
    turned[:3, :3] = rotation((0, 0, 0.3)) @ turned[:3, :3]
    assert not volume.same_grid(Volume(volume.array, turned))
    assert not volume.same_grid(Volume(volume.array[1:], volume.affine))


@pytest.mark.parametrize(
    ("array", "change", "code", "shown"),
    [
        (np.zeros((4, 4)), None, "not_3d", "2"),
        (np.zeros((2, 2, 2, 2)), None, "not_3d", "4"),
        (np.zeros((2, 2, 2)), (0, 0, 0.0), "bad_spacing", "0 x 1 x 1 mm"),
        (np.zeros((2, 2, 2)), (0, 0, np.nan), "no_position", ""),
        (np.zeros((2, 2, 2)), (0, 1, 0.7), "not_orthogonal", ""),
    ],
)
def test_an_impossible_volume_cannot_be_made(array, change, code, shown):
    matrix = np.eye(4)
    if change:
        matrix[change[0], change[1]] = change[2]
    with pytest.raises(InputError) as caught:
        Volume(array, matrix, "odd")
    assert caught.value.code == code and caught.value.problem.startswith("odd ") and shown in caught.value.problem


def test_voxels_can_be_replaced_on_the_same_grid_only():
    volume = brain_volume()
    assert np.array_equal(volume.with_array(volume.array * 2).affine, volume.affine)
    with pytest.raises(InputError) as caught:
        volume.with_array(volume.array[1:])
    assert (caught.value.code, caught.value.parameters["name"]) == ("array_not_on_grid", volume.name)


def test_a_mask_becomes_an_image_of_ones():
    volume = brain_volume()
    image = volume.with_array(volume.array > 0).to_sitk()
    assert image.GetPixelID() == sitk.sitkUInt8
    assert sitk.GetArrayFromImage(image).sum() == (volume.array > 0).sum()


def test_writing_where_nothing_can_be_written_leaves_nothing(tmp_path):
    with pytest.raises(OutputError) as caught:
        brain_volume().write(tmp_path / "missing" / "scan.nii.gz")
    assert caught.value.code == "not_written" and "scan.nii.gz" in caught.value.problem
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a/sub-1_T1w.nii.gz", "sub-1_T1w"), ("x.y.NII", "x.y"), ("s.nrrd", "s"), ("dicom", "dicom"), ("v1.2", "v1.2")],
)
def test_the_stem_is_the_name_without_its_image_suffix(path, expected):
    assert stem(path) == expected
