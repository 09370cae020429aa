"""A folder of DICOM files: the slices of one series become one volume, and what is missing or mixed is said."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import SimpleITK as sitk
from support.image_files import SERIES, refused, write_slice

from MedADLib.io.reading import read_image


@pytest.fixture
def series(tmp_path):
    """Six axial slices 3 mm apart, their file names in no useful order."""
    folder = tmp_path / "series"
    folder.mkdir()
    for number, pixels in enumerate(SERIES):
        write_slice(folder / f"{(number * 5) % 6 + 1}.dcm", pixels, (-10, -20, 5 + 3 * number))
    return folder


def file_at(folder, height):
    """The file of the slice at this height."""
    reader = sitk.ImageFileReader()
    for path in folder.iterdir():
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        if float(reader.GetMetaData("0020|0032").split("\\")[2]) == height:
            return path
    raise AssertionError(height)


def test_a_series_is_sorted_by_place_and_lies_where_its_headers_say(series):
    volume = read_image(series)
    assert np.array_equal(volume.array, SERIES)
    assert volume.name == "series"
    expected = [[-1.5, 0, 0, 10], [0, -2, 0, 20], [0, 0, 3, 5], [0, 0, 0, 1]]
    assert np.allclose(volume.affine, expected)


@pytest.mark.slow
def test_a_real_oblique_series_lies_where_its_slices_do(data_dir):
    volume = read_image(data_dir / "dicom_mr_papaya")
    assert volume.array.shape == (20, 256, 256)
    # Its 20 positions are uneven by 0.07 mm, so none may be further off than the sum of a few of these steps.
    for number in (2, 7, 15):
        image = sitk.ReadImage(str(data_dir / "dicom_mr_papaya" / f"brain_{number + 1:03d}.dcm"))
        assert np.array_equal(volume.array[number], sitk.GetArrayFromImage(image)[0])
        corner = np.array(image.TransformIndexToPhysicalPoint((255, 255, 0))) * [-1, -1, 1]
        assert np.abs(volume.ras_from_voxels([[number, 255, 255]])[0] - corner).max() < 0.5


def test_a_missing_slice_is_named_with_its_place(series):
    file_at(series, 11).unlink()
    message = refused(series, "missing_slices")
    assert (message.parameters["count"], message.parameters["gaps"]) == (1, "2 (1)")
    assert "DOE" not in message and "4711" not in message


def test_slightly_uneven_spacing_is_accepted_and_more_is_not(series):
    write_slice(file_at(series, 11), SERIES[2], (-10, -20, 11.07))
    assert np.array_equal(read_image(series).array, SERIES)
    write_slice(file_at(series, 11.07), SERIES[2], (-10, -20, 11.6))
    refused(series, "uneven_slices")


def test_a_tilted_gantry_is_refused(series):
    for number in range(6):
        write_slice(file_at(series, 5 + 3 * number), SERIES[number], (-10, -20 + number, 5 + 3 * number))
    refused(series, "tilted_gantry")


def test_two_series_are_refused_and_named_by_number_not_by_patient(series):
    for number in range(3):
        path = series / f"other{number}.dcm"
        write_slice(path, SERIES[number], (0, 0, number), _0020_000e="1.2.9", _0020_0011="12", _0008_0018=f"9.{number}")
    message = refused(series, "several_series")
    assert message.parameters["count"] == 2 and "7 (MR, 6)" in message and "12 (MR, 3)" in message
    assert "DOE" not in message and "4711" not in message


def test_what_is_no_slice_of_the_series_is_left_out(series, caplog):
    extra = {"_0008_0008": "ORIGINAL\\PRIMARY\\LOCALIZER", "_0020_000e": "1.2.9"}
    for number in range(3):
        write_slice(series / f"scout{number}.dcm", SERIES[0], (0, 0, number), _0008_0018=f"9.{number}", **extra)
    write_slice(series / "single.dcm", SERIES[0], (0, 0, 0), _0008_0018="8.1", _0020_000e="1.2.8")
    (series / "copy.dcm").write_bytes(file_at(series, 5).read_bytes())
    (series / "report.dcm").write_bytes(bytes(128) + b"DICM" + bytes(64))
    (series / "DICOMDIR").write_bytes(b"index")
    (series / "README.txt").write_text("about this series")
    (series / "older").mkdir()
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(read_image(series).array, SERIES)
    assert {record.msg.code: record.msg.parameters["count"] for record in caplog.records} == {
        "dicom_others_left_out": 4,
        "dicom_copies_left_out": 1,
        "dicom_singles_left_out": 1,
    }


def test_two_images_at_one_place_are_refused(series):
    write_slice(series / "echo.dcm", SERIES[0], (-10, -20, 5), _0008_0018="9.1")
    refused(series, "several_at_one_position")


def test_slices_of_two_patients_are_refused_without_naming_them(series):
    write_slice(file_at(series, 8), SERIES[1], (-10, -20, 8), _0010_0020="OTHER-1", _0010_0010="ROE^RICHARD")
    message = refused(series, "several_patients")
    assert "ROE" not in message and "OTHER" not in message


def test_slices_of_another_size_or_angle_are_refused(series):
    write_slice(file_at(series, 8), SERIES[1][:, :8], (-10, -20, 8))
    refused(series, "slice_sizes_differ")
    write_slice(file_at(series, 8), SERIES[1], (-10, -20, 8), _0020_0037="0\\1\\0\\0\\0\\1")
    refused(series, "slice_grids_differ")


def test_each_slice_keeps_its_own_rescaling(series):
    path = file_at(series, 8)
    content = path.read_bytes()
    slope = b"\x28\x00\x53\x10\x02\x00\x00\x00"
    assert content.count(slope + b"1 ") == 1
    path.write_bytes(content.replace(slope + b"1 ", slope + b".5"))
    read = read_image(series).array
    assert np.allclose(read[1], SERIES[1] * 0.5)
    assert np.array_equal(np.delete(read, 1, axis=0), np.delete(SERIES, 1, axis=0))


def test_inverted_grey_values_are_turned_the_right_way(series):
    for path in series.iterdir():
        content = path.read_bytes()
        assert content.count(b"MONOCHROME2 ") == 1
        path.write_bytes(content.replace(b"MONOCHROME2 ", b"MONOCHROME1 "))
    assert np.corrcoef(read_image(series).array.ravel(), SERIES.ravel())[0, 1] < -0.999


def test_a_cut_slice_is_refused(series):
    path = file_at(series, 8)
    path.write_bytes(path.read_bytes()[:-100])
    refused(series, "dicom_not_decoded", "missing_slices")


def test_all_slices_in_one_file_are_a_volume(tmp_path):
    image = sitk.GetImageFromArray(SERIES.astype(np.uint16))
    image.SetSpacing((1.5, 2.0, 3.0))
    (tmp_path / "enhanced").mkdir()
    sitk.WriteImage(image, str(tmp_path / "enhanced" / "all.dcm"))
    volume = read_image(tmp_path / "enhanced")
    assert np.array_equal(volume.array, SERIES)
    assert np.allclose(volume.spacing, (1.5, 2, 3))


def test_folders_without_a_series_and_single_dicom_files_say_what_to_give(series, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no_slices")
    refused(next(series.iterdir()), "single_dicom_file")
    for path in list(series.iterdir())[1:]:
        path.unlink()
    write_slice(series / "other.dcm", SERIES[0], (0, 0, 0), _0020_000e="1.2.3.9")
    refused(series, "single_images")


def test_a_single_image_is_a_slice_where_its_header_says(series):
    for path in list(series.iterdir()):
        if path != file_at(series, 11):
            path.unlink()
    volume = read_image(series)
    assert np.array_equal(volume.array, SERIES[2:3])
    # LPS (-10, -20, 11), spacing 1.5 x 2.0.
    assert np.allclose(volume.ras_from_voxels([[0, 0, 0], [0, 1, 1]]), [[10, 20, 11], [8.5, 18, 11]])


def test_a_radiograph_without_a_place_in_the_patient_can_be_read(tmp_path):
    image = sitk.GetImageFromArray(SERIES[0])
    image.SetSpacing((1.5, 2.0))
    for key, value in {"0008|0016": "1.2.840.10008.5.1.4.1.1.1", "0008|0060": "CR"}.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(tmp_path / "chest.dcm"))
    volume = read_image(tmp_path)
    assert np.array_equal(volume.array, SERIES[:1]) and np.allclose(volume.spacing[:2], (1.5, 2.0))
    assert np.allclose(volume.ras_from_voxels([[0, 0, 0], [0, 1, 1]]), [[0, 0, 0], [-1.5, -2, 0]])
