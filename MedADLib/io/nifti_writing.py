"""Write a volume as a compressed NIfTI file without a copy of its voxels, on disk or in memory.

ITK writes the header, for a file of the first slice alone, so that the position in space is the one that ITK uses.
"""

from __future__ import annotations

import errno
import struct
import zlib
from pathlib import Path

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
    header = _header(volume, path.with_suffix(""))
    if position is not None:
        header[76:80], header[252:328] = position[:4], position[4:]
    slices = max(1, CHUNK // volume.array[0].nbytes)
    compressor = _compressor(_strategy(np.ascontiguousarray(volume.array[len(volume.array) // 2])))
    with path.open("wb") as target:
        target.write(compressor.compress(header))
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


def _header(volume: Volume, temporary: Path) -> bytearray:
    """Make the bytes before the voxels, by way of a small temporary file."""
    import SimpleITK as sitk

    first = volume.within((slice(0, 1), slice(0, None), slice(0, None)))
    try:
        sitk.WriteImage(first.to_sitk(), str(temporary))
    except RuntimeError as error:
        raise OSError(errno.EIO, "the disk may be full") from error
    header = bytearray(temporary.read_bytes()[:HEADER_BYTES])
    temporary.unlink()
    struct.pack_into("<h", header, SLICES_OFFSET, len(volume.array))
    return header
