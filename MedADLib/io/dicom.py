"""The volume of the one DICOM series in a folder or in a file of many frames.

Each frame of each file becomes a slice, so that the same rules judge files of one image and of many.

Messages hold nothing from a header that could identify a patient. The PatientID serves only to compare files; it is
neither shown nor stored.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..messages import Message
from ..volume import LETTERS, LPS_RAS, Volume, size_text
from .dicom_checks import check_kind, check_parts, check_row, with_one_scale
from .dicom_files import DicomFile, FrameGroups, listed_images
from .dicom_slices import Slice, place_of
from .headers import has_dicom_magic
from .reading_options import AS_THE_HEADER_SAYS, ReadingOptions
from .voxels import MAX_VOXELS

log = logging.getLogger(__name__)

DICOMDIR, DICOM_SUFFIXES = "DICOMDIR", (".dcm", ".dicom", ".ima")
# How many series an error lists, and how many characters of the description of each.
MOST_LISTED, MOST_OF_DESCRIPTION = 12, 40

# One modality with several codes: computed and digital radiography, and those of older devices.
RADIOGRAPH, RADIOGRAPHS = "CR/DX", ("CR", "DX", "DR", "RG")
# Any other text in the tag must not reach a message.
MODALITY = re.compile("[A-Z0-9]{2,16}")


def read_series(folder: Path, name: str, options: ReadingOptions = AS_THE_HEADER_SAYS) -> Volume:
    """Read the one image series that a folder holds.

    Args:
        folder: The DICOM files, in any order; other files may be among them. Or a folder with a DICOMDIR.
        name: Name of the volume.
        options: What the user says about columns, rows and slices beyond the headers.

    Returns:
        The volume with float32 voxels, shape (Z, Y, X), rescaled by slope and intercept of each slice,
        see `with_one_scale`.

    Raises:
        InputError: If there is no series or more than one, or slices are missing, damaged or unevenly spaced.
    """
    return _volume(folder, _choose(folder, _headers(folder)), name, options)


def read_file(path: Path, name: str, options: ReadingOptions = AS_THE_HEADER_SAYS) -> Volume | None:
    """Read the image of one DICOM file, a slice or all slices of a volume.

    Args:
        path: The file.
        name: Name of the volume.
        options: What the user says about columns, rows and slices beyond the header.

    Returns:
        The volume, as of `read_series`; None for an image in colour.

    Raises:
        InputError: If it cannot be read, is not an image, or has slices that are no volume.
    """
    try:
        file = DicomFile.of(path)
    except OSError as error:
        raise InputError("unreadable", path=path, reason=error.strerror or error) from error
    if file is None:
        raise InputError("not_decoded", path=path)
    if not file.is_grey:
        try:
            file.check_pixels()
        except ValueError as error:
            raise InputError("not_decoded", path=path) from error
        return None
    slices = Slice.all_of(file)
    if not slices:
        raise InputError("not_decoded", path=path)
    return _volume(path, _choose(path, slices), name, options)


def slices_in(path: Path) -> int:
    """Return the number of slices of a DICOM image file; 0 if it is not an image.

    Raises:
        OSError: If it cannot be read.
    """
    file = DicomFile.of(path)
    return 0 if file is None else max(file.frames, 1)


def _volume(folder: Path, slices: list[Slice], name: str, options: ReadingOptions) -> Volume:
    """Arrange the slices of a series and read their voxels."""
    slices, affine = _arrange(folder, _completed(folder, slices, options))
    facts = {}
    if len(slices) == 1:
        (one,) = slices
        facts = _physical(one.spacing, one.cosines, one.modality)
    return Volume(_voxels(folder, slices), affine, name, **facts)


def facts_of_file(path: Path) -> dict[str, bool]:
    """Return the fields of a `Volume` that say what the file of one image in colour has; none if it is unreadable."""
    file = DicomFile.of(path)
    if file is None:
        return {}
    place = place_of(FrameGroups.first_of(file), 1)
    return _physical(place["spacing"], place["cosines"], file.text("Modality"))


def _physical(spacing: np.ndarray | None, cosines: np.ndarray | None, modality: str) -> dict[str, bool]:
    """Return which of spacing and orientation a single image has."""
    # A radiograph is a projection, which no axes of a volume describe.
    placed = cosines is not None and modality.upper() not in RADIOGRAPHS
    return {"has_spacing": spacing is not None, "has_orientation": placed}


def _completed(folder: Path, slices: list[Slice], options: ReadingOptions) -> list[Slice]:
    """Add spacing, directions and positions that the user gives; frames without a position follow each other.

    A given pixel spacing goes before that of the headers; positions of slices go before a given distance.
    """
    if options.form or options.unit or (options.orientation and any(one.cosines is not None for one in slices)):
        raise InputError("option_not_for_dicom", path=folder)
    if options.spacing:
        slices = [replace(member, spacing=np.array(options.spacing[:2])) for member in slices]
    if not options.orientation:
        return slices
    columns, rows, normal = (_lps_direction(letter) for letter in options.orientation)
    slices = [replace(member, cosines=np.concatenate([columns, rows])) for member in slices]
    if any(member.position is not None for member in slices) or len({member.file.path for member in slices}) > 1:
        return slices
    if not options.spacing:
        raise InputError("no_spacing", path=folder)
    width, height = slices[0].size
    extents = np.array([width, height, max(member.frame for member in slices) + 1]) - 1.0
    steps = np.stack([columns, rows, normal]) * np.array(options.spacing)[:, None]
    # The centre of the field of view is at 0.
    corner = -0.5 * extents @ steps
    step = options.spacing[2]
    return [replace(one, position=corner + one.frame * steps[2], distance=step) for one in slices]


def _lps_direction(letter: str) -> np.ndarray:
    """Return the direction in LPS, (3,), towards the side that a letter names, such as L."""
    axis, negative = LETTERS[letter]
    return LPS_RAS[:3, axis] * (-1.0 if negative else 1.0)


def series_files(folder: Path) -> list[Path]:
    """Return the files of a folder that may be slices of its series, by name.

    Without slices beside it, a DICOMDIR names the files.

    Raises:
        InputError: If a DICOMDIR names a file that does not exist or that lies outside of the folder.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    slices = [path for path in files if path.name.upper() != DICOMDIR and has_dicom_magic(path)]
    index = next((path for path in files if path.name.upper() == DICOMDIR), None)
    return slices if slices or index is None else _listed_files(index)


