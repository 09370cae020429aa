"""Decode the voxels of a file, piece by piece and never beyond what the header gives.

ITK fills the missing end of a cut NIfTI file with zeros, turns voxels that are not a number into 0, does not verify
the checksums of compressed data, and unpacks them without a limit.
"""

from __future__ import annotations

import bz2
import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from ..errors import InputError
from ..messages import Message
from ..volume import size_text

log = logging.getLogger(__name__)

MAX_VOXELS = 2**30
# Greatest ratio of zlib, and bytes of the compressed file that a short stream needs anyway.
ZLIB_GREATEST_RATIO = 1032
CHUNK = 1 << 20
# Bytes that a file may hold beyond what its header gives.
SLACK = 64 * CHUNK
# An editor may end a file with empty lines.
LINE_ENDS = 4
# Correlation of neighbours by rank of an image, how much less it is in the wrong byte order, and the pairs it needs.
# Measured: 0.58 to 0.99 in the right order, 0.3 to 1 less in the wrong one, 0 in noise.
IMAGE, LESS, LEAST_PAIRS = 0.5, 0.2, 500
GZIP = b"\x1f\x8b"
BZIP2 = b"BZh"

Encoding = Literal["raw", "zlib", "bzip2", "text", "hex"]


@dataclass(frozen=True, eq=False)
class StoredVoxels:
    """Location and form of the voxels of an image.

    Attributes:
        path: File that the user names, for messages.
        file: File that holds the voxels, which a detached header names.
        shape: Voxels along (x, y, z).
        kind: Type of a stored number, with its byte order.
        start: Bytes of the file before the voxels or before the compressed stream; negative for voxels at its end.
        skip: Decompressed bytes before the voxels.
        encoding: ``zlib`` for gzip and zlib streams.
        slope: Factor to the true values; 0 for none.
        intercept: Added after the multiplication.
        most_surplus: Bytes that may follow the voxels unsaid; a whole slice more is refused. None allows any.
    """

    path: Path
    file: Path
    shape: tuple[int, ...]
    kind: np.dtype
    start: int = 0
    skip: int = 0
    encoding: Encoding = "raw"
    slope: float = 0.0
    intercept: float = 0.0
    most_surplus: int | None = None

    @property
    def size(self) -> int:
        """Bytes of all voxels, decoded."""
        return _product(self.shape) * self.kind.itemsize

    def check(self) -> None:
        """Raise InputError for a size that is impossible, too large or more than the file can hold."""
        if not self.shape or min(self.shape) < 1:
            raise InputError("impossible_size", path=self.path, size=size_text(self.shape))
        voxels, present = _product(self.shape), self.file.stat().st_size
        start = max(self.start, 0)
        if self.encoding == "raw" and self.size > present - start - self.skip:
            left = max(present - start - self.skip, 0)
            raise InputError("cut_short", path=self.path, expected=self.size, present=left)
        # A number in a text takes a digit and a space at least.
        most = {"zlib": self.size / ZLIB_GREATEST_RATIO, "text": 2 * voxels - 1, "hex": 2 * self.size}
        if most.get(self.encoding, 0) > present:
            raise InputError("header_exceeds_file", path=self.path, size=size_text(self.shape))
        if voxels > MAX_VOXELS:
            raise InputError("too_many_voxels", path=self.path, voxels=voxels, limit=MAX_VOXELS)

    def read(self) -> np.ndarray:
        """Read the voxels, float32 (Z, Y, X), and verify that all are present and undamaged.

        Raises:
            InputError: If the file is cut short or damaged, or holds far more than its header gives.
            OSError: If it cannot be read.
        """
        self.check()
        found = np.empty(_product(self.shape), np.float32)
        position, rest, surplus = 0, b"", 0
        for piece in self._decoded():
            if position == found.size:
                surplus += len(piece)
            else:
                whole = rest + piece if rest else piece
                values = np.frombuffer(whole, self.kind, min(len(whole) // self.kind.itemsize, found.size - position))
                found[position : position + values.size] = self._true_values(values)
                position += values.size
                rest = whole[values.nbytes :]
                if position == found.size:
                    surplus, rest = len(rest), b""
            if surplus > SLACK:
                raise InputError("more_data_than_header", path=self.path)
        if position < found.size:
            present = position * self.kind.itemsize + len(rest)
            raise InputError("cut_short", path=self.path, expected=self.size, present=present)
        if self.most_surplus is not None and surplus > max(self.most_surplus, LINE_ENDS):
            # The size, type or start that the header gives is wrong, or something else follows.
            if surplus >= self.size // self.shape[-1]:
                raise InputError("more_data_than_header", path=self.path)
            log.warning(Message("surplus_data", path=str(self.path), surplus=surplus))
        return found.reshape(self.shape[::-1])

    def _true_values(self, values: np.ndarray) -> np.ndarray:
        """Apply slope and intercept as ITK does: in double precision, unless they change nothing."""
        least = np.finfo(np.float64).eps
        if abs(self.slope) > least and (abs(self.slope - 1) > least or abs(self.intercept) > least):
            return values.astype(np.float64) * self.slope + self.intercept
        return values

    def _decoded(self) -> Iterator[bytes]:
        """Yield the decoded bytes of the voxels and what follows them."""
        with self.file.open("rb") as stream:
            start = self.start
            if start < 0:
                start = max(self.file.stat().st_size - self.size, 0)
            stream.seek(start)
            if self.encoding in ("text", "hex"):
                yield self._numbers_in_text(stream)
                return
            pieces = {"raw": plain_pieces, "zlib": inflated, "bzip2": _bunzipped}[self.encoding](stream, self.path)
            skip = self.skip
            for piece in pieces:
                kept = piece[skip:] if skip else piece
                skip -= min(skip, len(piece))
                if kept:
                    yield kept

    def _numbers_in_text(self, stream: BinaryIO) -> bytes:
        text = stream.read(32 * _product(self.shape) + SLACK)
        try:
            if self.encoding == "hex":
                return bytes.fromhex(text.decode("ascii"))
            # The whole text is a list of numbers: a word that is none must not end it in silence.
            return np.array(text.split(), np.float64).astype(self.kind).tobytes()
        except (ValueError, OverflowError) as error:
            raise InputError("damaged_image", path=self.path) from error


def check_byte_order(path: Path, array: np.ndarray, kind: np.dtype) -> None:
    """Raise InputError for voxels (Z, Y, X) that are no image as read, and one with their bytes in the other order.

    Args:
        path: The file, for messages.
        array: Voxels, float32, without slope and intercept.
        kind: Type of a stored number, with its byte order.
    """
    middle = array[array.shape[0] // 2]
    if kind.itemsize == 1 or (kind.kind != "f" and kind.itemsize > 2) or kind.itemsize > 4:
        return
    with np.errstate(invalid="ignore", over="ignore"):
        other = middle.astype(kind).view(kind.newbyteorder()).astype(np.float32)
    if (likeness := _likeness_of_neighbours(other)) > IMAGE and likeness - _likeness_of_neighbours(middle) > LESS:
        raise InputError("wrong_byte_order", path=path)


def _likeness_of_neighbours(image: np.ndarray) -> float:
    """Return the rank correlation of neighbours along x that differ, of an image (Y, X); 0 if there are few."""
    ranks = np.unique(np.nan_to_num(image), return_inverse=True)[1].reshape(image.shape).astype(np.float64)
    first, second = ranks[:, :-1], ranks[:, 1:]
    differ = first != second
    if np.count_nonzero(differ) < LEAST_PAIRS or np.ptp(first[differ]) == 0 or np.ptp(second[differ]) == 0:
        return 0.0
    return float(np.corrcoef(first[differ], second[differ])[0, 1])


def unpacked_bytes(path: Path) -> int:
    """Return the bytes of a file, of one that gzip compresses as a single stream those that it unpacks to."""
    size = path.stat().st_size
    if not is_gzip(path) or size < 8:
        return size
    with path.open("rb") as stream:
        stream.seek(-4, 2)
        return int.from_bytes(stream.read(4), "little")


def _product(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=object))


def is_gzip(path: Path) -> bool:
    """Return whether a file is compressed by gzip, whatever its name is.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        return stream.read(2) == GZIP


def first_bytes(path: Path, count: int) -> bytes:
    """Return the first bytes of a file, decompressed if it is compressed by gzip.

    Raises:
        InputError: If the compressed data are damaged.
        OSError: If it cannot be read.
    """
    compressed, found = is_gzip(path), b""
    with path.open("rb") as stream:
        pieces = inflated(stream, path, count) if compressed else plain_pieces(stream, path)
        for piece in pieces:
            found += piece
            if len(found) >= count:
                break
    return found[:count]


def plain_pieces(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the content of a file."""
    while piece := stream.read(CHUNK):
        yield piece


def inflated(stream: BinaryIO, path: Path, chunk: int = CHUNK) -> Iterator[bytes]:
    """Yield the decompressed pieces of a gzip or zlib stream and verify its checksums."""
    inflater = zlib.decompressobj(wbits=47)
    pending = stream.read(CHUNK)
    try:
        while pending:
            yield inflater.decompress(pending, chunk)
            pending = inflater.unconsumed_tail
            if inflater.eof:
                # A gzip file can hold several streams; anything else after the first is padding.
                pending = inflater.unused_data + stream.read(CHUNK)
                if not pending.startswith(GZIP):
                    return
                inflater = zlib.decompressobj(wbits=47)
            elif not pending:
                pending = stream.read(CHUNK)
    except zlib.error as error:
        raise InputError("bad_checksum", path=path) from error
    raise InputError("compressed_data_cut_short", path=path)


def _bunzipped(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the decompressed pieces of a bzip2 stream and verify its checksums."""
    unpacker, pending = bz2.BZ2Decompressor(), stream.read(CHUNK)
    try:
        while pending or not unpacker.needs_input:
            yield unpacker.decompress(pending, CHUNK)
            if unpacker.eof:
                pending = unpacker.unused_data + stream.read(CHUNK)
                if not pending.startswith(BZIP2):
                    return
                unpacker = bz2.BZ2Decompressor()
            else:
                pending = stream.read(CHUNK) if unpacker.needs_input else b""
    except (OSError, EOFError) as error:
        raise InputError("bad_checksum", path=path) from error
    raise InputError("compressed_data_cut_short", path=path)
