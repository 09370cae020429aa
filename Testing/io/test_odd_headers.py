"""Headers that lie or are written oddly: the file is read right, or refused with the right reason."""

from __future__ import annotations

import bz2
import gzip
import struct

import numpy as np
import pytest
from support.image_files import refused
from support.volume_files import ARRAY, RAS, VECTORS, lies_at, meta, nifti, nrrd

from MedADLib.io.reading import read_image
from MedADLib.io.reading_options import ReadingOptions
from MedADLib.volume import Volume

SPACE = {"space": "RAS", "space_directions": VECTORS, "space_origin": "(-20,-15,-30)"}
SLICE = ARRAY[0].nbytes

NRRD_REFUSED = [
    ({"sizes": '"12" "16" "20"'}, "impossible_size"),
    ({"sizes": "12,16,20"}, "impossible_size"),
    ({"sizes": "12 16 19"}, "more_data_than_header"),
    ({"sizes": "12 16 10"}, "more_data_than_header"),
    ({"type": "short"}, "more_data_than_header"),
    ({"type": "double"}, "cut_short"),
    ({"type": "block"}, "unknown_voxel_type"),
    ({"space_directions": "(3,0,0) (3,0,0) (0,0,4)"}, "not_orthogonal"),
    ({"space_directions": "(3,0.2,0) (0,2,0) (0,0,4)"}, "not_orthogonal"),
    ({"space_directions": "(3,0,0) (0,2,0) (0,0,0)"}, "bad_spacing"),
    ({"space_directions": "(nan,0,0) (0,2,0) (0,0,4)"}, "bad_spacing"),
    ({"space_directions": "(3mm,0,0) (0,2,0) (0,0,4)"}, "bad_spacing"),
    ({"space_directions": "(3 0 0) (0 2 0) (0 0 4)"}, "no_position"),
    ({"space_directions": "3 2 4"}, "bad_header_field"),
    ({"space_directions": f"{VECTORS} (0,0,0)"}, "bad_header_field"),
    ({"space_origin": "(inf,0,0)"}, "no_position"),
    ({"space_origin": "[-20,-15,-30]"}, "no_position"),
    ({"space_dimension": 2}, "header_contradiction"),
    ({"space_dimension": 4}, "header_contradiction"),
    ({"space": "RSA"}, "no_orientation"),
    ({"spacings": "-3 2 4"}, "header_contradiction"),
    ({"spacings": "3 2"}, "bad_header_field"),
    ({"endian": "litle"}, "bad_header_field"),
    ({"endian": None}, "no_byte_order"),
    ({"encoding": "gzip"}, "bad_checksum"),
    ({"encoding": "ascii"}, "damaged_image"),
    ({"encoding": "zstd"}, "unknown_encoding"),
    ({"byte_skip": 4}, "cut_short"),
    ({"byte_skip": -2}, "bad_header_field"),
    ({"byte_skip": 1 << 40}, "cut_short"),
    ({"line_skip": 1}, "cut_short", "incomplete_header"),
    ({"line_skip": -1}, "bad_header_field"),
    ({"kinds": "domain domain time"}, "several_images"),
    ({"kinds": "list domain domain"}, "several_images"),
    ({"kinds": "vector domain domain"}, "several_components"),
    ({"kinds": "domain"}, "bad_header_field"),
    ({"space_units": "um um um", "units": '"mm" "mm" "mm"'}, "unknown_unit"),
    ({"space_units": "pixel pixel pixel"}, "unknown_unit"),
    ({"data_file": "a.nrrd"}, "bad_header_field"),
    ({"data_file": "LIST"}, "several_data_files"),
]
NRRD_READ = [
    {"sizes": "12\t16  20"},
    {"type": "FLOAT"},
    {"encoding": "RAW"},
    {"space": "Right-Anterior-Superior"},
    {"space_directions": "(3e0, 0, 0) (0, 2.0, 0)(0,0,4)"},
    {"space_units": '"Millimeters" "mm" "MM"'},
    {"space_units": '"mm" "" "???"'},
    {"space_dimension": 3},
    {"spacings": "3 nan 4.001"},
    {"measurement_frame": "(nan,0,0) (0,1,0) (0,0,1)", "old_min": 0, "old_max": 1, "thicknesses": "9 9 9"},
    {"kinds": "space space space", "centerings": "node cell node"},
]


@pytest.mark.parametrize(("fields", "codes"), [(fields, codes) for fields, *codes in NRRD_REFUSED], ids=str)
def test_a_nrrd_header_that_lies_is_refused_with_the_right_reason(tmp_path, fields, codes):
    refused(nrrd(tmp_path / "a.nrrd", **{**SPACE, **fields}), *codes)


