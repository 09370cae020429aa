"""Check the header of an image file before its voxels are allocated and read.

ITK fills the missing end of a cut NIfTI file with zeros, turns a spacing of zero into 1 and voxels that are not a
number into 0, and does not verify the checksums of compressed data. These checks find all of that.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import InputError
from ..volume import size_text

# Bytes of a voxel by the NIfTI code of its type.
VOXEL_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}
# Types with several numbers in a voxel.
SEVERAL_NUMBERS = (32, 128, 1792, 2048, 2304)

CHUNK = 1 << 20
# Bytes that a file may hold beyond what its header gives.
SLACK = 64 * CHUNK
# Bytes of a voxel by the MetaImage name of its type.
INTEGER_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG_LONG": 8}
META_BYTES = {f"MET_{sign}{name}": size for name, size in INTEGER_BYTES.items() for sign in ("", "U")}
META_BYTES |= {"MET_FLOAT": 4, "MET_DOUBLE": 8}


@dataclass(frozen=True)
class NiftiHeader:
    """Fields of a NIfTI-1 or NIfTI-2 header that the checks need.

    Attributes:
        shape: Size along the axes (x, y, z, …).
        kind: Code of the voxel type.
        spacing: In mm along (x, y, z).
        data_offset: Bytes before the voxels.
        order: Byte order, ``<`` or ``>``.
    """

    shape: tuple[int, ...]
    kind: int
    spacing: tuple[float, ...]
    data_offset: float
    order: str

    @property
    def real_type(self) -> np.dtype | None:
        """Voxel type if it is a floating-point one, the only kind that can hold NaN and infinity; else None."""
        return {16: np.dtype(self.order + "f4"), 64: np.dtype(self.order + "f8")}.get(self.kind)

    @classmethod
    def parse(cls, start: bytes) -> NiftiHeader | None:
        """Parse the first bytes of a decompressed file; None if they are not a NIfTI header."""
        for order in "<>":
            size = struct.unpack_from(order + "i", start.ljust(4, b"\0"))[0]
            if size == 348 and start[344:347] == b"n+1":
                fields = (("8h", 40), ("h", 70), ("3f", 80), ("f", 108))
            elif size == 540 and start[4:7] == b"n+2" and len(start) >= 540:
                fields = (("8q", 16), ("h", 12), ("3d", 112), ("q", 168))
            else:
                continue
            dim, kind, spacing, offset = (struct.unpack_from(order + form, start, at) for form, at in fields)
            count = dim[0] if 1 <= dim[0] <= 7 else 0
            return cls(tuple(dim[1 : count + 1]), kind[0], spacing, offset[0], order)
        return None


def has_dicom_magic(path: Path) -> bool:
    """Return whether a file begins as a DICOM object does, with or without the mark DICM.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        start = stream.read(132)
    if start[128:] == b"DICM":
        return True
    # Without the mark, the file begins with an element of group 2 or 8, in explicit or implicit representation.
    group, number, size = struct.unpack("<2HI", start[:8].ljust(8, b"\0"))
    explicit = start[4:6] in (b"CS", b"DA", b"LO", b"OB", b"SH", b"TM", b"UI", b"UL")
    return len(start) == 132 and group in (2, 8) and number <= 0x70 and (explicit or (group == 8 and size <= 64))


def nifti_position(path: Path) -> bytes | None:
    """Read the fields of a NIfTI-1 header that place the image in space, for the headers of its results.

    A header holds two positions, qform and sform, which need not agree; programs differ in which they use. With both
    copied, results lie on their scan in every program.

    Returns:
        The little-endian bytes 76-80 (handedness) and 252-328 (qform and sform); None for another format, or
        another unit than millimetres.
    """
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as stream:
            start = stream.read(348)
    except OSError:
        return None
    for order in "<>":
        if len(start) == 348 and struct.unpack_from(order + "i", start)[0] == 348 and start[344:347] == b"n+1":
            if start[123] & 7 not in (0, 2):
                return None
            handedness = struct.unpack_from(order + "f", start, 76)
            return struct.pack("<f2h18f", *handedness, *struct.unpack_from(order + "2h18f", start, 252))
    return None


