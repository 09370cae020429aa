"""Small files of volumes with any header, made byte by byte."""

from __future__ import annotations

import gzip
import struct

import numpy as np

from MedADLib.volume import Volume, reoriented

# Along x, y, z; all different, so that a swapped axis shows.
SHAPE, SPACING = (12, 16, 20), np.array([3.0, 2.0, 4.0])
ARRAY = np.random.default_rng(0).random(SHAPE[::-1], dtype=np.float32)
RAS = np.vstack([np.column_stack([np.diag(SPACING), [-20.0, -15.0, -30.0]]), [0, 0, 0, 1]])


def nifti(path, sform=RAS, codes=(1, 1), pixdim=SPACING, version=1, units=2, quaternion=(0, 0, 0), offset=None, qfac=1):
    """Write a NIfTI file with these fields; the qform has the directions of RAS."""
    position = RAS[:3, 3] if offset is None else offset
    size = 540 if version == 2 else 348
    header = bytearray(size + 4)
    dim, pix = (3, *SHAPE, 1, 1, 1, 1), (qfac, *pixdim, 1, 1, 1, 1)
    if version == 2:
        struct.pack_into("<i8s2h8q", header, 0, 540, b"n+2\0\r\n\x1a\n", 16, 32, *dim)
        struct.pack_into("<8dq2d", header, 104, *pix, 544, 1, 0)
        struct.pack_into("<2i18d2i", header, 344, *codes, *quaternion, *position, *sform[:3].ravel(), 0, units)
    else:
        struct.pack_into("<i", header, 0, 348)
        struct.pack_into("<8h", header, 40, *dim)
        struct.pack_into("<2h", header, 70, 16, 32)
        struct.pack_into("<8f3f", header, 76, *pix, 352, 1, 0)
        header[123] = units
        struct.pack_into("<2h18f", header, 252, *codes, *quaternion, *position, *sform[:3].ravel())
        header[344:348] = b"n+1\0"
    content = bytes(header) + ARRAY.tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def lies_at(volume, affine, array=ARRAY):
    """Assert that each voxel has its value at its position in space, in any voxel order."""
    wanted = reoriented(Volume(array, affine), "RAS")
    found = reoriented(volume, "RAS")
    assert found.same_grid(wanted, 1e-3), (volume.affine, affine)
    assert np.array_equal(found.array, wanted.array)


def nrrd(path, **fields):
    fields = {"type": "float", "dimension": 3, "sizes": "12 16 20", "endian": "little", "encoding": "raw", **fields}
    lines = "".join(f"{key.replace('_', ' ')}: {value}\n" for key, value in fields.items() if value is not None)
    path.write_bytes(b"NRRD0005\n" + lines.encode() + b"\n" + ARRAY.tobytes())
    return path


VECTORS = "(3,0,0) (0,2,0) (0,0,4)"


def meta(path, content=None, **fields):
    fields = {
        **{"ObjectType": "Image", "NDims": 3, "BinaryData": "True", "TransformMatrix": "-1 0 0 0 -1 0 0 0 1"},
        **{"Offset": "20 15 -30", "ElementSpacing": "3 2 4", "DimSize": "12 16 20", "ElementType": "MET_FLOAT"},
        **fields,
    }
    # The name of the data file ends a header.
    fields["ElementDataFile"] = fields.pop("ElementDataFile", "LOCAL")
    lines = "".join(f"{key} = {value}\n" for key, value in fields.items() if value is not None)
    path.write_bytes(lines.encode() + (ARRAY.tobytes() if content is None else content))
    return path
