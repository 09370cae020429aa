"""Read a volume from a file or a DICOM folder, and check it before its voxels are used.

Oddities of a usable image are logged as warnings.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..masks import with_background
from ..messages import Message
from ..volume import IMAGE_SUFFIXES, Volume, in_order_of, stem
from .child_reading import child_reader
from .dicom import DICOM_SUFFIXES, DICOMDIR, read_file, read_series, slices_in
from .headers import check_file, check_numbers, has_dicom_magic
from .nifti import read_nifti
from .other_formats import read_gipl, read_mgh, read_minc
from .placement import check_extent
from .reading_options import AS_THE_HEADER_SAYS, ReadingOptions
from .text_headers import read_meta, read_nrrd

log = logging.getLogger(__name__)

READERS = {
    **{".nii.gz": read_nifti, ".nii": read_nifti, ".hdr": read_nifti, ".img": read_nifti},
    **{".nrrd": read_nrrd, ".nhdr": read_nrrd, ".mha": read_meta, ".mhd": read_meta},
    **{".mgz": read_mgh, ".mgh": read_mgh, ".gipl.gz": read_gipl, ".gipl": read_gipl, ".mnc": read_minc},
}


def read_image(path: str | os.PathLike, uniform: bool = False, options: ReadingOptions = AS_THE_HEADER_SAYS) -> Volume:
    """Read NIfTI, NRRD, MetaImage, Analyze, MGH, GIPL, MINC or a folder with one DICOM series.

    Args:
        path: An image file, or a folder of DICOM slices.
        uniform: Accept an image with the same value everywhere, as a mask can be.
        options: What the user says about the file beyond its header.

    Returns:
        The volume with float32 voxels, shape (Z, Y, X), and the stem of the path as its name. Voxels around the head
        that are not a number are background.

    Raises:
        InputError: If it is missing, damaged, not a scalar 3-D image, lacks spacing or orientation, or has values that
            are not finite inside; or, in a child process, its reader crashes, hangs or takes too much memory.
    """
    check_file(Path(path))
    if (child := child_reader()) is not None:
        return child.read(Path(path), {"path": os.fspath(path), "uniform": uniform, "options": options.as_json()})
    path, name = Path(path), stem(os.path.abspath(path))
    try:
        # ITK accepts file names in UTF-8 only.
        os.fspath(path).encode("utf-8")
        if path.name.upper() == DICOMDIR and path.is_file():
            path = path.parent
            name = stem(os.path.abspath(path))
        if path.is_dir():
            volume = read_series(path, name, options)
        elif _is_dicom(path):
            volume = _read_frames(path, path.stem if path.suffix.lower() in DICOM_SUFFIXES else name, options)
        else:
            volume = _read_file(path, name, options)
    except UnicodeEncodeError as error:
        raise InputError("invalid_file_name", path=ascii(os.fspath(path))) from error
    except OSError as error:
        raise InputError("unreadable", path=path, reason=error.strerror or error) from error
    check_extent(volume, path, options)
    return _with_numbers(volume, path, uniform)


def _is_dicom(path: Path) -> bool:
    """Return whether a file is a DICOM object by content and not an image of another format by name."""
    return path.is_file() and not path.name.lower().endswith(IMAGE_SUFFIXES) and has_dicom_magic(path)


def _read_frames(path: Path, name: str, options: ReadingOptions) -> Volume:
    """Read a DICOM file of all slices of a volume."""
    if slices_in(path) == 1:
        raise InputError("single_dicom_file", path=path)
    volume = read_file(path, name, options)
    if volume is None:
        raise InputError("several_components", path=path)
    return volume


def read_mask(path: str | os.PathLike, scan: Volume, options: ReadingOptions = AS_THE_HEADER_SAYS) -> Volume:
    """Read a mask; what the user says about the scan holds for the mask too, unless only its own header fits the scan.

    Args:
        path: An image file, or a folder of DICOM slices.
        scan: The scan that was read with the options.
        options: What the user says about the scan.

    Raises:
        InputError: If it cannot be read, or fits the scan both ways, but with other voxels. Whether it fits the scan
            is checked where it is used.
    """
    if options == AS_THE_HEADER_SAYS:
        return read_image(path, uniform=True)
    try:
        own = read_image(path, uniform=True)
    except InputError:
        return read_image(path, uniform=True, options=options)
    try:
        given = read_image(path, uniform=True, options=options)
    except InputError:
        return own
    by_header, by_user = (in_order_of(volume, scan) for volume in (own, given))
    if by_header is None or by_user is None:
        return given if by_header is None else own
    if not np.array_equal(by_header.array, by_user.array):
        # The scan may have the same wrong header as the mask, or the mask a right one.
        raise InputError("mask_fits_two_ways", path=path)
    return given


def read_mask_by_header(path: str | os.PathLike, scan: Volume, options: ReadingOptions = AS_THE_HEADER_SAYS) -> Volume:
    """Read a mask by its own header if it fits the scan; else what the user says counts.

    Args:
        path: An image file, or a folder of DICOM slices.
        scan: The scan, or a map on its grid, that was read by its own header if possible.
        options: What the user says about files that cannot be used without it.

    Raises:
        InputError: If it cannot be read. Whether it fits the scan is checked where it is used.
    """
    own = read_if_lacking(path, options, uniform=True)
    if options == AS_THE_HEADER_SAYS or in_order_of(own, scan) is not None:
        return own
    try:
        given = read_image(path, uniform=True, options=options)
    except InputError:
        return own
    return own if in_order_of(given, scan) is None else given


def read_if_lacking(path: str | os.PathLike, options: ReadingOptions, uniform: bool = False) -> Volume:
    """Read a file by its own header; only where that does not suffice, what the user says about other files counts.

    Args:
        path: An image file, or a folder of DICOM slices.
        options: What the user says.
        uniform: See `read_image`.

    Raises:
        InputError: If it cannot be read either way.
    """
    try:
        return read_image(path, uniform)
    except InputError:
        if options == AS_THE_HEADER_SAYS:
            raise
    return read_image(path, uniform, options)


def _read_file(path: Path, name: str, options: ReadingOptions) -> Volume:
    """Read a single file."""
    if not path.exists():
        raise InputError("not_found", path=path)
    if path.stat().st_size == 0:
        raise InputError("empty_file", path=path)
    suffix = next((s for s in IMAGE_SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise InputError("unknown_volume_type", path=path, types=", ".join(READERS))
    # Numbers beyond sense in a header or a voxel become infinite, and each check refuses those.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return Volume(*READERS[suffix](path, options), name)


def _with_numbers(volume: Volume, path: Path, uniform: bool) -> Volume:
    """Replace voxels around the head that are not a number by the background.

    Raises:
        InputError: If voxels inside are not finite, or all are equal.
    """
    array = volume.array
    # Finite float32 values cannot overflow a float64 sum, so one pass finds any that is not finite.
    with np.errstate(invalid="ignore"):
        total = array.sum(dtype=np.float64)
    if not np.isfinite(total):
        found = with_background(array)
        if found is None:
            check_numbers(path, int(np.isnan(array).sum()), int(np.isinf(array).sum()))
        array, share = found
        log.warning(Message("nan_is_background", path=str(path), share=share))
        volume = volume.with_array(array)
    lowest, highest = float(array.min()), float(array.max())
    if lowest == highest and not uniform:
        raise InputError("constant", path=path, value=lowest)
    return volume