def check_nifti(path: Path) -> int:
    """Check a NIfTI header, and that all voxels are present and undamaged; return their bytes, decompressed.

    Raises:
        InputError: If the file is damaged, of another format, or not a scalar image of finite numbers.
    """
    compressed = path.name.lower().endswith(".gz")
    with path.open("rb") as stream:
        start = next(_pieces(stream, path, compressed), b"")
    header = NiftiHeader.parse(start)
    if header is None:
        if compressed:
            raise InputError("wrong_format", path=path, format="compressed NIfTI")
        raise InputError("wrong_format", path=path, format="NIfTI")
    _check_shape(path, header.shape)
    if header.kind in SEVERAL_NUMBERS:
        raise InputError("several_components", path=path)
    if header.kind not in VOXEL_BYTES or not np.isfinite(header.data_offset):
        raise InputError("unknown_voxel_type", path=path)
    if len(header.shape) >= 3:
        check_spacing(path, header.spacing)
    expected = int(np.prod(header.shape, dtype=object)) * VOXEL_BYTES[header.kind]
    begin = max(int(header.data_offset), 348)
    with path.open("rb") as stream:
        found = _Survey.of(_pieces(stream, path, compressed), begin, expected, header.real_type)
    _check_length(path, expected, found.size)
    check_numbers(path, found.nan, found.infinite)
    return expected


def check_nrrd(path: Path) -> int:
    """Check a NRRD header, and that compressed voxels are undamaged (ITK checks others); return the bytes of the file.

    Raises:
        InputError: If the file is damaged or of another format.
    """
    with path.open("rb") as stream:
        text = stream.read(CHUNK)
    if not text.startswith(b"NRRD000"):
        raise InputError("wrong_format", path=path, format="NRRD")
    end = re.search(rb"\r?\n\r?\n", text)
    lines = text[: end.start() if end else None].decode("latin-1").splitlines()
    pairs = [line.split(":", 1) for line in lines if ":" in line]
    fields = {key.strip().lower(): value.strip() for key, value in pairs}
    if not {"type", "dimension", "sizes", "encoding"} <= set(fields):
        raise InputError("incomplete_header", path=path)
    detached = fields.get("data file", fields.get("datafile", ""))
    data = _data_file(path, detached)
    if fields["encoding"].lower() in ("gzip", "gz"):
        with data.open("rb") as stream:
            stream.seek(0 if detached or not end else end.end())
            for _ in _inflate(stream, path):
                pass
    return data.stat().st_size


def check_meta(path: Path) -> int:
    """Check a MetaImage header, and that all voxels are present and undamaged; return the bytes of their file.

    Raises:
        InputError: If the file is damaged or of another format.
    """
    fields, position = {}, 0
    with path.open("rb") as stream:
        for line in stream.read(CHUNK).splitlines(keepends=True):
            key, equals, value = line.decode("latin-1").partition("=")
            position += len(line)
            if not equals or "ElementDataFile" in fields:
                break
            fields[key.strip()] = value.strip()
            if key.strip() == "ElementDataFile":
                break
    needed = {"NDims", "DimSize", "ElementType", "ElementDataFile"}
    if not needed & set(fields):
        raise InputError("wrong_format", path=path, format="MetaImage")
    if not needed <= set(fields):
        raise InputError("incomplete_header", path=path)
    local = fields["ElementDataFile"].upper() == "LOCAL"
    data = path if local else _data_file(path, fields["ElementDataFile"])
    sizes = fields["DimSize"].split()
    if not all(size.lstrip("-").isdigit() for size in sizes):
        raise InputError("impossible_size", path=path, size=fields["DimSize"])
    shape = tuple(int(size) for size in sizes)
    _check_shape(path, shape)
    width = META_BYTES.get(fields["ElementType"])
    if width and fields.get("ElementNumberOfChannels", "1") == "1":
        expected, begin = int(np.prod(shape, dtype=object)) * width, position if local else 0
        present = data.stat().st_size - begin
        if fields.get("CompressedData", "").lower() == "true":
            with data.open("rb") as stream:
                stream.seek(begin)
                present = _Survey.of(_inflate(stream, path), 0, expected).size
        _check_length(path, expected, present)
    return data.stat().st_size


