"""Volumes of FreeSurfer (MGH and MGZ), GIPL and MINC."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

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
# Axes of MINC in RAS.
MINC_AXES = ("xspace", "yspace", "zspace")
# What reading a damaged file of NetCDF raises.
NETCDF_ERRORS = (KeyError, ValueError, TypeError, IndexError, AssertionError, OverflowError, EOFError)
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
    """Read MINC 2 by ITK, and MINC 1 by scipy.

    Coordinates of MINC run towards the right and the front. ITK up to 5.4 reads and writes them as if they ran towards
    the left and the back, so files of programs with ITK are turned by 180 degrees, and nothing in them says so. Files
    of MINC 1 are not written by ITK.

    Returns:
        The voxels, float32 (Z, Y, X), and the affine, 4×4, voxel index (x, y, z, 1) to RAS mm.

    Raises:
        InputError: If the file is damaged or of another format, or the options lack the orientation.
    """
    import SimpleITK as sitk

    if not first_bytes(path, 8).startswith((b"\x89HDF", b"CDF")):
        raise InputError("wrong_format", path=path, format="MINC")
    if first_bytes(path, 3) == b"CDF":
        return _read_minc_1(path, options)
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


def _read_minc_1(path: Path, options: ReadingOptions) -> tuple[np.ndarray, np.ndarray]:
    """Read MINC 1, a file of NetCDF, as `read_minc` does."""
    from scipy.io import netcdf_file

    if is_gzip(path):
        raise InputError("unknown_encoding", path=path, encoding="NetCDF in gzip")
    try:
        # All sizes are bounded by those of the file, because the content is read and not mapped.
        with warnings.catch_warnings(), netcdf_file(str(path), mmap=False) as file:
            warnings.simplefilter("ignore")
            variables = {name: (np.array(one.data), one._attributes) for name, one in file.variables.items()}
            if "image" not in variables:
                raise InputError("wrong_format", path=path, format="MINC")
            (stored, attributes), names = variables["image"], list(file.variables["image"].dimensions)
    except NETCDF_ERRORS as error:
        raise InputError("damaged_image", path=path) from error
    limits = [variables[name][0].astype(float) for name in ("image-min", "image-max") if name in variables]
    facts = {name: variables[name][1] for name in names if name in variables}
    if "vector_dimension" in names and stored.shape[names.index("vector_dimension")] > 1:
        raise InputError("several_components", path=path)
    array = _minc_values(path, stored, attributes, limits)
    kept = [axis for axis, name in enumerate(names) if name in MINC_AXES]
    if len(kept) != 3 or array.size != np.prod([array.shape[axis] for axis in kept]):
        raise InputError("not_3d", name=path, dimensions=array.ndim, size=size_text(array.shape[::-1]))
    array = array.reshape([array.shape[axis] for axis in kept])
    # The first axis of the array is the slowest.
    axes = [names[axis] for axis in kept][::-1]
    shape = spatial_shape(path, array.shape[::-1])
    return array, _minc_placement(path, [(name, facts.get(name, {})) for name in axes]).affine(path, shape, options)


def _minc_values(path: Path, stored: np.ndarray, attributes: dict[str, Any], limits: list[np.ndarray]) -> np.ndarray:
    """Return the true values, float32: integers are scaled from their valid range to the limits of their slice."""
    if stored.dtype.kind == "f":
        return stored.astype(np.float32)
    if bytes(attributes.get("signtype", b"")).startswith(b"unsigned"):
        stored = stored.view(stored.dtype.str.replace("i", "u"))
    kind = np.iinfo(stored.dtype)
    low, high = _two(attributes.get("valid_range", (kind.min, kind.max)))
    low, high = _two((attributes.get("valid_min", low), attributes.get("valid_max", high)))
    values = stored.astype(np.float64)
    if len(limits) == 2:
        if not high > low or any(one.shape != stored.shape[: one.ndim] for one in limits):
            raise InputError("bad_header_field", path=path, field="valid_range", value=f"{low:g} {high:g}")
        least, most = (one.reshape(one.shape + (1,) * (stored.ndim - one.ndim)) for one in limits)
        values = (np.clip(values, low, high) - low) * ((most - least) / (high - low)) + least
    return values.astype(np.float32)


def _two(numbers: Any) -> tuple[float, float]:
    """Return two numbers of an attribute; NaN where there are others."""
    found = np.ravel(numbers).astype(float) if np.size(numbers) == 2 else np.full(2, np.nan)
    return float(found[0]), float(found[1])


def _minc_placement(path: Path, axes: list[tuple[str, dict[str, Any]]]) -> Placement:
    """Return the position that the attributes of the axes (x, y, z) of the array give, in RAS."""
    vectors, starts = np.zeros((3, 3)), np.zeros(3)
    for column, (name, facts) in enumerate(axes):
        if bytes(facts.get("spacing", b"")).startswith(b"irregular"):
            raise InputError("bad_header_field", path=path, field=f"{name}:spacing", value="irregular")
        if "step" not in facts:
            return Placement()
        cosines = np.ravel(facts.get("direction_cosines", np.eye(3)[MINC_AXES.index(name)])).astype(float)
        if cosines.shape != (3,):
            raise InputError("no_position", name=path)
        vectors[:, column] = cosines
        starts[column] = float(np.ravel(facts.get("start", np.nan))[0])
    origin = None if np.isnan(starts).any() else vectors @ starts
    steps = [float(np.ravel(facts["step"])[0]) for _, facts in axes]
    return Placement.of_vectors(vectors * steps, origin)
