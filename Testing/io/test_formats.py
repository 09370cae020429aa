"""File formats: each is read whole, or refused with a code; a header names no file elsewhere and no size beyond it."""

from __future__ import annotations

import bz2
import gzip
import struct
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.io import netcdf_file
from support.image_files import refused
from support.troubled import troubled
from support.volume_files import ARRAY, RAS, SHAPE, SPACING, VECTORS, lies_at, meta, nifti, nrrd

from MedADLib.errors import InputError
from MedADLib.io.images import read_raster
from MedADLib.io.nifti import read_nifti
from MedADLib.io.reading import read_image
from MedADLib.io.reading_options import ReadingOptions
from MedADLib.volume import Volume, orientation, reoriented

KNOWN = {"space": "RAS", "space_directions": VECTORS, "space_origin": "(-20,-15,-30)"}


# Encodings of NRRD and MetaImage.


def nrrd_with(path, content, detached="", **fields):
    """Write a NRRD file with these encoded voxels, or a header for the file `detached`."""
    nrrd(path, **{**KNOWN, **fields}, **({"data_file": detached} if detached else {}))
    header = path.read_bytes()[: -ARRAY.nbytes]
    path.write_bytes(header if detached else header + content)
    if detached:
        (path.parent / detached).write_bytes(content)
    return path


def text_of(array):
    return " ".join(f"{value:.9g}" for value in array.ravel()).encode()


