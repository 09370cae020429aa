"""Read a volume from a file or a DICOM folder, and check it before its voxels are used.

Oddities of a usable image are logged as warnings.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..messages import Message
from ..runtime.stdio import silenced
from ..volume import IMAGE_SUFFIXES, Volume, is_single_slice, size_text, stem
from .dicom import DICOM_SUFFIXES, DICOMDIR, read_file, read_series, slices_in
from .headers import check_meta, check_nifti, check_nrrd, check_numbers, check_spacing, has_dicom_magic

if TYPE_CHECKING:
    import SimpleITK as sitk

log = logging.getLogger(__name__)

MAX_VOXELS = 2**30
ZLIB_GREATEST_RATIO = 1032
FORMATS = {
    ".nii.gz": (check_nifti, "NiftiImageIO"),
    ".nii": (check_nifti, "NiftiImageIO"),
    ".nrrd": (check_nrrd, "NrrdImageIO"),
    ".nhdr": (check_nrrd, "NrrdImageIO"),
    ".mha": (check_meta, "MetaImageIO"),
    ".mhd": (check_meta, "MetaImageIO"),
}


def read_image(path: str | os.PathLike, uniform: bool = False) -> Volume:
    """Read NIfTI, NRRD, MHA or a folder with one DICOM series.

    Args:
        path: An image file, or a folder of DICOM slices.
        uniform: Accept an image with the same value everywhere, as a mask can be.

    Returns:
        The volume with float32 voxels, shape (Z, Y, X), and the stem of the path as its name.

    Raises:
        InputError: If it is missing, damaged, not a scalar 3-D image, or has values that are not finite.
    """
    path, name = Path(path), stem(os.path.abspath(path))
    try:
        # ITK accepts file names in UTF-8 only.
        os.fspath(path).encode("utf-8")
        if path.name.upper() == DICOMDIR and path.is_file():
            path = path.parent
            name = stem(os.path.abspath(path))
        if path.is_dir():
            volume = read_series(path, name)
        elif _is_dicom(path):
            volume = _read_frames(path, path.stem if path.suffix.lower() in DICOM_SUFFIXES else name)
        else:
            volume = Volume.from_sitk(_read_file(path), name)
    except UnicodeEncodeError as error:
        raise InputError("invalid_file_name", path=ascii(os.fspath(path))) from error
    except OSError as error:
        raise InputError("unreadable", path=path, reason=error.strerror or error) from error
    _check_voxels(volume, path, uniform)
    return volume


def _is_dicom(path: Path) -> bool:
    """Return whether a file is a DICOM object by content and not an image of another format by name."""
    return path.is_file() and not path.name.lower().endswith(IMAGE_SUFFIXES) and has_dicom_magic(path)


def _read_frames(path: Path, name: str) -> Volume:
    """Read a DICOM file of all slices of a volume."""
    if slices_in(path) == 1:
        raise InputError("single_dicom_file", path=path)
    volume = read_file(path, name)
    if volume is None:
        raise InputError("several_components", path=path)
    return volume


def _read_file(path: Path) -> sitk.Image:
    """Read a single file as a float32 SimpleITK image."""
    import SimpleITK as sitk

    if not path.exists():
        raise InputError("not_found", path=path)
    if not path.is_file():
        raise InputError("not_a_file", path=path)
    if path.stat().st_size == 0:
        raise InputError("empty_file", path=path)
    suffix = next((s for s in IMAGE_SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise InputError("unknown_volume_type", path=path, types=", ".join(FORMATS))
    check, reader_name = FORMATS[suffix]
    data_bytes = check(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    # Without this, ITK chooses the format by content and reads a PNG named scan.nii.
    reader.SetImageIO(reader_name)
    try:
        with silenced():
            reader.ReadImageInformation()
        _check_grid(reader, path, data_bytes)
        reader.SetOutputPixelType(sitk.sitkFloat32)
        with silenced():
            image = reader.Execute()
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise InputError("not_orthogonal", name=path) from error
        raise InputError("damaged_image", path=path) from error
    if reader_name == "NiftiImageIO":
        _warn_of_nifti_position(reader, image)
    return image


def _check_grid(reader: sitk.ImageFileReader, path: Path, data_bytes: int) -> None:
    """Raise InputError for a grid that is not scalar and 3-D or does not fit the file; nothing is allocated yet."""
    import SimpleITK as sitk

    size = reader.GetSize()
    complex_types = (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64)
    if reader.GetNumberOfComponents() != 1 or reader.GetPixelID() in complex_types:
        raise InputError("several_components", path=path)
    if len(size) != 3:
        raise InputError("not_3d", name=path, dimensions=len(size), size=size_text(size))
    if sorted(size)[1] == 1:
        raise InputError("single_line", path=path, size=size_text(size))
    voxels = int(np.prod(size, dtype=object))
    if voxels > data_bytes * ZLIB_GREATEST_RATIO:
        raise InputError("header_exceeds_file", path=path, size=size_text(size))
    if voxels > MAX_VOXELS:
        raise InputError("too_many_voxels", path=path, voxels=voxels, limit=MAX_VOXELS)
    check_spacing(path, reader.GetSpacing())


def _check_voxels(volume: Volume, path: Path, uniform: bool) -> None:
    """Raise InputError for voxels that are not finite or all equal; warn about an odd scale."""
    array = volume.array
    # Finite float32 values cannot overflow a float64 sum, so one pass finds any that is not finite.
    with np.errstate(invalid="ignore"):
        total = array.sum(dtype=np.float64)
    if not np.isfinite(total):
        check_numbers(path, int(np.isnan(array).sum()), int(np.isinf(array).sum()))
    lowest, highest = float(array.min()), float(array.max())
    if lowest == highest and not uniform:
        raise InputError("constant", path=path, value=lowest)
    extent = float((volume.spacing * array.shape[::-1]).max())
    if not 10.0 <= extent <= 2000.0:
        log.warning(Message("odd_extent", extent=extent))
    if volume.spacing.max() > 10.0 and not is_single_slice(volume):
        log.warning(Message("thick_slices", spacing=float(volume.spacing.max())))


def _warn_of_nifti_position(reader: sitk.ImageFileReader, image: sitk.Image) -> None:
    """Warn if other programs may place this image elsewhere."""
    field = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    codes = [field.get("sform_code", "0") != "0", field.get("qform_code", "0") != "0"]
    if not any(codes):
        log.warning(Message("unknown_orientation"))
    elif all(codes):
        sform = np.array([[float(v) for v in field[f"srow_{axis}"].split()] for axis in "xyz"])
        apart = np.abs((Volume.from_sitk(image).affine[:3] - sform) @ [*image.GetSize(), 1.0]).max()
        if not apart <= 1.0:
            log.warning(Message("forms_disagree", distance=float(apart)))
