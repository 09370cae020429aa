"""Checks that the readers of all formats share."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError


def has_dicom_magic(path: Path) -> bool:
    """Return whether a file begins as a DICOM object does.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def check_numbers(path: Path, nan: int, infinite: int) -> None:
    """Raise InputError if the number of NaN or of infinite voxels is not 0."""
    if nan or infinite:
        raise InputError("not_numbers", path=path, nan=nan, infinite=infinite)
