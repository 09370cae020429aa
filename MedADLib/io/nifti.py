"""Headers of NIfTI-1, NIfTI-2 and Analyze 7.5, and the two positions, sform and qform, that they hold."""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..messages import Message
from ..runtime.stdio import silenced
from ..volume import LPS_RAS, size_text
from .placement import Placement, check_spacing, runs_towards, spatial_shape
from .reading_options import AS_THE_HEADER_SAYS, UNITS, ReadingOptions
from .voxels import StoredVoxels, first_bytes, is_gzip, unpacked_bytes

log = logging.getLogger(__name__)

# Type of a voxel by its NIfTI code.
VOXEL_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
# Types with several numbers in a voxel.
SEVERAL_NUMBERS = (32, 128, 1792, 2048, 2304)
HEADER_BYTES, EXTENDER_BYTES = 540, 4
# Units of length by their code; 0 is not given, which means mm.
LENGTHS = {0: "mm", 1: "m", 2: "mm", 3: "um"}
NIFTI_1, NIFTI_2, ANALYZE = "NIfTI-1", "NIfTI-2", "Analyze 7.5"
SCANNER = 1
# Codes of a position in the space of a template, to which a registration scales.
TEMPLATE_CODES = (3, 4, 5)

# Both forms of a header are written with rounded numbers.
SAME_MM, SAME_SHARE, LEAST_COSINE = 1.0, 0.02, 0.7
# As in `Volume`.
MOST_SHEAR = 1e-3
EQUAL_MM = 1e-2


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """Fields of a header.

    Attributes:
        version: `NIFTI_1`, `NIFTI_2` or `ANALYZE`.
        detached: Whether the voxels are in a file of their own, ``.img``.
        shape: Size along the axes (x, y, z, …).
        code: Code of the voxel type.
        pixdim: Handedness, and the spacing along (x, y, z).
        data_offset: Bytes before the voxels.
        order: Byte order, ``<`` or ``>``.
        scaling: Slope and intercept of the voxels.
        units: Code of the unit of length.
        codes: Codes of qform and sform, 0 where the header lacks one.
        quaternion: Last three numbers of the quaternion of the qform, and its shift, (6,).
        rows: Sform, (3, 4).
    """

    version: str
    detached: bool
    shape: tuple[int, ...]
    code: int
    pixdim: np.ndarray
    data_offset: float
    order: str
    scaling: tuple[float, float]
    units: int = 0
    codes: tuple[int, int] = (0, 0)
    quaternion: np.ndarray | None = None
    rows: np.ndarray | None = None

    @classmethod
    def parse(cls, start: bytes, pair: bool = False) -> NiftiHeader | None:
        """Parse the first bytes of a decompressed file; None if they are not such a header.

        Args:
            start: At least 540 bytes, if the file has them.
            pair: Whether the file is a header without voxels, so that it may be Analyze.
        """
        for order in "<>":
            size = struct.unpack_from(order + "i", start.ljust(4, b"\0"))[0]

            def field(form: str, at: int, order: str = order) -> tuple:
                return struct.unpack_from(order + form, start, at)

            if size == 348 and len(start) >= 348:
                magic, second = start[344:348], False
            elif size == 540 and len(start) >= 540:
                magic, second = start[4:8], True
            else:
                continue
            if magic[:3] not in (b"n+2", b"ni2") if second else magic[:3] not in (b"n+1", b"ni1"):
                if second or not pair:
                    continue
                magic = b""
            dim = field("8q", 16) if second else field("8h", 40)
            shape = tuple(dim[1 : 1 + (dim[0] if 1 <= dim[0] <= 7 else 0)])
            if not magic:
                # SPM's slope is at the place of NIfTI's offset from the funused fields, so none is used.
                pixdim, offset = np.array(field("4f", 76), float), field("f", 108)[0]
                return cls(ANALYZE, True, shape, field("h", 70)[0], pixdim, max(offset, 0), order, (0.0, 0.0))
            at = (12, 104, 168, 176, 344, 352, 400, 500) if second else (70, 76, 108, 112, 252, 256, 280, 123)
            real = "d" if second else "f"
            return cls(
                NIFTI_2 if second else NIFTI_1,
                magic[1:2] == b"i",
                shape,
                field("h", at[0])[0],
                np.array(field("4" + real, at[1]), float),
                field("q" if second else "f", at[2])[0],
                order,
                field("2" + real, at[3]),
                (field("i" if second else "B", at[7])[0]) & 7,
                field("2i" if second else "2h", at[4]),
                np.array(field("6" + real, at[5]), float),
                np.array(field("12" + real, at[6]), float).reshape(3, 4),
            )
        return None

    def volume_shape(self, path: Path) -> tuple[int, int, int]:
        """Return the size along (x, y, z) of a single volume of plain numbers.

        Raises:
            InputError: If it is none.
        """
        if not self.shape or min(self.shape) < 1:
            raise InputError("impossible_size", path=path, size=size_text(self.shape))
        # The fifth axis holds the numbers of a vector.
        if self.code in SEVERAL_NUMBERS or (len(self.shape) > 4 and self.shape[3] == 1 < self.shape[4]):
            raise InputError("several_components", path=path)
        if self.code not in VOXEL_TYPES:
            raise InputError("unknown_voxel_type", path=path)
        if not float(self.data_offset).is_integer():
            raise InputError("bad_header_field", path=path, field="vox_offset", value=f"{self.data_offset:g}")
        slope, intercept = self.scaling
        # A slope of NaN, as one of 0, stands for none.
        scaled = not np.isnan(slope) and slope != 0
        if scaled and (np.isinf(slope) or np.isinf(intercept) or (np.isnan(intercept) and slope != 1)):
            value = f"{slope:g}, {intercept:g}"
            raise InputError("bad_header_field", path=path, field="scl_slope, scl_inter", value=value)
        return spatial_shape(path, self.shape)

    @property
    def qform(self) -> np.ndarray | None:
        """Position by the quaternion, 4×4, in the unit of the header; None without one that can be used."""
        if self.codes[0] <= 0 or not (np.isfinite(self.pixdim).all() and self.pixdim[1:].min() > 0):
            return None
        b, c, d = self.quaternion[:3]
        rest = 1.0 - (b * b + c * c + d * d)
        if not (np.isfinite(self.quaternion).all() and rest > -1e-2):
            return None
        quaternion = np.array([np.sqrt(max(rest, 0.0)), b, c, d])
        a, b, c, d = quaternion / np.linalg.norm(quaternion)
        affine = np.eye(4)
        affine[:3, :3] = [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
        affine[:3, :3] *= self.pixdim[1:] * [1, 1, -1 if self.pixdim[0] < 0 else 1]
        affine[:3, 3] = self.quaternion[3:]
        return affine

    @property
    def sform(self) -> np.ndarray | None:
        """Position by the matrix, 4×4, in the unit of the header; None without one that can be used."""
        if self.codes[1] <= 0 or not np.isfinite(self.rows).all():
            return None
        spacing = np.linalg.norm(self.rows[:, :3], axis=0)
        if not spacing.min() > 0 or abs(np.linalg.det(self.rows[:, :3] / spacing)) < 1e-3:
            return None
        return np.vstack([self.rows, [0, 0, 0, 1]])

    def placement(self, path: Path, options: ReadingOptions) -> Placement:
        """Find the position that counts, compare it with the others in the header, and warn of small differences.

        Raises:
            InputError: If they contradict each other, so that only the user can say which one is right, or none can
                be used.
        """
        unit = LENGTHS.get(self.units)
        known = {"unit_mm": UNITS.get(unit), "unit": unit or f"code {self.units}"}
        forms = {"sform": self.sform, "qform": self.qform}
        if options.form:
            chosen = forms[options.form]
            if chosen is None:
                raise InputError("form_missing", path=path, form=options.form)
            return Placement.of_vectors(chosen[:3, :3], chosen[:3, 3], **known)
        sform, qform = forms.values()
        if sform is None and qform is None:
            spacing = self.pixdim[1:] if self.version != ANALYZE or self.pixdim[1:].any() else None
            if max(self.codes) > 0:
                if not options.spacing:
                    check_spacing(path, self.pixdim[1:])
                if not options.orientation:
                    raise InputError("no_position", name=path)
            return Placement(spacing, None, self._unused_origin(options), **known)
        chosen, name = self._usual(sform, qform)
        if not (options.spacing and options.orientation):
            self._compare(path, sform, qform, name, options, (known["unit_mm"] or 1.0))
        return Placement.of_vectors(chosen[:3, :3], chosen[:3, 3], **known)

    def _usual(self, sform: np.ndarray | None, qform: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Choose between the positions as ITK does: the scanner's sform, else the qform, else another sform."""
        if qform is None:
            return sform, "sform"
        if sform is not None and self.codes[1] == SCANNER and _shear(sform) <= MOST_SHEAR:
            return sform, "sform"
        return qform, "qform"

    def _compare(
        self,
        path: Path,
        sform: np.ndarray | None,
        qform: np.ndarray | None,
        name: str,
        options: ReadingOptions,
        unit_mm: float,
    ) -> None:
        """Compare the positions with each other and with the spacing of the header."""
        if not options.spacing and np.isinf(self.pixdim[1:]).any():
            check_spacing(path, self.pixdim[1:])
        if name == "sform" and _shear(sform) > MOST_SHEAR:
            raise InputError("not_orthogonal", name=path)
        if sform is not None:
            spacing, steps = np.linalg.norm(sform[:3, :3], axis=0), self.pixdim[1:]
            # A spacing of 0, -1 or NaN was never set; that of a registered image is not that of the template's space.
            registered = name == "qform" and self.codes[1] in TEMPLATE_CODES
            given = steps > 0
            if given.any() and not options.spacing and not registered:
                share = float(np.abs(spacing[given] / steps[given] - 1).max())
                if share > SAME_SHARE:
                    shown = (size_text(float(f"{step * unit_mm:.4g}") for step in one) for one in (spacing, steps))
                    raise InputError("spacing_conflict", path=path, sform=next(shown), pixdim=next(shown))
        if sform is None or qform is None:
            return
        directions = [form[:3, :3] / np.linalg.norm(form[:3, :3], axis=0) for form in (sform, qform)]
        turn = directions[0] @ np.linalg.inv(directions[1])
        if not options.orientation:
            if np.linalg.det(turn) < 0 or turn[0, 0] < 0:
                raise InputError("forms_mirrored", path=path)
            if np.diag(turn).min() < LEAST_COSINE:
                raise InputError("forms_turned", path=path)
        apart = _farthest(sform, qform, self.shape) * unit_mm
        if not apart <= SAME_MM:
            other = "qform" if name == "sform" else "sform"
            log.warning(Message("forms_disagree", path=str(path), distance=apart, used=name, other=other))

    def _unused_origin(self, options: ReadingOptions) -> np.ndarray | None:
        """Return the origin of a position without a code, if its axes run as the user says."""
        if self.version == ANALYZE or not options.orientation:
            return None
        for form in (replace(self, codes=(0, 1)).sform, replace(self, codes=(1, 0)).qform):
            if form is not None and form[:3, 3].any() and runs_towards(form[:3, :3], options.orientation):
                return form[:3, 3]
        return None


def read_nifti(path: Path, options: ReadingOptions) -> tuple[np.ndarray, np.ndarray]:
    """Read NIfTI-1, NIfTI-2 or Analyze, in one file or two, compressed or not, whatever the name says.

    Returns:
        The voxels, float32 (Z, Y, X), and the affine, 4×4, voxel index (x, y, z, 1) to RAS mm.

    Raises:
        InputError: If the file is damaged or of another format, or does not give what the options lack.
    """
    pair = path.name.lower().endswith((".hdr", ".img"))
    described = _partner(path, ".hdr") if pair else path
    start = first_bytes(described, HEADER_BYTES + EXTENDER_BYTES)
    header = NiftiHeader.parse(start, pair)
    if header is None:
        raise InputError("wrong_format", path=path, format="NIfTI or Analyze" if pair else "NIfTI")
    if header.version == ANALYZE and not options.orientation:
        raise InputError("analyze_orientation", path=path)
    shape = header.volume_shape(path)
    affine = header.placement(path, options).affine(path, shape, options)
    file = _partner(path, ".img") if header.detached else path
    kind = np.dtype(header.order + VOXEL_TYPES[header.code])
    size = int(np.prod(shape, dtype=object)) * kind.itemsize
    begin = max(int(header.data_offset), 0) if header.detached else _begin(path, header, start, size)
    places = {"skip": begin, "encoding": "zlib"} if is_gzip(file) else {"start": begin}
    places |= dict(zip(("slope", "intercept"), header.scaling))
    array = StoredVoxels(path, file, shape, kind, most_surplus=0, **places).read()
    return array, _bits_of_itk(path, header, affine, shape) if options == AS_THE_HEADER_SAYS else affine


def _begin(path: Path, header: NiftiHeader, start: bytes, size: int) -> int:
    """Return the bytes before the voxels of a single file, `size` of which are voxels.

    Raises:
        InputError: If the header gives a place inside itself or in an extension, and the size of the file does not
            say where the voxels are.
    """
    shortest = 540 if header.version == NIFTI_2 else 348
    begin, usual, present = int(header.data_offset), shortest + EXTENDER_BYTES, unpacked_bytes(path)
    # Four bytes after the header say whether there are extensions, the first of which says how long it is.
    extended = start[shortest : shortest + 1] not in (b"", b"\0") and begin < usual + 16
    if begin >= usual and not (extended and present > begin + size):
        return begin
    if begin < usual:
        # Some programs leave out the four bytes, others write 0.
        if present == shortest + size or (present == usual + size and not extended):
            return present - size
        if present < shortest + size:
            raise InputError("cut_short", path=path, expected=size, present=max(present - usual, 0))
    raise InputError("bad_header_field", path=path, field="vox_offset", value=f"{begin}")


def nifti_position(path: Path, affine: np.ndarray) -> bytes | None:
    """Read the fields of a NIfTI-1 header that place the image in space, for the headers of its results.

    A header holds two positions, qform and sform, which need not agree; programs differ in which they use. With both
    copied, results lie on their scan in every program.

    Args:
        path: File of the scan.
        affine: 4×4, the position in which the scan was read.

    Returns:
        The little-endian bytes 76-80 (handedness) and 252-328 (qform and sform); None for another format, another unit
        than millimetres, a qform that cannot be used, or a header that the user has overruled.
    """
    try:
        start = first_bytes(path, HEADER_BYTES)
        header = NiftiHeader.parse(start)
        if header is None or header.version != NIFTI_1 or header.detached or header.units not in (0, 2):
            return None
        if header.codes[0] > 0 and header.qform is None:
            # With the spacing of a result, it would be a second position.
            return None
        shape = header.volume_shape(path)
        as_written = header.placement(path, AS_THE_HEADER_SAYS).affine(path, shape, AS_THE_HEADER_SAYS)
    except (InputError, OSError):
        return None
    if not _farthest(as_written, affine, shape) <= EQUAL_MM:
        return None
    handedness = struct.unpack_from(header.order + "f", start, 76)
    return struct.pack("<f2h18f", *handedness, *struct.unpack_from(header.order + "2h18f", start, 252))


def _partner(path: Path, suffix: str) -> Path:
    """Return the file beside a header or its voxels that has this suffix, in the case of the given name."""
    if path.name.lower().endswith(suffix):
        return path
    stem = path.name[: -len(path.suffix)]
    for name in (stem + suffix, stem + suffix.upper(), f"{stem}{suffix}.gz"):
        if (found := path.with_name(name)).is_file():
            return found
    raise InputError("missing_data_file", path=path, file=stem + suffix)


def _shear(affine: np.ndarray) -> float:
    """Return the largest cosine between two axes of an affine."""
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(cosines.T @ cosines - np.eye(3)).max())


def _farthest(first: np.ndarray, second: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return the largest distance along an axis between the corners of one grid in two positions, 4×4."""
    corners = np.array([[*((np.array(shape[:3]) - 1) * [n & 1, n >> 1 & 1, n >> 2]), 1.0] for n in range(8)])
    return float(np.abs(corners @ (first - second)[:3].T).max())


def _bits_of_itk(path: Path, header: NiftiHeader, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the affine as ITK computes it, in part in single precision, where it means the same position.

    Results of earlier versions know their scan by a hash of it.
    """
    if header.version != NIFTI_1 or header.detached:
        return affine
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    # Without this, ITK chooses the format by content.
    reader.SetImageIO("NiftiImageIO")
    try:
        with silenced():
            reader.ReadImageInformation()
    except RuntimeError:
        return affine
    if reader.GetDimension() != 3:
        return affine
    lps = np.eye(4)
    lps[:3, :3] = np.array(reader.GetDirection()).reshape(3, 3) * np.array(reader.GetSpacing())
    lps[:3, 3] = reader.GetOrigin()
    found = LPS_RAS @ lps
    return found if _farthest(found, affine, shape) <= EQUAL_MM else affine
