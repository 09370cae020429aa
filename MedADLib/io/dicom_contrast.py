"""The kind of scan that DICOM headers describe: CT, or the weighting of an MR and its contrast agent.

Only numbers and standard terms are used. Free texts such as the description of a series may name a patient, and say
different things in each hospital.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .headers import has_dicom_magic

if TYPE_CHECKING:
    from pydicom import Dataset

# Milliseconds. FLAIR suppresses fluid by a long inversion time; the inversion times of T1 sequences are shorter.
FLAIR_INVERSION, LONG_ECHO, SHORT_ECHO, LONG_REPETITION, SHORT_REPETITION = 1500.0, 70.0, 50.0, 1800.0, 1200.0
# All attributes that are used; pydicom skips the others, among them names and numbers of patients.
USED = (
    *("Modality", "EchoTime", "EffectiveEchoTime", "RepetitionTime", "InversionTime", "InversionTimes"),
    *("ScanningSequence", "EchoPulseSequence", "ContrastBolusAgent", "ContrastBolusAgentSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
# Values of ContrastBolusAgent that say that there was none.
NO_AGENT = ("", "NO", "NONE", "N", "0", "WITHOUT")


def described_kind(path: Path) -> str:
    """Return what the headers of a DICOM file or folder say that the scan is, one of `preprocessing.fit.KINDS`.

    Returns:
        Empty if the headers do not tell, or the path holds no DICOM file that can be read.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    file = next(_dicom_files(path), None)
    if file is None:
        return ""
    try:
        return kind_of_header(dcmread(file, stop_before_pixels=True, force=False, specific_tags=list(USED)))
    except (InvalidDicomError, OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError):
        # The volume was read already; a header that pydicom cannot parse only says nothing.
        return ""


def kind_of_header(header: Dataset) -> str:
    """Return the kind that a header describes, of one slice or of an enhanced object; empty if it does not tell."""
    modality = _text(header, "Modality").upper()
    if modality == "CT":
        return "ct"
    if modality != "MR":
        return ""
    echo, repetition, inversion = (
        _number(header, *names)
        for names in (
            ("EchoTime", "EffectiveEchoTime"),
            ("RepetitionTime",),
            ("InversionTime", "InversionTimes"),
        )
    )
    sequence = f"{_text(header, 'ScanningSequence')} {_text(header, 'EchoPulseSequence')}".upper()
    spin_echo = "SE" in sequence.replace("\\", " ").split() or "SPIN" in sequence.split()
    if inversion is not None and inversion >= FLAIR_INVERSION and echo is not None and echo >= LONG_ECHO:
        return "flair"
    if _text(header, "ContrastBolusAgent").upper() not in NO_AGENT or _has(header, "ContrastBolusAgentSequence"):
        return "t1_agent" if echo is None or echo < LONG_ECHO else ""
    if not spin_echo or inversion or echo is None or repetition is None:
        return ""
    if echo >= LONG_ECHO and repetition >= LONG_REPETITION:
        return "t2"
    if echo < SHORT_ECHO and repetition >= LONG_REPETITION:
        return "pd"
    return "t1" if echo < SHORT_ECHO and repetition < SHORT_REPETITION else ""


def _dicom_files(path: Path) -> Iterator[Path]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return (file for file in files if file.is_file() and file.name.upper() != "DICOMDIR" and has_dicom_magic(file))


def _found(header: Dataset, name: str) -> Iterator[object]:
    """Yield the values of an attribute at the top and in the functional groups of an enhanced object."""
    pending = [header]
    while pending:
        part = pending.pop(0)
        if name in part:
            yield part.get(name)
        groups = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
        for group in groups:
            pending += list(part.get(group) or [])[:1]
        if part is not header:
            pending += [item for element in part if element.VR == "SQ" for item in list(element.value)[:1]]


def _text(header: Dataset, name: str) -> str:
    for value in _found(header, name):
        if value not in (None, ""):
            return value.strip() if isinstance(value, str) else "\\".join(map(str, value))
    return ""


def _number(header: Dataset, *names: str) -> float | None:
    for name in names:
        for value in _found(header, name):
            try:
                return float(value[0] if isinstance(value, (list, tuple)) else value)
            except (TypeError, ValueError, IndexError):
                continue
    return None


def _has(header: Dataset, name: str) -> bool:
    return any(bool(value) for value in _found(header, name))
