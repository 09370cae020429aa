"""Zip files made byte by byte, with any lie one likes."""

from __future__ import annotations

import struct
import zipfile
import zlib


def entry(name, data=b"x", *, method=0, flags=0, mode=0o100644, declared=None, crc=None, shared_offset=None, extra=b""):
    """One entry as the bytes of a zip file have it, with any lie one likes; `name` may be bytes."""
    raw = name if isinstance(name, bytes) else name.encode()
    body = data
    if method == zipfile.ZIP_DEFLATED:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = deflate.compress(data) + deflate.flush()
    size = len(data) if declared is None else declared
    checksum = zlib.crc32(data) if crc is None else crc
    return raw, body, method, flags, mode, size, checksum, shared_offset, extra


def build(path, *entries, count=None, comment=b"", front=b"", before_end=b""):
    """A zip file built by hand of `entry` tuples."""
    content, directory = bytearray(front), bytearray()
    for raw, body, method, flags, mode, size, checksum, shared_offset, extra in entries:
        offset = len(content) - len(front) if shared_offset is None else shared_offset
        common = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 33, checksum, len(body), size, len(raw), len(extra))
        if shared_offset is None:
            content += b"PK\x03\x04" + common + raw + extra + body
        directory += b"PK\x01\x02" + struct.pack("<H", 0x0314) + common
        directory += struct.pack("<HHHII", 0, 0, 0, mode << 16, offset) + raw + extra
    directory += before_end
    start = len(content) - len(front)
    number = len(entries) if count is None else count
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, number, number, len(directory), start, len(comment))
    path.write_bytes(bytes(content + directory) + end + comment)
    return path
