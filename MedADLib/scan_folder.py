"""What a folder of healthy scans holds: volumes or 2-D images, directly or in subfolders, and whose they are."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from .errors import InputError
from .pictures_reading import ARRAYS, PICTURES, Place, is_dicom, places_in, read_picture, read_place
from .volume import IMAGE_SUFFIXES, Volume, stem

log = logging.getLogger(__name__)

# DICOM files are often named by numbers, or not at all.
DICOM_NAMES = re.compile(r"(.*\.(dcm|dicom|ima)|[^.]*|.*\.\d+)", re.IGNORECASE)
SUBJECT = re.compile(r"(?:^|[_/\\])(sub-[A-Za-z0-9]+)")
STRIPPED = (*PICTURES, ARRAYS, ".dcm", ".dicom", ".ima")
# The folder in which a training keeps what it prepared is recognised by this file.
WORK = "template.safetensors"
KNOWN = (*IMAGE_SUFFIXES, *PICTURES, ARRAYS, ".dcm")


@dataclass(frozen=True)
class Source:
    """A scan that can be read.

    Attributes:
        path: Its file, or the folder of a DICOM series.
        name: What to call it; no other scan of the folder has this name.
        subject: Whose it is. Scans of one subject never come into different parts of a split.
        place: Where in the file, for NPZ.
    """

    path: Path
    name: str
    subject: str
    place: Place | None = None

    def read(self) -> Volume:
        """The scan; raises InputError if it cannot be read."""
        if self.place is not None:
            return read_place(self.path, self.place, self.name)
        if self.path.is_dir() or self.path.name.lower().endswith(IMAGE_SUFFIXES):
            return replace(Volume.read(self.path), name=self.name)
        return read_picture(self.path, self.name)

    def fingerprint(self) -> list[int]:
        """Bytes and time of the last change, in nanoseconds, of its file, or of all files of its folder."""
        files = sorted(self.path.glob("*")) if self.path.is_dir() else [self.path]
        facts = [file.stat() for file in files]
        return [sum(fact.st_size for fact in facts), max((fact.st_mtime_ns for fact in facts), default=0)]


def find_scans(
    folder: Path,
    only: str | None = None,
    subjects: str = "auto",
    healthy_label: int | None = None,
    healthy: bool = True,
) -> dict[str, Source]:
    """The scans of a folder by name, its subfolders included.

    Volumes are NIfTI, NRRD and MHA files, and folders of one DICOM series; where there are any, pictures beside them
    are left out. Else every PNG, JPEG, DICOM file and picture of an NPZ file is a scan. Hidden files and the folders
    of earlier trainings are passed over.

    Args:
        folder: Where to look; or one NPZ file.
        only: Pattern of the file names to take, such as ``*_T1w.nii.gz``.
        subjects: Whose a scan is: ``file`` (each file is of another subject), ``folder`` (all below a folder are of
            one), or ``auto``: ``sub-XX`` in the path as in BIDS, else the folder, else the file.
        healthy_label: Label of the healthy pictures in NPZ files that have labels.
        healthy: Whether to take those; else the others of these files.

    Raises:
        InputError: If the folder is missing or holds no images, or two images of one name.
    """
    folder = Path(folder)
    single = folder.suffix.lower() == ARRAYS and folder.is_file()
    if not single and not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "Give the folder with the scans, or one NPZ file.")
    files = [folder] if single else _files(folder, only)
    volumes = [path for path in files if path.is_dir() or path.name.lower().endswith(IMAGE_SUFFIXES)]
    if volumes and len(volumes) < len(files):
        log.warning("%d pictures beside the volumes in %s are left out", len(files) - len(volumes), folder.name)
    chosen = volumes or files
    if not chosen:
        named = f" named {only}" if only else ""
        raise InputError(f"{folder} holds no images{named}", f"Expected files ending in {', '.join(KNOWN)}.")
    root = Path(os.path.commonpath([path.parent for path in chosen]))
    found: dict[str, Source] = {}
    for path in chosen:
        for source in _sources(path, root, subjects, healthy_label, healthy):
            if source.name in found:
                raise InputError(f"{folder} has two images named {source.name}", "Keep one of them.")
            found[source.name] = source
    return found


def _files(folder: Path, only: str | None) -> list[Path]:
    """Image files, and folders that are one DICOM series, in an order that does not depend on the disk."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        if WORK in names:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        # Names with a leading dot are no scans: macOS leaves such files beside copied ones.
        paths = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        paths = [path for path in paths if only is None or fnmatch(path.name, only)]
        known = (*IMAGE_SUFFIXES, *PICTURES, ARRAYS)
        found += [path for path in paths if path.name.lower().endswith(known)]
        others = [path for path in paths if not path.name.lower().endswith(known) and path.name.upper() != "DICOMDIR"]
        dicom = [path for path in others if DICOM_NAMES.fullmatch(path.name) and is_dicom(path)]
        found += [Path(place)] if _is_series(dicom) else dicom
    return sorted(found)


def _is_series(files: list[Path]) -> bool:
    """Whether DICOM files of one folder are slices of a volume and not single images."""
    import SimpleITK as sitk

    from .reading import silenced

    reader, series = sitk.ImageFileReader(), Counter()
    for path in files:
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        try:
            with silenced():
                reader.ReadImageInformation()
        except RuntimeError:
            continue
        several = len(reader.GetSize()) > 2 and reader.GetSize()[2] > 1
        # Radiographs of one series do not say where they lie.
        if several or reader.HasMetaDataKey("0020|0032"):
            number = reader.GetMetaData("0020|000e") if reader.HasMetaDataKey("0020|000e") else ""
            series[number] += 1 + several
    return any(count > 1 for count in series.values())


def _sources(path: Path, root: Path, subjects: str, healthy_label: int | None, healthy: bool) -> list[Source]:
    """The scans of a file, or of a folder of one DICOM series."""
    parts = path.relative_to(root).parts
    # A name such as 1.2.840.7 has no suffix.
    own = path.stem if path.suffix.lower() in STRIPPED else stem(path)
    name = own if SUBJECT.match(own) else "_".join([*parts[:-1], own])
    subject = name
    if subjects != "file":
        bids = SUBJECT.search("/".join([*parts[:-1], own])) if subjects == "auto" else None
        subject = bids[1] if bids else parts[0] if len(parts) > 1 else name
    if path.suffix.lower() != ARRAYS:
        return [Source(path, name, subject)]
    places = places_in(path, healthy_label, healthy)
    keys, width = {place.key for place in places}, len(str(max(place.index or 0 for place in places)))
    found = []
    for place in places:
        tail = ([place.key] if len(keys) > 1 else []) + ([] if place.index is None else [f"{place.index:0{width}d}"])
        whole = "-".join([name, *tail])
        found.append(Source(path, whole, whole if len(places) > 1 else subject, place))
    return found