def _listed_files(index: Path) -> list[Path]:
    """Return the image files that a DICOMDIR lists; all lie below its folder."""
    root, found = index.parent.resolve(), []
    for parts in listed_images(index):
        path = root.joinpath(*parts)
        if not path.is_file():
            # Copies from a disc often have names in small letters.
            path = root.joinpath(*(part.lower() for part in parts))
        if not path.is_file() or not path.resolve().is_relative_to(root):
            raise InputError("dicomdir_file_missing", path=index, file="/".join(parts))
        found.append(path)
    return found


def _headers(folder: Path) -> list[Slice]:
    """Read the headers of all image slices in the folder; a warning counts the other DICOM objects."""
    found, others = [], 0
    for path in series_files(folder):
        file = DicomFile.of(path)
        slices = Slice.all_of(file) if file is not None else []
        others += not slices
        found += slices
    if others:
        log.warning(Message("dicom_others_left_out", folder=str(folder), count=others))
    if not found:
        if others:
            raise InputError("no_readable_slices", folder=folder, count=others)
        raise InputError("no_slices", folder=folder)
    return found


def _choose(folder: Path, slices: list[Slice]) -> list[Slice]:
    """Select the only series of more than one slice, or else the only image, without copies."""
    series: dict[str, list[Slice]] = {}
    for member in slices:
        series.setdefault(member.series, []).append(member)
    series = {key: _without_copies(folder, members) for key, members in series.items()}
    copies = len(slices) - sum(map(len, series.values()))
    if copies:
        log.warning(Message("dicom_copies_left_out", folder=str(folder), count=copies))
    volumes = [members for members in series.values() if len(members) > 1]
    if not volumes and len(series) == 1:
        volumes = list(series.values())
    if not volumes:
        raise InputError("single_images", folder=folder)
    if len(volumes) > 1:
        raise InputError("several_series", folder=folder, count=len(volumes), series=_listed(volumes))
    if len(series) > 1:
        log.warning(Message("dicom_singles_left_out", folder=str(folder), count=len(series) - 1))
    chosen = volumes[0]
    if len({member.patient for member in chosen}) > 1:
        raise InputError("several_patients", folder=folder)
    check_parts(folder, chosen)
    return chosen


def _listed(volumes: Sequence[Sequence[Slice]]) -> str:
    """Describe series so that those of one number differ, without what could name a patient."""
    identifiers = [members[0].series for members in volumes]
    # As many characters of the end as are unique.
    ends = (length for length in range(8, 64) if len({text[-length:] for text in identifiers}) == len(identifiers))
    length, shown = next(ends, 64), []
    for members in volumes[:MOST_LISTED]:
        first = members[0]
        details = [f"{first.series_number or '?'} ({first.modality}, {len(members)})", _description(first)]
        details += [_time_of_day(first), f"UID …{first.series[-length:]}" if first.series else ""]
        shown.append(" ".join(detail for detail in details if detail))
    return ", ".join(shown) + (", …" if len(volumes) > MOST_LISTED else "")


