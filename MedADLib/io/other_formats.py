"""Volumes of FreeSurfer (MGH and MGZ), GIPL and MINC."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..runtime.stdio import silenced
from ..volume import LPS_RAS, size_text
from .placement import Placement, runs_towards, spatial_shape
from .reading_options import ReadingOptions
from .voxels import MAX_VOXELS, ZLIB_GREATEST_RATIO, StoredVoxels, first_bytes, is_gzip

MGH_BYTES = 284
# Types of a voxel by their codes; all numbers are big-endian.
MGH_TYPES = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}
GIPL_BYTES, GIPL_MAGIC = 256, (0xEFFFE9B0, 0x2AE389B8)
GIPL_TYPES = {7: ">i1", 8: ">u1", 15: ">i2", 16: ">u2", 31: ">u4", 32: ">i4", 64: ">f4", 65: ">f8"}


def read_mgh(path: Path, options: ReadingOptions) -> tuple[np.ndarray, np.ndarray]:
    """Read MGH or MGZ, whatever the name says.

    Returns:
        The voxels, float32 (Z, Y, X), and the affine, 4×4, voxel index (x, y, z, 1) to RAS mm.

    Raises:
        InputError: If the file is damaged or of another format, or does not give what the options lack.
    """
    start = first_bytes(path, MGH_BYTES)
    if len(start) < MGH_BYTES or struct.unpack_from(">i", start)[0] != 1:
        raise InputError("wrong_format", path=path, format="FreeSurfer")
    *sizes, code = struct.unpack_from(">5i", start, 4)
    if min(sizes) < 1:
        raise InputError("impossible_size", path=path, size=size_text(sizes))
    if code not in MGH_TYPES:
        raise InputError("unknown_voxel_type", path=path)
    shape = spatial_shape(path, tuple(sizes))
    placement = Placement()
    # Without this flag, the header leaves the position open.
    if struct.unpack_from(">h", start, 28)[0] == 1:
        spacing, cosines, centre = np.split(np.array(struct.unpack_from(">15f", start, 30), float), [3, 12])
        cosines = cosines.reshape(3, 3).T
        if not np.isfinite(cosines).all() or abs(np.linalg.det(cosines)) < 0.5:
            raise InputError("no_position", name=path)
        origin = centre - (cosines * spacing) @ (0.5 * np.array(shape))
        placement = Placement(spacing, cosines, origin)
    affine = placement.affine(path, shape, options)
    places = {"skip": MGH_BYTES, "encoding": "zlib"} if is_gzip(path) else {"start": MGH_BYTES}
    return StoredVoxels(path, path, shape, np.dtype(MGH_TYPES[code]), **places).read(), affine


def read_gipl(path: Path, options: ReadingOptions) -> tuple[np.ndarray, np.ndarray]:
    """Read GIPL, compressed by gzip or not; its header does not give the orientation.

    Returns:
        The voxels, float32 (Z, Y, X), and the affine, 4×4, voxel index (x, y, z, 1) to RAS mm.

    Raises:
        InputError: If the file is damaged or of another format, or the options lack the orientation.
    """
    start = first_bytes(path, GIPL_BYTES)
    if len(start) < GIPL_BYTES or struct.unpack_from(">I", start, 252)[0] not in GIPL_MAGIC:
        raise InputError("wrong_format", path=path, format="GIPL")
    # A 3-D image may have 0 as its fourth size.
    *sizes, frames, code = struct.unpack_from(">5H", start)
    if code not in GIPL_TYPES:
        raise InputError("unknown_voxel_type", path=path)
    shape = spatial_shape(path, (*sizes, max(frames, 1)))
    # ITK writes the first voxel in LPS.
    origin = LPS_RAS[:3, :3] @ np.array(struct.unpack_from(">3d", start, 204))
    placement = Placement(np.array(struct.unpack_from(">3f", start, 10), float), None, origin)
    affine = placement.affine(path, shape, options)
    places = {"skip": GIPL_BYTES, "encoding": "zlib"} if is_gzip(path) else {"start": GIPL_BYTES}
    return StoredVoxels(path, path, shape, np.dtype(GIPL_TYPES[code]), **places).read(), affine


def read_minc(path: Path, options: ReadingOptions) -> tuple[np.ndarray, np.ndarray]:
    """Read MINC 2 by ITK.

    Coordinates of MINC run towards the right and the front. ITK up to 5.4 reads and writes them as if they ran towards
    the left and the back, so files of programs with ITK are turned by 180 degrees, and nothing in them says so.

    Returns:
        The voxels, float32 (Z, Y, X), and the affine, 4×4, voxel index (x, y, z, 1) to RAS mm.

    Raises:
        InputError: If the file is damaged or of another format, or the options lack the orientation.
    """
    import SimpleITK as sitk

    if not first_bytes(path, 8).startswith((b"\x89HDF", b"CDF")):
        raise InputError("wrong_format", path=path, format="MINC")
    if first_bytes(path, 3) == b"CDF":
        raise InputError("minc_1", path=path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("MINCImageIO")
    try:
        with silenced():
            reader.ReadImageInformation()
        if reader.GetNumberOfComponents() != 1:
            raise InputError("several_components", path=path)
        shape = spatial_shape(path, reader.GetSize())
        voxels = int(np.prod(shape, dtype=object))
        if voxels > path.stat().st_size * ZLIB_GREATEST_RATIO:
            raise InputError("header_exceeds_file", path=path, size=size_text(shape))
        if voxels > MAX_VOXELS:
            raise InputError("too_many_voxels", path=path, voxels=voxels, limit=MAX_VOXELS)
        reader.SetOutputPixelType(sitk.sitkFloat32)
        with silenced():
            image = reader.Execute()
    except RuntimeError as error:
        raise InputError("damaged_image", path=path) from error
    if not options.orientation:
        raise InputError("minc_orientation", path=path)
    cosines, origin = np.array(image.GetDirection()).reshape(3, 3), np.array(image.GetOrigin())
    placement = Placement(np.array(image.GetSpacing()))
    for turn in (np.eye(3), LPS_RAS[:3, :3]):
        if runs_towards(turn @ cosines, options.orientation):
            placement = Placement(placement.spacing, turn @ cosines, turn @ origin)
    return sitk.GetArrayFromImage(image), placement.affine(path, shape, options)
