"""DICOM files of every encoding, without their mark, listed by a DICOMDIR, or with a header that asks for too much."""

from __future__ import annotations

import logging
import struct

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID
from support.dicom_frames import AFFINE, CORNER, SHARED, VOXELS, frames_of, header, save, write_classic, write_frames
from support.image_files import refused
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.io import dicom_files
from MedADLib.io.dicom import read_file, read_series
from MedADLib.io.reading import read_image
from MedADLib.io.reading_options import ReadingOptions
from MedADLib.io.sources import named_scan

DEFLATED, BIG_ENDIAN, IMPLICIT = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2"
JPEG_LOSSLESS, JPEG_2000, RLE = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "series"
    made.mkdir()
    return made


def write_series(folder, voxels=VOXELS, **attributes):
    """Write the slices of a volume as a file each; attributes can be functions of the number of the slice."""
    for number, pixels in enumerate(voxels):
        own = {key: value(number) if callable(value) else value for key, value in attributes.items()}
        place = [*CORNER[:2], CORNER[2] + 3.0 * number]
        write_classic(folder / f"{(number * 3) % len(voxels)}.dcm", pixels, **{"ImagePositionPatient": place} | own)


def is_right(volume, voxels=VOXELS, affine=AFFINE):
    return np.array_equal(volume.array, voxels) and np.allclose(volume.affine, affine, atol=0.02)


# Without the mark, and by an index.


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", IMPLICIT])
@pytest.mark.parametrize("meta", [True, False], ids=["meta", "bare"])
def test_files_without_preamble_and_mark_are_read(folder, syntax, meta):
    for number, pixels in enumerate(VOXELS):
        place = {"ImagePositionPatient": [*CORNER[:2], CORNER[2] + 3.0 * number]}
        place |= {"ImageOrientationPatient": SHARED["cosines"], "PixelSpacing": SHARED["spacing"]}
        image = header(pixels, **place)
        image.file_meta.TransferSyntaxUID = UID(syntax)
        path = save(folder / f"IM{number}", image)
        content = path.read_bytes()
        # The meta information ends after the length that its first element states.
        end = 144 + struct.unpack_from("<I", content, 140)[0]
        path.write_bytes(content[132 if meta else end :])
    (folder / "notes.txt").write_text("\x08\0 no element of DICOM " * 20)
    assert is_right(read_image(folder))
    assert np.array_equal(named_scan(folder / "IM2").read().array, VOXELS[2:3])


def write_index(path, *files):
    """Write a DICOMDIR that lists these image files."""
    index, records = header(VOXELS[0]), []
    del index.PixelData
    for parts in files:
        record = Dataset()
        record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", list(parts)
        records.append(record)
    patient = Dataset()
    patient.DirectoryRecordType = "PATIENT"
    index.DirectoryRecordSequence = Items([patient, *records])
    index.SOPClassUID = "1.2.840.10008.1.3.10"
    return save(path, index)


def test_a_dicomdir_and_its_folder_are_the_series_that_it_lists(tmp_path):
    disc = tmp_path / "disc"
    write_series(disc / "IMAGES")
    for path in (disc / "IMAGES").iterdir():
        path.rename(path.with_suffix(""))
    index = write_index(disc / "DICOMDIR", *(("IMAGES", str(number)) for number in range(8)))
    sources = named_scan(index), named_scan(disc)
    for source in sources:
        volume = source.read()
        assert is_right(volume) and volume.name == "disc"
    assert is_right(read_image(index))
    # Discs are often copied with names in small letters.
    (disc / "IMAGES").rename(disc / "images")
    assert is_right(read_image(index))
    before = sources[0].content_hash(), sources[0].fingerprint()
    (disc / "images" / "3").write_bytes((disc / "images" / "2").read_bytes())
    assert sources[0].content_hash() != before[0] and sources[0].fingerprint() != before[1]


@pytest.mark.parametrize("parts", [("IMAGES", "9"), ("..", "away"), ("", "etc", "passwd"), ("IMAGES/../../away",)])
@pytest.mark.filterwarnings("ignore:Invalid value", "ignore:The value length")
def test_a_dicomdir_that_lists_a_missing_file_or_one_elsewhere_is_refused(tmp_path, parts):
    write_series(tmp_path / "disc" / "IMAGES")
    write_classic(tmp_path / "away", VOXELS[0])
    index = write_index(tmp_path / "disc" / "DICOMDIR", ("IMAGES", "0.dcm"), parts)
    with raises(InputError, "dicomdir_file_missing"):
        named_scan(index).read()


