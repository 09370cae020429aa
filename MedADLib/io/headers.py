"""Check the header of an image file before its voxels are read.

The fields of a NIfTI header that say how voxels are stored and where the image lies.

What an image file says of itself, checked before anything is allocated or trusted.

ITK fills the missing end of a cut NIfTI file with zeros, turns a spacing of zero into 1 and voxels that are no number
into 0, and does not verify the checksums of compressed data; so all of that is checked here.
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

# By the code of the voxels' type.
VOXEL_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}
SEVERAL_NUMBERS = (32, 128, 1792, 2048, 2304)

CHUNK = 1 << 20
SLACK = 64 * CHUNK
META_BYTES = {
    "MET_CHAR": 1,
    "MET_UCHAR": 1,
    "MET_SHORT": 2,
    "MET_USHORT": 2,
    "MET_INT": 4,
    "MET_UINT": 4,
    "MET_LONG_LONG": 8,
    "MET_ULONG_LONG": 8,
    "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a NIfTI-1 or NIfTI-2 header that decide whether the file can be trusted."""

    shape: tuple[int, ...]
    kind: int
    spacing: tuple[float, ...]
    data_offset: float
    order: str

    @property
    def real_type(self) -> np.dtype | None:
        """The type of its voxels if they are real numbers, which alone can be no numbers."""
        return {16: np.dtype(self.order + "f4"), 64: np.dtype(self.order + "f8")}.get(self.kind)

    @classmethod
    def parse(cls, start: bytes) -> NiftiHeader | None:
        """Read the header from the first bytes of a decompressed file; None when it is no NIfTI."""
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


def nifti_position(path: Path) -> bytes | None:
    """The fields of a NIfTI-1 header that place the image in space, to be kept in the files that belong to it.

    A header holds two positions, which need not agree; programs differ in which they use. With both kept, results
    lie on their scan in every program.

    Returns:
        The little-endian bytes 76-80 (handedness) and 252-328 (qform and sform), or None for any other file or
        unit than millimetres.
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
    """Check a NIfTI header, and that all its voxels are there and undamaged.

    Returns:
        The bytes that voxels take in the file, decompressed.

    Raises:
        InputError: If the file cannot be trusted.
    """
    compressed = path.name.lower().endswith(".gz")
    with path.open("rb") as stream:
        start = next(_pieces(stream, path, compressed), b"")
    header = NiftiHeader.parse(start)
    if header is None:
        if compressed:
            raise InputError("not_compressed_nifti", path=path)
        raise InputError("wrong_format", path=path, format="NIfTI")
    _check_shape(path, header.shape)
    if header.kind in SEVERAL_NUMBERS:
        raise InputError("several_components", path=path)
    if header.kind not in VOXEL_BYTES or not np.isfinite(header.data_offset):
        raise InputError("unknown_voxel_type", path=path)
    if len(header.shape) >= 3:
        check_spacing(path, header.spacing)
    promised = int(np.prod(header.shape, dtype=object)) * VOXEL_BYTES[header.kind]
    begin = max(int(header.data_offset), 348)
    with path.open("rb") as stream:
        found = _Survey.of(_pieces(stream, path, compressed), begin, promised, header.real_type)
    _check_length(path, promised, found.size)
    check_numbers(path, found.nan, found.infinite)
    return promised


def check_nrrd(path: Path) -> int:
    """Check a NRRD header, and that compressed voxels are all there and undamaged; ITK itself checks plain ones.

    Returns:
        The bytes on disk that hold the voxels.

    Raises:
        InputError: If the file cannot be trusted.
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
    """Check a MetaImage header, and that all its voxels are there and undamaged.

    Returns:
        The bytes on disk that hold the voxels.

    Raises:
        InputError: If the file cannot be trusted.
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
        promised, begin = int(np.prod(shape, dtype=object)) * width, position if local else 0
        present = data.stat().st_size - begin
        if fields.get("CompressedData", "").lower() == "true":
            with data.open("rb") as stream:
                stream.seek(begin)
                present = _Survey.of(_inflate(stream, path), 0, promised).size
        _check_length(path, promised, present)
    return data.stat().st_size


def check_spacing(path: Path, spacing: tuple[float, ...]) -> None:
    """Refuse a voxel spacing that is zero, negative or no number.

    Raises:
        InputError: With the spacing.
    """
    if not (np.isfinite(spacing).all() and min(spacing) > 0):
        raise InputError("bad_spacing", name=path, spacing=size_text(spacing))


def check_numbers(path: Path, nan: int, infinite: int) -> None:
    """Refuse voxels that are no numbers.

    Raises:
        InputError: With how many there are.
    """
    if nan or infinite:
        raise InputError("not_numbers", path=path, nan=nan, infinite=infinite)


def _check_shape(path: Path, shape: tuple[int, ...]) -> None:
    if not shape or min(shape) < 1:
        raise InputError("impossible_size", path=path, size=size_text(shape))


def _data_file(path: Path, name: str) -> Path:
    """Where a detached header keeps its voxels; the file itself when they follow the header."""
    if not name:
        return path
    if name.split()[0] == "LIST" or "%" in name:
        raise InputError("several_data_files", path=path)
    data = path.parent / name
    if not data.is_file():
        raise InputError("missing_data_file", path=path, file=name)
    return data


def _pieces(stream: BinaryIO, path: Path, compressed: bool) -> Iterator[bytes]:
    """A file's content, decompressed if it should be; nothing if it is no gzip file although it should be."""
    if not compressed:
        while piece := stream.read(CHUNK):
            yield piece
    elif stream.peek(2).startswith(b"\x1f\x8b"):
        yield from _inflate(stream, path)


def _inflate(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    """The decompressed pieces of a gzip or zlib stream, whose checksums are verified."""
    inflater = zlib.decompressobj(wbits=47)
    pending = stream.read(CHUNK)
    try:
        while pending:
            yield inflater.decompress(pending, CHUNK)
            pending = inflater.unconsumed_tail
            if inflater.eof:
                # A gzip file may be several streams in a row; anything else behind the first is padding.
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
    """What a stream of voxels holds: its size in bytes, and how many voxels are no numbers."""

    size: int = 0
    nan: int = 0
    infinite: int = 0

    @classmethod
    def of(cls, pieces: Iterator[bytes], skip: int, promised: int, kind: np.dtype | None = None) -> _Survey:
        """Go through a stream from byte `skip` on; gives up once far beyond what was promised, as with a bomb."""
        found, rest = cls(size=-skip), b""
        for piece in pieces:
            if kind is not None and found.size < promised:
                rest += piece[max(0, -found.size) : promised - found.size]
                values = np.frombuffer(rest, kind, len(rest) // kind.itemsize)
                rest = rest[values.nbytes :]
                if not np.isfinite(values).all():
                    found.nan += int(np.isnan(values).sum())
                    found.infinite += int(np.isinf(values).sum())
            found.size += len(piece)
            if found.size > promised + SLACK:
                break
        return found


def _check_length(path: Path, promised: int, present: int) -> None:
    if present < promised:
        raise InputError("cut_short", path=path, expected=promised, present=max(present, 0))
    if present > promised + SLACK:
        raise InputError("more_data_than_header", path=path)
