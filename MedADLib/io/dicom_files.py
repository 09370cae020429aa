"""One DICOM file: its header by frames, and its stored pixels.

The header comes from pydicom, and a decoder gets nothing but the compressed pixels: GDCM never parses the header of a
file. Sizes are compared with the length of the file before anything is allocated.
"""

from __future__ import annotations

import logging
import os
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..errors import InputError
from ..runtime.stdio import silenced
from ..volume import size_text
from .voxels import MAX_VOXELS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_FRAMES, MAX_DEFLATED_BYTES = 2**16, 2**31
# Compressed pixels may unpack to so many times the bytes of the file; smaller images always may.
GREATEST_RATIO, SMALL_PIXELS = 1032, 2**24
UNDEFINED = 0xFFFFFFFF

DEFLATED, BIG_ENDIAN, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"
NATIVE = ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", DEFLATED, BIG_ENDIAN)
SECONDARY_CAPTURE = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.3")
JPEG_MARK = b"\xff\xd8"
EXPLICIT = (b"OB", b"OW", b"UN", b"OL", b"OV")

# All attributes that are used, of a file and of its functional groups; pydicom skips the others.
USED = (
    *("ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "PatientID", "PatientName", "SeriesInstanceUID"),
    *("SeriesNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing"),
    *("NominalScannedPixelSpacing", "SliceThickness", "SpacingBetweenSlices", "EchoTime", "DiffusionBValue"),
    *("TemporalPositionIdentifier", "ComplexImageComponent", "SamplesPerPixel", "PhotometricInterpretation"),
    *("NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("RescaleSlope", "RescaleIntercept", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence"),
    *("FrameContentSequence", "StackID", "TemporalPositionIndex", "MREchoSequence", "EffectiveEchoTime"),
    *(
        "MRDiffusionSequence",
        "MRImageFrameTypeSequence",
        "CTImageFrameTypeSequence",
        "PETFrameTypeSequence",
        "FrameType",
    ),
    *("InStackPositionNumber", "InstanceNumber", "AcquisitionNumber", "ImagesInAcquisition", "MRAcquisitionType"),
    *("NumberOfTemporalPositions", "EchoNumbers", "SequenceName", "FrameOfReferenceUID", "ConvolutionKernel"),
    *("CTReconstructionSequence", "ReceiveCoilName", "MRReceiveCoilSequence", "RescaleType", "Units", "RepetitionTime"),
    *("MRTimingAndRelatedParametersSequence", "FlipAngle", "MRModifierSequence", "InversionTimes", "InversionTime"),
    *("DiffusionDirectionality", "DiffusionGradientDirectionSequence", "DiffusionGradientOrientation"),
    *("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", "DimensionIndexSequence"),
    *("DimensionIndexPointer", "DimensionIndexValues", "ConcatenationUID", "InConcatenationNumber"),
    *("InConcatenationTotalNumber", "ConcatenationFrameOffsetNumber", "SeriesDescription", "SeriesTime"),
    *("AcquisitionTime", "StudyTime", "TemporalPositionSequence", "TemporalPositionTimeOffset", "GantryDetectorTilt"),
    *("ModalityLUTSequence", "RealWorldValueMappingSequence", "RealWorldValueSlope", "RealWorldValueIntercept"),
    *("DirectoryRecordSequence", "DirectoryRecordType", "ReferencedFileID"),
)
# Philips's scale of the stored values, private attributes below `PHILIPS`; files of several frames have them in a group
# of each frame. Tag: representation.
PHILIPS = "PHILIPS MR IMAGING DD 001"
PHILIPS_CREATOR, PHILIPS_INTERCEPT, PHILIPS_SLOPE, PHILIPS_FRAME = 0x20050010, 0x2005100D, 0x2005100E, 0x2005140F
PRIVATE = {PHILIPS_CREATOR: "LO", PHILIPS_INTERCEPT: "FL", PHILIPS_SLOPE: "FL", PHILIPS_FRAME: "SQ"}


@dataclass(frozen=True, eq=False)
class DicomFile:
    """A DICOM image file.

    Attributes:
        path: The file.
        header: Attributes before the pixels, those of `USED` only.
        syntax: UID of the transfer syntax; empty if the file lacks it.
        offset: Byte at which the pixel data element begins, -1 for a deflated file.
        size: Bytes of the file.
    """

    path: Path
    header: Dataset
    syntax: str
    offset: int
    size: int

    @classmethod
    def of(cls, path: Path) -> DicomFile | None:
        """Read the header of a file; None if it is not a DICOM image.

        Raises:
            OSError: If it cannot be read.
        """
        try:
            with _opened(path) as (stream, deflated):
                return cls._parse(path, stream, deflated)
        except OSError as error:
            # pydicom raises those without a number for damaged files.
            if error.errno is not None:
                raise
        except Exception:  # pydicom has a dozen kinds of them for damaged files.
            pass
        return None

    @classmethod
    def _parse(cls, path: Path, stream: BinaryIO, deflated: bool) -> DicomFile | None:
        import pydicom

        header = pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(_used_tags()))
        offset = stream.tell()
        if stream.read(4) not in (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10"):
            return None
        syntax = DEFLATED if deflated else str(getattr(header, "file_meta", {}).get("TransferSyntaxUID", ""))
        file = cls(path, header, syntax, -1 if deflated else offset, path.stat().st_size)
        _convert(header)
        return None if min(file.number("Rows"), file.number("Columns")) < 1 else file

    # Attributes.

    def value(self, keyword: str) -> Any:
        """Return the value of an attribute; None if it is missing or damaged."""
        return self.header.get(keyword)

    def text(self, keyword: str) -> str:
        """Return the text of an attribute without its padding, several values with a backslash between."""
        return _text(self.value(keyword))

    def number(self, keyword: str, default: int = 0) -> int:
        """Return an attribute that is one whole number."""
        try:
            return int(self.value(keyword))
        except (TypeError, ValueError, OverflowError):
            return default

    @property
    def frames(self) -> int:
        """Number of frames, 1 for an image without this attribute."""
        return self.number("NumberOfFrames", 1)

    @property
    def is_grey(self) -> bool:
        """Whether each pixel is one grey value."""
        kind = self.text("PhotometricInterpretation")
        return self.number("SamplesPerPixel", 1) == 1 and kind in ("", "MONOCHROME1", "MONOCHROME2")

    @property
    def has_groups(self) -> bool:
        """Whether the attributes of frames are in functional groups."""
        return any(self.value(f"{kind}FunctionalGroupsSequence") for kind in ("Shared", "PerFrame"))

    def groups(self) -> list[FrameGroups]:
        """Return the attributes of each frame.

        Raises:
            InputError: If the number of frames is impossible or differs from that of the groups of frames, or the file
                cannot hold the pixels.
        """
        count, frames = self.frames, self.value("PerFrameFunctionalGroupsSequence")
        if not 1 <= count <= MAX_FRAMES:
            raise InputError("impossible_frames", path=self.path, frames=count)
        self.check_size()
        if frames and len(frames) != count:
            raise InputError("frames_differ", path=self.path, frames=count, groups=len(frames))
        shared = self.value("SharedFunctionalGroupsSequence")
        own, common = list(frames or [None] * count), shared[0] if shared else None
        known: dict[tuple[str, ...], Any] = {}
        return [FrameGroups(self.header, common, frame, known) for frame in own]

    # Pixels.

    def check_size(self) -> int:
        """Return the number of pixels of all frames.

        Raises:
            InputError: If there are too many, or more than the file can hold.
        """
        shape = (self.frames, self.number("Rows"), self.number("Columns"))
        pixels = int(np.prod(shape, dtype=object))
        if self.syntax in NATIVE and self.syntax != DEFLATED:
            most = self.size * 8 // max(self.number("BitsAllocated", 8), 1)
        else:
            most = max(self.size * GREATEST_RATIO, SMALL_PIXELS)
        if pixels > most:
            raise InputError("header_exceeds_file", path=self.path, size=size_text(shape[::-1]))
        if pixels > MAX_VOXELS:
            raise InputError("too_many_voxels", path=self.path, voxels=pixels, limit=MAX_VOXELS)
        return pixels

    def stored_pixels(self) -> np.ndarray:
        """Read the pixels without rescaling, integers of shape (frames, Y, X).

        ``MONOCHROME1``, of which small values are bright, is inverted.

        Raises:
            InputError: If they are too many, or more than those of the frames.
            ValueError: If they cannot be decoded.
        """
        pixels, shape = self.check_size(), (self.frames, self.number("Rows"), self.number("Columns"))
        allocated = self.number("BitsAllocated")
        stored = self.number("BitsStored", allocated)
        high, signed = self.number("HighBit", stored - 1), self.number("PixelRepresentation") == 1
        if allocated not in (8, 16, 32) or not 1 <= stored <= high + 1 <= allocated:
            raise ValueError("unknown layout of bits")
        with self._pixels() as (stream, kind, length):
            if self.syntax in NATIVE:
                self._check_held(length * 8 * shape[0] // (pixels * allocated))
                content = stream.read(min(length, pixels * allocated // 8))
                array = self._native(content, kind, shape, allocated, signed)
                if stored < allocated:
                    # The other bits can hold an overlay.
                    array = array << (allocated - high - 1) >> (allocated - stored)
            else:
                fragments = self._fragments(stream)
                # A frame may be spread over several fragments, of which the first has the mark of JPEG.
                self._check_held(sum(fragment[:2] == JPEG_MARK for fragment in fragments[1:]))
                array = self._decoded(fragments, shape, (allocated, stored, high, int(signed)))
        if self.text("PhotometricInterpretation") == "MONOCHROME1":
            array = (-1 if signed else (1 << stored) - 1) - array
        return array

    def _check_held(self, held: int) -> None:
        """Raise InputError if the file holds the pixels of more frames than its header describes."""
        if held > self.frames:
            raise InputError("more_pixels_than_frames", path=self.path, held=held, frames=self.frames)

    def check_pixels(self) -> None:
        """Check the pixels as far as that is possible without decoding them.

        Raises:
            InputError: If they are too many.
            ValueError: If they cannot be decoded.
        """
        self.check_size()
        with self._pixels() as (stream, _, _):
            if self.syntax not in NATIVE:
                self._fragments(stream)

    @contextmanager
    def _pixels(self) -> Iterator[tuple[BinaryIO, bytes, int]]:
        """Open the file at its pixels; with their representation and their length in bytes."""
        with _opened(self.path) as (stream, _):
            if self.syntax == DEFLATED:
                self._parse(self.path, stream, True)
                stream.seek(-4, os.SEEK_CUR)
            else:
                stream.seek(self.offset)
            kind, length = _element(stream)
            if (length == UNDEFINED) == (self.syntax in NATIVE):
                raise ValueError("compressed pixels without a transfer syntax, or the other way round")
            yield stream, kind, length

    def _fragments(self, stream: BinaryIO) -> list[bytes]:
        """Read compressed pixels as items, of which the first is the table of offsets."""
        fragments = list(_items(stream))
        if len(fragments) < 2:
            raise ValueError("no compressed pixels")
        pixel_bytes = self.number("SamplesPerPixel", 1) * self.number("BitsAllocated") // 8
        for fragment in fragments[1:]:
            _check_codec(fragment, self.syntax, (self.number("Rows"), self.number("Columns")), pixel_bytes)
        return fragments

    def _native(self, content: bytes, kind: bytes, shape: tuple[int, ...], bits: int, signed: bool) -> np.ndarray:
        """Convert uncompressed pixels to an array of this shape, of the byte order of this machine."""
        order = ">" if self.syntax == BIG_ENDIAN else "<"
        if order == ">" and bits == 8 and kind == b"OW":
            content = np.frombuffer(content, ">u2").astype("<u2").tobytes()
        array = np.frombuffer(content, f"{order}{'iu'[not signed]}{bits // 8}", int(np.prod(shape)))
        return array.astype(array.dtype.newbyteorder("="), copy=False).reshape(shape)

    def _decoded(self, fragments: list[bytes], shape: tuple[int, ...], layout: tuple[int, ...]) -> np.ndarray:
        """Decompress pixels by GDCM, from a file that has nothing else of the original one."""
        import SimpleITK as sitk

        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "pixels.dcm")
            with copy.open("wb") as stream:
                _write_pixels(stream, self.syntax, shape, layout, fragments)
            reader = sitk.ImageFileReader()
            reader.SetImageIO("GDCMImageIO")
            reader.SetFileName(str(copy))
            try:
                with silenced():
                    array = sitk.GetArrayFromImage(reader.Execute())
            except RuntimeError as error:
                raise ValueError("damaged pixels") from error
        if array.size != int(np.prod(shape)):
            raise ValueError("other size than in the header")
        return array.reshape(shape)


@dataclass(frozen=True, eq=False)
class FrameGroups:
    """Attributes of one frame: its own, else those that all frames share, else those of the file.

    Attributes:
        header: Attributes of the file.
        shared: Functional groups of all frames; None if there are none.
        own: Functional groups of the frame; None if there are none.
        known: Values that frames without their own have, to search for them once in a file.
    """

    header: Dataset
    shared: Dataset | None
    own: Dataset | None
    known: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)

    @classmethod
    def first_of(cls, file: DicomFile) -> FrameGroups:
        """Return the attributes of the first frame of a file."""
        shared, own = (file.value(f"{kind}FunctionalGroupsSequence") for kind in ("Shared", "PerFrame"))
        return cls(file.header, shared[0] if shared else None, own[0] if own else None)

    def value(self, keyword: str, *sequences: str, top: str = "") -> Any:
        """Return the value of an attribute of the first functional group that has it; None if none has.

        Args:
            keyword: The attribute.
            sequences: Functional groups of the frame that can hold it.
            top: Attribute of the file that replaces it; empty for the same one, ``-`` for none.
        """
        value = _in_groups(self.own, keyword, sequences)
        if value is not None:
            return value
        key = (keyword, *sequences, top)
        if key not in self.known:
            value = _in_groups(self.shared, keyword, sequences)
            if value is None and top != "-":
                value = self.header.get(top or keyword)
            self.known[key] = value
        return self.known[key]

    def text(self, keyword: str, *sequences: str, top: str = "") -> str:
        """Return an attribute as text, see `value`; empty if it is missing."""
        return _text(self.value(keyword, *sequences, top=top))

    def numbers(self, count: int, keyword: str, *sequences: str, top: str = "") -> np.ndarray | None:
        """Return an attribute of this many finite numbers, see `value`; None if it is missing or damaged."""
        return _numbers(count, self.value(keyword, *sequences, top=top))

    def real_world_scale(self) -> tuple[float, float] | None:
        """Return slope and intercept of the first linear map of stored values to real world values; None if missing."""
        for groups in (self.own, self.shared, self.header):
            for item in (groups.get("RealWorldValueMappingSequence") if groups is not None else None) or ():
                slope, intercept = (_numbers(1, item.get(f"RealWorldValue{name}")) for name in ("Slope", "Intercept"))
                if slope is not None and slope[0] != 0:
                    return float(slope[0]), 0.0 if intercept is None else float(intercept[0])
        return None

    def philips_scale(self) -> tuple[float, float] | None:
        """Return slope and intercept from stored values to Philips's floating point values; None if missing."""
        for groups in (self.own, self.shared, self.header):
            for item in (groups, *_private_items(groups)) if groups is not None else ():
                if _text(_private(item, PHILIPS_CREATOR)).upper() != PHILIPS:
                    continue
                slope, intercept = (_numbers(1, _private(item, tag)) for tag in (PHILIPS_SLOPE, PHILIPS_INTERCEPT))
                if slope is not None and slope[0] != 0:
                    return 1 / float(slope[0]), 0.0 if intercept is None else -float(intercept[0] / slope[0])
        return None


def _numbers(count: int, value: Any) -> np.ndarray | None:
    """Return the value of an attribute as this many finite numbers; None if it is not."""
    try:
        values = np.array(value, dtype=float).reshape(-1)
    except (TypeError, ValueError):
        return None
    return values if values.shape == (count,) and np.isfinite(values).all() else None


def _private(groups: Dataset, tag: int) -> Any:
    """Return the value of an attribute by its tag; None if it is missing."""
    element = groups.get(tag)
    return None if element is None else element.value


def _private_items(groups: Dataset) -> Iterator[Dataset]:
    """Yield the items of Philips's group of a frame."""
    yield from _private(groups, PHILIPS_FRAME) or ()


def _in_groups(groups: Dataset | None, keyword: str, sequences: tuple[str, ...]) -> Any:
    """Return the value of an attribute in the first of these functional groups that has it; None if none has."""
    for name in sequences if groups is not None else ():
        group = groups.get(name)
        value = group[0].get(keyword) if group else None
        if value not in (None, ""):
            return value
    return None


def listed_images(index: Path) -> list[tuple[str, ...]]:
    """Return the image files that a DICOMDIR lists, as the parts of their paths below its folder.

    Raises:
        InputError: If it is damaged or names a path that leaves its folder.
        OSError: If it cannot be read.
    """
    import pydicom

    try:
        with _opened(index) as (stream, _):
            header = pydicom.dcmread(stream, force=True, specific_tags=list(_used_tags()))
            _convert(header)
    except Exception as error:  # As in `DicomFile.of`.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError("not_decoded", path=index) from error
    found = []
    for record in header.get("DirectoryRecordSequence") or []:
        if _text(record.get("DirectoryRecordType")) == "IMAGE":
            parts = tuple(_text(record.get("ReferencedFileID")).split("\\"))
            if any(part in ("", ".", "..") or set(part) & set("/:\0") for part in parts):
                raise InputError("dicomdir_file_missing", path=index, file="/".join(parts))
            found.append(parts)
    return found


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, bool]]:
    """Open a file for pydicom, deflated or not, and keep pydicom's warnings, which can hold names, out of the log."""
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = stream.read(1024)
            stream.seek(0)
            if start[128:132] == b"DICM" and DEFLATED.encode() in start:
                yield _inflated(stream), True
            else:
                yield stream, False
    finally:
        log.setLevel(level)


