"""Cases 21 to 29: DICOM series that are incomplete, mixed or odd, and the names of patients."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.command_line import run
from support.dicom_frames import AFFINE, VOXELS, frames_of, header, save, write_classic, write_frames
from support.image_files import SERIES, refused, write_slice

from MedADLib.io.reading import read_image


@pytest.fixture
def series(tmp_path) -> Path:
    """Six axial slices 3 mm apart."""
    folder = tmp_path / "series"
    folder.mkdir()
    for number, pixels in enumerate(SERIES):
        write_slice(folder / f"{number}.dcm", pixels, (-10, -20, 5 + 3 * number))
    return folder


def codes(caplog) -> dict[str, int]:
    """Counts of the warnings, by code."""
    return {record.msg.code: record.msg.parameters["count"] for record in caplog.records}


def test_case_21_a_missing_slice(alone, series):
    (series / "2.dcm").unlink()
    alone(series, "missing_slices")
    parameters = refused(series, "missing_slices").parameters
    assert (parameters["count"], parameters["gaps"]) == (1, "2 (1)")


def test_case_21_slices_that_are_missing_regularly_or_at_the_ends(alone, series, tmp_path, caplog):
    numbers = {"_0018_0050": "3"}
    for number in range(6):
        path = series / f"{number}.dcm"
        path.unlink()
        if number % 2 == 0:
            write_slice(path, SERIES[number], (-10, -20, 5 + 3 * number), _0020_0013=str(number + 1), **numbers)
    alone(series, "missing_slices")
    frames = frames_of()
    for number, (_, own) in enumerate(frames):
        own.update(stack="1", in_stack=number + 1)
    write_frames(tmp_path / "ends" / "all.dcm", frames[2:7])
    assert refused(tmp_path / "ends", "missing_slices").parameters["gaps"] == "0 (2)"
    for number in range(3, 6):
        path = tmp_path / "classic" / f"{number}.dcm"
        path.parent.mkdir(exist_ok=True)
        write_slice(path, SERIES[number], (-10, -20, 5 + 3 * number), _0020_0013=str(number + 1), **numbers)
    with caplog.at_level(logging.WARNING):
        read_image(tmp_path / "classic")
    (warning,) = caplog.records
    assert (warning.msg.code, warning.msg.parameters["missing"]) == ("image_numbers_incomplete", 3)


def test_case_22_uneven_slices_and_a_tilted_gantry(alone, series):
    write_slice(series / "2.dcm", SERIES[2], (-10, -20, 11.6))
    alone(series, "uneven_slices")
    for number in range(6):
        write_slice(series / f"{number}.dcm", SERIES[number], (-10, -20 + number, 5 + 3 * number))
    alone(series, "tilted_gantry")


def test_case_23_several_series_or_patients(alone, series):
    other = {"_0010_0020": "OTHER-1", "_0010_0010": "ROE^RICHARD"}
    write_slice(series / "1.dcm", SERIES[1], (-10, -20, 8), **other)
    alone(series, "several_patients")
    write_slice(series / "1.dcm", SERIES[1], (-10, -20, 8))
    for number in range(3):
        tags = {"_0020_000e": "1.2.9", "_0020_0011": "12", "_0008_0018": f"9.{number}"}
        write_slice(series / f"other{number}.dcm", SERIES[number], (0, 0, number), **tags)
    alone(series, "several_series")
    assert "7 (MR, 6)" in refused(series, "several_series").parameters["series"]


def test_case_24_copies_of_slices(series, caplog):
    for number in (0, 4):
        shutil.copy(series / f"{number}.dcm", series / f"copy{number}.dcm")
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(read_image(series).array, SERIES)
    assert codes(caplog) == {"dicom_copies_left_out": 2}


def test_case_25_other_objects_among_the_slices(series, caplog):
    scout = {"_0008_0008": "ORIGINAL\\PRIMARY\\LOCALIZER", "_0020_000e": "1.2.9", "_0008_0018": "9.1"}
    write_slice(series / "scout.dcm", SERIES[0], (0, 0, 0), **scout)
    segmentation = header(VOXELS[0].astype(np.uint8), SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG")
    save(series / "segmentation.dcm", segmentation)
    report = header(VOXELS[0], SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", Modality="SR")
    del report.PixelData
    save(series / "report.dcm", report)
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(read_image(series).array, SERIES)
    assert codes(caplog) == {"dicom_others_left_out": 3}


def test_case_26_an_enhanced_multi_frame_object(tmp_path):
    frames = frames_of()
    path = write_frames(tmp_path / "in" / "all.dcm", [frames[number] for number in (3, 0, 7, 5, 1, 6, 2, 4)])
    for given in (path, path.parent):
        volume = read_image(given)
        assert np.array_equal(volume.array, VOXELS) and np.allclose(volume.affine, AFFINE)


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("frame_type", (["ORIGINAL", "PRIMARY", "M"], ["DERIVED", "PRIMARY", "T1 MAP"]), "several_image_types"),
        ("echo", (10.0, 90.0), "several_echoes"),
        ("flip", (5.0, 26.0), "several_values"),
        ("stack", ("1", "2"), "several_stacks"),
        ("slope", ("2", "0"), "rescaling_incomplete"),
    ],
)
def test_case_26_frames_of_several_kinds(tmp_path, name, values, code):
    frames = frames_of()
    for number, (_, own) in enumerate(frames):
        own[name] = values[number % 2]
    write_frames(tmp_path / "in" / "all.dcm", frames)
    refused(tmp_path / "in", code)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.94", "1.2.3.4"])
def test_case_27_a_transfer_syntax_that_is_not_supported(alone, tmp_path, syntax):
    for number, pixels in enumerate(VOXELS):
        place = {"ImagePositionPatient": [0, 0, 3.0 * number], "InstanceNumber": number}
        path = write_classic(tmp_path / "series" / f"{number}.dcm", pixels, **place)
        content = path.read_bytes()
        plain = b"1.2.840.10008.1.2.1\0"
        assert content.count(plain) == 1
        start = content.index(plain) - 2
        named = syntax.encode() + b"\0" * (len(syntax) % 2)
        group = content.index(b"\x02\x00\x00\x00UL\x04\x00") + 8
        length = int.from_bytes(content[group : group + 4], "little") + len(named) - len(plain)
        content = content[:group] + length.to_bytes(4, "little") + content[group + 4 :]
        content = content[:start] + len(named).to_bytes(2, "little") + named + content[start + 2 + len(plain) :]
        path.write_bytes(content)
    alone(tmp_path / "series", "dicom_not_decoded")


def test_case_28_inverted_values_and_a_rescaling_of_each_slice(tmp_path):
    scales = [(1.0 + number / 4, -50.0 * number) for number in range(len(VOXELS))]
    for number, (pixels, (slope, intercept)) in enumerate(zip(VOXELS, scales, strict=True)):
        place = {"ImagePositionPatient": [0, 0, 3.0 * number], "RescaleSlope": slope, "RescaleIntercept": intercept}
        write_classic(tmp_path / "plain" / f"{number}.dcm", pixels, **place)
        inverted = np.uint16(65535) - pixels
        write_classic(
            tmp_path / "inverted" / f"{number}.dcm", inverted, PhotometricInterpretation="MONOCHROME1", **place
        )
    wanted = np.stack([pixels * slope + intercept for pixels, (slope, intercept) in zip(VOXELS, scales, strict=True)])
    assert np.allclose(read_image(tmp_path / "plain").array, wanted, atol=1e-2)
    found = read_image(tmp_path / "inverted").array
    for number in range(len(VOXELS)):
        assert np.corrcoef(found[number].ravel(), wanted[number].ravel())[0, 1] > 0.999


def test_case_29_the_name_of_the_patient(series, tmp_path, capsys):
    """Neither messages nor results hold the name or the number of a patient."""
    out, private = tmp_path / "out", ("DOE", "JANE", "4711")
    assert run("detect", series, "-o", out, "--json-log", "--debug") == 0
    (series / "2.dcm").unlink()
    assert run("detect", series, "-o", tmp_path / "other", "--json-log", "--debug") == 1
    write_slice(series / "2.dcm", SERIES[2], (-10, -20, 11), _0010_0020="4711-B")
    assert run("detect", series, "-o", tmp_path / "other", "--json-log") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[-1])["code"] == "several_patients"
    for word in private:
        assert word not in printed.out + printed.err
        assert not [path for path in out.iterdir() if word.encode() in path.read_bytes()]
