"""Find the scans of a folder, and identify the subject of each.

All scans of a subject go to one part of a split. With wrong subjects, a model is tested on subjects that it was trained
on, or there are too few subjects to divide.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from ..errors import InputError
from ..io.dicom import DicomTags, is_series, most_frequent_tags, tags_of
from ..io.headers import is_special
from ..io.images import ARRAYS, RASTERS, is_dicom, place_names, places_in
from ..io.reading_options import AS_THE_HEADER_SAYS, ReadingOptions
from ..io.sources import Source, own_name
from ..messages import Message
from ..volume import IMAGE_SUFFIXES

NAMED = "sub-[A-Za-z0-9]+"
SUBJECT = re.compile(rf"(?:^|[_/\\])({NAMED})")
PATIENT = "\0"

log = logging.getLogger(__name__)

# DICOM files are often named by numbers, or not at all.
DICOM_NAMES = re.compile(r"(.*\.(dcm|dicom|ima)|[^.]*|.*\.\d+)", re.IGNORECASE)

# This file identifies the work folder of a training.
WORK = "template.safetensors"
# Folder of BIDS for what was computed from the scans.
DERIVED = "derivatives"
KNOWN = (*IMAGE_SUFFIXES, *RASTERS, ARRAYS, ".dcm")


def subject_by_name(folders: Sequence[str], own: str, name: str, rule: str) -> str:
    """Identify the subject of a scan by its path: folders below the one common to all files, and its own name.

    The rules ``auto``, ``folder`` and ``file`` are those of `find_scans`.
    """
    if rule == "auto" and (bids := SUBJECT.search("/".join([*folders, own]))):
        return bids[1]
    return folders[0] if folders and rule != "file" else name


def has_several_subjects(subject: str, rule: str) -> bool:
    """Check whether the images of one file are of different subjects, as in the files of a data set."""
    return rule == "auto" and not re.fullmatch(NAMED, subject)


def joined_by_patient(scans: Mapping[str, Source]) -> dict[str, Source]:
    """Unite the subjects of scans with the same PatientID, and of scans with the same ``sub-XX`` as one of them.

    If all DICOM files have the same PatientID, or none, it was removed and is ignored. The PatientID takes precedence
    over folders, because one folder may contain many patients.
    """
    if len(_patients(scans)) < 2:
        return dict(scans)
    above: dict[str, str] = {}

    def joint(key: str) -> str:
        while (other := above.get(key, key)) != key:
            key = other
        return key

    keys = {name: PATIENT + one.patient if one.patient else one.subject for name, one in scans.items()}
    for name, source in scans.items():
        if source.patient and re.fullmatch(NAMED, source.subject) and joint(keys[name]) != joint(source.subject):
            above[joint(keys[name])] = joint(source.subject)
    subjects, first = {name: joint(key) for name, key in keys.items()}, {}
    for name in sorted(scans):
        first.setdefault(subjects[name], name)
    # Messages contain the subject, and must not contain the PatientID.
    shown = {key: f"the patient of {name}" if key.startswith(PATIENT) else key for key, name in first.items()}
    return {name: replace(source, subject=shown[subjects[name]]) for name, source in scans.items()}


def doubts_about_subjects(scans: Mapping[str, Source], rule: str) -> list[Message]:
    """List what a user should check about the subjects that `find_scans` identified by a rule."""
    if rule != "auto":
        return []
    doubts = []
    patients = _patients(scans)
    if len(patients) == 1 and sum(source.patient is not None for source in scans.values()) > 1:
        doubts.append(Message("same_patient_id") if patients.pop() else Message("no_patient_id"))
    alone = Counter(one.path for name, one in scans.items() if one.place is not None and one.subject == name)
    several = [path for path, count in alone.items() if count > 1]
    if len(several) > 1:
        doubts.append(Message("images_as_subjects", files=len(several), name=several[0].name))
    return doubts


def _patients(scans: Mapping[str, Source]) -> set[str]:
    return {source.patient for source in scans.values() if source.patient is not None}


def find_scans(
    folder: Path,
    only: str | None = None,
    subjects: str = "auto",
    healthy_label: int | None = None,
    healthy: bool = True,
    skip_bad: bool = False,
    options: ReadingOptions = AS_THE_HEADER_SAYS,
) -> dict[str, Source]:
    """Find the scans of a folder and its subfolders.

    Volumes are NIfTI, NRRD and MHA files, and folders of one DICOM series. Without volumes, every PNG, JPEG and DICOM
    file and every image of an NPZ file is a scan. Hidden files, the work folders of trainings and
    folders of the name ``derivatives``, in capitals or not, are left out; links are followed, and each scan counts
    once.

    Args:
        folder: Folder with the scans, or one NPZ file.
        only: Pattern of the file names to use, such as ``*_T1w.nii.gz``.
        subjects: How to identify the subject of a scan: ``file`` (each file is of another subject), ``folder`` (all
            files below a folder are of one subject), or ``auto``: by ``sub-XX`` in the path as in BIDS and the
            PatientID of DICOM files, else by folder, else by file or, in an NPZ file with several images, by image.
        healthy_label: Label of the healthy images in NPZ files with labels.
        healthy: Whether to return the images with this label, or those with other labels.
        skip_bad: Leave out 2-D images beside volumes.
        options: What the user says about all scans beyond their headers.

    Returns:
        The scans by name.

    Raises:
        InputError: If the folder is missing or contains no images, two images of one name, or 2-D images beside
            volumes.
    """
    folder = Path(folder)
    single = folder.suffix.lower() == ARRAYS and folder.is_file()
    if not single and not folder.is_dir():
        raise InputError("scan_folder_missing", path=folder)
    files: dict[Path, DicomTags | None] = {folder: None} if single else _files(folder, only)
    chosen = _of_one_kind(folder, files, skip_bad)
    if not chosen:
        if only:
            raise InputError("no_scans_named", folder=folder, pattern=only, endings=", ".join(KNOWN))
        raise InputError("no_scans", folder=folder, endings=", ".join(KNOWN))
    root = Path(os.path.commonpath([path.parent for path in chosen]))
    found: dict[str, Source] = {}
    for path in chosen:
        for source in _sources(path, root, subjects, healthy_label, healthy, files[path]):
            if source.name in found:
                raise InputError("scan_name_twice", folder=folder, name=source.name)
            found[source.name] = replace(source, options=options)
    return joined_by_patient(found) if subjects == "auto" else found


def _of_one_kind(folder: Path, files: dict[Path, DicomTags | None], skip_bad: bool) -> list[Path]:
    """Select the volumes, or the 2-D images if there are no volumes."""
    frames = {path: tags.frames if tags else 1 for path, tags in files.items()}
    volumes = [
        path for path in files if path.is_dir() or path.name.lower().endswith(IMAGE_SUFFIXES) or frames[path] > 1
    ]
    images = sorted(set(files) - set(volumes))
    if not volumes or not images:
        return list(files)
    if not skip_bad:
        counts = {"images": len(images), "volumes": len(volumes)}
        raise InputError("images_beside_volumes", folder=folder, image=images[0].name, volume=volumes[0].name, **counts)
    log.warning(Message("images_left_out", folder=folder.name, images=len(images)))
    return volumes


def _files(folder: Path, only: str | None) -> dict[Path, DicomTags | None]:
    """Find image files (with None) and DICOM files or folders (with tags), in an order independent of the disk."""
    found: dict[Path, DicomTags | None] = {}
    derived: list[str] = []
    # The files themselves of each scan, wherever links to them are.
    own: dict[Path, frozenset[str]] = {}
    for place, folders, names in _walk(folder):
        if WORK in names:
            folders.clear()
            continue
        derived += [os.path.join(place, name) for name in folders if name.lower() == DERIVED]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name.lower() != DERIVED)
        # Files with a leading dot are not scans: macOS writes them beside copied files.
        paths = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        paths = [path for path in paths if (only is None or fnmatch(path.name, only)) and _exists(path)]
        # Of the two files of one volume, the header stands for both.
        headers = {path.stem for path in paths if path.suffix.lower() == ".hdr"}
        paths = [path for path in paths if path.suffix.lower() != ".img" or path.stem not in headers]
        known = (*IMAGE_SUFFIXES, *RASTERS, ARRAYS)
        images = {path: None for path in paths if path.name.lower().endswith(known)}
        others = [path for path in paths if not path.name.lower().endswith(known) and path.name.upper() != "DICOMDIR"]
        others = [path for path in others if DICOM_NAMES.fullmatch(path.name) and is_dicom(path)]
        dicom = {path: tags_of(path) for path in others}
        tags = list(dicom.values())
        if is_series(tags):
            own[Path(place)] = frozenset(map(os.path.realpath, dicom))
            images[Path(place)] = most_frequent_tags(tags)
        else:
            images |= dicom
        own |= {path: frozenset([os.path.realpath(path)]) for path in images if path not in own}
        found |= images
    for name in sorted(derived):
        log.warning(Message("derivatives_left_out", folder=name))
    return {path: found[path] for path in sorted(_each_once(folder, own))}


def _each_once(folder: Path, own: Mapping[Path, frozenset[str]]) -> list[Path]:
    """Leave out scans that links show again, with a warning; the scan itself goes before a link to it.

    Args:
        folder: The folder of all.
        own: The real paths of the files of each scan.
    """
    kept: dict[frozenset[str], Path] = {}
    root = os.path.realpath(folder)

    def is_linked(path: Path) -> bool:
        return os.path.realpath(path) != os.path.join(root, path.relative_to(folder))

    for path in sorted(own, key=lambda path: (is_linked(path), path)):
        if kept.setdefault(own[path], path) is not path:
            log.warning(Message("link_left_out", path=str(path)))
    return list(kept.values())


def _walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk through a folder as `os.walk` does, and through folders that it links to, each only once.

    Links that lead back, links to nothing and folders that cannot be read are left out, with a warning.
    """

    def left_out(error: OSError) -> None:
        log.warning(Message("folder_left_out", path=str(error.filename), reason=error.strerror or str(error)))

    seen = {os.path.realpath(root)}
    for place, folders, names in os.walk(root, onerror=left_out, followlinks=True):
        yield place, folders, names
        for name in list(folders):
            path = os.path.join(place, name)
            real = os.path.realpath(path)
            if real in seen or os.path.islink(path) and _is_inside(real, root):
                log.warning(Message("link_left_out", path=path))
                folders.remove(name)
            seen.add(real)