ENCODINGS = {
    "raw": ARRAY.tobytes(),
    "gzip": gzip.compress(ARRAY.tobytes(), 1),
    "gz": gzip.compress(ARRAY.tobytes(), 1),
    "bzip2": bz2.compress(ARRAY.tobytes()),
    "bz2": bz2.compress(ARRAY.tobytes()[:9000]) + bz2.compress(ARRAY.tobytes()[9000:]),
    "ascii": text_of(ARRAY),
    "text": text_of(ARRAY),
    "hex": ARRAY.tobytes().hex().encode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("detached", ["", "voxels.bin"])
def test_every_encoding_of_nrrd_is_read(tmp_path, encoding, detached):
    lies_at(read_image(nrrd_with(tmp_path / "a.nhdr", ENCODINGS[encoding], detached, encoding=encoding)), RAS)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii", "hex"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_short_data_are_refused_in_every_encoding(tmp_path, encoding, share):
    content = ENCODINGS[encoding]
    path = nrrd_with(tmp_path / "a.nrrd", content[: int(len(content) * share)], encoding=encoding)
    refused(path, "cut_short", "compressed_data_cut_short", "header_exceeds_file", "damaged_image")


def test_damaged_data_are_refused_in_every_encoding(tmp_path):
    for encoding, code in (("gzip", "bad_checksum"), ("bzip2", "bad_checksum")):
        content = bytearray(ENCODINGS[encoding])
        content[len(content) // 2] ^= 0x55
        refused(nrrd_with(tmp_path / "a.nrrd", bytes(content), encoding=encoding), code)
    text = ENCODINGS["text"].replace(b"0.63", b"0,63", 1)
    refused(nrrd_with(tmp_path / "a.nrrd", text, encoding="text"), "damaged_image")


def test_an_encoding_that_is_not_known_is_said_to_be_so(tmp_path):
    refused(nrrd_with(tmp_path / "a.nrrd", ENCODINGS["raw"], encoding="zstd"), "unknown_encoding")


def test_bytes_and_lines_before_the_voxels_are_left_out(tmp_path):
    raw = ENCODINGS["raw"]
    lies_at(read_image(nrrd_with(tmp_path / "a.nrrd", b"12345" + raw, byte_skip=5)), RAS)
    lies_at(read_image(nrrd_with(tmp_path / "b.nrrd", b"one\ntwo\n" + raw, line_skip=2)), RAS)
    lies_at(read_image(nrrd_with(tmp_path / "c.nrrd", b"what comes before" + raw, "c.raw", byte_skip=-1)), RAS)
    packed = gzip.compress(b"12345" + raw)
    lies_at(read_image(nrrd_with(tmp_path / "d.nrrd", packed, encoding="gzip", byte_skip=5)), RAS)


def test_big_endian_voxels(tmp_path):
    swapped = ARRAY.astype(">f4").tobytes()
    lies_at(read_image(nrrd_with(tmp_path / "a.nrrd", swapped, endian="big")), RAS)
    lies_at(read_image(meta(tmp_path / "a.mha", swapped, BinaryDataByteOrderMSB="True")), RAS)


def test_every_encoding_of_a_meta_image_is_read(tmp_path):
    packed = zlib.compress(ARRAY.tobytes())
    lies_at(read_image(meta(tmp_path / "a.mha", packed, CompressedData="True")), RAS)
    lies_at(read_image(meta(tmp_path / "b.mha", text_of(ARRAY), BinaryData="False")), RAS)
    path = meta(tmp_path / "c.mhd", b"", ElementDataFile="c.raw", HeaderSize=7)
    (tmp_path / "c.raw").write_bytes(b"1234567" + ARRAY.tobytes())
    lies_at(read_image(path), RAS)
    path = meta(tmp_path / "d.mhd", b"", ElementDataFile="c.raw", HeaderSize=-1)
    lies_at(read_image(path), RAS)


# A header names files of its own folder only.

ELSEWHERE = ("/etc/passwd", "../secret.raw", "sub/secret.raw", "..\\secret.raw", "C:\\secret.raw", "C:secret.raw", "..")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_header_may_not_name_a_file_elsewhere(tmp_path, name):
    folder = tmp_path / "scans"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path, folder / "sub"):
        (place / "secret.raw").write_bytes(ARRAY.tobytes())
    (folder / "a.nhdr").write_bytes(nrrd(folder / "a.nhdr", **KNOWN, data_file=name).read_bytes()[: -ARRAY.nbytes])
    refused(folder / "a.nhdr", "data_file_elsewhere")
    refused(meta(folder / "a.mhd", b"", ElementDataFile=name), "data_file_elsewhere")


def test_an_absolute_name_of_a_file_in_the_same_folder_is_refused_too(tmp_path):
    (tmp_path / "a.raw").write_bytes(ARRAY.tobytes())
    refused(meta(tmp_path / "a.mhd", b"", ElementDataFile=tmp_path / "a.raw"), "data_file_elsewhere")
    lies_at(read_image(meta(tmp_path / "a.mhd", b"", ElementDataFile="./a.raw")), RAS)


@pytest.mark.parametrize("name", ["données 1.raw", "頭.raw", "Kopf für Test.raw"])
def test_detached_headers_name_files_in_utf8_and_latin1(tmp_path, name):
    (tmp_path / name).write_bytes(ARRAY.tobytes())
    header = nrrd(tmp_path / "a.nhdr", **KNOWN, data_file=name).read_bytes()[: -ARRAY.nbytes]
    (tmp_path / "a.nhdr").write_bytes(header)
    lies_at(read_image(tmp_path / "a.nhdr"), RAS)
    lies_at(read_image(meta(tmp_path / "a.mhd", b"", ElementDataFile=name)), RAS)
    if name != "頭.raw":
        (tmp_path / "a.nhdr").write_bytes(header.decode("utf-8").encode("latin-1"))
        lies_at(read_image(tmp_path / "a.nhdr"), RAS)


@pytest.mark.parametrize("name", ["LIST", "LIST 2", "a%03d.raw 1 20 1"])
def test_several_data_files_are_refused(tmp_path, name):
    header = nrrd(tmp_path / "a.nhdr", **KNOWN, data_file=name).read_bytes()[: -ARRAY.nbytes]
    (tmp_path / "a.nhdr").write_bytes(header)
    refused(tmp_path / "a.nhdr", "several_data_files")
    refused(meta(tmp_path / "a.mhd", b"", ElementDataFile=name), "several_data_files")


# Sizes.


@pytest.mark.parametrize("count", ["99999999999", "-1", "2147483647", "0", "2", "4", "3 3", "x", "1e3"])
def test_an_impossible_number_of_dimensions_is_refused(tmp_path, count):
    refused(meta(tmp_path / "a.mha", NDims=count), "impossible_size")
    refused(nrrd(tmp_path / "a.nrrd", **KNOWN, dimension=count), "impossible_size")


@pytest.mark.parametrize("sizes", ["12 16 0", "12 16 -20", "12 16 x", "12 16 99999999999999", "12 16 2.5"])
def test_an_impossible_size_is_refused(tmp_path, sizes):
    refused(meta(tmp_path / "a.mha", DimSize=sizes), "impossible_size", "cut_short")
    refused(nrrd(tmp_path / "a.nrrd", **KNOWN, sizes=sizes), "impossible_size", "cut_short")


@pytest.mark.parametrize("encoding", ["gzip", "bzip2", "text", "hex", "raw"])
def test_a_small_file_takes_little_memory_whatever_its_header_says(tmp_path, encoding):
    zeros = {"gzip": gzip.compress(bytes(1 << 24)), "bzip2": bz2.compress(bytes(1 << 24))}
    content = zeros.get(encoding, b"0 " * 500)
    path = nrrd_with(tmp_path / "a.nrrd", content, encoding=encoding, sizes="2000 2000 200")
    tracemalloc.start()
    try:
        refused(path, "cut_short", "header_exceeds_file", "compressed_data_cut_short")
        if encoding != "bzip2":
            # A bzip2 stream can be 1 in 10⁶: what a header gives is taken from the system, but not filled.
            assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_data_far_beyond_the_header_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("MedADLib.io.voxels.SLACK", 1 << 20)
    packed = ARRAY.tobytes() + bytes(8 << 20)
    for encoding, content in (("gzip", gzip.compress(packed)), ("bzip2", bz2.compress(packed)), ("raw", packed)):
        refused(nrrd_with(tmp_path / "a.nrrd", content, encoding=encoding), "more_data_than_header")
    refused(meta(tmp_path / "a.mha", zlib.compress(packed), CompressedData="True"), "more_data_than_header")


# (x, y, z, 1) in every format.


def test_one_time_point_is_a_volume_in_every_format(tmp_path):
    directions = "(3,0,0) (0,2,0) (0,0,4) none"
    path = nrrd(tmp_path / "last.nrrd", **{**KNOWN, "space_directions": directions}, dimension=4, sizes="12 16 20 1")
    lies_at(read_image(path), RAS)
    directions = "none (3,0,0) (0,2,0) (0,0,4)"
    path = nrrd(tmp_path / "first.nrrd", **{**KNOWN, "space_directions": directions}, dimension=4, sizes="1 12 16 20")
    lies_at(read_image(path), RAS)
    kinds = {"kinds": "list domain domain domain", "spacings": "nan 3 2 4"}
    path = nrrd(tmp_path / "list.nrrd", dimension=4, sizes="1 12 16 20", **kinds)
    assert read_image(path, options=ReadingOptions("RAS")).spacing == pytest.approx(SPACING)
    matrix = "-1 0 0 0 0 -1 0 0 0 0 1 0 0 0 0 1"
    four = {"NDims": 4, "DimSize": "12 16 20 1", "TransformMatrix": matrix, "Offset": "20 15 -30 0"}
    lies_at(read_image(meta(tmp_path / "a.mha", **four, ElementSpacing="3 2 4 1")), RAS)
    for shape in ((4, *SHAPE, 1, 1, 1, 1), (5, *SHAPE, 1, 1, 1, 1)):
        path = nifti(tmp_path / "a.nii")
        content = bytearray(path.read_bytes())
        struct.pack_into("<8h", content, 40, *shape)
        path.write_bytes(content)
        lies_at(read_image(path), RAS)


def test_several_time_points_or_numbers_are_refused(tmp_path):
    three = {**KNOWN, "space_directions": "none (3,0,0) (0,2,0) (0,0,4)", "dimension": 4, "sizes": "2 6 16 20"}
    refused(nrrd(tmp_path / "a.nrrd", **three, kinds="complex domain domain domain"), "several_components")
    refused(nrrd(tmp_path / "a.nrrd", **three, kinds="2-vector domain domain domain"), "several_components")
    refused(nrrd(tmp_path / "a.nrrd", **three, kinds="list domain domain domain"), "not_3d")
    refused(meta(tmp_path / "a.mha", ElementNumberOfChannels=3), "several_components")


# FreeSurfer, Analyze, GIPL and MINC.


def mgh(path, kind=">f4", code=3, good=1, frames=1):
    cosines = np.array([[-1, 0, 0], [0, 0, -1], [0, 1, 0.0]])
    # Right to left, superior to inferior, posterior to anterior, as FreeSurfer's own.
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([cosines[0], cosines[1], cosines[2]]) * SPACING
    centre = np.array([5.0, -7.0, 11.0])
    affine[:3, 3] = centre - affine[:3, :3] @ (np.array(SHAPE) / 2)
    header = struct.pack(">7ih15f", 1, *SHAPE, frames, code, 0, good, *SPACING, *cosines.ravel(), *centre).ljust(
        284, b"\0"
    )
    array = (ARRAY * 200).astype(kind)
    content = header + array.tobytes() * frames + b"tags at the end"
    path.write_bytes(gzip.compress(content) if path.suffix == ".mgz" else content)
    return path, affine, array.astype(np.float32)


@pytest.mark.parametrize("name", ["a.mgh", "a.mgz"])
@pytest.mark.parametrize(("kind", "code"), [(">u1", 0), (">i4", 1), (">f4", 3), (">i2", 4)])
def test_volumes_of_freesurfer_are_read_at_their_place(tmp_path, name, kind, code):
    path, affine, array = mgh(tmp_path / name, kind, code)
    lies_at(read_image(path), affine, array)
    assert orientation(read_image(path)) == "LIA"
    nibabel = pytest.importorskip("nibabel")
    assert np.allclose(nibabel.load(path).affine, affine, atol=1e-4)


def test_what_a_volume_of_freesurfer_lacks_is_asked_for(tmp_path):
    refused(mgh(tmp_path / "a.mgz", good=0)[0], "no_spacing", "no_orientation")
    refused(mgh(tmp_path / "b.mgz", frames=2)[0], "not_3d")
    refused(mgh(tmp_path / "c.mgz", code=77)[0], "unknown_voxel_type")
    (tmp_path / "d.mgz").write_bytes(gzip.compress(b"nothing of the kind" * 99))
    refused(tmp_path / "d.mgz", "wrong_format")
    path = mgh(tmp_path / "e.mgh")[0]
    path.write_bytes(path.read_bytes()[:-5000])
    refused(path, "cut_short")


def analyze(path, order="<"):
    header = bytearray(348)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, 4, *SHAPE, 1, 0, 0, 0)
    struct.pack_into(order + "2h", header, 70, 16, 32)
    struct.pack_into(order + "8f", header, 76, 0, *SPACING, 0, 0, 0, 0)
    path.with_suffix(".hdr").write_bytes(header)
    path.with_suffix(".img").write_bytes(ARRAY.astype(order + "f4").tobytes())
    return path