def check_spacing(path: Path, spacing: tuple[float, ...]) -> None:
    """Raise InputError for a voxel spacing, in mm along each axis, that is zero, negative or not finite."""
    if not (np.isfinite(spacing).all() and min(spacing) > 0):
        raise InputError("bad_spacing", name=path, spacing=size_text(spacing))


def check_numbers(path: Path, nan: int, infinite: int) -> None:
    """Raise InputError if the number of NaN or of infinite voxels is not 0."""
    if nan or infinite:
        raise InputError("not_numbers", path=path, nan=nan, infinite=infinite)


def _check_shape(path: Path, shape: tuple[int, ...]) -> None:
    if not shape or min(shape) < 1:
        raise InputError("impossible_size", path=path, size=size_text(shape))


def _data_file(path: Path, name: str) -> Path:
    """Return the file that holds the voxels, as a detached header names it; `path` if `name` is empty."""
    if not name:
        return path
    if name.split()[0] == "LIST" or "%" in name:
        raise InputError("several_data_files", path=path)
    data = path.parent / name
    if not data.is_file():
        raise InputError("missing_data_file", path=path, file=name)
    return data


def _pieces(stream: BinaryIO, path: Path, compressed: bool) -> Iterator[bytes]:
    """Yield the content of a file, decompressed if it must be; nothing if it must be and is not a gzip file."""
    if not compressed:
        while piece := stream.read(CHUNK):
            yield piece
    elif stream.peek(2).startswith(b"\x1f\x8b"):
        yield from _inflate(stream, path)


def _inflate(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the decompressed pieces of a gzip or zlib stream and verify its checksums."""
    inflater = zlib.decompressobj(wbits=47)
    pending = stream.read(CHUNK)
    try:
        while pending:
            yield inflater.decompress(pending, CHUNK)
            pending = inflater.unconsumed_tail
            if inflater.eof:
                # A gzip file can hold several streams; anything else after the first is padding.
                pending = inflater.unused_data + stream.read(CHUNK)
                if not pending.startswith(b"\x1f\x8b"):
                    return
                inflater = zlib.decompressobj(wbits=47)
            elif not pending:
                pending = stream.read(CHUNK)
    except zlib.error as error:
        raise InputError("bad_checksum", path=path) from error
    raise InputError("compressed_data_cut_short", path=path)


@dataclass
class _Survey:
    """Content of a stream of voxels: its bytes, and the numbers of NaN and of infinite voxels."""

    size: int = 0
    nan: int = 0
    infinite: int = 0

    @classmethod
    def of(cls, pieces: Iterator[bytes], skip: int, expected: int, kind: np.dtype | None = None) -> _Survey:
        """Read a stream from byte `skip` on; stop far beyond the expected bytes, as in a decompression bomb."""
        found, rest = cls(size=-skip), b""
        for piece in pieces:
            if kind is not None and found.size < expected:
                rest += piece[max(0, -found.size) : expected - found.size]
                values = np.frombuffer(rest, kind, len(rest) // kind.itemsize)
                rest = rest[values.nbytes :]
                if not np.isfinite(values).all():
                    found.nan += int(np.isnan(values).sum())
                    found.infinite += int(np.isinf(values).sum())
            found.size += len(piece)
            if found.size > expected + SLACK:
                break
        return found


def _check_length(path: Path, expected: int, present: int) -> None:
    if present < expected:
        raise InputError("cut_short", path=path, expected=expected, present=max(present, 0))
    if present > expected + SLACK:
        raise InputError("more_data_than_header", path=path)
