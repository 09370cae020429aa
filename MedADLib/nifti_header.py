"""The fields of a NIfTI header that say how voxels are stored and where the image lies."""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# By the code of the voxels' type.
VOXEL_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}
SEVERAL_NUMBERS = (32, 128, 1792, 2048, 2304)


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a NIfTI-1 or NIfTI-2 header that decide whether the file can be trusted."""

    shape: tuple[int, ...]
    kind: int
    spacing: tuple[float, ...]
    data_offset: float
    order: str

    @property
    def real_type(self) -> np.dtype | None:
        """The type of its voxels if they are real numbers, which alone can be no numbers."""
        return {16: np.dtype(self.order + "f4"), 64: np.dtype(self.order + "f8")}.get(self.kind)

    @classmethod
    def parse(cls, start: bytes) -> NiftiHeader | None:
        """Read the header from the first bytes of a decompressed file; None when it is no NIfTI."""
        for order in "<>":
            size = struct.unpack_from(order + "i", start.ljust(4, b"\0"))[0]
            if size == 348 and start[344:347] == b"n+1":
                fields = (("8h", 40), ("h", 70), ("3f", 80), ("f", 108))
            elif size == 540 and start[4:7] == b"n+2" and len(start) >= 540:
                fields = (("8q", 16), ("h", 12), ("3d", 112), ("q", 168))
            else:
                continue
            dim, kind, spacing, offset = (struct.unpack_from(order + form, start, at) for form, at in fields)
            count = dim[0] if 1 <= dim[0] <= 7 else 0
            return cls(tuple(dim[1 : count + 1]), kind[0], spacing, offset[0], order)
        return None


def nifti_position(path: Path) -> bytes | None:
    """The fields of a NIfTI-1 header that place the image in space, to be kept in the files that belong to it.

    A header holds two positions, which need not agree; programs differ in which they use. With both kept, results
    lie on their scan in every program.

    Returns:
        The little-endian bytes 76-80 (handedness) and 252-328 (qform and sform), or None for any other file or
        unit than millimetres.
    """
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as stream:
            start = stream.read(348)
    except OSError:
        return None
    for order in "<>":
        if len(start) == 348 and struct.unpack_from(order + "i", start)[0] == 348 and start[344:347] == b"n+1":
            if start[123] & 7 not in (0, 2):
                return None
            handedness = struct.unpack_from(order + "f", start, 76)
            return struct.pack("<f2h18f", *handedness, *struct.unpack_from(order + "2h18f", start, 252))
    return None
