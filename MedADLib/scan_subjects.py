"""Whose each scan is: what the user, the names of BIDS, the PatientID of DICOM files, folders or files say.

Scans of one subject never come into different parts of a split, so a wrong answer lets a model be judged on whom it
learned from, or leaves nobody to judge it on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .scan_folder import Source

NAMED = "sub-[A-Za-z0-9]+"
SUBJECT = re.compile(rf"(?:^|[_/\\])({NAMED})")
PATIENT = "\0"


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


def doubts_about_subjects(scans: Mapping[str, Source], rule: str) -> list[str]:
    """What the user should know of how subjects were told apart, in sentences without a full stop.

    Args:
        scans: By name, as `find_scans` gives them.
        rule: That it was told.
    """
    if rule != "auto":
        return []
    told = []
    patients = _patients(scans)
    if len(patients) == 1 and sum(source.patient is not None for source in scans.values()) > 1:
        which = "the same PatientID" if patients.pop() else "no PatientID"
        told.append(f"all DICOM files have {which}: subjects are told apart by sub-XX in the path, folders and files")
    alone = Counter(one.path for name, one in scans.items() if one.place is not None and one.subject == name)
    several = [path for path, count in alone.items() if count > 1]
    if len(several) > 1:
        told.append(
            f"{len(several)} NPZ files, such as {several[0].name}, hold several images each, and every image is taken "
            "for another subject: if all images of a file are of one subject, say --subjects file"
        )
    return told


def _patients(scans: Mapping[str, Source]) -> set[str]:
    return {source.patient for source in scans.values() if source.patient is not None}
