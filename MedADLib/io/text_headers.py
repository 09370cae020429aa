"""Headers of NRRD and MetaImage: text in front of the voxels, or in a file of its own."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from ..errors import InputError
from ..messages import Message
from ..volume import LPS_RAS, size_text
from .placement import Placement, spatial_shape
from .reading_options import UNITS, ReadingOptions
from .voxels import CHUNK, StoredVoxels, check_byte_order, first_bytes, is_gzip, unpacked_bytes

log = logging.getLogger(__name__)

# Types of a NRRD voxel by all their names.
NRRD_TYPES = {
    name: kind
    for kind, names in {
        "i1": ("signed char", "int8", "int8_t"),
        "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
        "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
        "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
        "i4": ("int", "signed int", "int32", "int32_t"),
        "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
        "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
        "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
        "f4": ("float",),
        "f8": ("double",),
    }.items()
    for name in names
}
NRRD_ENCODINGS = {
    **{"raw": "raw", "gzip": "zlib", "gz": "zlib", "bzip2": "bzip2", "bz2": "bzip2"},
    **{"txt": "text", "text": "text", "ascii": "text", "hex": "hex"},
}
# Signs of the axes of each space relative to RAS; any other space does not say how the patient lies in it.
NRRD_SPACES = {
    name: signs
    for signs, short, long in (
        ((1, 1, 1), "ras", "right-anterior-superior"),
        ((-1, 1, 1), "las", "left-anterior-superior"),
        ((-1, -1, 1), "lps", "left-posterior-superior"),
    )
    for name in (short, f"{short}t", long, f"{long}-time")
}
# Fields of NRRD that count; in others, a contradiction does not matter.
NRRD_FIELDS = (
    *("type", "dimension", "sizes", "encoding", "endian", "kinds", "space", "spacedimension", "spacedirections"),
    *("spaceorigin", "spaceunits", "units", "spacings", "byteskip", "lineskip", "datafile"),
)
# Kinds of an axis along which one voxel has several numbers.
SEVERAL_NUMBERS = re.compile("complex|.*vector|.*color|.*matrix|quaternion|.*normal|.*gradient|point|rgb|hsv|xyz", re.I)
UNIT_NAMES = {
    **{"": "mm", "mm": "mm", "millimeter": "mm", "millimetre": "mm", "millimeters": "mm", "millimetres": "mm"},
    **{"um": "um", "µm": "um", "μm": "um", "micron": "um", "microns": "um", "micrometer": "um", "micrometre": "um"},
    **{"micrometers": "um", "micrometres": "um", "cm": "cm", "centimeter": "cm", "centimetre": "cm"},
    **{"m": "m", "meter": "m", "metre": "m", "meters": "m", "metres": "m"},
}
META_TYPES = {
    **{"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4"},
    **{"MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8"},
    **{"MET_FLOAT": "f4", "MET_DOUBLE": "f8"},
}
# Fields of a MetaImage with several names.
META_MATRICES, META_OFFSETS = ("TransformMatrix", "Orientation", "Rotation"), ("Offset", "Position", "Origin")
META_ORDERS = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
TRUE, FALSE = ("true", "1", "yes", "t"), ("false", "0", "no", "f")
META_FIELDS = (
    *("ObjectType", "NDims", "DimSize", "ElementType", "ElementNumberOfChannels", "ElementDataFile", "HeaderSize"),
    *("BinaryData", "CompressedData", "ElementSpacing", "ElementSize", "DistanceUnits"),
    *(*META_ORDERS, *META_MATRICES, *META_OFFSETS),
)
MOST_DIMENSIONS = 10
# Two fields that mean the same number, each rounded for the text: share of a spacing, and units of any other number.
SAME_SPACING, SAME_NUMBER = 1e-2, 1e-3
# As in `Volume`.
MOST_SHEAR = 1e-3
VECTOR = re.compile(r"\(([^()]*)\)|none", re.IGNORECASE)
QUOTED = re.compile(r'"([^"]*)"')


def read_nrrd(path: Path, options: ReadingOptions) -> tuple[np.ndarray, np.ndarray]:
    """Read a NRRD file, attached or detached, raw, gzip, bzip2 or text.

    Returns:
        The voxels, float32 (Z, Y, X), and the affine, 4×4, voxel index (x, y, z, 1) to RAS mm.

    Raises:
        InputError: If the file is damaged or of another format, or does not give what the options lack.
    """
    start = first_bytes(path, CHUNK)
    if not re.match(rb"(\xef\xbb\xbf)?NRRD(000\d|00\.01)", start):
        raise InputError("wrong_format", path=path, format="NRRD")
    end = re.search(rb"\r?\n\r?\n", start)
    found = []
    for line in _text(start[: end.start() if end else None]).splitlines()[1:]:
        key, colon, value = line.partition(":")
        # A key with := is the user's own.
        if colon and not value.startswith("=") and not line.startswith("#"):
            found.append((_plain_name(key), value.strip()))
    fields = _once(path, found, NRRD_FIELDS)
    if not {"type", "dimension", "sizes", "encoding"} <= set(fields):
        raise InputError("incomplete_header", path=path)
    shape = _sizes(path, fields["sizes"])
    if fields["dimension"] != str(len(shape)) or len(shape) > MOST_DIMENSIONS:
        raise InputError("impossible_size", path=path, size=f"{fields['sizes']:.80}")
    detached = fields.get("datafile", "")
    if not detached and not end:
        raise InputError("incomplete_header", path=path)
    kind, encoding = NRRD_TYPES.get(fields["type"].lower()), NRRD_ENCODINGS.get(fields["encoding"].lower())
    if kind is None:
        raise InputError("unknown_voxel_type", path=path)
    if encoding is None:
        raise InputError("unknown_encoding", path=path, encoding=f"{fields['encoding']:.40}")
    axes = _spatial_axes(path, shape, fields)
    order = _nrrd_order(path, fields, np.dtype(kind), encoding)
    file = data_file(path, detached)
    skip = _number(path, fields, "byteskip", -1 if encoding == "raw" else 0)
    lines = _number(path, fields, "lineskip")
    begin, packed = 0 if detached else end.end(), not detached and is_gzip(path)
    if lines > 0 and not packed:
        begin = _after_lines(path, file, begin, lines)
    stored = {"start": begin, "skip": skip}
    if packed:
        # The whole file is compressed, whatever its name says.
        if encoding != "raw" or skip < 0 or lines:
            raise InputError("unknown_encoding", path=path, encoding=f"{fields['encoding']:.40} in gzip")
        encoding, stored = "zlib", {"skip": begin + skip}
    elif encoding == "raw":
        stored = {"start": -1 if skip < 0 else begin + skip}
    sizes, kind = tuple(shape[axis] for axis in axes), np.dtype(order + kind)
    array = StoredVoxels(path, file, sizes, kind, encoding=encoding, most_surplus=0, **stored).read()
    check_byte_order(path, array, kind)
    return array, _affine(path, _nrrd_placement(path, fields, axes, len(shape), options), sizes, options)


def _nrrd_order(path: Path, fields: Mapping[str, str], kind: np.dtype, encoding: str) -> str:
    """Return the byte order of the voxels, ``<`` or ``>``.

    Raises:
        InputError: If the header lacks it and the voxels have one.
    """
    name = fields.get("endian", "").lower()
    if name not in ("little", "big"):
        if name:
            raise InputError("bad_header_field", path=path, field="endian", value=f"{name:.40}")
        if kind.itemsize > 1 and encoding != "text":
            raise InputError("no_byte_order", path=path)
    return ">" if name == "big" else "<"


def _spatial_axes(path: Path, shape: tuple[int, ...], fields: Mapping[str, str]) -> tuple[int, ...]:
    """Return the three axes of space; any other has one element.

    Raises:
        InputError: If there are several numbers in a voxel, several volumes, or other than three axes.
    """
    kinds = [word.lower() for word in fields.get("kinds", "").split()]
    if kinds and len(kinds) != len(shape):
        raise InputError("bad_header_field", path=path, field="kinds", value=f"{fields['kinds']:.80}")
    others = [axis for axis, kind in enumerate(kinds[: len(shape)]) if kind not in ("domain", "space", "???", "none")]
    if any(shape[axis] > 1 and SEVERAL_NUMBERS.fullmatch(kinds[axis]) for axis in others):
        raise InputError("several_components", path=path)
    vectors = VECTOR.findall(fields.get("spacedirections", ""))
    timed = []
    if len(vectors) == len(shape):
        others += [axis for axis, text in enumerate(vectors) if not text.strip()]
        # The fourth component is time.
        timed = [axis for axis, text in enumerate(vectors) if any(_vector(text)[3:])]
    kept = [axis for axis in range(len(shape)) if not (axis in (*others, *timed) and shape[axis] == 1)]
    while len(kept) > 3 and shape[kept[-1]] == 1:
        kept = kept[:-1]
    sizes = tuple(shape[axis] for axis in kept)
    if len(kept) != 3:
        raise InputError("not_3d", name=path, dimensions=len(kept), size=size_text(shape))
    spatial_shape(path, sizes)
    if images := [shape[axis] for axis in kept if axis in others]:
        raise InputError("several_images", path=path, count=images[0])
    return tuple(kept)


def _nrrd_placement(
    path: Path, fields: Mapping[str, str], axes: tuple[int, ...], dimensions: int, options: ReadingOptions
) -> Placement:
    unit = _unit(path, fields, axes)
    spacing = None
    if "spacings" in fields:
        words = fields["spacings"].split()
        if len(words) != dimensions:
            raise InputError("bad_header_field", path=path, field="spacings", value=f"{fields['spacings']:.80}")
        spacing = np.array([_real(words[axis]) for axis in axes])
        # A spacing that is not known is written as nan.
        spacing = None if np.isnan(spacing).all() else spacing
    vectors = VECTOR.findall(fields.get("spacedirections", ""))
    if "spacedirections" not in fields:
        return Placement(spacing, None, None, **unit)
    if len(vectors) != dimensions:
        value = f"{fields['spacedirections']:.80}"
        raise InputError("bad_header_field", path=path, field="space directions", value=value)
    found = [_vector(vectors[axis]) for axis in axes]
    if any(len(vector) not in (3, 4) or vector[3:].any() for vector in found):
        raise InputError("no_position", name=path)
    count = fields.get("spacedimension", str(len(found[0])))
    if count != str(len(found[0])):
        values = {"first": f"{count:.40}", "second": f"{fields['spacedirections']:.80}"}
        raise InputError("header_contradiction", path=path, field="space dimension, space directions", **values)
    steps = np.array([vector[:3] for vector in found]).T
    lengths = np.sqrt((steps**2).sum(axis=0))
    if spacing is not None and not options.spacing:
        known = ~np.isnan(spacing)
        if not np.allclose(spacing[known], lengths[known], rtol=SAME_SPACING, atol=0):
            values = {"first": size_text(spacing), "second": size_text(lengths)}
            raise InputError("header_contradiction", path=path, field="spacings, space directions", **values)
    signs = _nrrd_signs(path, fields)
    if signs is None:
        return Placement(lengths, None, None, **unit)
    origin = VECTOR.search(fields.get("spaceorigin", ""))
    if origin is None and fields.get("spaceorigin"):
        raise InputError("no_position", name=path)
    first = None if origin is None or not (origin[1] or "").strip() else _vector(origin[1])
    if first is not None:
        if len(first) != len(found[0]):
            raise InputError("no_position", name=path)
        first = None if np.isnan(first).all() else first[:3]
    if not (np.isfinite(lengths).all() and lengths.min() > 0):
        return Placement(lengths, None, None, **unit)
    turn = np.diag(np.array(signs, float))
    return Placement.of_vectors(turn @ steps, None if first is None else turn @ first, **unit)


def _nrrd_signs(path: Path, fields: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Return the signs of the axes of the space relative to RAS; None if the header does not name the space."""
    if "space" in fields or fields.get("spacedimension") != "4":
        return NRRD_SPACES.get(fields.get("space", "").lower())
    if fields.get("kinds", "").lower().split() != ["domain"] * 4:
        return None
    # Of space and time, ITK writes only the number of dimensions; its own space is always LPS.
    log.warning(Message("space_of_itk", path=str(path)))
    return NRRD_SPACES["lps"]


