"""What a folder of healthy scans holds: volumes or 2-D images, directly or in subfolders, and whose they are."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from .array_names import place_names
from .dicom_tags import DicomTags, is_series, most_say, tags_of
from .errors import InputError
from .pictures_reading import ARRAYS, PICTURES, Place, is_dicom, places_in, read_picture, read_place
from .scan_subjects import SUBJECT, are_told_apart, joined_by_patient, subject_by_name
from .volume import IMAGE_SUFFIXES, Volume, stem

log = logging.getLogger(__name__)

# DICOM files are often named by numbers, or not at all.
DICOM_NAMES = re.compile(r"(.*\.(dcm|dicom|ima)|[^.]*|.*\.\d+)", re.IGNORECASE)
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
STRIPPED = (*PICTURES, ARRAYS, *DICOM_SUFFIXES)
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
    skip_bad: bool = False,
) -> dict[str, Source]:
    """The scans of a folder by name, its subfolders included.

    Volumes are NIfTI, NRRD and MHA files, and folders of one DICOM series; where there are none, every PNG, JPEG, DICOM
    file and picture of an NPZ file is a scan. Hidden files and the folders of earlier trainings are passed over.

    Args:
        folder: Where to look; or one NPZ file.
        only: Pattern of the file names to take, such as ``*_T1w.nii.gz``.
        subjects: Whose a scan is: ``file`` (each file is of another subject), ``folder`` (all below a folder are of
            one), or ``auto``: ``sub-XX`` in the path as in BIDS and the PatientID of DICOM files, else the folder, else
            the file, or each picture of an NPZ file with several.
        healthy_label: Label of the healthy pictures in NPZ files that have labels.
        healthy: Whether to take those; else the others of these files.
        skip_bad: Leave out pictures beside volumes.

    Raises:
        InputError: If the folder is missing, holds no images, two images of one name, or pictures beside volumes.
    """
    folder = Path(folder)
    single = folder.suffix.lower() == ARRAYS and folder.is_file()
    if not single and not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "Give the folder with the scans, or one NPZ file.")
    files: dict[Path, DicomTags | None] = {folder: None} if single else _files(folder, only)
    chosen = _of_one_kind(folder, list(files), skip_bad)
    if not chosen:
        named = f" named {only}" if only else ""
        raise InputError(f"{folder} holds no images{named}", f"Expected files ending in {', '.join(KNOWN)}.")
    root = Path(os.path.commonpath([path.parent for path in chosen]))
    found: dict[str, Source] = {}
    for path in chosen:
        for source in _sources(path, root, subjects, healthy_label, healthy, files[path]):
            if source.name in found:
                raise InputError(f"{folder} has two images named {source.name}", "Keep one of them.")
            found[source.name] = source
    return joined_by_patient(found) if subjects == "auto" else found


def own_name(path: Path) -> str:
    """The name of a file or folder without its type. A name such as 1.2.840.7 has none."""
    return path.stem if path.suffix.lower() in STRIPPED else stem(path)


def _of_one_kind(folder: Path, files: list[Path], skip_bad: bool) -> list[Path]:
    """The volumes, or the pictures where there are none."""
    volumes = [path for path in files if path.is_dir() or path.name.lower().endswith(IMAGE_SUFFIXES)]
    pictures = sorted(set(files) - set(volumes))
    if not volumes or not pictures:
        return files
    if not skip_bad:
        shown = f"{len(pictures)} pictures (such as {pictures[0].name}) beside {len(volumes)} volumes"
        remedy = "Pick one kind with --only, such as '*.nii.gz' or '*.png', or leave the pictures out with --skip-bad."
        raise InputError(f"{folder} holds {shown} (such as {volumes[0].name})", remedy)
    log.warning("%d pictures beside the volumes in %s are left out", len(pictures), folder.name)
    return volumes


def _files(folder: Path, only: str | None) -> dict[Path, DicomTags | None]:
    """Image files, and folders that are one DICOM series, in an order that does not depend on the disk.

    Returns:
        With what DICOM files say, and None for all others.
    """
    found: dict[Path, DicomTags | None] = {}
    for place, folders, names in os.walk(folder):
        if WORK in names:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        # Names with a leading dot are no scans: macOS leaves such files beside copied ones.
        paths = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        paths = [path for path in paths if only is None or fnmatch(path.name, only)]
        known = (*IMAGE_SUFFIXES, *PICTURES, ARRAYS)
        found |= {path: None for path in paths if path.name.lower().endswith(known)}
        others = [path for path in paths if not path.name.lower().endswith(known) and path.name.upper() != "DICOMDIR"]
        others = [path for path in others if DICOM_NAMES.fullmatch(path.name) and is_dicom(path)]
        dicom = {path: tags_of(path) for path in others}
        headers = list(dicom.values())
        found |= {Path(place): most_say(headers)} if is_series(headers) else dicom
    return dict(sorted(found.items()))


def _sources(
    path: Path, root: Path, subjects: str, healthy_label: int | None, healthy: bool, tags: DicomTags | None
) -> list[Source]:
    """The scans of a file, or of a folder of one DICOM series."""
    folders, own = path.relative_to(root).parts[:-1], own_name(path)
    name = own if SUBJECT.match(own) else "_".join([*folders, own])
    subject = subject_by_name(folders, own, name, subjects)
    if path.suffix.lower() != ARRAYS:
        said = (tags.modality, tags.patient) if tags else ()
        return [Source(path, name, subject, None, *said)]
    places = places_in(path, healthy_label, healthy)
    apart = len(places) > 1 and are_told_apart(subject, subjects)
    wholes = [f"{name}-{tail}" if tail else name for tail in place_names(places)]
    return [Source(path, whole, whole if apart else subject, place) for whole, place in zip(wholes, places)]
