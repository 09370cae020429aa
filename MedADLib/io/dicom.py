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
from typing import Any

import numpy as np

from ..errors import InputError
from ..messages import Message
from ..volume import LETTERS, LPS_RAS, Volume, size_text
from .dicom_files import DicomFile, FrameGroups, listed_images
from .headers import has_dicom_magic
from .reading_options import AS_THE_HEADER_SAYS, ReadingOptions
from .voxels import MAX_VOXELS

log = logging.getLogger(__name__)

# How far a slice may be from its place in an even row of slices, in mm and as a share of their distance.
JITTER_MM, JITTER_SHARE = 0.3, 0.15
# Echo times of one volume differ by less than this share.
ECHO_TOLERANCE = 0.05
DICOMDIR, DICOM_SUFFIXES = "DICOMDIR", (".dcm", ".dicom", ".ima")
FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
COMPONENTS = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"}
SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")

# One modality with several codes: computed and digital radiography, and those of older devices.
RADIOGRAPH, RADIOGRAPHS = "CR/DX", ("CR", "DX", "DR", "RG")
# Any other text in the tag must not reach a message.
MODALITY = re.compile("[A-Z0-9]{2,16}")


@dataclass(frozen=True, eq=False)
class Slice:
    """A slice: one frame of a DICOM image file, with what decides its position in a volume.

    Attributes:
        file: The file.
        frame: Index of the frame in the file.
        size: Pixels along (x, y).
        spacing: Pixel spacing along (x, y) in mm; None if missing.
        thickness: Distance to the next slice, else thickness of the slice, in mm; None if missing.
        cosines: Directions of rows and columns in LPS, (6,); None if missing.
        position: LPS mm of the first pixel, (3,); None if missing.
        slope: Factor of the stored values.
        intercept: Summand of the stored values.
        component: ``magnitude``, ``phase``, ``real`` or ``imaginary``; empty if unknown.
        echo: Echo time in ms; None if unknown.
        stack: Name of the stack of slices in the file.
        time: Number of the volume in a sequence of volumes.
        diffusion: Diffusion weighting.
    """

    file: DicomFile = field(repr=False)
    frame: int
    series: str
    series_number: str
    instance: str
    patient: tuple[str, str] = field(repr=False)
    modality: str
    size: tuple[int, int]
    spacing: np.ndarray | None
    thickness: float | None
    cosines: np.ndarray | None
    position: np.ndarray | None
    slope: float
    intercept: float
    component: str
    echo: float | None
    stack: str
    time: str
    diffusion: str

    @classmethod
    def all_of(cls, file: DicomFile) -> list[Slice]:
        """Return the slices of a file, without localizers; none if the file is not an image of grey values.

        Raises:
            InputError: If the number of frames is impossible or differs from that of the groups of frames, or the file
                cannot hold the pixels.
        """
        if not file.is_grey or file.text("SOPClassUID") in SEGMENTATION_CLASSES:
            return []
        frames = file.groups()
        whole = {
            "file": file,
            "series": file.text("SeriesInstanceUID"),
            "series_number": file.text("SeriesNumber"),
            "instance": file.text("SOPInstanceUID"),
            "patient": (file.text("PatientID"), file.text("PatientName")),
            "modality": file.text("Modality"),
            "size": (file.number("Columns"), file.number("Rows")),
        }
        return [
            cls(frame=number, **whole, **_place(one, len(frames)), **_contrast(one))
            for number, one in enumerate(frames)
            if "LOCALIZER" not in _image_types(one)
        ]


def _place(frame: FrameGroups, count: int) -> dict[str, Any]:
    """Return position, spacing and rescaling of a frame; of several, none has the position of the whole file."""
    measures, plane = "PixelMeasuresSequence", "PlaneOrientationSequence"
    transform = "PixelValueTransformationSequence"
    spacing = frame.numbers(2, "PixelSpacing", measures)
    position = frame.numbers(3, "ImagePositionPatient", "PlanePositionSequence", top="-" if count > 1 else "")
    if spacing is None and position is None:
        # A projection or a digitised image.
        for keyword in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
            spacing = frame.numbers(2, keyword) if spacing is None else spacing
    steps = [frame.numbers(1, keyword, measures) for keyword in ("SpacingBetweenSlices", "SliceThickness")]
    slope, intercept = (frame.numbers(1, keyword, transform) for keyword in ("RescaleSlope", "RescaleIntercept"))
    return {
        # The header gives the distance of rows first.
        "spacing": spacing[::-1] if spacing is not None and spacing.min() > 0 else None,
        "thickness": next((float(step[0]) for step in steps if step is not None and step[0] > 0), None),
        "cosines": frame.numbers(6, "ImageOrientationPatient", plane),
        "position": position,
        "slope": 1.0 if slope is None or slope[0] == 0 else float(slope[0]),
        "intercept": 0.0 if intercept is None else float(intercept[0]),
    }


