"""DICOM headers, and the volume of the one series in a folder.

Messages hold nothing from a header that could identify a patient. The PatientID serves only to compare files; it is
neither shown nor stored.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..messages import Message
from ..runtime.stdio import silenced
from ..volume import LPS_RAS, Volume, size_text
from .headers import has_dicom_magic

if TYPE_CHECKING:
    import SimpleITK as sitk

log = logging.getLogger(__name__)

SPACING_TOLERANCE_MM = 0.1
SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")

# One modality with several codes: computed and digital radiography, and those of older devices.
RADIOGRAPH, RADIOGRAPHS = "CR/DX", ("CR", "DX", "DR", "RG")
# Any other text in the tag must not reach a message.
MODALITY = re.compile("[A-Z0-9]{2,16}")


class DicomHeader:
    """Header of a DICOM image, read without its pixels; `image` is ITK's reader, with size, spacing, components."""

    def __init__(self, image: sitk.ImageFileReader):
        self.image = image

    @classmethod
    def of(cls, path: Path) -> DicomHeader | None:
        """Read the header of a file; None if the file is not an image."""
        import SimpleITK as sitk

        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        try:
            with silenced():
                reader.ReadImageInformation()
        except RuntimeError:
            return None
        return cls(reader)

    def has(self, keyword: str) -> bool:
        """Return whether the header has an attribute, such as ``ImagePositionPatient``."""
        return self.image.HasMetaDataKey(_gdcm_key(keyword))

    def tag(self, keyword: str) -> str:
        """Return the text of an attribute without its padding; empty if the header lacks it."""
        return self.image.GetMetaData(_gdcm_key(keyword)).strip(" \0") if self.has(keyword) else ""


def with_physical_facts(volume: Volume, header: DicomHeader) -> Volume:
    """Note in a volume of a single image which of spacing and orientation its header has."""
    spacing = any(map(header.tag, ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")))
    # A radiograph is a projection, which no axes of a volume describe.
    placed = bool(header.tag("ImageOrientationPatient")) and header.tag("Modality").upper() not in RADIOGRAPHS
    return replace(volume, has_spacing=spacing, has_orientation=placed)


@cache
def _gdcm_key(keyword: str) -> str:
    """Return GDCM's key of a DICOM attribute, its tag number such as ``0020|0032``."""
    from pydicom.datadict import tag_for_keyword

    number = tag_for_keyword(keyword)
    return f"{number >> 16:04x}|{number & 0xFFFF:04x}"


@dataclass(frozen=True, eq=False)
class Slice:
    """Header fields of a DICOM image file that decide its position in a volume.

    Attributes:
        cosines: Directions of rows and columns in LPS, (6,); None if missing.
        position: LPS mm of the first pixel, (3,); None if missing.
    """

    path: Path
    series: str
    series_number: str
    instance: str
    patient: tuple[str, str]
    modality: str
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    cosines: np.ndarray | None
    position: np.ndarray | None

    @property
    def frames(self) -> int:
        """Number of slices in the file: more than one in an enhanced object."""
        return self.size[2] if len(self.size) > 2 else 1


def read_series(folder: Path, name: str) -> Volume:
    """Read the one image series that a folder holds.

    Args:
        folder: The DICOM files, in any order; other files may be among them.
        name: Name of the volume.

    Returns:
        The volume with float32 voxels, shape (Z, Y, X), rescaled by slope and intercept of the headers.

    Raises:
        InputError: If there is no series or more than one, or slices are missing, damaged or unevenly spaced.
    """
    import SimpleITK as sitk

    slices = _choose(folder, _headers(folder))
    if slices[0].frames > 1:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(slices[0].path))
        return Volume.from_sitk(_voxels(folder, reader), name)
    slices, affine = _arrange(folder, slices)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(member.path) for member in slices])
    volume = Volume(sitk.GetArrayFromImage(_voxels(folder, reader)), affine, name)
    return with_physical_facts(volume, DicomHeader.of(slices[0].path)) if len(slices) == 1 else volume


def _headers(folder: Path) -> list[Slice]:
    """Read the headers of all image slices in the folder; a warning counts the other DICOM objects."""
    found, others = [], 0
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.upper() == "DICOMDIR":
            continue
        if not has_dicom_magic(path):
            continue
        header = _header(path)
        if header is None:
            others += 1
        else:
            found.append(header)
    if others:
        log.warning(Message("dicom_others_left_out", count=others))
    if not found:
        if others:
            raise InputError("no_readable_slices", folder=folder, count=others)
        raise InputError("no_slices", folder=folder)
    return found


def _header(path: Path) -> Slice | None:
    """Read the header of a file; None if the file is not an image slice."""
    header = DicomHeader.of(path)
    if header is None:
        return None
    image, tag = header.image, header.tag

    def numbers(keyword: str, count: int) -> np.ndarray | None:
        try:
            values = np.array([float(part) for part in tag(keyword).split("\\")])
        except ValueError:
            return None
        return values if values.shape == (count,) and np.isfinite(values).all() else None

    localizer = "LOCALIZER" in tag("ImageType").upper().split("\\")
    if localizer or tag("SOPClassUID") in SEGMENTATION_CLASSES or image.GetNumberOfComponents() != 1:
        return None
    return Slice(
        path=path,
        series=tag("SeriesInstanceUID"),
        series_number=tag("SeriesNumber"),
        instance=tag("SOPInstanceUID"),
        patient=(tag("PatientID"), tag("PatientName")),
        modality=tag("Modality"),
        size=image.GetSize(),
        spacing=image.GetSpacing(),
        cosines=numbers("ImageOrientationPatient", 6),
        position=numbers("ImagePositionPatient", 3),
    )