@pytest.mark.parametrize("fields", NRRD_READ, ids=str)
def test_an_odd_nrrd_header_is_read(tmp_path, fields):
    lies_at(read_image(nrrd(tmp_path / "a.nrrd", **{**SPACE, **fields})), RAS)


def test_units_without_quotation_marks_count(tmp_path):
    vectors = "(3000,0,0) (0,2000,0) (0,0,4000)"
    path = nrrd(tmp_path / "a.nrrd", space="RAS", space_directions=vectors, space_units="um um um")
    assert read_image(path).spacing == pytest.approx([3, 2, 4])


META_REFUSED = [
    ({"DimSize": '"12" "16" "20"'}, "impossible_size"),
    ({"DimSize": "12.0 16 20"}, "impossible_size"),
    ({"DimSize": "12 16 19"}, "more_data_than_header"),
    ({"NDims": "3.0"}, "impossible_size"),
    ({"ElementSpacing": "-3 2 4"}, "bad_spacing"),
    ({"ElementSpacing": "nan 2 4"}, "bad_spacing"),
    ({"ElementSpacing": "3 2"}, "bad_header_field"),
    ({"ElementSpacing": "3,2,4"}, "bad_header_field"),
    ({"TransformMatrix": "-1 0 0 0 -1 0 0 0"}, "bad_header_field"),
    ({"TransformMatrix": "-1 0 0 0 -1 0 0 0 nan"}, "no_position"),
    ({"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, "no_position"),
    ({"TransformMatrix": "-1 0.1 0 0 -1 0 0 0 1"}, "not_orthogonal"),
    ({"TransformMatrix": "-3 0 0 0 -2 0 0 0 4"}, "no_position"),
    ({"Offset": "20 15"}, "bad_header_field"),
    ({"Offset": "20 15 nan"}, "no_position"),
    ({"ElementNumberOfChannels": 3}, "several_components"),
    ({"ElementNumberOfChannels": "one"}, "bad_header_field"),
    ({"ElementNumberOfChannels": 0}, "bad_header_field"),
    ({"ElementType": "MET_FLOAT_ARRAY"}, "several_components"),
    ({"ElementType": "MET_DOUBLE"}, "cut_short"),
    ({"ElementType": "MET_SHORT"}, "more_data_than_header"),
    ({"ElementType": "met_float"}, "unknown_voxel_type"),
    ({"BinaryDataByteOrderMSB": "Flase"}, "bad_header_field"),
    ({"BinaryData": "Ture"}, "bad_header_field"),
    ({"BinaryData": "False"}, "damaged_image"),
    ({"CompressedData": "True"}, "bad_checksum"),
    ({"HeaderSize": 7}, "bad_header_field"),
    ({"HeaderSize": -2}, "bad_header_field"),
    ({"HeaderSize": 100000}, "cut_short"),
    ({"DistanceUnits": "inch"}, "unknown_unit"),
    ({"ObjectType": "Tube"}, "wrong_format"),
    ({"ElementDataFile": "a.mha"}, "bad_header_field"),
    ({"ElementDataFile": "a.raw b.raw"}, "missing_data_file"),
    ({"ElementDataFile": "%02d.raw 1 3 1"}, "several_data_files"),
]
META_READ = [
    {"ElementNumberOfChannels": "01"},
    {"ElementDataFile": "Local"},
    {"HeaderSize": -1},
    {"CenterOfRotation": "10 10 10", "AnatomicalOrientation": "???", "ElementSize": "3 2 5", "Modality": "MET_MOD_MR"},
    {"DistanceUnits": "?"},
    {"ObjectType": "image"},
]


@pytest.mark.parametrize(("fields", "code"), META_REFUSED, ids=str)
def test_a_meta_header_that_lies_is_refused_with_the_right_reason(tmp_path, fields, code):
    refused(meta(tmp_path / "a.mha", **fields), code)


@pytest.mark.parametrize("fields", META_READ, ids=str)
def test_an_odd_meta_header_is_read(tmp_path, fields):
    lies_at(read_image(meta(tmp_path / "a.mha", **fields)), RAS)


def test_fields_after_the_end_of_a_meta_header_are_not_voxels(tmp_path):
    refused(meta(tmp_path / "a.mha", b"Offset = 0 0 0\n" + ARRAY.tobytes()), "bad_header_field")


def edited(path, edit):
    path.write_bytes(edit(path.read_bytes()))
    return path


EDITS = {
    "a byte-order mark": lambda content: b"\xef\xbb\xbf" + content,
    "the whole file in gzip": gzip.compress,
}


@pytest.mark.parametrize("name", EDITS)
def test_a_file_that_was_wrapped_is_read(tmp_path, name):
    lies_at(read_image(edited(nrrd(tmp_path / "a.nrrd", **SPACE), EDITS[name])), RAS)
    lies_at(read_image(edited(meta(tmp_path / "a.mha"), EDITS[name])), RAS)


def test_a_file_that_is_compressed_twice_is_not_called_damaged(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", **SPACE, encoding="gzip")
    head = path.read_bytes()[: -ARRAY.nbytes]
    path.write_bytes(gzip.compress(head + gzip.compress(ARRAY.tobytes())))
    refused(path, "unknown_encoding")
    refused(edited(nrrd(tmp_path / "b.nrrd", **SPACE), bz2.compress), "wrong_format")


def test_lines_of_a_meta_header_may_be_blank_have_colons_or_end_as_on_windows(tmp_path):
    def with_header(edit):
        def edits(content):
            head, mark, voxels = content.partition(b"ElementDataFile = LOCAL\n")
            return edit(head + mark) + voxels

        return edits

    for edit in (
        lambda head: head.replace(b"NDims", b"\nNDims"),
        lambda head: head.replace(b" = ", b": "),
        lambda head: head.replace(b" = ", b"="),
        lambda head: head.replace(b"\n", b"\r\n"),
    ):
        lies_at(read_image(edited(meta(tmp_path / "a.mha"), with_header(edit))), RAS)


def test_a_few_bytes_after_the_voxels_are_said_and_a_slice_is_refused(tmp_path, caplog):
    for count, codes in ((1, []), (40, ["surplus_data"])):
        caplog.clear()
        for path in (nrrd(tmp_path / "a.nrrd", **SPACE), meta(tmp_path / "a.mha"), nifti(tmp_path / "a.nii")):
            lies_at(read_image(edited(path, lambda content, count=count: content + b"\n" * count)), RAS)
        assert [record.msg.code for record in caplog.records] == 3 * codes
    for path in (nrrd(tmp_path / "a.nrrd", **SPACE), meta(tmp_path / "a.mha"), nifti(tmp_path / "a.nii.gz")):
        unpacked = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        content = unpacked + bytes(SLICE)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        refused(path, "more_data_than_header")


# Byte order.


def smooth(kind):
    z, y, x = np.indices((24, 40, 48)) / 8.0
    values = 900 + 500 * np.sin(x) * np.cos(y) + 90 * z + np.random.default_rng(0).normal(0, 9, z.shape)
    return values.astype(kind)


@pytest.mark.parametrize("kind", ["i2", "u2", "f4"])
@pytest.mark.parametrize(("stored", "said"), [("<", "big"), (">", "little")])
def test_voxels_in_another_byte_order_than_the_header_says_are_refused(tmp_path, kind, stored, said):
    voxels = smooth(stored + kind)
    names = {"i2": ("short", "MET_SHORT"), "u2": ("ushort", "MET_USHORT"), "f4": ("float", "MET_FLOAT")}[kind]
    path = nrrd(tmp_path / "a.nrrd", **SPACE, type=names[0], sizes="48 40 24", endian=said)
    edited(path, lambda content: content[: -ARRAY.nbytes] + voxels.tobytes())
    refused(path, "wrong_byte_order")
    right = edited(path, lambda content: content.replace(b"big", b"xxx").replace(b"little", b"big"))
    lies_at(read_image(edited(right, lambda content: content.replace(b"xxx", b"little"))), RAS, voxels.astype("f4"))
    msb = {"big": "True", "little": "False"}[said]
    fields = {"DimSize": "48 40 24", "ElementType": names[1], "BinaryDataByteOrderMSB": msb}
    refused(meta(tmp_path / "a.mha", voxels.tobytes(), **fields), "wrong_byte_order")


def test_noise_is_noise_in_both_byte_orders(tmp_path):
    noise = np.random.default_rng(0).integers(0, 4000, (24, 40, 48)).astype(">i2")
    path = nrrd(tmp_path / "a.nrrd", **SPACE, type="short", sizes="48 40 24", endian="big")
    edited(path, lambda content: content[: -ARRAY.nbytes] + noise.tobytes())
    lies_at(read_image(path), RAS, noise.astype("f4"))


# NIfTI.


def packed(form, at, *values):
    def edit(content):
        content = bytearray(content)
        struct.pack_into(form, content, at, *values)
        return bytes(content)

    return edit


NIFTI_REFUSED = [
    ("<2f", 112, (np.inf, 0), "bad_header_field"),
    ("<2f", 112, (1, np.inf), "bad_header_field"),
    ("<2f", 112, (2, np.nan), "bad_header_field"),
    ("<f", 108, (np.nan,), "bad_header_field"),
    ("<f", 108, (np.inf,), "bad_header_field"),
    ("<f", 108, (352.5,), "bad_header_field"),
    ("<f", 108, (353,), "cut_short"),
    ("<f", 108, (3e38,), "cut_short"),
    ("<8h", 40, (5, 12, 16, 20, 1, 3, 1, 1), "several_components"),
    ("<8h", 40, (4, 12, 16, 10, 2, 1, 1, 1), "not_3d"),
    ("<8h", 40, (2, 12, 16, 20, 1, 1, 1, 1), "not_3d"),
    ("<8h", 40, (3, 12, 16, 10, 1, 1, 1, 1), "more_data_than_header"),
    ("<8h", 40, (8, 12, 16, 20, 1, 1, 1, 1), "impossible_size"),
    ("<8h", 40, (3, -12, 16, 20, 1, 1, 1, 1), "impossible_size"),
    ("<8h", 40, (4, 12, 16, 20, 0, 1, 1, 1), "impossible_size"),
    ("<h", 70, (4,), "more_data_than_header"),
    ("<h", 70, (64,), "cut_short"),
    ("<h", 70, (128,), "several_components"),
    ("<h", 70, (1536,), "unknown_voxel_type"),
    ("<f", 80, (np.inf,), "bad_spacing"),
    ("<f", 80, (8,), "spacing_conflict"),
    # Only two of the three are set.
    ("<3f", 80, (-1, 8, 8), "spacing_conflict"),
    (">i", 0, (348,), "impossible_size"),
    ("4s", 344, (b"n+3\0",), "wrong_format"),
    ("4s", 344, (b"ni1\0",), "missing_data_file"),
]
NIFTI_READ = [
    ("<2f", 112, (np.nan, 0)),
    ("<2f", 112, (np.nan, np.nan)),
    ("<2f", 112, (0, 5)),
    ("<8h", 40, (5, 12, 16, 20, 1, 1, 1, 1)),
    ("<8h", 40, (7, 12, 16, 20, 1, 1, 1, 1)),
    ("<8h", 40, (3, 12, 16, 20, 7, 7, 7, 7)),
    *(("<h", 68, (intent,)) for intent in (3, 5, 1001, 1002, 1007, 2003, 9999, -5)),
    *(("<f", 108, (offset,)) for offset in (0, 1, 16, 348, 351, -1)),
    ("<h", 72, (0,)),
    ("<f", 76, (0,)),
    ("<3f", 80, (-1, 2, 4)),
    ("<f", 80, (np.nan,)),
    ("<4f", 76, (np.nan,) * 4),
    ("<f", 136, (99,)),
]


@pytest.mark.parametrize(("form", "at", "values", "code"), NIFTI_REFUSED)
def test_a_nifti_header_that_lies_is_refused_with_the_right_reason(tmp_path, form, at, values, code):
    refused(edited(nifti(tmp_path / "a.nii", codes=(0, 1)), packed(form, at, *values)), code)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("form", "at", "values"), NIFTI_READ)
def test_an_odd_nifti_header_is_read(tmp_path, form, at, values, suffix):
    path = edited(nifti(tmp_path / "a.nii", codes=(0, 1)), packed(form, at, *values))
    if suffix == ".nii.gz":
        (tmp_path / "a.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
    lies_at(read_image(tmp_path / f"a{suffix}"), RAS)


def test_a_handedness_that_is_not_a_number_gives_no_position(tmp_path):
    refused(edited(nifti(tmp_path / "a.nii", codes=(1, 0)), packed("<f", 76, np.nan)), "no_position")


@pytest.mark.parametrize("length", [16, 0, -16, 8, 17, 1 << 30])
@pytest.mark.parametrize("version", [1, 2])
def test_voxels_follow_an_extension_whatever_length_it_claims(tmp_path, length, version):
    content = nifti(tmp_path / "a.nii", version=version).read_bytes()
    size = {1: 348, 2: 540}[version]
    extension = b"\1\0\0\0" + struct.pack("<2i", length, 6) + b"comment."
    content = content[:size] + extension + content[size + 4 :]
    place = {1: ("<f", 108), 2: ("<q", 168)}[version]
    (tmp_path / "a.nii").write_bytes(packed(*place, size + 20)(content))
    lies_at(read_image(tmp_path / "a.nii"), RAS)
    # An extension that the header leaves no room for would count as voxels.
    (tmp_path / "a.nii").write_bytes(packed(*place, size + 4)(content))
    refused(tmp_path / "a.nii", "bad_header_field")


def test_a_file_without_the_four_bytes_after_its_header_is_read(tmp_path):
    for offset in (0, 348):
        content = nifti(tmp_path / "a.nii").read_bytes()
        (tmp_path / "a.nii").write_bytes(packed("<f", 108, offset)(content[:348] + content[352:]))
        lies_at(read_image(tmp_path / "a.nii"), RAS)


def test_what_the_user_says_ends_a_doubt_about_units(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", **SPACE, space_units="mm mm mm", units='"cm" "cm" "cm"')
    refused(path, "unknown_unit")
    lies_at(read_image(path, options=ReadingOptions(unit="mm")), RAS)
    assert isinstance(read_image(path, options=ReadingOptions(spacing=(3, 2, 4))), Volume)