def _description(member: Slice) -> str:
    """Return the description of a series in quotes; empty if it holds a part of the patient's name or number."""
    text = " ".join(member.file.text("SeriesDescription").split())
    words = set(re.findall(r"\w+", text.lower()))
    private = re.findall(r"\w\w+", " ".join(member.patient).lower())
    if any(part in words or (len(part) > 3 and part in text.lower()) for part in private):
        return ""
    text = text[:MOST_OF_DESCRIPTION]
    return f"“{text}”" if text else ""


def _time_of_day(member: Slice) -> str:
    """Return the time at which a series began, such as 14:34:14; empty if it is unknown."""
    for keyword in ("SeriesTime", "AcquisitionTime", "StudyTime"):
        digits = re.match(r"(\d\d):?(\d\d):?(\d\d)", member.file.text(keyword))
        if digits:
            return ":".join(digits.groups())
    return ""


def _without_copies(folder: Path, members: list[Slice]) -> list[Slice]:
    """Leave out slices that have identifier, position, contrast and pixels of another one."""
    places: dict[tuple, list[Slice]] = {}
    for member in members:
        if member.position is None and member.file.frames > 1:
            # Frames without positions lie in the order of the file: equal ones, such as empty ones, are no copies.
            continue
        geometry = [None if part is None else tuple(part) for part in (member.position, member.cosines)]
        kind = (member.component, member.echo, member.time, member.diffusion, member.slope, member.intercept)
        places.setdefault((member.instance, *geometry, member.size, *kind), []).append(member)
    alike = [slices for slices in places.values() if len(slices) > 1]
    if not alike:
        return members
    left_out, pixels = set(), _Pixels(folder)
    for slices in alike:
        seen = set()
        for member in slices:
            digest = hashlib.sha256(np.ascontiguousarray(pixels.of(member))).digest()
            if digest in seen:
                left_out.add(id(member))
            seen.add(digest)
    return [member for member in members if id(member) not in left_out]


def _arrange(folder: Path, slices: list[Slice]) -> tuple[list[Slice], np.ndarray]:
    """Sort the slices along their normal and compute their affine to RAS mm, (4, 4)."""
    if any("MOSAIC" in member.file.text("ImageType").upper().split("\\") for member in slices):
        raise InputError("mosaic", folder=folder)
    if len(slices) == 1:
        return slices, _single_affine(folder, slices[0])
    if any(member.cosines is None or member.position is None for member in slices):
        raise InputError("no_slice_position", folder=folder)
    if any(member.spacing is None for member in slices):
        raise InputError("no_spacing", path=folder)
    cosines = slices[0].cosines
    _check_cosines(folder, cosines)
    sizes = Counter(member.size for member in slices)
    if len(sizes) > 1:
        shown = ", ".join(f"{count}: {size_text(size)}" for size, count in sizes.items())
        raise InputError("slice_sizes_differ", folder=folder, sizes=shown)
    if np.ptp([[*member.cosines, *member.spacing] for member in slices], axis=0).max() > 1e-3:
        stacks = len({member.stack for member in slices})
        if stacks > 1:
            raise InputError("several_stacks", folder=folder, count=stacks)
        raise InputError("slice_grids_differ", folder=folder)
    normal = np.cross(cosines[:3], cosines[3:])
    slices = sorted(slices, key=lambda member: float(member.position @ normal))
    positions = np.array([member.position for member in slices])
    heights = positions @ normal
    check_kind(folder, slices, heights)
    check_row(folder, slices, heights)
    slices = with_one_scale(folder, slices)
    x_spacing, y_spacing = slices[0].spacing
    lps = np.eye(4)
    lps[:3, :3] = np.column_stack([cosines[:3] * x_spacing, cosines[3:] * y_spacing, normal * np.diff(heights).mean()])
    lps[:3, 3] = positions[0]
    return slices, LPS_RAS @ lps


def _check_cosines(folder: Path, cosines: np.ndarray) -> None:
    """Raise InputError unless rows and columns have directions of unit length at right angles."""
    rows, columns = cosines[:3], cosines[3:]
    if np.abs([rows @ rows - 1.0, columns @ columns - 1.0, rows @ columns]).max() > 1e-2:
        raise InputError("no_slice_position", folder=folder)