def _exists(path: Path) -> bool:
    """Return whether a file exists; warn of a link to nothing or to itself, and of a pipe or a device."""
    if not os.path.exists(path):
        log.warning(Message("link_left_out", path=str(path)))
        return False
    if is_special(path):
        log.warning(Message("special_left_out", path=str(path)))
        return False
    return True


def _is_inside(path: str, folder: Path) -> bool:
    """Return whether a real path lies in a folder, which is walked through anyway, or holds it."""
    real = os.path.realpath(folder)
    return os.path.commonpath([path, real]) in (path, real) if path[:1] == real[:1] else False


def _sources(
    path: Path, root: Path, subjects: str, healthy_label: int | None, healthy: bool, tags: DicomTags | None
) -> list[Source]:
    """List the scans of a file, or of a folder of one DICOM series."""
    folders, own = path.relative_to(root).parts[:-1], own_name(path)
    name = own if SUBJECT.match(own) else "_".join([*folders, own])
    subject = subject_by_name(folders, own, name, subjects)
    if path.suffix.lower() != ARRAYS:
        known = (tags.modality, tags.patient) if tags else ()
        return [Source(path, name, subject, None, *known)]
    places = places_in(path, healthy_label, healthy)
    apart = len(places) > 1 and has_several_subjects(subject, subjects)
    wholes = [f"{name}-{tail}" if tail else name for tail in place_names(places)]
    return [Source(path, whole, whole if apart else subject, place) for whole, place in zip(wholes, places)]
