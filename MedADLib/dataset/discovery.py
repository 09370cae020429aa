"""Find the scans of a folder, and the subject of each.

Whose each scan is: what the user, the names of BIDS, the PatientID of DICOM files, folders or files say.

Scans of one subject never come into different parts of a split, so a wrong answer lets a model be judged on whom it
learned from, or leaves nobody to judge it on.

What a folder of healthy scans holds: volumes or 2-D images, directly or in subfolders, and whose they are.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from ..errors import InputError
from ..io.dicom import DicomTags, is_series, most_say, tags_of
from ..io.images import ARRAYS, PICTURES, is_dicom, place_names, places_in
from ..io.sources import Source, own_name
from ..messages import Message
from ..volume import IMAGE_SUFFIXES

NAMED = "sub-[A-Za-z0-9]+"
SUBJECT = re.compile(rf"(?:^|[_/\\])({NAMED})")
PATIENT = "\0"

log = logging.getLogger(__name__)

# DICOM files are often named by numbers, or not at all.
DICOM_NAMES = re.compile(r"(.*\.(dcm|dicom|ima)|[^.]*|.*\.\d+)", re.IGNORECASE)

# The folder in which a training keeps what it prepared is recognised by this file.
WORK = "template.safetensors"
KNOWN = (*IMAGE_SUFFIXES, *PICTURES, ARRAYS, ".dcm")


def subject_by_name(folders: Sequence[str], own: str, name: str, rule: str) -> str:
    """Whose a file is.

    Args:
        folders: That it lies in, below the folder that all share.
        own: Name of the file without its type.
        name: Of the scan.
        rule: ``auto``, ``folder`` or ``file``, as `find_scans` has it.
    """
    if rule == "auto" and (bids := SUBJECT.search("/".join([*folders, own]))):
        return bids[1]
    return folders[0] if folders and rule != "file" else name


def are_told_apart(subject: str, rule: str) -> bool:
    """Whether pictures in one file are of different subjects, as in the files of a data set."""
    return rule == "auto" and not re.fullmatch(NAMED, subject)


def joined_by_patient(scans: Mapping[str, Source]) -> dict[str, Source]:
    """The scans with one subject for all that have one PatientID, and for what ``sub-XX`` has in common with them.

    Where all DICOM files have the same PatientID, or none, it says nothing: it was taken out. Folders give way to it,
    for many patients may lie in one.

    Args:
        scans: By name; their subjects by name.
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
    # Messages name a subject, and the PatientID is not for messages.
    shown = {key: f"the patient of {name}" if key.startswith(PATIENT) else key for key, name in first.items()}
    return {name: replace(source, subject=shown[subjects[name]]) for name, source in scans.items()}


def doubts_about_subjects(scans: Mapping[str, Source], rule: str) -> list[Message]:
    """List what a user should check about the subjects that `find_scans` identified.

    Args:
        scans: By name, as `find_scans` returns them.
        rule: The rule that it was called with.
    """
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
        raise InputError("scan_folder_missing", path=folder)
    files: dict[Path, DicomTags | None] = {folder: None} if single else _files(folder, only)
    chosen = _of_one_kind(folder, list(files), skip_bad)
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
            found[source.name] = source
    return joined_by_patient(found) if subjects == "auto" else found


def _of_one_kind(folder: Path, files: list[Path], skip_bad: bool) -> list[Path]:
    """The volumes, or the pictures where there are none."""
    volumes = [path for path in files if path.is_dir() or path.name.lower().endswith(IMAGE_SUFFIXES)]
    images = sorted(set(files) - set(volumes))
    if not volumes or not images:
        return files
    if not skip_bad:
        counts = {"images": len(images), "volumes": len(volumes)}
        raise InputError(
            "images_beside_volumes", folder=folder, image=images[0].name, volume=volumes[0].name, **counts
        )
    log.warning(Message("images_left_out", folder=folder.name, images=len(images)))
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
