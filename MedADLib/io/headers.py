"""Checks that the readers of all formats share."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

from ..errors import InputError


def is_special(path: str | os.PathLike) -> bool:
    """Return whether a path is a pipe, a device or a socket, which can hang its reader; False if it is missing."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def check_file(path: Path) -> None:
    """Raise InputError for a pipe, a device or a socket, before anything opens it."""
    if is_special(path):
        raise InputError("not_a_file", path=path)


def has_dicom_magic(path: Path) -> bool:
    """Return whether a file begins as a DICOM object does, with or without the mark DICM; False for a pipe or a device.

    Raises:
        OSError: If it cannot be read.
    """
    if is_special(path):
        return False
    with path.open("rb") as stream:
        start = stream.read(132)
    if start[128:] == b"DICM":
        return True
    # Without the mark, the file begins with an element of group 2 or 8, in explicit or implicit representation.
    group, number, size = struct.unpack("<2HI", start[:8].ljust(8, b"\0"))
    explicit = start[4:6] in (b"CS", b"DA", b"LO", b"OB", b"SH", b"TM", b"UI", b"UL")
    return len(start) == 132 and group in (2, 8) and number <= 0x70 and (explicit or (group == 8 and size <= 64))


def check_numbers(path: Path, nan: int, infinite: int) -> None:
    """Raise InputError if the number of NaN or of infinite voxels is not 0."""
    if nan or infinite:
        raise InputError("not_numbers", path=path, nan=nan, infinite=infinite)
