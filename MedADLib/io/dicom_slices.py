"""Slices of DICOM image files: the attributes of each frame that decide its place and its kind."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .dicom_files import DicomFile, FrameGroups

FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
COMPONENTS = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"}
SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
CONTENT, MEASURES, TRANSFORM = "FrameContentSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence"
TIMING = "MRTimingAndRelatedParametersSequence"

# Numbers and texts that all slices of a volume have in common: keyword of a frame, its group, keyword of a file.
COMMON_NUMBERS = (
    ("RepetitionTime", TIMING, ""),
    ("FlipAngle", TIMING, ""),
    ("InversionTimes", "MRModifierSequence", "InversionTime"),
    ("SliceThickness", MEASURES, ""),
    ("SpacingBetweenSlices", MEASURES, ""),
)
COMMON_TEXTS = (
    ("Modality", "", ""),
    ("SOPClassUID", "", ""),
    ("FrameOfReferenceUID", "", ""),
    ("SequenceName", "", ""),
    ("EchoNumbers", "", ""),
    ("ReceiveCoilName", "MRReceiveCoilSequence", ""),
    ("ConvolutionKernel", "CTReconstructionSequence", ""),
    ("RescaleType", TRANSFORM, ""),
    ("Units", "", ""),
    ("DiffusionDirectionality", "MRDiffusionSequence", ""),
    ("NominalPercentageOfCardiacPhase", "CardiacSynchronizationSequence", ""),
    ("TemporalPositionTimeOffset", "TemporalPositionSequence", ""),
)
# Dimensions of a file of several frames in which those of one volume do not differ.
DIMENSIONS = {
    *("TemporalPositionIndex", "TemporalPositionTimeOffset", "EffectiveEchoTime", "DiffusionBValue", "InversionTimes"),
    *("DiffusionGradientOrientation", "ComplexImageComponent", "FrameType", "NominalPercentageOfCardiacPhase"),
    *("NominalCardiacTriggerDelayTime", "FlipAngle", "RepetitionTime", "ContrastBolusAgentPhase", "ReceiveCoilName"),
    *("VelocityEncodingDirection",),
}
# Dimensions of a file of several frames that number the positions of a stack.
PLACES = ("InStackPositionNumber", "ImagePositionPatient")


@dataclass(frozen=True, eq=False)
class Slice:
    """A slice: one frame of a DICOM image file, with what decides its position in a volume.

    Attributes:
        file: The file.
        frame: Index of the frame in the file.
        size: Pixels along (x, y).
        spacing: Pixel spacing along (x, y) in mm; None if missing.
        thickness: Thickness in mm; None if missing.
        distance: Distance to the next slice in mm that the header states; None if missing.
        cosines: Directions of rows and columns in LPS, (6,); None if missing.
        position: LPS mm of the first pixel, (3,); None if missing.
        rescaled: Whether the header has a slope that is not 0, and an intercept.
        slope: Factor of the stored values.
        intercept: Summand of the stored values.
        scales: Other maps of the stored values that the header has, each slope and intercept or None: to real world
            values, and to Philips's floating point values.
        component: ``magnitude``, ``phase``, ``real`` or ``imaginary``; empty if unknown.
        types: Values of FrameType, else of ImageType.
        echo: Echo time in ms; None if unknown.
        stack: Name of the stack of slices in the file.
        in_stack: Number in the stack; None if unknown.
        number: Number of the image in its series; None if unknown, or if the file has several frames.
        time: Number of the volume in a sequence of volumes.
        diffusion: Diffusion weighting.
        common: Further attributes that all slices of a volume have in common, by name; without those that are missing.
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
    distance: float | None
    cosines: np.ndarray | None
    position: np.ndarray | None
    rescaled: tuple[bool, bool]
    slope: float
    intercept: float
    scales: tuple[tuple[float, float] | None, ...]
    component: str
    types: tuple[str, ...]
    echo: float | None
    stack: str
    in_stack: int | None
    number: int | None
    time: str
    diffusion: str
    common: dict[str, Hashable] = field(repr=False)

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
        dimensions = _dimensions(file)
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
            cls(frame=number, **whole, **place_of(one, len(frames)), **_contrast(one, len(frames), dimensions))
            for number, one in enumerate(frames)
            if "LOCALIZER" not in _image_types(one)
        ]


