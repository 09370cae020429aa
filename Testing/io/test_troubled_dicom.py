"""Troubled DICOM folders that people reported in public: the volume of the sound reference, or a reason."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from support.image_files import refused
from support.troubled import troubled

from MedADLib.errors import InputError
from MedADLib.io.reading import read_image
from MedADLib.io.sources import named_scan

SOUND = (
    *("enhanced_interleaved", "enhanced_one_frame_a_file", "enhanced_shuffled", "enhanced_slope_per_frame"),
    *("enhanced_three_stacks", "series_all_same_sop_uid", "series_without_preamble"),
)
REFUSED = {
    "enhanced_missing_frames": "missing_slices",
    "enhanced_no_shared_groups": "no_slice_position",
    "enhanced_two_echoes": "several_time_points",
    "series_no_pixel_spacing": "no_spacing",
}


@pytest.fixture
def unpacked(tmp_path):
    """Unpack a ZIP file of the troubled inputs, and return its folder of DICOM files."""

    def unpack(name):
        with zipfile.ZipFile(troubled(f"{name}.zip")) as archive:
            archive.extractall(tmp_path)
        return tmp_path / name

    return unpack


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_series_is_the_reference(unpacked, name):
    volume, reference = read_image(unpacked(name)), read_image(troubled("reference.nii.gz"))
    corners = [[z, y, x] for z in (0, 47) for y in (0, 58) for x in (0, 49)]
    found = volume.ras_from_voxels(corners)
    inverse = np.linalg.inv(reference.affine)
    x, y, z = np.rint(found @ inverse[:3, :3].T + inverse[:3, 3]).astype(int).T
    assert np.allclose(reference.ras_from_voxels(np.stack([z, y, x], axis=1)), found, atol=1e-3)
    # DICOM's rows run towards posterior and its columns to the left, those of the reference to anterior and right.
    expected = reference.array[:, ::-1, ::-1]
    assert np.corrcoef(volume.array.ravel(), expected.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_volume_is_refused_with_its_reason(unpacked, name):
    refused(unpacked(name), REFUSED[name])


@pytest.mark.parametrize("name", ["enhanced_reference", "enhanced_shuffled"])
def test_the_file_itself_is_what_its_folder_is(unpacked, name):
    folder = unpacked(name)
    assert np.array_equal(named_scan(folder / "E.dcm").read().array, read_image(folder).array)


def test_files_that_crashed_the_decoder_are_refused():
    crashes = troubled("crashes")
    paths = [*crashes.glob("dicom_*.dcm"), *(crashes / "rle-sigfpe").iterdir()]
    assert len(paths) > 20
    for path in paths:
        with pytest.raises(InputError) as caught:
            named_scan(path).read()
        assert caught.value.code in ("not_decoded", "dicom_not_decoded")
