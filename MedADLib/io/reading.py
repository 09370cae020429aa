"""Reading an image from disk: what is wrong with it is said in one line, before its voxels are used.

What is odd but usable goes to this module's logger as a warning.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..runtime.stdio import silenced
from ..volume import IMAGE_SUFFIXES, Volume, is_single_slice, stem
from .headers import AGAIN, ONE_VOLUME, check_meta, check_nifti, check_nrrd, check_numbers, check_spacing

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
        uniform: Accept an image of one value throughout, as a mask may be.

    Returns:
        The volume with float32 voxels, shape (Z, Y, X), and the stem of the path as its name.

    Raises:
        InputError: If it is missing, damaged, not a scalar 3-D image, or has values that are no numbers.
    """
    path, name = Path(path), stem(os.path.abspath(path))
    try:
        # ITK takes file names as UTF-8 only.
        os.fspath(path).encode("utf-8")
        if path.is_dir():
            from .dicom import read_series

            volume = read_series(path, name)
        else:
            volume = Volume.from_sitk(_read_file(path), name)
    except UnicodeEncodeError as error:
        raise InputError(f"the name {os.fspath(path)!a} is no valid text", "Rename the file.") from error
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror or error}"
        raise InputError(problem, "Check the path and its permissions.") from error
    _check_voxels(volume, path, uniform)
    return volume


def _read_file(path: Path) -> sitk.Image:
    """The SimpleITK image of a single file, float32."""
    import SimpleITK as sitk

    if not path.exists():
        raise InputError(f"{path} does not exist", "Check the path.")
    if not path.is_file():
        raise InputError(f"{path} is not a file", "Give an image file or a folder of DICOM slices.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty", AGAIN)
    suffix = next((s for s in IMAGE_SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None:
        with path.open("rb") as stream:
            if stream.read(132)[128:] == b"DICM":
                raise InputError(f"{path} is a single DICOM file", "Give the folder that holds all its slices.")
        remedy = f"Known are {', '.join(FORMATS)} and a folder of DICOM slices."
        raise InputError(f"{path} is of an unknown type", remedy)
    check, reader_name = FORMATS[suffix]
    data_bytes = check(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    # Left to choose, ITK would read a PNG named scan.nii as the PNG that it is.
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
            problem = f"{path} has axes that are not at right angles"
            raise InputError(problem, "Resample it to a regular grid first.") from error
        raise InputError(f"{path} is damaged or cut short", AGAIN) from error
    if reader_name == "NiftiImageIO":
        _warn_of_nifti_position(reader, image)
    return image


def _check_grid(reader: sitk.ImageFileReader, path: Path, data_bytes: int) -> None:
    """Refuse, before anything is allocated, what is no scalar 3-D grid or cannot fit into the file."""
    import SimpleITK as sitk

    size = reader.GetSize()
    shown = " x ".join(map(str, size))
    complex_types = (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64)
    if reader.GetNumberOfComponents() != 1 or reader.GetPixelID() in complex_types:
        raise InputError(f"{path} has several numbers in each voxel (colour, vector or complex)", ONE_VOLUME)
    if len(size) != 3:
        raise InputError(f"{path} has {len(size)} dimensions ({shown})", ONE_VOLUME)
    if sorted(size)[1] == 1:
        raise InputError(f"{path} has one line of voxels only ({shown})", "Give the whole image.")
    voxels = int(np.prod(size, dtype=object))
    if voxels > data_bytes * ZLIB_GREATEST_RATIO:
        raise InputError(f"{path} is cut short: its header promises more voxels ({shown}) than it can hold", AGAIN)
    if voxels > MAX_VOXELS:
        raise InputError(f"{path} has {voxels} voxels; at most {MAX_VOXELS} are examined", "Resample or crop it.")
    check_spacing(path, reader.GetSpacing())


def _check_voxels(volume: Volume, path: Path, uniform: bool) -> None:
    """Refuse voxels that are no numbers and an image without any contrast; warn of an odd scale."""
    array = volume.array
    # Finite float32 values cannot overflow a float64 sum, so one pass tells whether all is well.
    with np.errstate(invalid="ignore"):
        total = array.sum(dtype=np.float64)
    if not np.isfinite(total):
        check_numbers(path, int(np.isnan(array).sum()), int(np.isinf(array).sum()))
    lowest, highest = float(array.min()), float(array.max())
    if lowest == highest and not uniform:
        raise InputError(f"{path} has the same value {lowest:g} everywhere, so there is nothing to examine", AGAIN)
    extent = float((volume.spacing * array.shape[::-1]).max())
    if not 10.0 <= extent <= 2000.0:
        log.warning("the image is %.3g mm across: is its unit of length right?", extent)
    if volume.spacing.max() > 10.0 and not is_single_slice(volume):
        log.warning("its slices are %.3g mm apart: small findings between them are missed", volume.spacing.max())


def _warn_of_nifti_position(reader: sitk.ImageFileReader, image: sitk.Image) -> None:
    """Say when other programs may place this image elsewhere."""
    field = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    codes = [field.get("sform_code", "0") != "0", field.get("qform_code", "0") != "0"]
    if not any(codes):
        log.warning("the header does not say which way the image lies: left and right may be swapped")
    elif all(codes):
        sform = np.array([[float(v) for v in field[f"srow_{axis}"].split()] for axis in "xyz"])
        apart = np.abs((Volume.from_sitk(image).affine[:3] - sform) @ [*image.GetSize(), 1.0]).max()
        if not apart <= 1.0:
            log.warning("its sform and qform place the image %.3g mm apart: the qform is used", apart)