@pytest.mark.parametrize("name", ["a.hdr", "a.img"])
@pytest.mark.parametrize("order", "<>")
def test_analyze_needs_an_orientation_because_it_stores_none(tmp_path, name, order):
    path = analyze(tmp_path / name, order)
    assert "left and right" in refused(path, "analyze_orientation")
    for letters in ("LAS", "RAS"):
        volume = read_image(path, options=ReadingOptions(letters))
        assert orientation(volume) == letters and volume.spacing == pytest.approx(SPACING)
        assert np.array_equal(volume.array, ARRAY) and volume.name == "a"


def test_a_nifti_pair_is_read_at_its_place(tmp_path):
    for suffix in (".img", ".img.gz"):
        content = bytearray(nifti(tmp_path / "a.nii").read_bytes())
        content[344:348] = b"ni1\0"
        struct.pack_into("<f", content, 108, 0)
        (tmp_path / "b.hdr").write_bytes(content[:348])
        voxels = ARRAY.tobytes()
        (tmp_path / f"b{suffix}").write_bytes(gzip.compress(voxels) if suffix.endswith("gz") else voxels)
        lies_at(read_image(tmp_path / "b.hdr"), RAS)
        (tmp_path / f"b{suffix}").unlink()
    refused(tmp_path / "b.hdr", "missing_data_file")