def test_a_link_of_a_listed_file_to_elsewhere_is_refused(tmp_path):
    write_classic(tmp_path / "away", VOXELS[0])
    index = write_index(tmp_path / "disc" / "DICOMDIR", ("IMAGES", "IM1"))
    (tmp_path / "disc" / "IMAGES").mkdir()
    (tmp_path / "disc" / "IMAGES" / "IM1").symlink_to(tmp_path / "away")
    with raises(InputError, "dicomdir_file_missing"):
        named_scan(index).read()


# Copies, and what a header lacks.


def test_distinct_slices_of_one_identifier_stay(folder, caplog):
    voxels = VOXELS.copy()
    # Slices without content have the same pixels at another position.
    voxels[[0, 7]] = 0
    write_series(folder, voxels, SOPInstanceUID="1.2.3.4.5")
    with caplog.at_level(logging.WARNING):
        assert is_right(read_image(folder), voxels)
    assert not caplog.records


def test_another_image_of_the_same_identifier_and_position_is_refused(folder):
    write_series(folder, SOPInstanceUID="1.2.3.4.5")
    write_classic(folder / "other.dcm", VOXELS[5], SOPInstanceUID="1.2.3.4.5")
    refused(folder, "several_at_one_position")


def test_a_copy_in_another_encoding_is_left_out(folder, caplog):
    write_series(folder, SOPInstanceUID="1.2.3.4.5")
    image = pydicom.dcmread(folder / "0.dcm")
    image.file_meta.TransferSyntaxUID = UID(DEFLATED)
    save(folder / "copy.dcm", image)
    with caplog.at_level(logging.WARNING, "MedADLib"):
        assert is_right(read_image(folder))
    assert [record.msg.code for record in caplog.records] == ["dicom_copies_left_out"]


@pytest.mark.parametrize("spacing", [None, [0, 0], [-2, 1.5], "2"], ids=["none", "zero", "negative", "one"])
def test_a_missing_pixel_spacing_is_refused_and_can_be_given(folder, spacing):
    write_series(folder, PixelSpacing=spacing, ImagerPixelSpacing=[1, 1])
    refused(folder, "no_spacing")
    with raises(InputError, "no_spacing"):
        read_file(folder / "0.dcm", "one")
    assert is_right(read_series(folder, "series", ReadingOptions(spacing=(1.5, 2.0, 3.0))))


def test_a_radiograph_without_any_size_has_pixels_of_1_mm(tmp_path):
    path = write_classic(
        tmp_path / "a.dcm", VOXELS[0], ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None
    )
    assert named_scan(path).read().spacing.tolist() == [1, 1, 1]
    write_classic(
        path, VOXELS[0], ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None,
        ImagerPixelSpacing=[0.2, 0.1],
    )  # fmt: skip
    assert named_scan(path).read().spacing[:2].tolist() == [0.1, 0.2]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_positions_that_jitter_are_accepted(folder, axis):
    jitter = np.random.default_rng(0).uniform(-0.03, 0.03, (8, 3)) * np.eye(3)[axis]

    def position(number):
        return list(np.round(np.array([*CORNER[:2], CORNER[2] + 0.5 * number]) + jitter[number], 4))

    write_series(folder, ImagePositionPatient=position)
    affine = np.array(AFFINE)
    affine[2, 2] = 0.5
    volume = read_image(folder)
    assert np.array_equal(volume.array, VOXELS) and np.abs(volume.affine - affine).max() < 0.035