def _unit(path: Path, fields: Mapping[str, str], axes: tuple[int, ...]) -> dict[str, object]:
    """Return the unit of length, for `Placement`."""
    of_space, of_axes = (_names(fields.get(field, "")) for field in ("spaceunits", "units"))
    names = [*of_space[:3], *(of_axes[axis] for axis in axes if axis < len(of_axes))]
    # What one field leaves empty, the other may give.
    found = sorted({UNIT_NAMES.get(name.lower(), name) for name in names if name.strip("?")}) or ["mm"]
    return {"unit_mm": UNITS.get(found[0]) if len(found) == 1 else None, "unit": " ".join(found)}


def _names(text: str) -> list[str]:
    """Return the names of a field, in quotation marks or not."""
    return [name.strip() for name in QUOTED.findall(text) or text.split()]


def read_meta(path: Path, options: ReadingOptions) -> tuple[np.ndarray, np.ndarray]:
    """Read a MetaImage file, attached or detached, raw, compressed or text.

    Returns:
        The voxels, float32 (Z, Y, X), and the affine, 4×4, voxel index (x, y, z, 1) to RAS mm.

    Raises:
        InputError: If the file is damaged or of another format, or does not give what the options lack.
    """
    given, position = [], 0
    for line in first_bytes(path, CHUNK).splitlines(keepends=True):
        position += len(line)
        if not line.strip():
            continue
        # MetaIO takes a colon too.
        key, *value = re.split("[=:]", _text(line).removeprefix("\ufeff"), maxsplit=1)
        if not value:
            break
        given.append((key.strip(), value[0].strip()))
        if key.strip() == "ElementDataFile":
            break
    fields = _once(path, given, META_FIELDS)
    needed = {"NDims", "DimSize", "ElementType", "ElementDataFile"}
    if not needed & set(fields):
        raise InputError("wrong_format", path=path, format="MetaImage")
    if not needed <= set(fields):
        raise InputError("incomplete_header", path=path)
    if fields.get("ObjectType", "Image").lower() != "image":
        raise InputError("wrong_format", path=path, format="MetaImage")
    shape = _sizes(path, fields["DimSize"])
    if fields["NDims"] != str(len(shape)) or len(shape) > MOST_DIMENSIONS:
        size = f"{fields['NDims']:.20} dimensions, {fields['DimSize']:.80}"
        raise InputError("impossible_size", path=path, size=size)
    if fields["ElementType"].endswith("_ARRAY") or _number(path, fields, "ElementNumberOfChannels", 1, "1") != 1:
        raise InputError("several_components", path=path)
    if fields["ElementType"] not in META_TYPES:
        raise InputError("unknown_voxel_type", path=path)
    kind = np.dtype(META_TYPES[fields["ElementType"]])
    sizes = spatial_shape(path, shape)
    local = fields["ElementDataFile"].upper() == "LOCAL"
    file = path if local else data_file(path, fields["ElementDataFile"])
    orders = {_is_true(path, fields, name) for name in META_ORDERS if name in fields}
    if len(orders) > 1 and kind.itemsize > 1:
        first, second = (fields[name] for name in META_ORDERS)
        raise InputError("header_contradiction", path=path, field=", ".join(META_ORDERS), first=first, second=second)
    encoding = "zlib" if _is_true(path, fields, "CompressedData") else "raw"
    # A file that says nothing is binary, as for ITK.
    if encoding == "raw" and not _is_true(path, fields, "BinaryData", "True"):
        encoding = "text"
    begin = position if local else 0
    skip = _number(path, fields, "HeaderSize", -1 if encoding == "raw" else 0)
    room = unpacked_bytes(file) - begin
    if 0 < skip < begin or skip < 0 and local and room < int(np.prod(sizes, dtype=object)) * kind.itemsize:
        raise InputError("bad_header_field", path=path, field="HeaderSize", value=str(skip))
    kind = kind.newbyteorder(">" if True in orders else "<")
    if local and encoding == "raw" and not skip:
        _refuse_fields_after_the_header(path, begin)
    stored = {"start": skip or begin, "encoding": encoding}
    if local and is_gzip(path):
        # The whole file is compressed, whatever its name says.
        if encoding != "raw" or skip < 0:
            raise InputError("unknown_encoding", path=path, encoding=f"{encoding} in gzip")
        stored = {"skip": skip or begin, "encoding": "zlib"}
    array = StoredVoxels(path, file, sizes, kind, most_surplus=0, **stored).read()
    if encoding != "text":
        check_byte_order(path, array, kind)
    return array, _affine(path, _meta_placement(path, fields, len(shape)), sizes, options)