@pytest.mark.parametrize("name", ["a.gipl", "a.gipl.gz"])
def test_gipl_needs_an_orientation_because_it_stores_none(tmp_path, name):
    path = tmp_path / name
    sitk.WriteImage(Volume(ARRAY, RAS).to_sitk(), str(path))
    refused(path, "no_orientation")
    lies_at(read_image(path, options=ReadingOptions("RAS")), RAS)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(InputError) as caught:
        read_image(path, options=ReadingOptions("RAS"))
    assert caught.value.code in ("cut_short", "compressed_data_cut_short")


def test_minc_needs_an_orientation_because_programs_differ(tmp_path):
    path = tmp_path / "a.mnc"
    sitk.WriteImage(Volume(ARRAY, RAS).to_sitk(), str(path))
    assert "turned" in refused(path, "minc_orientation")
    lies_at(read_image(path, options=ReadingOptions("RAS")), RAS)
    assert orientation(read_image(path, options=ReadingOptions("LPS"))) == "LPS"
    (tmp_path / "c.mnc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(900))
    refused(tmp_path / "c.mnc", "damaged_image")
    (tmp_path / "d.mnc").write_bytes(b"nothing of the kind")
    refused(tmp_path / "d.mnc", "wrong_format")


def minc_1(path, order=("zspace", "yspace", "xspace"), sign=1, lacking=(), kind="h", slices=True):
    """Write a file of MINC 1 that holds ARRAY in 16 bits, each slice with limits of its own."""
    sizes = dict(zip(("zspace", "yspace", "xspace"), ARRAY.shape))
    array = np.transpose(ARRAY, [("zspace", "yspace", "xspace").index(name) for name in order])
    steps = dict(zip(("xspace", "yspace", "zspace"), SPACING))
    starts = {"xspace": -20.0, "yspace": -15.0, "zspace": -30.0}
    if sign < 0:
        array = array[..., ::-1]
        starts[order[-1]] += steps[order[-1]] * (sizes[order[-1]] - 1)
        steps[order[-1]] *= -1
    axes = (1, 2) if slices else (0, 1, 2)
    least, most = array.min(axis=axes, keepdims=True), array.max(axis=axes, keepdims=True)
    stored = np.round((array - least) / (most - least) * 30000)
    with netcdf_file(str(path), "w") as file:
        for name in order:
            file.createDimension(name, sizes[name])
            variable = file.createVariable(name, "i", ())
            for fact, value in (("step", steps[name]), ("start", starts[name]), ("units", "mm")):
                if fact not in lacking:
                    setattr(variable, fact, value)
        image = file.createVariable("image", kind, order)
        image.data[:] = stored
        image.signtype, image.valid_range = "signed__", np.array([0.0, 30000.0])
        for name, values in (("image-min", least), ("image-max", most)):
            limit = file.createVariable(name, "d", order[:1] if slices else ())
            limit.data[...] = values.reshape(limit.data.shape)
    return path


@pytest.mark.parametrize("order", [("zspace", "yspace", "xspace"), ("xspace", "zspace", "yspace")])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("slices", [True, False])
def test_minc_1_is_read_at_its_place(tmp_path, order, sign, slices):
    volume = reoriented(read_image(minc_1(tmp_path / "a.mnc", order, sign, slices=slices)), "RAS")
    assert volume.same_grid(Volume(ARRAY, RAS), 1e-3) and np.abs(volume.array - ARRAY).max() < 1e-4


def test_what_a_file_of_minc_1_lacks_is_asked_for_and_a_damaged_one_refused(tmp_path):
    refused(minc_1(tmp_path / "a.mnc", lacking=("step",)), "no_spacing")
    content = minc_1(tmp_path / "c.mnc").read_bytes()
    for share in (0.1, 0.5, 0.99):
        (tmp_path / "c.mnc").write_bytes(content[: int(len(content) * share)])
        refused(tmp_path / "c.mnc", "damaged_image")
    (tmp_path / "d.mnc").write_bytes(b"CDF\x01" + bytes(900))
    refused(tmp_path / "d.mnc", "wrong_format")
    random = np.random.default_rng(0)
    for _ in range(60):
        mutated = bytearray(content)
        for place in random.integers(4, 1500, 3):
            mutated[place] = random.integers(256)
        (tmp_path / "e.mnc").write_bytes(mutated)
        # A flipped bit may hit a text that does not matter; nothing else than an error of MedAD may come.
        with suppress(InputError):
            read_image(tmp_path / "e.mnc")


def test_minc_1_of_nibabel_has_its_values_and_its_place():
    nibabel = pytest.importorskip("nibabel")
    path = Path(nibabel.__file__).parent / "tests" / "data" / "tiny.mnc"
    if not path.is_file():
        pytest.skip(f"{path} does not exist")
    wanted, found = nibabel.load(path), read_image(path)
    assert np.abs(np.asarray(wanted.dataobj) - found.array).max() < 1e-6
    # The axes of nibabel's array have the order of the file, slowest first.
    assert np.abs(found.affine[:, [2, 1, 0, 3]] - wanted.affine).max() < 1e-6


# Unknown or damaged.


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mgz", ".gipl", ".mnc", ".hdr"])
def test_another_format_is_not_called_damaged(tmp_path, suffix):
    for number, content in enumerate(
        (b"PK\x03\x04" + bytes(900), b"%PDF-1.7" + bytes(900), b"\xfd7zXZ\0" + bytes(900))
    ):
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(content)
        refused(path, "wrong_format")


# NaN around the brain.


def test_what_is_not_a_number_around_the_brain_is_background(tmp_path, caplog):
    array = np.full((20, 22, 24), np.nan, np.float32)
    array[5:15, 6:16, 7:17] = np.random.default_rng(0).random((10, 10, 10)) + 1
    path = tmp_path / "scan.nii.gz"
    for low, background in ((1, 0), (-1, None)):
        shifted = array if low > 0 else array - 1.5
        Volume(shifted, np.diag([2.0, 2, 2, 1])).write(path)
        volume = read_image(path)
        outside = np.isnan(array)
        assert np.array_equal(volume.array[~outside], shifted[~outside])
        wanted = np.nanmin(shifted) if background is None else background
        assert (volume.array[outside] == wanted).all()
    assert {record.msg.code for record in caplog.records} == {"nan_is_background"}


@pytest.mark.parametrize("inside", [np.nan, np.inf])
def test_what_is_not_finite_inside_is_refused(tmp_path, inside):
    array = np.full((20, 22, 24), np.nan, np.float32)
    array[5:15, 6:16, 7:17] = 1 + np.arange(10)
    array[9:11, 9:11, 9:11] = inside
    Volume(array, np.diag([2.0, 2, 2, 1])).write(tmp_path / "scan.nii.gz")
    refused(tmp_path / "scan.nii.gz", "not_numbers")
    Volume(np.full_like(array, np.nan), np.eye(4)).write(tmp_path / "none.nii.gz")
    refused(tmp_path / "none.nii.gz", "not_numbers")


# Voxels as ITK reads them.


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("scaling", [(0, 0), (1, 0), (0.37, -5.5), (1e-3, 0), (1, -1024)])
def test_scaled_voxels_have_the_bits_that_itk_gives(tmp_path, dtype, scaling):
    path = tmp_path / "scan.nii"
    sitk.WriteImage(sitk.GetImageFromArray((ARRAY * 200).astype(dtype)), str(path))
    content = bytearray(path.read_bytes())
    struct.pack_into("<2f", content, 112, *scaling)
    path.write_bytes(content)
    wanted = sitk.GetArrayFromImage(sitk.ReadImage(str(path), sitk.sitkFloat32))
    assert np.array_equal(read_image(path).array, wanted)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_oblique_files_have_the_position_that_itk_gives(tmp_path, suffix):
    direction = sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.1).GetMatrix()
    image = Volume(ARRAY, RAS).to_sitk()
    image.SetDirection(direction)
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(image, str(path))
    wanted = Volume.from_sitk(sitk.ReadImage(str(path), sitk.sitkFloat32))
    found = read_image(path)
    assert np.array_equal(found.array, wanted.array) and np.abs(found.affine - wanted.affine).max() < 1e-9
    if suffix == ".nii.gz":
        assert np.array_equal(read_nifti(path, ReadingOptions())[1], wanted.affine)


def test_the_turned_image_of_the_reports_is_upright():
    path = troubled("exif_turned.jpg")
    reference = reoriented(read_image(troubled("reference.nii.gz")), "LPS")
    found = read_raster(path, "a")
    assert found.array.shape[1:] == reference.array.shape[1:]
    slices = reference.array.reshape(len(reference.array), -1)
    likeness = [np.corrcoef(found.array.ravel(), one)[0, 1] if one.std() else 0 for one in slices]
    assert max(likeness) > 0.95


def test_a_link_beside_the_header_may_not_lead_elsewhere(tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "secret.raw").write_bytes(ARRAY.tobytes())
    (tmp_path / "scans" / "a.raw").symlink_to(tmp_path / "secret.raw")
    refused(meta(tmp_path / "scans" / "a.mhd", b"", ElementDataFile="a.raw"), "data_file_elsewhere")
    (tmp_path / "scans" / "b.raw").write_bytes(ARRAY.tobytes())
    (tmp_path / "scans" / "c.raw").symlink_to("b.raw")
    lies_at(read_image(meta(tmp_path / "scans" / "c.mhd", b"", ElementDataFile="c.raw")), RAS)