def place_of(frame: FrameGroups, count: int) -> dict[str, Any]:
    """Return position, spacing and rescaling of a frame; of several, none has the position of the whole file."""
    spacing = frame.numbers(2, "PixelSpacing", MEASURES)
    position = frame.numbers(3, "ImagePositionPatient", "PlanePositionSequence", top="-" if count > 1 else "")
    if spacing is None and position is None:
        # A projection or a digitised image.
        for keyword in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
            spacing = frame.numbers(2, keyword) if spacing is None else spacing
    slope, intercept = (_number(frame, keyword, TRANSFORM) for keyword in ("RescaleSlope", "RescaleIntercept"))
    return {
        # The header gives the distance of rows first.
        "spacing": spacing[::-1] if spacing is not None and spacing.min() > 0 else None,
        "thickness": _length(_number(frame, "SliceThickness", MEASURES)),
        "distance": _length(_number(frame, "SpacingBetweenSlices", MEASURES)),
        "cosines": frame.numbers(6, "ImageOrientationPatient", "PlaneOrientationSequence"),
        "position": position,
        "rescaled": (bool(slope), intercept is not None),
        "slope": slope or 1.0,
        "intercept": intercept or 0.0,
        "scales": (frame.real_world_scale(), frame.philips_scale()),
    }


def _number(frame: FrameGroups, keyword: str, *sequences: str, top: str = "") -> float | None:
    values = frame.numbers(1, keyword, *sequences, top=top)
    return None if values is None else float(values[0])


def _length(value: float | None) -> float | None:
    """Return a length without its sign, which states a direction; None for 0."""
    return abs(value) if value else None


def _contrast(frame: FrameGroups, count: int, dimensions: dict[str, int]) -> dict[str, Any]:
    """Return what tells images at one position apart, and their numbers."""
    return {
        "component": _component(frame),
        "types": tuple(_image_types(frame)),
        "echo": _echo(frame),
        "stack": frame.text("StackID", CONTENT, top="-"),
        "in_stack": _number_in_stack(frame, dimensions),
        "number": _whole(_number(frame, "InstanceNumber")) if count == 1 else None,
        "time": frame.text("TemporalPositionIndex", CONTENT, top="TemporalPositionIdentifier"),
        "diffusion": frame.text("DiffusionBValue", "MRDiffusionSequence"),
        "common": _common(frame, dimensions),
    }


def _echo(frame: FrameGroups) -> float | None:
    """Return the echo time in ms, also where some writers put it in files of several frames; None if it is unknown."""
    echo = _number(frame, "EffectiveEchoTime", "MREchoSequence", top="-")
    return _number(frame, "EchoTime", "MREchoSequence", TIMING) if echo is None else echo


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _number_in_stack(frame: FrameGroups, dimensions: dict[str, int]) -> int | None:
    """Return the number of a frame in its stack, else its index along the dimension of the positions."""
    number = _whole(_number(frame, "InStackPositionNumber", CONTENT, top="-"))
    indices = (_index(frame, dimensions[keyword]) for keyword in PLACES if keyword in dimensions)
    return next((index for index in indices if index is not None), None) if number is None else number


def _index(frame: FrameGroups, at: int) -> int | None:
    """Return the index of a frame along the dimension that stands at this place; None if it is missing."""
    try:
        return int(np.ravel(frame.value("DimensionIndexValues", CONTENT, top="-"))[at])
    except (TypeError, ValueError, IndexError):
        return None


def _common(frame: FrameGroups, dimensions: dict[str, int]) -> dict[str, Hashable]:
    """Return the attributes that all slices of a volume have in common, numbers as float."""
    found: dict[str, Hashable] = {}
    for keyword, group, top in COMMON_NUMBERS:
        found[keyword] = _number(frame, keyword, group, top=top)
    for keyword, group, top in COMMON_TEXTS:
        found[keyword] = frame.text(keyword, *([group] if group else []), top=top)
    direction = frame.value("DiffusionGradientDirectionSequence", "MRDiffusionSequence", top="-")
    values = direction[0].get("DiffusionGradientOrientation") if direction else None
    if values is None:
        values = frame.header.get("DiffusionGradientOrientation")
    found["DiffusionGradientOrientation"] = "" if values is None else str(values)
    for keyword in DIMENSIONS & set(dimensions):
        found[f"DimensionIndexValues {keyword}"] = _index(frame, dimensions[keyword])
    return {name: value for name, value in found.items() if value not in (None, "")}


def _dimensions(file: DicomFile) -> dict[str, int]:
    """Return at which place the index along each dimension stands, by the attribute that differs along it."""
    from pydicom.datadict import keyword_for_tag

    pointers = [item.get("DimensionIndexPointer") for item in file.value("DimensionIndexSequence") or []]
    keywords = [keyword_for_tag(pointer) if isinstance(pointer, int) else "" for pointer in pointers]
    return {keyword: at for at, keyword in enumerate(keywords) if keyword}


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