def _meta_placement(path: Path, fields: Mapping[str, str], dimensions: int) -> Placement:
    def numbers(names: tuple[str, ...], count: int) -> np.ndarray | None:
        found: tuple[str, np.ndarray] | None = None
        for name in (name for name in names if name in fields):
            each = np.array([_real(word) for word in fields[name].split()])
            if len(each) != count:
                raise InputError("bad_header_field", path=path, field=name, value=f"{fields[name]:.80}")
            if found and not np.allclose(each, found[1], rtol=0, atol=SAME_NUMBER, equal_nan=True):
                values = {"first": f"{fields[found[0]]:.80}", "second": f"{fields[name]:.80}"}
                raise InputError("header_contradiction", path=path, field=f"{found[0]}, {name}", **values)
            found = found or (name, each)
        return found[1] if found else None

    # The size of a voxel may differ from its spacing, as of slices with gaps.
    spacing = numbers(("ElementSpacing",) if "ElementSpacing" in fields else ("ElementSize",), dimensions)
    matrix = numbers(META_MATRICES, dimensions**2)
    offset = numbers(META_OFFSETS, dimensions)
    name = fields.get("DistanceUnits", "")
    unit = {"unit_mm": UNITS.get(UNIT_NAMES.get(name.lower() if name != "?" else "")), "unit": name}
    lps = LPS_RAS[:3, :3]
    cosines = None
    if matrix is not None:
        # Each row is the direction of an axis.
        square = matrix.reshape(dimensions, dimensions)
        if np.any(square[:3, 3:]) or np.any(square[3:, :3]):
            raise InputError("no_position", name=path)
        rows = square[:3, :3]
        with np.errstate(over="ignore", invalid="ignore"):
            products = rows @ rows.T
            if not np.isfinite(products).all() or not np.diag(products).min() > 0:
                raise InputError("no_position", name=path)
            if np.abs(products - np.diag(np.diag(products))).max() > MOST_SHEAR:
                raise InputError("not_orthogonal", name=path)
            # A matrix with a scale of its own leaves open which spacing counts.
            if np.abs(products - np.eye(3)).max() > 2 * MOST_SHEAR:
                raise InputError("no_position", name=path)
        cosines = lps @ rows.T
    return Placement(
        None if spacing is None else spacing[:3], cosines, None if offset is None else lps @ offset[:3], **unit
    )


