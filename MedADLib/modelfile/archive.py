"""Zip archives of unknown origin, read in memory under limits, and our own ones, written atomically.

Nothing is unpacked to disk, so no entry name can lead to a path outside. Unsafe names are refused all the same, because
MedAD does not write them.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import ModelError, OutputError
from ..runtime.atomic_files import locked, remove_partial, write_bytes

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_END = struct.Struct("<4sHHHHIIH")
_ZIP64_LOCATOR_BYTES = 20
_CHUNK = 1 << 20
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = (stat.S_IFREG | 0o644) << 16
# What zipfile and zlib are known to raise on damaged bytes; RuntimeError covers NotImplementedError.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Caps:
    """Limits of an archive, counted while reading, because declared sizes may be false.

    Attributes:
        entries: Largest number of entries.
        entry_bytes: Largest unpacked size of one entry.
        total_bytes: Largest size of the archive, and largest unpacked size of all its entries.
        ratio: Largest unpacked size of one entry as a multiple of its packed size.
        whole_ratio: Largest unpacked size of all entries as a multiple of the size of the archive, about 5 in real
            models, unless it is at most `always_bytes`.
        always_bytes: Unpacked size of all entries that is allowed for an archive of any size.
    """

    entries: int = 32
    entry_bytes: int = 1 << 29
    total_bytes: int = 1 << 30
    ratio: int = 250
    whole_ratio: int = 20
    always_bytes: int = 1 << 27

    def allowed(self, size: int) -> int:
        """Return the largest unpacked size of all entries of an archive of `size` bytes."""
        return min(self.total_bytes, max(self.whole_ratio * size, self.always_bytes))


CAPS = Caps()


def read_archive(path: str | os.PathLike, caps: Caps = CAPS, only: Collection[str] | None = None) -> dict[str, bytes]:
    """Read the entries of a zip file into memory; return their contents by name.

    Args:
        path: The zip file.
        caps: Limits.
        only: Names of the wanted entries; None for all. The names of all entries are checked in either case.

    Raises:
        ModelError: If the file is missing, is not a sound zip archive, exceeds a limit, or holds an entry with an
            absolute path, ``..``, a drive or backslashes in its name, a folder, link or device, an encrypted entry, or
            two entries with names that differ only in case.
    """
    with open_archive(path) as stream:
        return unpack(stream, path, caps, only)


def open_archive(path: str | os.PathLike) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        ModelError: If it does not exist, is not a regular file, or cannot be read.
    """
    try:
        # Checked before opening, because opening a pipe would wait for a writer forever.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ModelError("model_not_a_file", path=path)
        return open(path, "rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError("not_found", path=path) from error
    except (OSError, ValueError) as error:
        raise ModelError("unreadable", path=path, reason=error) from error


def unpack(
    stream: BinaryIO, path: str | os.PathLike, caps: Caps = CAPS, only: Collection[str] | None = None
) -> dict[str, bytes]:
    """Read the entries of an open zip file, as `read_archive` does; `path` is for errors only."""
    try:
        size = stream.seek(0, os.SEEK_END)
        if size > caps.total_bytes:
            raise ModelError("model_too_large", path=path, size=size, most=caps.total_bytes)
        count = _check_end(stream, size, path, caps)
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            if len(entries) != count:
                raise ModelError("model_entry_count", path=path, count=len(entries), declared=count)
            allowed = caps.allowed(size)
            _check_entries(entries, size, allowed, path)
            files: dict[str, bytes] = {}
            for entry in entries:
                if only is None or entry.filename in only:
                    files[entry.filename] = _inflate(archive, entry, allowed, path, caps)
                    allowed -= len(files[entry.filename])
            return files
    except _UNREADABLE as error:
        raise ModelError("model_damaged", path=path, detail=error) from error


def _check_end(stream: BinaryIO, size: int, path: str | os.PathLike, caps: Caps) -> int:
    """Check the end record before zipfile builds an object for each entry, and return the number of entries.

    The end record must be the last 22 bytes, and the directory must end where the record begins: no comment, no zip64,
    no bytes in front. zipfile can then read no other directory than the checked one.
    """
    stream.seek(0)
    begins_as_zip = stream.read(4) == b"PK\x03\x04"
    stream.seek(max(size - _END.size - _ZIP64_LOCATOR_BYTES, 0))
    tail = stream.read()
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\x05\x06":
        if begins_as_zip:
            raise ModelError("model_cut_short", path=path)
        raise ModelError("model_empty" if size == 0 else "model_not_zip", path=path)
    _, disk, first_disk, here, count, length, offset, comment = _END.unpack(tail[-_END.size :])
    if count > caps.entries or length > caps.entries * 1024:
        raise ModelError("model_many_entries", path=path, most=caps.entries)
    zip64 = tail[: -_END.size].startswith(b"PK\x06\x07")
    if disk or first_disk or here != count or comment or zip64 or offset + length + _END.size != size:
        raise ModelError("model_not_packed_by_medad", path=path)
    return count


def _check_entries(entries: list[zipfile.ZipInfo], size: int, allowed: int, path: str | os.PathLike) -> None:
    """Check all entries of the directory before any of them is read.

    Args:
        entries: The entries.
        size: Size of the archive.
        allowed: Largest unpacked size of all entries.
        path: For errors.
    """
    seen: set[str] = set()
    for entry in entries:
        # zipfile cuts `filename` at a NUL, replaces backslashes on Windows, and takes another name from an extra
        # field; `orig_filename` is the name in the directory.
        name = entry.orig_filename
        if not _PLAIN_NAME.fullmatch(name) or entry.filename != name:
            raise ModelError("entry_unsafe_name", path=path, entry=name[:80])
        if name.lower() in seen:
            raise ModelError("entry_twice", path=path, entry=name)
        seen.add(name.lower())
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise ModelError("entry_not_a_file", path=path, entry=name)
        if entry.flag_bits & _ENCRYPTED:
            raise ModelError("entry_encrypted", path=path, entry=name)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelError("entry_compression", path=path, entry=name)
    # With entries that share their packed bytes, a small file unpacks to a huge one within any ratio.
    if sum(entry.compress_size for entry in entries) > size:
        raise ModelError("model_entries_overlap", path=path)
    # Declared sizes may be too small, so `_inflate` counts as well.
    if (unpacked := sum(entry.file_size for entry in entries)) > allowed:
        raise ModelError("model_unpacks_too_large", path=path, size=unpacked, most=allowed)


def _inflate(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, allowed: int, path: str | os.PathLike, caps: Caps
) -> bytes:
    """Unpack one entry, and stop as soon as it exceeds a limit."""
    chunks, count = [], 0
    with archive.open(entry) as stream:
        while chunk := stream.read(_CHUNK):
            count += len(chunk)
            if count > min(caps.entry_bytes, allowed):
                raise ModelError("entry_too_large", path=path, entry=entry.filename)
            if count > max(entry.compress_size * caps.ratio, _CHUNK):
                raise ModelError("entry_ratio", path=path, entry=entry.filename, ratio=caps.ratio)
            chunks.append(chunk)
    if count != entry.file_size:
        raise ModelError("entry_size", path=path, entry=entry.filename)
    return b"".join(chunks)


def write_archive(path: str | os.PathLike, files: Mapping[str, bytes]) -> None:
    """Write files, by entry name, as a zip file in place of an older one, atomically; equal content gives equal bytes.

    Raises:
        ModelError: If `read_archive` would refuse it.
        OutputError: If it cannot be written; no partial file is left, and an older file stays.
    """
    content = _pack(files)
    unpack(io.BytesIO(content), path)
    path = Path(path)
    try:
        with locked(path.parent):
            remove_partial(path)
            write_bytes(path, content, durable=True)
    except OSError as error:
        raise OutputError("model_not_written", path=path, detail=error.strerror) from error


def _pack(files: Mapping[str, bytes]) -> bytes:
    """Pack a zip archive with sorted entries, each deflated if that saves a fifth and keeps well within the ratio."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", allowZip64=False) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EARLIEST)
            # Fixed, because the default depends on the operating system.
            entry.create_system, entry.external_attr = 3, _REGULAR_FILE
            packed = len(zlib.compress(content, 6))
            worth_it = 2 * len(content) / CAPS.ratio < packed < 0.8 * len(content)
            entry.compress_type = zipfile.ZIP_DEFLATED if worth_it else zipfile.ZIP_STORED
            archive.writestr(entry, content, compresslevel=6)
    return buffer.getvalue()