def _choose(folder: Path, headers: list[Slice]) -> list[Slice]:
    """Select the only series of more than one slice, or else the only image, without duplicates."""
    copies = len(headers) - len({header.instance for header in headers})
    if copies:
        log.warning(Message("dicom_copies_left_out", count=copies))
    series: dict[str, list[Slice]] = {}
    for header in {header.instance: header for header in headers}.values():
        series.setdefault(header.series, []).append(header)
    volumes = [members for members in series.values() if sum(member.frames for member in members) > 1]
    if not volumes and len(series) == 1:
        volumes = list(series.values())
    if not volumes:
        raise InputError("single_images", folder=folder)
    if len(volumes) > 1:
        shown = ", ".join(
            f"{members[0].series_number or '?'} ({members[0].modality}, {sum(m.frames for m in members)})"
            for members in volumes
        )
        raise InputError("several_series", folder=folder, count=len(volumes), series=shown)
    if len(series) > 1:
        log.warning(Message("dicom_singles_left_out", count=len(series) - 1))
    chosen = volumes[0]
    if len({member.patient for member in chosen}) > 1:
        raise InputError("several_patients", folder=folder)
    if len(chosen) > 1 and any(member.frames > 1 for member in chosen):
        raise InputError("several_volumes", folder=folder, count=len(chosen))
    return chosen


def _arrange(folder: Path, slices: list[Slice]) -> tuple[list[Slice], np.ndarray]:
    """Sort the slices along their normal and compute their affine to RAS mm, (4, 4)."""
    if len(slices) == 1:
        return slices, _single_affine(slices[0])
    if any(member.cosines is None or member.position is None for member in slices):
        raise InputError("no_slice_position", folder=folder)
    cosines = slices[0].cosines
    sizes = Counter(member.size[:2] for member in slices)
    if len(sizes) > 1:
        shown = ", ".join(f"{count}: {size_text(size)}" for size, count in sizes.items())
        raise InputError("slice_sizes_differ", folder=folder, sizes=shown)
    if np.ptp([[*member.cosines, *member.spacing[:2]] for member in slices], axis=0).max() > 1e-3:
        raise InputError("slice_grids_differ", folder=folder)
    normal = np.cross(cosines[:3], cosines[3:])
    slices = sorted(slices, key=lambda member: float(member.position @ normal))
    positions = np.array([member.position for member in slices])
    gaps = np.diff(positions @ normal)
    usual = float(np.median(gaps))
    if gaps.min() < SPACING_TOLERANCE_MM / 10:
        raise InputError("several_at_one_position", folder=folder)
    missing = [(n, round(gap / usual) - 1) for n, gap in enumerate(gaps) if gap > 1.5 * usual]
    if missing:
        gaps = ", ".join(f"{n + 1} ({count})" for n, count in missing[:5])
        raise InputError("missing_slices", folder=folder, count=sum(count for _, count in missing), gaps=gaps)
    if np.abs(gaps - usual).max() > SPACING_TOLERANCE_MM:
        raise InputError("uneven_slices", folder=folder, least=gaps.min(), most=gaps.max())
    sideways = positions - positions[0]
    sideways -= np.outer(sideways @ normal, normal)
    if np.abs(sideways).max() > 0.5 * min(slices[0].spacing[:2]):
        raise InputError("tilted_gantry", folder=folder)
    x_spacing, y_spacing = slices[0].spacing[:2]
    lps = np.eye(4)
    lps[:3, :3] = np.column_stack([cosines[:3] * x_spacing, cosines[3:] * y_spacing, normal * gaps.mean()])
    lps[:3, 3] = positions[0]
    return slices, LPS_RAS @ lps


def _single_affine(image: Slice) -> np.ndarray:
    """Compute the affine to RAS mm of a single image; a radiograph without a position becomes an axial slice."""
    cosines = np.array([1.0, 0, 0, 0, 1, 0]) if image.cosines is None else image.cosines
    thickness = image.spacing[2] if len(image.spacing) > 2 else 1.0
    lps = np.eye(4)
    normal = np.cross(cosines[:3], cosines[3:])
    lps[:3, :3] = np.column_stack([cosines[:3], cosines[3:], normal]) * [*image.spacing[:2], thickness]
    lps[:3, 3] = 0.0 if image.position is None else image.position
    return LPS_RAS @ lps


def _voxels(folder: Path, reader: sitk.ImageFileReader | sitk.ImageSeriesReader) -> sitk.Image:
    """Read the voxels of one file of all slices, or of sorted slices; float32 keeps the rescaling of each slice."""
    import SimpleITK as sitk

    reader.SetImageIO("GDCMImageIO")
    reader.SetOutputPixelType(sitk.sitkFloat32)
    try:
        with silenced():
            return reader.Execute()
    except RuntimeError as error:
        raise InputError("dicom_not_decoded", folder=folder) from error


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
    header = DicomHeader.of(path)
    if header is None:
        return DicomTags()
    modality = header.tag("Modality").upper()
    if not MODALITY.fullmatch(modality):
        modality = ""
    size = header.image.GetSize()
    return DicomTags(
        patient=header.tag("PatientID"),
        modality=RADIOGRAPH if modality in RADIOGRAPHS else modality,
        series=header.tag("SeriesInstanceUID"),
        frames=size[2] if len(size) > 2 else 1,
        placed=header.has("ImagePositionPatient"),
    )


def is_series(headers: Sequence[DicomTags]) -> bool:
    """Return whether the files of one folder are slices of a volume and not single images."""
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