def _affine(path: Path, placement: Placement, shape: tuple[int, ...], options: ReadingOptions) -> np.ndarray:
    """Return the affine as `Placement.affine` does, and warn of a header without an origin."""
    found = placement.affine(path, shape, options)
    if placement.origin is None:
        log.warning(Message("no_origin", path=str(path)))
    return found


def _refuse_fields_after_the_header(path: Path, begin: int) -> None:
    """Raise InputError if text follows the line that ends the header of a MetaImage: it would count as voxels."""
    if found := re.match(rb"[A-Za-z]{3,40} ?= ?[ -~]{1,200}\r?\n", first_bytes(path, begin + 300)[begin:]):
        raise InputError("bad_header_field", path=path, field="ElementDataFile", value=found[0].decode().strip())


def _once(path: Path, given: Iterable[tuple[str, str]], known: Iterable[str]) -> dict[str, str]:
    """Return the fields of a header; one that stands twice must say the same both times.

    Args:
        path: The file, for messages.
        given: Names and values in the order of the header.
        known: Names of the fields that count.

    Raises:
        InputError: If a field contradicts itself.
    """
    fields: dict[str, str] = {}
    for name, value in given:
        before = fields.setdefault(name, value)
        if before != value and name in known and _words(before) != _words(value):
            values = {"first": f"{before:.80}", "second": f"{value:.80}"}
            raise InputError("header_contradiction", path=path, field=name, **values)
    return fields


