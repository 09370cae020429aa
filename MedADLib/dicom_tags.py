"""What the headers of DICOM files say before an image is read: whether they are slices of a volume, whose, and of what.

The patient's number is for comparing files only. It is neither shown nor kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .dicom_header import DicomHeader

# Two names of one kind of picture: computed and direct radiography, and what older devices write.
RADIOGRAPH, RADIOGRAPHS = "CR/DX", ("CR", "DX", "DR", "RG")
# Whatever else a header holds there must not reach a message.
MODALITY = re.compile("[A-Z0-9]{2,16}")


@dataclass(frozen=True)
class DicomTags:
    """What matters of a header; of several, what most of them say.

    Attributes:
        patient: The PatientID, which may be empty; None of what is no image.
        modality: Such as MR; empty where it is unknown.
        series: SeriesInstanceUID.
        frames: Slices in the file.
        placed: Whether it says where it lies. Radiographs of one series do not.
    """

    patient: str | None = field(default=None, repr=False)
    modality: str = ""
    series: str = ""
    frames: int = 1
    placed: bool = False


def tags_of(path: Path) -> DicomTags:
    """What the header of a file says; nothing if it is no image."""
    header = DicomHeader.of(path)
    if header is None:
        return DicomTags()
    modality = header.tag("0008|0060").upper()
    if not MODALITY.fullmatch(modality):
        modality = ""
    size = header.image.GetSize()
    return DicomTags(
        patient=header.tag("0010|0020"),
        modality=RADIOGRAPH if modality in RADIOGRAPHS else modality,
        series=header.tag("0020|000e"),
        frames=size[2] if len(size) > 2 else 1,
        placed=header.has("0020|0032"),
    )


def is_series(headers: Sequence[DicomTags]) -> bool:
    """Whether the files of one folder are slices of a volume and not single images."""
    series = Counter()
    for header in headers:
        if header.frames > 1 or header.placed:
            series[header.series] += 1 + (header.frames > 1)
    return any(count > 1 for count in series.values())


def most_say(headers: Sequence[DicomTags]) -> DicomTags:
    """Patient and modality of a series, from the headers of its files and of what lies beside them."""

    def usual(values: Sequence[str | None]) -> str:
        counted = Counter(value for value in values if value)
        return counted.most_common(1)[0][0] if counted else ""

    return DicomTags(usual([one.patient for one in headers]), usual([one.modality for one in headers]))