def test_a_mosaic_is_refused(folder):
    write_classic(folder / "a.dcm", VOXELS[0], ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
    refused(folder, "mosaic")


def test_echoes_and_phase_in_files_of_one_image_are_refused_by_name(folder):
    write_series(folder, EchoTime=lambda number: 4.6 + 4.6 * (number % 2))
    refused(folder, "several_echoes")
    write_series(folder, ImageType=lambda number: ["ORIGINAL", "PRIMARY", "MP"[number % 2], "ND"])
    refused(folder, "several_components_of_signal")


# Encodings.


def layout(stored, high, signed):
    return {"BitsAllocated": 16, "BitsStored": stored, "HighBit": high, "PixelRepresentation": int(signed)}


@pytest.mark.parametrize("syntax", [IMPLICIT, DEFLATED, "1.2.840.10008.1.2.1"])
def test_native_encodings_have_the_same_values(folder, syntax):
    path = write_frames(folder / "a.dcm", frames_of())
    image = pydicom.dcmread(path)
    image.file_meta.TransferSyntaxUID = UID(syntax)
    save(path, image)
    assert is_right(read_image(folder))


@pytest.mark.parametrize("bits", [8, 16])
def test_big_endian_pixels_have_the_same_values(tmp_path, bits):
    pixels = VOXELS[0] % 256
    explicit = pydicom.uid.ExplicitVRBigEndian

    def element(group, number, kind, value):
        return struct.pack(">2H2sH", group, number, kind, len(value)) + value

    stored = pixels.astype(">u2").tobytes() if bits == 16 else pixels.astype(np.uint8).view("<u2").byteswap().tobytes()
    meta = struct.pack("<2H2sH", 2, 0x10, b"UI", 20) + explicit.encode() + b"\0"
    meta = struct.pack("<2H2sHI", 2, 0, b"UL", 4, len(meta)) + meta
    size = ((0x10, 12), (0x11, 16), (0x100, bits), (0x101, bits), (0x102, bits - 1), (0x103, 0))
    body = element(0x28, 2, b"US", struct.pack(">H", 1)) + element(0x28, 4, b"CS", b"MONOCHROME2 ")
    body += b"".join(element(0x28, number, b"US", struct.pack(">H", value)) for number, value in size)
    body += struct.pack(">2H2sHI", 0x7FE0, 0x10, b"OW", 0, len(stored)) + stored
    (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM" + meta + body)
    assert np.array_equal(read_file(tmp_path / "a.dcm", "a").array[0], pixels)


@pytest.mark.parametrize(
    ("stored", "high", "signed"), [(12, 11, False), (12, 11, True), (12, 15, False), (16, 15, True)]
)
def test_bits_beside_the_stored_ones_do_not_count(tmp_path, stored, high, signed):
    values = VOXELS[0].astype(int) - (500 if signed else 0)
    words = (values % 2**stored) << (high + 1 - stored)
    words |= 0x8000 if high < 15 else 0
    words |= 1 if high + 1 > stored else 0
    write_classic(tmp_path / "a.dcm", words.astype(np.uint16), **layout(stored, high, signed))
    assert np.array_equal(read_file(tmp_path / "a.dcm", "a").array[0], values)


def test_inverted_pixels_are_turned_before_they_are_rescaled(tmp_path):
    attributes = {"PhotometricInterpretation": "MONOCHROME1", "RescaleSlope": "2", "RescaleIntercept": "-7"}
    write_classic(tmp_path / "a.dcm", VOXELS[0], **layout(12, 11, False), **attributes)
    assert np.array_equal(read_file(tmp_path / "a.dcm", "a").array[0], (4095.0 - VOXELS[0]) * 2 - 7)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000", "RLE"])
def test_compressed_frames_in_any_order_have_their_values_and_rescaling(folder, tmp_path, compressor):
    order = [3, 0, 7, 5, 1, 6, 2, 4]
    frames = frames_of(intercept="-5")
    for number, (_, attributes) in enumerate(frames):
        attributes["slope"] = str(1 + number)
    path = write_frames(folder / "a.dcm", [frames[number] for number in order])
    image = pydicom.dcmread(path)
    if compressor == "RLE":
        image.compress(UID(RLE))
    else:
        writer = sitk.ImageFileWriter()
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.SetFileName(str(tmp_path / "encoded.dcm"))
        writer.Execute(sitk.GetImageFromArray(VOXELS[order]))
        encoded = pydicom.dcmread(tmp_path / "encoded.dcm")
        image.file_meta.TransferSyntaxUID = encoded.file_meta.TransferSyntaxUID
        image["PixelData"] = encoded["PixelData"]
    assert image.file_meta.TransferSyntaxUID in (JPEG_LOSSLESS, JPEG_2000, RLE)
    save(path, image)
    slopes = np.arange(1.0, 9.0)[:, None, None]
    assert is_right(read_image(folder), VOXELS * slopes - 5)


# Headers that ask for too much.


def patched(path, keyword, value):
    """Overwrite the number of an attribute of two bytes."""
    tag = pydicom.datadict.tag_for_keyword(keyword)
    start = struct.pack("<2H", tag >> 16, tag & 0xFFFF) + b"US\x02\0"
    content = path.read_bytes()
    assert content.count(start) == 1
    at = content.index(start) + len(start)
    path.write_bytes(content[:at] + struct.pack("<H", value) + content[at + 2 :])


@pytest.fixture
def nothing_decoded(monkeypatch):
    monkeypatch.setattr(sitk.ImageFileReader, "Execute", lambda *_: pytest.fail("pixels were decoded"))
    monkeypatch.setattr(np, "frombuffer", lambda *_: pytest.fail("pixels were read"))


@pytest.mark.parametrize("keyword", ["Rows", "Columns"])
@pytest.mark.parametrize("syntax", ["", RLE], ids=["native", "compressed"])
def test_a_size_that_the_file_cannot_hold_is_refused_before_pixels_are_read(folder, keyword, syntax, nothing_decoded):
    write_series(folder)
    for path in folder.iterdir():
        if syntax:
            image = pydicom.dcmread(path)
            image.compress(UID(RLE))
            save(path, image)
            patched(path, "Rows", 65535)
            patched(path, "Columns", 65535)
        patched(path, keyword, 65535)
    refused(folder, "header_exceeds_file")


@pytest.mark.parametrize("count", ["0", "-4", "70000", "2000000000"])
def test_an_impossible_number_of_frames_is_refused(folder, count, nothing_decoded):
    write_classic(folder / "a.dcm", VOXELS[0], NumberOfFrames=count)
    assert refused(folder, "impossible_frames").parameters["frames"] == int(count)


def test_more_frames_than_the_file_can_hold_are_refused(folder, nothing_decoded):
    path = write_frames(folder / "a.dcm", frames_of())
    patched(path, "Rows", 40)
    refused(folder, "header_exceeds_file")


def test_a_series_of_too_many_voxels_is_refused(folder, monkeypatch, nothing_decoded):
    write_series(folder)
    monkeypatch.setattr("MedADLib.io.dicom.MAX_VOXELS", VOXELS.size - 1)
    assert refused(folder, "too_many_voxels").parameters["voxels"] == VOXELS.size


def test_a_deflated_bomb_is_not_unpacked_to_its_end(folder, monkeypatch):
    image = header(np.zeros((1000, 1000), np.uint16))
    image.file_meta.TransferSyntaxUID = UID(DEFLATED)
    save(folder / "a.dcm", image)
    monkeypatch.setattr(dicom_files, "MAX_DEFLATED_BYTES", 10_000)
    refused(folder, "dicom_not_decoded", "no_readable_slices")


@pytest.mark.parametrize("syntax", [RLE, JPEG_LOSSLESS, JPEG_2000])
@pytest.mark.parametrize("content", ["zeros", "nothing", "pixels", "text"])
def test_compressed_pixels_without_content_are_refused(folder, syntax, content):
    made = {"zeros": bytes(64), "nothing": bytes(2), "pixels": VOXELS[0].tobytes(), "text": b"no image " * 40}[content]
    for number in range(3):
        path = write_classic(folder / f"{number}.dcm", VOXELS[0], ImagePositionPatient=[0, 0, number])
        image = pydicom.dcmread(path)
        image.file_meta.TransferSyntaxUID = UID(syntax)
        image.PixelData = pydicom.encaps.encapsulate([made])
        image["PixelData"].is_undefined_length = True
        save(path, image)
    refused(folder, "dicom_not_decoded")


def test_a_compressed_image_of_another_size_than_its_header_is_refused(folder, tmp_path, nothing_decoded):
    for compressor in ("JPEG", "JPEG2000"):
        writer = sitk.ImageFileWriter()
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.SetFileName(str(folder / "a.dcm"))
        writer.Execute(sitk.GetImageFromArray(VOXELS))
        patched(folder / "a.dcm", "Rows", 1000)
        refused(folder, "dicom_not_decoded")


@pytest.mark.parametrize("share", np.linspace(0.05, 0.95, 10))
def test_a_cut_file_is_refused_wherever_it_is_cut(folder, share):
    path = write_frames(folder / "a.dcm", frames_of())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(folder, "no_readable_slices", "no_slices", "header_exceeds_file", "dicom_not_decoded")


def test_damaged_headers_raise_nothing_but_errors_with_a_reason(folder, recwarn):
    frames = frames_of(slope="2", echo=3.0, time=1, component="MAGNITUDE")
    seeds = [
        write_frames(folder / "a.dcm", frames).read_bytes(),
        write_classic(folder / "a.dcm", VOXELS[0]).read_bytes(),
    ]
    draw, codes = np.random.default_rng(0), set()
    for number in range(150):
        content = bytearray(seeds[number % 2])
        for at in draw.integers(132, 1200, 1 + number % 4):
            content[at : at + 1] = draw.bytes(1) if number % 3 else b"\xff\xff\xff\xff"
        (folder / "a.dcm").write_bytes(content)
        try:
            named_scan(folder / "a.dcm").read()
        except InputError as error:
            codes.add(error.code)
    assert len(codes) > 2 and not recwarn.list
