"""The sources of scans: files, DICOM folders and arrays, as a user names them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import InputError
from ..volume import IMAGE_SUFFIXES, Volume, stem
from .images import ARRAYS, PICTURES, Place, is_dicom, place_named, read_picture, read_place
from .reading import read_image

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
STRIPPED = (*PICTURES, ARRAYS, *DICOM_SUFFIXES)

IN_ARRAYS = re.compile(r"(?P<file>.*\.npz)#(?P<picture>[^/\\#]*)", re.IGNORECASE | re.DOTALL)
READABLE = (*IMAGE_SUFFIXES, *PICTURES, ARRAYS, *DICOM_SUFFIXES)


@dataclass(frozen=True)
class Source:
    """A scan that can be read.

    Attributes:
        path: Its file, or the folder of a DICOM series.
        name: What to call it; no other scan of the folder has this name.
        subject: Whose it is. Scans of one subject never come into different parts of a split.
        place: Where in the file, for NPZ.
        modality: As DICOM files say, else empty.
        patient: PatientID of DICOM files, which may be empty; None for all others.
    """

    path: Path
    name: str
    subject: str
    place: Place | None = None
    modality: str = ""
    patient: str | None = field(default=None, repr=False)

    def read(self) -> Volume:
        """The scan; raises InputError if it cannot be read."""
        if self.place is not None:
            return read_place(self.path, self.place, self.name)
        if self.path.is_dir() or self.path.name.lower().endswith(IMAGE_SUFFIXES):
            return replace(read_image(self.path), name=self.name)
        return read_picture(self.path, self.name)

    def fingerprint(self) -> list[int]:
        """Bytes and time of the last change, in nanoseconds, of its file, or of all files of its folder."""
        files = sorted(self.path.glob("*")) if self.path.is_dir() else [self.path]
        facts = [file.stat() for file in files]
        return [sum(fact.st_size for fact in facts), max((fact.st_mtime_ns for fact in facts), default=0)]


def own_name(path: Path) -> str:
    """The name of a file or folder without its type. A name such as 1.2.840.7 has none."""
    return path.stem if path.suffix.lower() in STRIPPED else stem(path)


def in_file(given: Path) -> tuple[Path, str]:
    """The file of a path that may name a picture in it, and the picture; empty where it names none."""
    named = None if given.exists() else IN_ARRAYS.fullmatch(str(given))
    return (Path(named["file"]), named["picture"]) if named else (given, "")


def named_scan(given: Path) -> Source:
    """The scan of a path.

    Args:
        given: A volume, a picture, a DICOM file or a folder of DICOM slices; or an NPZ file, with ``#`` and the name
            of the picture, as a training has it behind the file's own, where there are several.

    Raises:
        InputError: If it is missing or of an unknown type, or an NPZ file without such a picture.
    """
    try:
        path, picture = in_file(given)
        there, folder = path.exists(), path.is_dir()
    except OSError as error:
        raise InputError("unreadable", path=given, reason=error.strerror or error) from error
    if not there:
        raise InputError("not_found", path=path)
    name = own_name(path.absolute())
    if not folder and path.suffix.lower() == ARRAYS:
        place, which = place_named(path, picture)
        name = f"{name}-{which}" if which else name
        return Source(path, name, name, place)
    if not folder and not path.name.lower().endswith(READABLE) and not is_dicom(path):
        raise InputError("unknown_image_type", path=path, types=", ".join((*IMAGE_SUFFIXES, *PICTURES)), arrays=ARRAYS)
    return Source(path, name, name)