def _single_affine(folder: Path, image: Slice) -> np.ndarray:
    """Compute the affine to RAS mm of a single image; a radiograph without a position becomes an axial slice."""
    if image.spacing is None and image.position is not None:
        raise InputError("no_spacing", path=folder)
    cosines = np.array([1.0, 0, 0, 0, 1, 0]) if image.cosines is None else image.cosines
    _check_cosines(folder, cosines)
    # As in other 2-D images, a pixel of unknown size has 1 mm.
    spacing = np.ones(2) if image.spacing is None else image.spacing
    lps = np.eye(4)
    normal = np.cross(cosines[:3], cosines[3:])
    lps[:3, :3] = np.column_stack([cosines[:3], cosines[3:], normal]) * [
        *spacing,
        image.distance or image.thickness or 1.0,
    ]
    lps[:3, 3] = 0.0 if image.position is None else image.position
    return LPS_RAS @ lps


class _Pixels:
    """Stored pixels of slices; those of one file are kept until another one is read."""

    def __init__(self, folder: Path):
        self.folder, self.file, self.frames = folder, None, np.empty(0)

    def of(self, member: Slice) -> np.ndarray:
        """Return the stored values of a slice, integers (Y, X)."""
        if self.file is not member.file:
            self.file, self.frames = None, np.empty(0)
            try:
                self.frames = member.file.stored_pixels()
            except ValueError as error:
                raise InputError("dicom_not_decoded", folder=self.folder) from error
            self.file = member.file
        return self.frames[member.frame]


def _voxels(folder: Path, slices: list[Slice]) -> np.ndarray:
    """Read the voxels of sorted slices, float32 (Z, Y, X), with the slope and intercept of each."""
    width, height = slices[0].size
    voxels = len(slices) * width * height
    if voxels > MAX_VOXELS:
        raise InputError("too_many_voxels", path=folder, voxels=voxels, limit=MAX_VOXELS)
    array, pixels = np.empty((len(slices), height, width), np.float32), _Pixels(folder)
    # One file at a time.
    for number in sorted(range(len(slices)), key=lambda number: (str(slices[number].file.path), number)):
        member = slices[number]
        stored = pixels.of(member)
        if (member.slope, member.intercept) == (1.0, 0.0):
            array[number] = stored
        else:
            array[number] = stored * member.slope + member.intercept
    return array


@dataclass(frozen=True)
class DicomTags:
    """Tags of one DICOM file, or the most frequent ones of several files.

    Attributes:
        patient: PatientID, which may be empty; None for a file that is not an image.
        modality: Such as MR; empty if unknown.
        series: SeriesInstanceUID.
        frames: Number of slices in the file.
        placed: Whether the header has a position in space. Radiographs of one series have none.
    """

    patient: str | None = field(default=None, repr=False)
    modality: str = ""
    series: str = ""
    frames: int = 1
    placed: bool = False


def tags_of(path: Path) -> DicomTags:
    """Read the tags of a file; the defaults if the file is not an image."""
    file = DicomFile.of(path)
    if file is None:
        return DicomTags()
    modality = file.text("Modality").upper()
    if not MODALITY.fullmatch(modality):
        modality = ""
    frame = FrameGroups.first_of(file)
    return DicomTags(
        patient=file.text("PatientID"),
        modality=RADIOGRAPH if modality in RADIOGRAPHS else modality,
        series=file.text("SeriesInstanceUID"),
        frames=max(file.frames, 1),
        placed=frame.numbers(3, "ImagePositionPatient", "PlanePositionSequence") is not None,
    )


def is_series(headers: Sequence[DicomTags]) -> bool:
    """Return whether the files of one folder are slices of a volume and not scans of their own."""
    images = [header for header in headers if header.patient is not None]
    if len(images) > 1 and all(one.frames > 1 for one in images) and len({one.series for one in images}) == len(images):
        # Each is a whole volume.
        return False
    series = Counter()
    for header in headers:
        if header.frames > 1 or header.placed:
            series[header.series] += 1 + (header.frames > 1)
    return any(count > 1 for count in series.values())


def most_frequent_tags(headers: Sequence[DicomTags]) -> DicomTags:
    """Find the most frequent patient and modality of the files of a folder."""

    def most_frequent(values: Sequence[str | None]) -> str:
        counted = Counter(value for value in values if value)
        return counted.most_common(1)[0][0] if counted else ""

    return DicomTags(most_frequent([one.patient for one in headers]), most_frequent([one.modality for one in headers]))