def _contrast(frame: FrameGroups) -> dict[str, Any]:
    """Return what tells images at one position apart."""
    echo = frame.numbers(1, "EffectiveEchoTime", "MREchoSequence", top="EchoTime")
    content = "FrameContentSequence"
    return {
        "component": _component(frame),
        "echo": None if echo is None else float(echo[0]),
        "stack": frame.text("StackID", content, top="-"),
        "time": frame.text("TemporalPositionIndex", content, top="TemporalPositionIdentifier"),
        "diffusion": frame.text("DiffusionBValue", "MRDiffusionSequence"),
    }


def _image_types(frame: FrameGroups) -> list[str]:
    """Return the values of FrameType, else of ImageType."""
    return frame.text("FrameType", *FRAME_TYPES, top="ImageType").upper().split("\\")


def _component(frame: FrameGroups) -> str:
    """Return which part of the complex signal a frame shows."""
    stated = frame.text("ComplexImageComponent", *FRAME_TYPES).lower()
    if stated in COMPONENTS.values():
        return stated
    # As vendors write it: M, P, M_FFE, PHASE MAP. The first two values are of the standard.
    for value in _image_types(frame)[2:]:
        for short, name in COMPONENTS.items():
            if value == short or value.startswith((f"{short}_", name.upper())):
                return name
    return ""


def read_series(folder: Path, name: str, options: ReadingOptions = AS_THE_HEADER_SAYS) -> Volume:
    """Read the one image series that a folder holds.

    Args:
        folder: The DICOM files, in any order; other files may be among them. Or a folder with a DICOMDIR.
        name: Name of the volume.
        options: What the user says about columns, rows and slices beyond the headers.

    Returns:
        The volume with float32 voxels, shape (Z, Y, X), rescaled by slope and intercept of each slice.

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
    place = _place(FrameGroups.first_of(file), 1)
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
    return [replace(one, position=corner + one.frame * steps[2], thickness=step) for one in slices]


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
        shown = ", ".join(
            f"{members[0].series_number or '?'} ({members[0].modality}, {len(members)})" for members in volumes
        )
        raise InputError("several_series", folder=folder, count=len(volumes), series=shown)
    if len(series) > 1:
        log.warning(Message("dicom_singles_left_out", folder=str(folder), count=len(series) - 1))
    chosen = volumes[0]
    if len({member.patient for member in chosen}) > 1:
        raise InputError("several_patients", folder=folder)
    return chosen


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


def _check_contrast(folder: Path, slices: list[Slice], heights: np.ndarray) -> None:
    """Raise InputError if the slices, sorted by height in mm, show several things, such as magnitude and phase."""
    shown = {member.component for member in slices} - {""}
    if len(shown) > 1:
        raise InputError("several_components_of_signal", folder=folder, components=", ".join(sorted(shown)))
    echoes = [member.echo for member in slices if member.echo is not None]
    if echoes and max(echoes) - min(echoes) > ECHO_TOLERANCE * max(echoes):
        raise InputError("several_echoes", folder=folder, least=min(echoes), most=max(echoes))
    times, weightings = ({getattr(member, name) for member in slices} - {""} for name in ("time", "diffusion"))
    if len(times) > 1:
        raise InputError("several_time_points", folder=folder, count=len(times))
    if len(weightings) > 1:
        raise InputError("several_diffusion_weightings", folder=folder, count=len(weightings))
    gaps = np.diff(heights)
    if gaps.min() > min(JITTER_MM, JITTER_SHARE * gaps.max()):
        return
    volumes = {member.file.path for member in slices if member.file.frames > 1}
    if len(volumes) > 1:
        raise InputError("several_volumes", folder=folder, count=len(volumes))
    raise InputError("several_at_one_position", folder=folder)


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
    _check_contrast(folder, slices, heights)
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    missing = [(n, round(gap / usual) - 1) for n, gap in enumerate(gaps) if gap > 1.5 * usual]
    if missing:
        gaps = ", ".join(f"{n + 1} ({count})" for n, count in missing[:5])
        raise InputError("missing_slices", folder=folder, count=sum(count for _, count in missing), gaps=gaps)
    step, start = np.polyfit(np.arange(len(slices)), heights, 1)
    even = start + step * np.arange(len(slices))
    if np.abs(heights - even).max() > min(JITTER_MM, JITTER_SHARE * step):
        raise InputError("uneven_slices", folder=folder, least=gaps.min(), most=gaps.max())
    sideways = positions - positions[0]
    sideways -= np.outer(sideways @ normal, normal)
    if np.abs(sideways).max() > 0.5 * min(slices[0].spacing):
        raise InputError("tilted_gantry", folder=folder)
    x_spacing, y_spacing = slices[0].spacing
    lps = np.eye(4)
    lps[:3, :3] = np.column_stack([cosines[:3] * x_spacing, cosines[3:] * y_spacing, normal * gaps.mean()])
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
    lps[:3, :3] = np.column_stack([cosines[:3], cosines[3:], normal]) * [*spacing, image.thickness or 1.0]
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
