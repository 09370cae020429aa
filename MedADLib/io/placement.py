"""The position of an image in space: what its header says, and what the user says instead."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..messages import Message
from ..volume import LARGEST_MM, LETTERS, LPS_RAS, Volume, body_axes, is_single_slice, largest_extent, size_text
from .reading_options import UNITS, ReadingOptions

log = logging.getLogger(__name__)

# The unit of DICOM is always mm, and scans of the whole body exist.
LARGEST_DICOM_MM = 2500.0


@dataclass(frozen=True, eq=False)
class Placement:
    """The position of an image in space as its header gives it; None where the header lacks something.

    Attributes:
        spacing: Voxel spacing along (x, y, z), in units of length.
        cosines: Directions of the axes (x, y, z) in RAS, the columns of (3, 3).
        origin: Centre of the first voxel in RAS, (3,), in units of length.
        unit_mm: Millimetres in one unit of length; None for a unit that is not known.
        unit: Name of the unit in the header.
    """

    spacing: np.ndarray | None = None
    cosines: np.ndarray | None = None
    origin: np.ndarray | None = None
    unit_mm: float | None = 1.0
    unit: str = "mm"

    @classmethod
    def of_vectors(cls, vectors: np.ndarray, origin: np.ndarray | None, **unit: object) -> Placement:
        """Make a position from the steps between voxels along (x, y, z) in RAS, the columns of (3, 3)."""
        vectors = np.asarray(vectors, float)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            # As ITK: length and direction first, so that the affine has the same bits.
            spacing = np.sqrt((vectors**2).sum(axis=0))
            return cls(spacing, vectors / spacing, origin, **unit)

    def affine(self, path: Path, shape: tuple[int, ...], options: ReadingOptions) -> np.ndarray:
        """Return the affine of the image, 4×4, voxel index (x, y, z, 1) to RAS mm.

        What the user says goes before the header. Where nothing gives the origin, the first voxel is at 0, as in other
        programs, or the centre of the field of view if the orientation is that of the user.

        Args:
            path: The file, for messages.
            shape: Voxels along (x, y, z).
            options: What the user says.

        Raises:
            InputError: If spacing, orientation or unit are neither in the header nor in the options, or cannot be.
        """
        unit = UNITS[options.unit] if options.unit else self.unit_mm
        if unit is None and not options.spacing:
            raise InputError("unknown_unit", path=path, unit=f"{self.unit:.20}", known=", ".join(UNITS))
        unit, spacing = unit or 1.0, self.spacing
        if options.spacing:
            spacing = np.array(options.spacing)
        elif spacing is None:
            raise InputError("no_spacing", path=path)
        else:
            check_spacing(path, spacing)
            spacing = spacing * unit if unit != 1.0 else spacing
        cosines, origin = self.cosines, self.origin
        if origin is None and cosines is not None:
            origin = np.zeros(3)
        if options.orientation and (cosines is None or not runs_towards(cosines, options.orientation)):
            if cosines is not None:
                # The origin is that of another first voxel.
                origin = None
                log.warning(Message("orientation_replaced", path=str(path), orientation=options.orientation))
            cosines = directions(options.orientation)
        elif cosines is None:
            raise InputError("no_orientation", path=path)
        if not np.isfinite(cosines).all() or (origin is not None and not np.isfinite(origin).all()):
            raise InputError("no_position", name=path)
        lps = np.eye(4)
        lps[:3, :3] = (LPS_RAS[:3, :3] @ cosines) * spacing
        if origin is None:
            lps[:3, 3] = -lps[:3, :3] @ (0.5 * (np.array(shape) - 1.0))
        else:
            lps[:3, 3] = LPS_RAS[:3, :3] @ (origin * unit if unit != 1.0 else origin)
        return LPS_RAS @ lps


def directions(letters: str) -> np.ndarray:
    """Return the directions in RAS of axes that run towards `letters`, such as ``LPS``; the columns of (3, 3)."""
    found = np.zeros((3, 3))
    for axis, letter in enumerate(letters):
        row, negative = LETTERS[letter]
        found[row, axis] = -1.0 if negative else 1.0
    return found


def runs_towards(cosines: np.ndarray, letters: str) -> bool:
    """Return whether the nearest directions of axes, the columns of (3, 3) in RAS, are `letters`."""
    wanted = directions(letters)
    return bool((body_axes(cosines) == body_axes(wanted)).all() and ((cosines * wanted).sum(axis=0) > 0).all())


def spatial_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the size along (x, y, z) of an image with one volume; further axes have one element.

    Raises:
        InputError: If it holds several volumes, one line or a 2-D image.
    """
    kept = shape
    while len(kept) > 3 and kept[-1] == 1:
        kept = kept[:-1]
    if len(kept) != 3:
        raise InputError("not_3d", name=path, dimensions=len(kept), size=size_text(shape))
    if sorted(kept)[1] == 1:
        raise InputError("single_line", path=path, size=size_text(kept))
    return kept


def check_spacing(path: Path, spacing: np.ndarray | tuple[float, ...]) -> None:
    """Raise InputError for a voxel spacing along each axis that is zero, negative or not finite."""
    if not (np.isfinite(spacing).all() and min(spacing) > 0):
        raise InputError("bad_spacing", name=path, spacing=size_text(float(step) for step in spacing))


def check_extent(volume: Volume, path: Path, options: ReadingOptions) -> None:
    """Raise InputError for a volume of over 1 m across, unless its unit is sure; warn about an odd scale."""
    extent, limit = largest_extent(volume), LARGEST_DICOM_MM if path.is_dir() else LARGEST_MM
    if extent > limit and not options.unit_is_sure:
        raise InputError("extent_too_large", path=path, extent=extent, limit=limit)
    across = float((volume.spacing * volume.array.shape[::-1]).max())
    if not 10.0 <= across <= 2000.0:
        log.warning(Message("odd_extent", path=str(path), extent=across))
    if volume.spacing.max() > 10.0 and not is_single_slice(volume):
        log.warning(Message("thick_slices", path=str(path), spacing=float(volume.spacing.max())))
