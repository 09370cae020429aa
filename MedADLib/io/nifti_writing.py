"""A volume as a compressed NIfTI file, its voxels streamed from memory: no copy of them is made, on disk or in memory.

ITK writes the header, as that of a file with the first slice alone, so that the image lies in space as ITK has it.
"""

from __future__ import annotations

import errno
import struct
import zlib
from pathlib import Path

import numpy as np

from ..volume import Volume

START = 352
SLICES = 46
GZIP_WRAPPER = 31
PIECE = 1 << 22


def write_nifti(volume: Volume, path: Path, position: bytes | None = None) -> None:
    """Write a compressed NIfTI-1 file; equal volumes are equal files.

    Args:
        volume: What to write, shape (Z, Y, X).
        path: A name that ends in ``.nii.gz``.
        position: What the header shall say of its place in space instead, see `nifti_position`.

    Raises:
        OSError: If it cannot be written.
    """
    start = _start(volume, path.with_suffix(""))
    if position is not None:
        start[76:80], start[252:328] = position[:4], position[4:]
    at_once = max(1, PIECE // volume.array[0].nbytes)
    packer = _packer(_strategy(np.ascontiguousarray(volume.array[len(volume.array) // 2])))
    with path.open("wb") as target:
        target.write(packer.compress(start))
        for first in range(0, len(volume.array), at_once):
            target.write(packer.compress(np.ascontiguousarray(volume.array[first : first + at_once])))
        target.write(packer.flush())


def _strategy(sample: np.ndarray) -> int:
    """How to pack, by a try on some of the voxels.

    Looking for runs of equal bytes alone is faster than any level; of maps and smooth intensities that are 0 around a
    brain it makes smaller files than level 6. Where whole numbers were stored as float32, it makes larger ones.
    """
    sizes = {}
    for strategy in (zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY):
        packer = _packer(strategy)
        sizes[strategy] = len(packer.compress(sample)) + len(packer.flush())
    return min(sizes, key=sizes.get)


def _packer(strategy: int) -> zlib._Compress:
    """Packs at the first level: the others take up to seven times as long for a seventh less. No name, no time."""
    return zlib.compressobj(1, zlib.DEFLATED, GZIP_WRAPPER, zlib.DEF_MEM_LEVEL, strategy)


def _start(volume: Volume, plain: Path) -> bytearray:
    """The bytes before the voxels; a small file at `plain` is there for a moment."""
    import SimpleITK as sitk

    first = volume.within((slice(0, 1), slice(0, None), slice(0, None)))
    try:
        sitk.WriteImage(first.to_sitk(), str(plain))
    except RuntimeError as error:
        raise OSError(errno.EIO, "the disk may be full") from error
    start = bytearray(plain.read_bytes()[:START])
    plain.unlink()
    struct.pack_into("<h", start, SLICES, len(volume.array))
    return start
