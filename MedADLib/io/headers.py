"""Checks that the readers of all formats share."""

from __future__ import annotations

import struct
from pathlib import Path

from ..errors import InputError


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


def check_numbers(path: Path, nan: int, infinite: int) -> None:
    """Raise InputError if the number of NaN or of infinite voxels is not 0."""
    if nan or infinite:
        raise InputError("not_numbers", path=path, nan=nan, infinite=infinite)
