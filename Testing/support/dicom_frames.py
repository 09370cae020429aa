"""DICOM files of many frames, written by pydicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
VOXELS = (np.random.default_rng(3).random((8, 12, 16)) * 1000).astype(np.uint16)
SPACING, CORNER = (1.5, 2.0, 3.0), (-10.0, -20.0, 5.0)
# RAS, from LPS as in the header.
AFFINE = [[-1.5, 0, 0, 10], [0, -2, 0, 20], [0, 0, 3, 5], [0, 0, 0, 1]]

# Functional group and attribute of each argument of `frame`.
GROUPS = {
    "position": ("PlanePositionSequence", "ImagePositionPatient"),
    "cosines": ("PlaneOrientationSequence", "ImageOrientationPatient"),
    "spacing": ("PixelMeasuresSequence", "PixelSpacing"),
    "slope": ("PixelValueTransformationSequence", "RescaleSlope"),
    "intercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
    "stack": ("FrameContentSequence", "StackID"),
    "time": ("FrameContentSequence", "TemporalPositionIndex"),
    "component": ("MRImageFrameTypeSequence", "ComplexImageComponent"),
    "frame_type": ("MRImageFrameTypeSequence", "FrameType"),
    "echo": ("MREchoSequence", "EffectiveEchoTime"),
    "diffusion": ("MRDiffusionSequence", "DiffusionBValue"),
    "in_stack": ("FrameContentSequence", "InStackPositionNumber"),
    "indices": ("FrameContentSequence", "DimensionIndexValues"),
    "thickness": ("PixelMeasuresSequence", "SliceThickness"),
    "distance": ("PixelMeasuresSequence", "SpacingBetweenSlices"),
    "offset": ("TemporalPositionSequence", "TemporalPositionTimeOffset"),
    "flip": ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    "inversion": ("MRModifierSequence", "InversionTimes"),
    "real_slope": ("RealWorldValueMappingSequence", "RealWorldValueSlope"),
    "real_intercept": ("RealWorldValueMappingSequence", "RealWorldValueIntercept"),
    "coil": ("MRReceiveCoilSequence", "ReceiveCoilName"),
}


def groups(**attributes: Any) -> Dataset:
    """Make the functional groups with these attributes, by the names of `GROUPS`."""
    made = Dataset()
    for name, value in attributes.items():
        sequence, keyword = GROUPS[name]
        if sequence not in made:
            setattr(made, sequence, Items([Dataset()]))
        setattr(getattr(made, sequence)[0], keyword, value)
    return made


def frames_of(voxels: np.ndarray = VOXELS, **attributes: Any) -> list[tuple[np.ndarray, dict[str, Any]]]:
    """Return the slices of an axial volume and the attributes of each frame."""
    x, y, z = CORNER
    return [
        (pixels, {"position": [x, y, z + SPACING[2] * number], **attributes}) for number, pixels in enumerate(voxels)
    ]


SHARED = {"cosines": [1, 0, 0, 0, 1, 0], "spacing": [SPACING[1], SPACING[0]]}


def header(pixels: np.ndarray, **attributes: Any) -> Dataset:
    """Make a DICOM image with these stored values, (Y, X) or (frames, Y, X), and attributes by keyword."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = ENHANCED_MR, generate_uid()
    image.Modality, image.PatientID, image.PatientName = "MR", "PATIENT-4711", "DOE^JANE"
    image.SeriesInstanceUID, image.SeriesNumber = "1.2.3.4", 7
    image.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape[-2:]
    image.BitsAllocated = image.BitsStored = pixels.dtype.itemsize * 8
    image.HighBit, image.PixelRepresentation = image.BitsStored - 1, int(pixels.dtype.kind == "i")
    image.PixelData = pixels.tobytes() + bytes(pixels.nbytes % 2)
    image["PixelData"].VR = "OW" if image.BitsAllocated > 8 else "OB"
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    return image


def save(path: Path, image: Dataset, mark: bool = True) -> Path:
    """Write a DICOM file, with or without preamble and mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    if int(pydicom.__version__.split(".")[0]) > 2:
        image.save_as(path, enforce_file_format=True)
    else:
        image.is_little_endian, image.is_implicit_VR = True, image.file_meta.TransferSyntaxUID.is_implicit_VR
        image.save_as(path, write_like_original=False)
    if not mark:
        path.write_bytes(path.read_bytes()[132:])
    return path


def write_frames(
    path: Path,
    frames: Sequence[tuple[np.ndarray, dict[str, Any]]],
    shared: dict[str, Any] | None = None,
    **attributes: Any,
) -> Path:
    """Write an enhanced MR image of these stored values and attributes of frames."""
    image = header(np.stack([pixels for pixels, _ in frames]), NumberOfFrames=len(frames), **attributes)
    image.SharedFunctionalGroupsSequence = Items([groups(**(SHARED if shared is None else shared))])
    image.PerFrameFunctionalGroupsSequence = Items([groups(**own) for _, own in frames])
    return save(path, image)


def write_classic(path: Path, pixels: np.ndarray, mark: bool = True, **attributes: Any) -> Path:
    """Write a DICOM file of one image, with a position and without functional groups."""
    place = {"ImagePositionPatient": list(CORNER), "ImageOrientationPatient": SHARED["cosines"]}
    place |= {"PixelSpacing": SHARED["spacing"], "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"} | attributes
    image = header(pixels, **{keyword: value for keyword, value in place.items() if value is not None})
    return save(path, image, mark)