def _words(text: str) -> list[str | float]:
    """Return words and numbers of a field, so that ``4.0`` equals ``4``."""
    return [word if np.isnan(_real(word)) else _real(word) for word in re.split(r"[\s,()]+", text.lower()) if word]


def data_file(path: Path, name: str) -> Path:
    """Return the file that holds the voxels, as a detached header names it; `path` if `name` is empty.

    Raises:
        InputError: If it is missing or not a single file in the folder of the header, so that a stranger's header
            cannot copy another file of the user into a result.
    """
    if not name:
        return path
    if name.split()[0] == "LIST" or "%" in name:
        raise InputError("several_data_files", path=path)
    plain = name.removeprefix("./")
    if plain in ("", ".", "..") or any(kind(plain).name != plain for kind in (PurePosixPath, PureWindowsPath)):
        raise InputError("data_file_elsewhere", path=path, file=f"{name:.200}")
    if plain == path.name:
        raise InputError("bad_header_field", path=path, field="data file", value=f"{name:.200}")
    for form in (plain, *(unicodedata.normalize(kind, plain) for kind in ("NFC", "NFD"))):
        if (data := path.parent / form).is_file():
            # A link leads outside as a path does, unless the header is a link into the same folder itself.
            if data.resolve().parent not in (path.parent.resolve(), path.resolve().parent):
                raise InputError("data_file_elsewhere", path=path, file=f"{name:.200}")
            return data
    raise InputError("missing_data_file", path=path, file=f"{name:.200}")


