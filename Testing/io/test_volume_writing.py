"""Compressed NIfTI and NRRD files: what ITK would write, smaller and without a copy of the voxels."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MedADLib.io.volume_writing import write_nifti, write_nrrd
from MedADLib.volume import Volume


def oblique(array: np.ndarray) -> Volume:
    """The array somewhere in space, tilted."""
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn @ np.diag([-0.9, 1.1, 1.5]), (3, 4, 5)
    return Volume(array, affine)


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.uint8])
@pytest.mark.parametrize("shape", [(9, 5, 6), (1, 5, 6), (9, 1, 6)])
def test_the_file_is_byte_for_byte_what_itk_writes(tmp_path, kind, shape):
    volume = oblique(np.arange(np.prod(shape)).reshape(shape).astype(kind))
    sitk.WriteImage(volume.to_sitk(), str(tmp_path / "itk.nii"))
    write_nifti(volume, tmp_path / "ours.nii.gz")
    assert gzip.decompress((tmp_path / "ours.nii.gz").read_bytes()) == (tmp_path / "itk.nii").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["itk.nii", "ours.nii.gz"]


@pytest.mark.parametrize("kind", [np.int16, np.uint8])
@pytest.mark.parametrize("shape", [(9, 5, 6), (1, 5, 6), (9, 1, 6)])
def test_an_nrrd_file_is_what_itk_writes(tmp_path, kind, shape):
    volume, fields = oblique(np.arange(np.prod(shape)).reshape(shape).astype(kind)), {"Segment0_Name": "tumour: left"}
    image = volume.to_sitk()
    image.SetMetaData("Segment0_Name", "tumour: left")
    sitk.WriteImage(image, str(tmp_path / "itk.nrrd"), useCompression=True)
    write_nrrd(volume, tmp_path / "ours.nrrd", fields)
    headers = [(tmp_path / f"{name}.nrrd").read_bytes().partition(b"\n\n")[0] for name in ("itk", "ours")]
    assert headers[0] == headers[1]
    found = sitk.ReadImage(str(tmp_path / "ours.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(found), volume.array) and found.GetPixelID() == image.GetPixelID()
    assert (
        found.GetOrigin() == pytest.approx(image.GetOrigin()) and found.GetMetaData("Segment0_Name") == "tumour: left"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["itk.nrrd", "ours.nrrd"]


def test_voxels_in_any_order_in_memory_are_written_in_theirs(tmp_path):
    array = np.random.default_rng(0).normal(size=(6, 7, 8)).astype(np.float32).transpose(2, 0, 1)[::-1]
    write_nifti(oblique(array), tmp_path / "turned.nii.gz")
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "turned.nii.gz"))), array)


def packed_size(array: np.ndarray, path: Path) -> int:
    write_nifti(oblique(array), path)
    return path.stat().st_size


def test_a_map_that_is_empty_around_a_brain_is_packed_as_well_as_by_level_six(tmp_path):
    grid = np.indices((60, 70, 80)) - np.array([30, 35, 40]).reshape(3, 1, 1, 1)
    noise = np.random.default_rng(1).normal(0, 0.1, (60, 70, 80))
    values = np.where((grid**2).sum(axis=0) < 25**2, 3 + np.sin(grid[0] / 9) + noise, 0).astype(np.float32)
    assert packed_size(values, tmp_path / "map.nii.gz") < 1.02 * len(gzip.compress(values.tobytes(), 6))


def test_whole_numbers_stored_as_float_are_packed_as_well_as_by_level_one(tmp_path):
    values = np.random.default_rng(1).integers(0, 60, (20, 40, 50)).astype(np.float32)
    assert packed_size(values, tmp_path / "scan.nii.gz") < 1.02 * len(gzip.compress(values.tobytes(), 1))


def test_the_voxels_are_never_copied_as_a_whole(tmp_path):
    volume = oblique(np.zeros((256, 256, 256), np.float32))
    tracemalloc.start()
    write_nifti(volume, tmp_path / "large.nii.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * volume.array.nbytes
