"""Reading: real scans come in whole, and every fault of a file gives one line that states it."""

from __future__ import annotations

import gzip
import logging
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from support.image_files import refused
from support.synthetic import brain_volume

from MedADLib.io.reading import read_image

CUT = (
    *("bad_checksum", "compressed_data_cut_short", "cut_short", "damaged_image", "empty_file", "header_exceeds_file"),
    "incomplete_header",
)
WRONG_FORMAT = ("wrong_format",)
NOISE = np.random.default_rng(0).random((20, 30, 40), dtype=np.float32)


def warned(caplog):
    """The codes of what was warned of."""
    return [record.msg.code for record in caplog.records]


def written(path, array=NOISE, compress=True):
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path), useCompression=compress)
    return path


def patched(path, offset, form, *values):
    """Overwrite numbers in the header of an uncompressed file."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<" + form, content, offset, *values)
    path.write_bytes(content)
    return path


# Faults of files.


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "nothing.nii.gz", "not_found")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".nhdr"])
def test_an_empty_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    path.touch()
    refused(path, "empty_file")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("compress", [True, False], ids=["compressed", "plain"])
@pytest.mark.parametrize("share", [0.002, 0.05, 0.5, 0.97, 0.9999])
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path, suffix, compress, share):
    path = written(tmp_path / f"scan{suffix}", compress=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, *CUT, *WRONG_FORMAT)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_flipped_byte_in_compressed_data_is_noticed(tmp_path, suffix, share):
    path = written(tmp_path / f"scan{suffix}")
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 0x55
    path.write_bytes(content)
    refused(path, *CUT)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("kind", ["png", "text", "zip", "html.gz"])
def test_other_content_under_an_image_suffix_is_refused(tmp_path, suffix, kind):
    path = tmp_path / f"scan{suffix}"
    if kind == "png":
        image = tmp_path / "picture.png"
        sitk.WriteImage(sitk.GetImageFromArray(np.arange(600, dtype=np.uint8).reshape(20, 30)), str(image))
        path.write_bytes(image.read_bytes())
    else:
        page = b"<html>404</html>" * 50
        path.write_bytes({"text": page, "zip": b"PK\3\4" + bytes(900), "html.gz": gzip.compress(page)}[kind])
    refused(path, *WRONG_FORMAT)


def test_a_nrrd_named_nifti_is_refused(tmp_path):
    written(tmp_path / "scan.nrrd").rename(tmp_path / "scan.nii")
    assert "NIfTI" in refused(tmp_path / "scan.nii", "wrong_format")


def test_an_unknown_type_names_the_known_ones(tmp_path):
    path = tmp_path / "scan.jpg"
    path.write_bytes(b"x" * 200)
    assert ".nii.gz" in refused(path, "unknown_volume_type")


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_a_header_that_promises_more_voxels_than_there_are_is_refused_before_allocation(tmp_path, suffix, monkeypatch):
    path = written(tmp_path / f"scan{suffix}", compress=False)
    content = path.read_bytes()
    if suffix == ".nii":
        patched(path, 42, "3h", 30000, 30000, 30000)
    else:
        assert content.count(b"40 30 20") == 1
        path.write_bytes(content.replace(b"40 30 20", b"40000 30000 20000"))
    monkeypatch.setattr(sitk.ImageFileReader, "Execute", lambda *_: pytest.fail("voxels were read"))
    refused(path, "cut_short", "header_exceeds_file")


def test_a_compressed_bomb_is_not_unpacked_to_its_end(tmp_path, monkeypatch):
    path = written(tmp_path / "scan.nii", compress=False)
    bomb = tmp_path / "bomb.nii.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as stream:
        stream.write(path.read_bytes())
        for _ in range(100):
            stream.write(bytes(1 << 20))
    monkeypatch.setattr("MedADLib.io.voxels.SLACK", 4 << 20)
    refused(bomb, "more_data_than_header")


@pytest.mark.parametrize(
    ("shape", "code", "shown"),
    [
        ((30, 40), "not_3d", {"dimensions": 2}),
        ((2, 4, 5, 6), "not_3d", {"dimensions": 4}),
        ((1, 1, 40), "single_line", {"size": "40 x 1 x 1"}),
    ],
    ids=["2-D", "4-D", "line"],
)
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_what_is_not_a_single_volume_is_refused(tmp_path, suffix, shape, code, shown):
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.random.default_rng(0).random(shape), isVector=False), str(path))
    assert shown.items() <= refused(path, code).parameters.items()


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_colour_is_refused(tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True), str(path))
    refused(path, "several_components")


def test_one_time_point_is_a_volume(tmp_path):
    path = patched(written(tmp_path / "scan.nii", compress=False), 40, "8h", 4, 40, 30, 20, 1, 1, 1, 1)
    assert read_image(path).array.shape == (20, 30, 40)


@pytest.mark.parametrize(("bad", "counts"), [((np.nan,), (1, 0)), ((np.inf, -np.inf), (0, 2))], ids=["nan", "inf"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_and_infinite_voxels_are_counted(tmp_path, suffix, dtype, bad, counts):
    array = NOISE.astype(dtype)
    array[3, 4, 5 : 5 + len(bad)] = bad
    parameters = refused(written(tmp_path / f"scan{suffix}", array), "not_numbers").parameters
    assert (parameters["nan"], parameters["infinite"]) == counts


def test_a_constant_image_is_refused_as_a_scan_but_not_as_a_mask(tmp_path):
    path = written(tmp_path / "scan.nii.gz", np.full((5, 6, 7), 3, np.int16))
    assert refused(path, "constant").parameters["value"] == 3
    assert (read_image(path, uniform=True).array == 3).all()


@pytest.mark.parametrize("value", [0.0, -1.5, float("nan"), float("inf")])
@pytest.mark.parametrize("codes", [(1, 0), (0, 0), (1, 1)])
def test_an_impossible_nifti_spacing_is_refused_though_itk_would_repair_it(tmp_path, value, codes):
    path = patched(written(tmp_path / "scan.nii", compress=False), 84, "f", value)
    patched(path, 252, "2h", *codes)
    if codes[1] and not np.isinf(value):
        # The sform is whole: the spacing was never set.
        assert read_image(path).spacing.tolist() == [1, 1, 1]
    else:
        refused(path, "bad_spacing")


@pytest.mark.parametrize(
    ("suffix", "before", "after"),
    [
        (".nrrd", b"(0,1,0)", b"(0,0,0)"),
        (".mha", b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 0 1"),
        (".mha", b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 -1 1"),
        (".mha", b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 nan 1"),
    ],
)
def test_an_impossible_spacing_is_refused(tmp_path, suffix, before, after):
    path = written(tmp_path / f"scan{suffix}", compress=False)
    assert before in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(before, after))
    refused(path, "bad_spacing")


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_slanted_axes_are_refused(tmp_path, suffix):
    path = written(tmp_path / f"scan{suffix}", compress=False)
    if suffix == ".nii":
        patched(path, 252, "2h", 0, 1)
        patched(path, 284, "f", 0.7)
    else:
        content = path.read_bytes()
        content = content.replace(b"(0,1,0)", b"(0.5,1,0)").replace(b"= 1 0 0 0 1 0 0 0 1", b"= 1 0 0 .5 1 0 0 0 1")
        path.write_bytes(content)
    refused(path, "not_orthogonal")


def test_a_detached_header_needs_its_data(tmp_path):
    path = written(tmp_path / "scan.mhd", compress=False)
    assert np.array_equal(read_image(path).array, NOISE)
    (tmp_path / "scan.raw").unlink()
    assert "scan.raw" in refused(path, "missing_data_file")


# What must be read right.


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float64])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_every_voxel_type_becomes_float32_with_the_same_values(tmp_path, suffix, dtype):
    array = (NOISE * 200).astype(dtype)
    volume = read_image(written(tmp_path / f"scan{suffix}", array))
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array, array.astype(np.float32))


def test_big_endian_and_scaled_voxels_have_their_true_values(tmp_path):
    path = written(tmp_path / "scan.nii", (NOISE * 1000).astype(np.int16), compress=False)
    little = read_image(path).array
    content = path.read_bytes()
    forms = "i10s18sihcB8h3f4h8f3fhBB4f2i80s24s2h6f12f16s4s"
    fields = struct.unpack_from("<" + forms, content)
    voxels = np.frombuffer(content[352:], "<i2").astype(">i2").tobytes()
    path.write_bytes(struct.pack(">" + forms, *fields) + content[348:352] + voxels)
    assert np.array_equal(read_image(path).array, little)
    patched_little = written(tmp_path / "scaled.nii", (NOISE * 1000).astype(np.int16), compress=False)
    patched(patched_little, 112, "2f", 0.5, -7.0)
    assert np.allclose(read_image(patched_little).array, little * 0.5 - 7)


def test_names_with_spaces_and_accents_work_and_bytes_that_are_not_text_are_refused(tmp_path):
    folder = tmp_path / "Kopf für Test"
    folder.mkdir()
    assert read_image(written(folder / "große Aufnahme 1.nii.gz")).name == "große Aufnahme 1"
    refused(tmp_path / "bad\udcff.nii.gz", "invalid_file_name")


def test_reading_prints_nothing_on_stderr(tmp_path, capfd):
    path = written(tmp_path / "scan.mha")
    read_image(path)
    path.write_bytes(path.read_bytes()[:-50])
    refused(path, *CUT)
    assert capfd.readouterr() == ("", "")


def test_two_positions_in_one_header_are_warned_of(tmp_path, caplog):
    path = written(tmp_path / "scan.nii", compress=False)
    with caplog.at_level(logging.WARNING):
        read_image(path)
        assert not caplog.records
        # The sform, turned by a few degrees and moved by 20 mm.
        patched(path, 252, "2h", 1, 2)
        patched(path, 280, "12f", -0.995, 0.0998, 0, 20, -0.0998, -0.995, 0, 0, 0, 0, 1, 0)
        read_image(path)
        assert warned(caplog) == ["forms_disagree"]


def test_an_odd_scale_is_warned_of(tmp_path, caplog):
    volume = brain_volume(spacing=(0.006, 0.006, 0.006))
    volume.write(tmp_path / "metres.nrrd")
    brain_volume(spacing=(6.0, 6.0, 12.0)).write(tmp_path / "thick.nrrd")
    with caplog.at_level(logging.WARNING):
        read_image(tmp_path / "metres.nrrd")
        assert warned(caplog) == ["odd_extent"]
        read_image(tmp_path / "thick.nrrd")
        assert warned(caplog)[1:] == ["thick_slices"]
        assert caplog.records[-1].msg.parameters["spacing"] == pytest.approx(12)


REAL = {
    "healthy_t1_ds002748/sub-52_T1w.nii.gz": ((181, 288, 288), "LAS"),
    "healthy_t1_ixi_2mm/IXI012-HH-1211-T1_ds.nii.gz": ((90, 120, 120), "PSR"),
    "tumour_pyradiomics/brain1_image.nrrd": ((25, 256, 256), "LAS"),
    "healthy_hippocampus_msd/images/hippocampus_001.nii.gz": ((35, 51, 35), "RAS"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_scans_are_read_with_their_shape_and_orientation(data_dir, name):
    shape, orientation = REAL[name]
    volume = read_image(data_dir / name)
    assert volume.array.shape == shape
    direction = volume.to_sitk().GetDirection()
    assert sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(direction) == orientation
    assert volume.array.std() > 0