def _text(content: bytes) -> str:
    """Decode a header: UTF-8, else Latin-1."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _plain_name(key: str) -> str:
    """Return the name of a NRRD field without spaces: some have names with and without them."""
    return re.sub("[ _]", "", key).lower()


def _sizes(path: Path, text: str) -> tuple[int, ...]:
    words = text.split()
    if not words or not all(re.fullmatch("[0-9]{1,12}", word) and int(word) > 0 for word in words):
        raise InputError("impossible_size", path=path, size=f"{text:.80}")
    return tuple(int(word) for word in words)


def _number(path: Path, fields: Mapping[str, str], name: str, least: int = 0, absent: str = "0") -> int:
    """Return an integer of a header, `absent` where it is missing."""
    text = fields.get(name, absent)
    if not re.fullmatch("-1|[0-9]{1,15}", text) or int(text) < least:
        raise InputError("bad_header_field", path=path, field=name, value=f"{text:.40}")
    return int(text)


def _real(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")


def _vector(text: str) -> np.ndarray:
    return np.array([_real(word) for word in text.split(",")])


def _is_true(path: Path, fields: Mapping[str, str], name: str, absent: str = "False") -> bool:
    value = fields.get(name, absent).lower()
    if value not in (*TRUE, *FALSE):
        raise InputError("bad_header_field", path=path, field=name, value=f"{value:.40}")
    return value in TRUE


def _after_lines(path: Path, file: Path, begin: int, lines: int) -> int:
    """Return the position in a file after some lines of text."""
    with file.open("rb") as stream:
        stream.seek(begin)
        for _ in range(lines):
            if not stream.readline(CHUNK):
                raise InputError("incomplete_header", path=path)
        return stream.tell()
