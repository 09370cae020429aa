"""Sources of scans: files, DICOM folders, and images of NPZ files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import InputError
from ..volume import IMAGE_SUFFIXES, Volume, stem
from .child_reading import child_reader
from .dicom import DICOM_SUFFIXES, DICOMDIR, series_files
from .dicom_contrast import described_kind
from .headers import check_file
from .images import ARRAYS, RASTERS, Place, is_dicom, place_named, read_place, read_raster
from .reading import read_image
from .reading_options import AS_THE_HEADER_SAYS, ReadingOptions

STRIPPED = (*RASTERS, ARRAYS, *DICOM_SUFFIXES)

IN_ARRAYS = re.compile(r"(?P<file>.*\.npz)#(?P<image>[^/\\#]*)", re.IGNORECASE | re.DOTALL)
READABLE = (*IMAGE_SUFFIXES, *RASTERS, ARRAYS, *DICOM_SUFFIXES)
# Read at once for a hash.
HASH_BYTES = 2**20


@dataclass(frozen=True)
class Source:
    """A scan that can be read.

    Attributes:
        path: A file, or the folder of a DICOM series.
        name: Name of the scan, unique in its folder.
        subject: The subject. All scans of one subject belong to the same part of a split.
        place: Location in an NPZ file.
        modality: Modality of DICOM files; else empty.
        patient: PatientID of DICOM files, which may be empty; None for other files.
        options: What the user says about the file beyond its header.
    """

    path: Path
    name: str
    subject: str
    place: Place | None = None
    modality: str = ""
    patient: str | None = field(default=None, repr=False)
    options: ReadingOptions = AS_THE_HEADER_SAYS

    def read(self) -> Volume:
        """Read the scan.

        Raises:
            InputError: If it cannot be read, or its format has no place for the options.
        """
        options = self.options
        check_file(self.path)
        if (child := child_reader()) is not None:
            task = {"path": str(self.path), "name": self.name, "place": self.place, "options": options.as_json()}
            return child.read(self.path, task)
        if self.place is None and (self.path.is_dir() or self.path.name.lower().endswith(IMAGE_SUFFIXES)):
            volume = replace(read_image(self.path, options=options), name=self.name)
            return replace(volume, described=described_kind(self.path)) if self.path.is_dir() else volume
        if options != AS_THE_HEADER_SAYS and (self.place is not None or self.path.suffix.lower() in RASTERS):
            raise InputError("options_for_volumes", path=self.path)
        if self.place is not None:
            return read_place(self.path, self.place, self.name)
        return replace(read_raster(self.path, self.name, options), described=described_kind(self.path))

    def fingerprint(self) -> list[int]:
        """Return bytes and time of the last change in nanoseconds, of the file or of all files of the folder."""
        facts = [file.stat() for file in self._files()]
        return [sum(fact.st_size for fact in facts), max((fact.st_mtime_ns for fact in facts), default=0)]

    def content_hash(self) -> str:
        """Return the sha256 of the file, or of all files of the folder in the order of their names."""
        digest = hashlib.sha256()
        for file in self._files():
            with file.open("rb") as stream:
                while block := stream.read(HASH_BYTES):
                    digest.update(block)
        return digest.hexdigest()

    def _files(self) -> list[Path]:
        """Return the file, or the files of the folder and those that its DICOMDIR lists, by name."""
        if not self.path.is_dir():
            return [self.path]
        beside = {file for file in self.path.iterdir() if file.is_file()}
        return sorted(beside | set(series_files(self.path)))


def own_name(path: Path) -> str:
    """Return the name of a file or folder without its suffix; a name such as 1.2.840.7 has none."""
    return path.stem if path.suffix.lower() in STRIPPED else stem(path)


def in_file(given: Path) -> tuple[Path, str]:
    """Split ``FILE.npz#IMAGE`` into the file and the name of the image, which is empty for any other path."""
    named = None if given.exists() else IN_ARRAYS.fullmatch(str(given))
    return (Path(named["file"]), named["image"]) if named else (given, "")


def named_scan(given: Path, options: ReadingOptions = AS_THE_HEADER_SAYS) -> Source:
    """Find the scan of a path.

    Args:
        given: A volume, a 2-D image, a DICOM file, a DICOMDIR or a folder of DICOM slices; or an NPZ file, with ``#``
            and the name of the image if it holds several, see `place_names`.
        options: What the user says about the file beyond its header.

    Raises:
        InputError: If it is missing, no file or of an unknown type, or an NPZ file without such an image.
    """
    try:
        path, image = in_file(given)
        exists, folder = path.exists(), path.is_dir()
    except OSError as error:
        raise InputError("unreadable", path=given, reason=error.strerror or error) from error
    if not exists:
        raise InputError("not_found", path=path)
    check_file(path)
    if path.name.upper() == DICOMDIR and not folder:
        # The index of a disc; the scan has the name of its folder.
        path, folder = path.absolute().parent, True
    name = own_name(path.absolute())
    if not folder and path.suffix.lower() == ARRAYS:
        place, which = place_named(path, image)
        name = f"{name}-{which}" if which else name
        return Source(path, name, name, place, options=options)
    if not folder and not path.name.lower().endswith(READABLE) and not is_dicom(path):
        raise InputError("unknown_image_type", path=path, types=", ".join((*IMAGE_SUFFIXES, *RASTERS)), arrays=ARRAYS)
    return Source(path, name, name, options=options)
