"""Write a volume as a compressed NIfTI or NRRD file without a copy of its voxels, on disk or in memory.

ITK writes the header, for a file of the first slice alone, so that the position in space is the one that ITK uses.
"""

from __future__ import annotations

import errno
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np

from ..volume import Volume

# Bytes before the voxels, and the offset of the number of slices.
HEADER_BYTES = 352
SLICES_OFFSET = 46
# Window bits of zlib for a gzip file.
GZIP_WRAPPER = 31
CHUNK = 1 << 22


def write_nifti(volume: Volume, path: Path, position: bytes | None = None) -> None:
    """Write a compressed NIfTI-1 file; equal volumes give equal files.

    Args:
        volume: The volume, shape (Z, Y, X).
        path: A name that ends in ``.nii.gz``.
        position: Position in space for the header instead of that of the volume, see `nifti.nifti_position`.

    Raises:
        OSError: If it cannot be written.
    """
    header = bytearray(_first_slice(volume, path.with_suffix(""))[:HEADER_BYTES])
    struct.pack_into("<h", header, SLICES_OFFSET, len(volume.array))
    if position is not None:
        header[76:80], header[252:328] = position[:4], position[4:]
    strategy = _strategy(np.ascontiguousarray(volume.array[len(volume.array) // 2]))
    with path.open("wb") as target:
        compressor = _compressor(strategy)
        target.write(compressor.compress(header))
        _compress(volume, compressor, target)


def write_nrrd(volume: Volume, path: Path, fields: Mapping[str, str]) -> None:
    """Write a compressed NRRD file with additional fields in its header.

    Args:
        volume: The volume, shape (Z, Y, X).
        path: A name that ends in ``.nrrd``.
        fields: Values without line breaks by key.

    Raises:
        OSError: If it cannot be written.
    """
    whole = _first_slice(volume, path.with_name(f"{path.stem}-first.nrrd"), fields)
    lines = whole[: whole.index(b"\n\n")].split(b"\n")
    place = next(number for number, line in enumerate(lines) if line.startswith(b"sizes:"))
    lines[place] = b"sizes: " + " ".join(map(str, volume.array.shape[::-1])).encode()
    lines[lines.index(b"encoding: raw")] = b"encoding: gzip"
    with path.open("wb") as target:
        target.write(b"\n".join(lines) + b"\n\n")
        _compress(volume, _compressor(zlib.Z_RLE), target)


def _compress(volume: Volume, compressor: zlib._Compress, target: BinaryIO) -> None:
    """Compress the voxels of a volume, some slices at a time, into a file."""
    slices = max(1, CHUNK // volume.array[0].nbytes)
    for first in range(0, len(volume.array), slices):
        target.write(compressor.compress(np.ascontiguousarray(volume.array[first : first + slices])))
    target.write(compressor.flush())


def _strategy(sample: np.ndarray) -> int:
    """Choose the compression strategy by a trial on a sample of the voxels.

    Run-length encoding is faster than any level; maps and smooth intensities that are 0 around a brain give smaller
    files than at level 6. Integers stored as float32 give larger ones.
    """
    sizes = {}
    for strategy in (zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY):
        compressor = _compressor(strategy)
        sizes[strategy] = len(compressor.compress(sample)) + len(compressor.flush())
    return min(sizes, key=sizes.get)


def _compressor(strategy: int) -> zlib._Compress:
    """Make a gzip compressor without file name and time; other levels take up to 7 times as long for a seventh less."""
    return zlib.compressobj(1, zlib.DEFLATED, GZIP_WRAPPER, zlib.DEF_MEM_LEVEL, strategy)


def _first_slice(volume: Volume, temporary: Path, fields: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """Return the file that ITK writes of the first slice alone, with fields in its header, by way of a small file."""
    import SimpleITK as sitk

    image = volume.within((slice(0, 1), slice(0, None), slice(0, None))).to_sitk()
    for key, value in fields.items():
        image.SetMetaData(key, value)
    try:
        sitk.WriteImage(image, str(temporary))
        return temporary.read_bytes()
    except RuntimeError as error:
        raise OSError(errno.EIO, "the disk may be full") from error
    finally:
        temporary.unlink(missing_ok=True)