def _inflated(stream: BinaryIO) -> BinaryIO:
    """Unpack the data set of a deflated file, which is of the explicit representation."""
    start = stream.read(144)
    if start[132:138] != b"\2\0\0\0UL":
        raise ValueError("no length of the file meta information")
    stream.seek(144 + struct.unpack("<I", start[140:144])[0])
    content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream.read(), MAX_DEFLATED_BYTES)
    return BytesIO(content)


def _element(stream: BinaryIO) -> tuple[bytes, int]:
    """Read the beginning of the pixel data element; return its representation and length, the stream at its value."""
    tag = stream.read(4)
    order, head = "<" if tag[:1] == b"\xe0" else ">", stream.read(4)
    if head[:2] in EXPLICIT:
        return head[:2], struct.unpack(order + "I", stream.read(4))[0]
    return b"OW", struct.unpack(order + "I", head)[0]


def _items(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the items of compressed pixels; the first is the table of offsets."""
    while True:
        group, element, length = struct.unpack("<2HI", stream.read(8).ljust(8, b"\0"))
        if (group, element) == (0xFFFE, 0xE0DD):
            return
        if (group, element) != (0xFFFE, 0xE000):
            raise ValueError("no item")
        fragment = stream.read(length)
        if len(fragment) < length:
            raise ValueError("cut short")
        yield fragment


def _check_codec(fragment: bytes, syntax: str, shape: tuple[int, ...], pixel_bytes: int) -> None:
    """Raise ValueError for compressed pixels that state another size (Y, X) than the header, or that have no content.

    A fragment that does not begin an image passes.
    """
    found = None
    if syntax == RLE:
        count = struct.unpack_from("<I", fragment.ljust(4, b"\0"))[0]
        starts = list(struct.unpack_from("<15I", fragment.ljust(64, b"\0"), 4)[:pixel_bytes])
        if count != pixel_bytes or starts != sorted(starts) or not 64 <= starts[0] <= starts[-1] < len(fragment):
            raise ValueError("no run lengths")
    elif fragment[:4] == b"\xff\x4f\xff\x51":
        right, bottom, left, top = struct.unpack_from(">4I", fragment.ljust(24, b"\0"), 8)
        found = (bottom - top, right - left)
    elif fragment[:2] == JPEG_MARK:
        found = _jpeg_size(fragment)
    if found is not None and found != tuple(shape):
        raise ValueError("other size than in the header")


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Return the size (Y, X) that a JPEG or JPEG-LS image states; None if it states none."""
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == 0xFF:
            at += 1
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return struct.unpack_from(">2H", content, at + 5)
        elif marker == 0xDA or length < 2:
            return None
        else:
            at += 2 + length
    return None


def _write_pixels(
    stream: BinaryIO, syntax: str, shape: tuple[int, ...], layout: tuple[int, ...], fragments: list[bytes]
) -> None:
    """Write a DICOM file of these compressed pixels and of nothing that names a patient."""

    def text(group: int, number: int, kind: bytes, value: str) -> bytes:
        padding = b"\0" if kind == b"UI" else b" "
        content = value.encode() + padding * (len(value) % 2)
        return struct.pack("<2H2sH", group, number, kind, len(content)) + content

    def short(number: int, value: int) -> bytes:
        return struct.pack("<2H2s2H", 0x0028, number, b"US", 2, value)

    frames, rows, columns = shape
    kind = SECONDARY_CAPTURE[frames > 1]
    meta = struct.pack("<2H2sHI2s", 2, 1, b"OB", 0, 2, b"\0\1") + text(2, 2, b"UI", kind) + text(2, 3, b"UI", "2.25.1")
    meta += text(2, 0x10, b"UI", syntax) + text(2, 0x12, b"UI", "2.25.2")
    body = text(8, 0x16, b"UI", kind) + text(8, 0x18, b"UI", "2.25.1") + short(2, 1)
    body += text(0x28, 4, b"CS", "MONOCHROME2") + text(0x28, 8, b"IS", str(frames))
    body += b"".join(short(number, value) for number, value in zip((0x10, 0x11), (rows, columns)))
    body += b"".join(short(number, value) for number, value in zip((0x100, 0x101, 0x102, 0x103), layout))
    stream.write(bytes(128) + b"DICM" + struct.pack("<2H2sHI", 2, 0, b"UL", 4, len(meta)) + meta + body)
    stream.write(struct.pack("<2H2sHI", 0x7FE0, 0x10, b"OB", 0, UNDEFINED))
    for fragment in fragments:
        stream.write(struct.pack("<2HI", 0xFFFE, 0xE000, len(fragment)) + fragment)
    stream.write(struct.pack("<2HI", 0xFFFE, 0xE0DD, 0))


@cache
def _used_tags() -> frozenset[int]:
    from pydicom.datadict import tag_for_keyword

    return frozenset(tag_for_keyword(keyword) for keyword in USED) | frozenset(PRIVATE)


def _convert(attributes: Dataset) -> None:
    """Convert the attributes that are used from bytes, which pydicom else does at their first use; drop damaged ones.

    Here pydicom's warnings, which quote values, are off.
    """
    from pydicom.datadict import dictionary_VR

    for tag in _used_tags().intersection(attributes.keys()):
        try:
            element = attributes[tag]
            if (element.VR == "SQ") != ((PRIVATE.get(int(tag)) or dictionary_VR(tag)) == "SQ"):
                raise ValueError("no sequence, or one that should not be")
        except Exception:  # As in `DicomFile.of`.
            del attributes[tag]
            continue
        for item in element.value if element.VR == "SQ" else ():
            _convert(item)


def _text(value: Any) -> str:
    if value is None:
        return ""
    several = isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue"
    return ("\\".join(map(str, value)) if several else str(value)).strip(" \0")
