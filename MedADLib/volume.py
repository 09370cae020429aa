"""A scalar 3-D image with its position in space: conventions of arrays and geometry, and reorientation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import InputError, OutputError

if TYPE_CHECKING:
    import SimpleITK as sitk

IMAGE_SUFFIXES = (
    *(".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".gipl.gz", ".gipl", ".mnc"),
    *(".hdr", ".img"),
)
RASTER_SUFFIXES = (".png", ".jpg", ".jpeg")
# A head is smaller, and so is a body in most directions; a larger field of view is a wrong unit of length.
LARGEST_MM = 1000.0
# Of a coarse grid with a spacing in mm: 1.2 m along each axis at 3 mm.
MOST_GRID_VOXELS = 2**26
LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

# Digits of direction cosines that decide about the order of axes.
AXIS_DIGITS = 4

# RAS axis of each letter, and whether the letter is on its negative side.
LETTERS = {"R": (0, False), "L": (0, True), "A": (1, False), "P": (1, True), "S": (2, False), "I": (2, True)}
# A header with a smaller spacing, or a larger spacing or position, is damaged or in another unit.
LEAST_SPACING_MM, FARTHEST_MM = 1e-6, 1e6


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar 3-D image.

    Attributes:
        array: Voxels, shape (Z, Y, X).
        affine: 4×4, maps the voxel index (x, y, z, 1) to RAS mm. Rows and columns follow NIfTI; the axes may
            be oblique, permuted, left-handed or of unequal spacing, but must be orthogonal to each other.
        name: Name in files and messages; the stem of the file.
        has_spacing: Whether the spacing is physical. It is not in a PNG, where a pixel counts as 1 mm.
        has_orientation: Whether axes and position are those of a patient. They are not in a PNG or a radiograph, where
            columns count as left and rows as posterior.
        described: What its header says that it is, one of `preprocessing.fit.KINDS`; empty if it does not say.

    Raises:
        InputError: If array and affine do not describe a 3-D image in space.
    """

    array: np.ndarray
    affine: np.ndarray
    name: str = "volume"
    has_spacing: bool = True
    has_orientation: bool = True
    described: str = ""

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        object.__setattr__(self, "affine", affine)
        if self.array.ndim != 3:
            size = size_text(self.array.shape[::-1])
            raise InputError("not_3d", name=self.name, dimensions=self.array.ndim, size=size)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or np.abs(affine[:3, 3]).max() > FARTHEST_MM:
            raise InputError("no_position", name=self.name)
        if not LEAST_SPACING_MM <= self.spacing.min() <= self.spacing.max() <= FARTHEST_MM:
            raise InputError("bad_spacing", name=self.name, spacing=size_text(self.spacing))
        cosines = affine[:3, :3] / self.spacing
        if np.abs(cosines.T @ cosines - np.eye(3)).max() > 1e-3:
            raise InputError("not_orthogonal", name=self.name)

    @property
    def spacing(self) -> np.ndarray:
        """Voxel spacing along (x, y, z) in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def with_array(self, array: np.ndarray, name: str | None = None) -> Volume:
        """Replace the voxels by others of the same shape (Z, Y, X).

        Raises:
            InputError: If the shape differs from this volume's.
        """
        if array.shape != self.array.shape:
            shape, grid = size_text(array.shape), size_text(self.array.shape)
            raise InputError("array_not_on_grid", shape=shape, grid=grid, name=self.name)
        return replace(self, array=array, name=name or self.name)

    def within(self, box: tuple[slice, slice, slice]) -> Volume:
        """Crop to a box of array indices (z, y, x), each with a start, in the same position (view, no copy)."""
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ [part.start for part in reversed(box)]
        return replace(self, array=self.array[box], affine=affine)

    def same_grid(self, other: Volume, tolerance_mm: float = 1e-2) -> bool:
        """Return whether both grids have the same shape and no voxel is more than `tolerance_mm` apart."""
        if self.array.shape != other.array.shape:
            return False
        corner = np.array(self.array.shape[::-1], dtype=float)
        corners = np.array([[*(corner * (np.array([b >> n & 1 for n in range(3)]))), 1.0] for b in range(8)])
        return bool(np.abs(corners @ (self.affine - other.affine).T).max() <= tolerance_mm)

    def ras_from_voxels(self, zyx: np.ndarray) -> np.ndarray:
        """Convert voxel indices (N, 3), in the order (z, y, x), to RAS mm, (N, 3)."""
        xyz = np.asarray(zyx, dtype=float)[:, ::-1]
        return xyz @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_sitk(self) -> sitk.Image:
        """Convert to a SimpleITK image on the same grid, in ITK's LPS coordinates."""
        import SimpleITK as sitk

        array = self.array.view(np.uint8) if self.array.dtype == bool else self.array
        image = sitk.GetImageFromArray(np.ascontiguousarray(array))
        image.SetSpacing(self.spacing.tolist())
        image.SetDirection(self.direction)
        image.SetOrigin(self.origin)
        return image

    @property
    def direction(self) -> list[float]:
        """Direction cosines of the axes for ITK, a 3×3 matrix in LPS, row by row."""
        return ((LPS_RAS @ self.affine)[:3, :3] / self.spacing).ravel().tolist()

    @property
    def origin(self) -> list[float]:
        """Position of the first voxel for ITK, LPS mm."""
        return (LPS_RAS @ self.affine)[:3, 3].tolist()

    @classmethod
    def from_sitk(cls, image: sitk.Image, name: str = "volume") -> Volume:
        """Convert a scalar 3-D SimpleITK image; voxels keep their type."""
        import SimpleITK as sitk

        lps = np.eye(4)
        lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
        lps[:3, 3] = image.GetOrigin()
        return cls(sitk.GetArrayFromImage(image), LPS_RAS @ lps, name)

    def write(self, path: str | os.PathLike) -> None:
        """Write a NIfTI, NRRD or MHA file, by the suffix of the path.

        Raises:
            OutputError: If it cannot be written; no partial file remains.
        """
        import SimpleITK as sitk

        from .runtime.atomic_files import replacing

        try:
            with replacing(Path(path)) as partial:
                sitk.WriteImage(self.to_sitk(), str(partial), useCompression=True, compressionLevel=1)
        except (RuntimeError, OSError) as error:
            raise OutputError("not_written", path=path) from error


def size_text(numbers: Iterable[float]) -> str:
    """Format sizes or spacings along axes for a message, such as ``160 x 256 x 256``."""
    return " x ".join(f"{number:g}" if isinstance(number, float) else str(number) for number in numbers)


def stem(path: str | os.PathLike) -> str:
    """Return the file name without its image suffix, or the name of a folder."""
    name = Path(path).name
    for suffix in (*IMAGE_SUFFIXES, *RASTER_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def nearest_axes(volume: Volume) -> np.ndarray:
    """Return the nearest of the axes (x, y, z) to right, anterior and superior, shape (3,)."""
    return np.abs(volume.affine[:3, :3] / volume.spacing).argmax(axis=1)


def body_axes(directions: np.ndarray) -> np.ndarray:
    """Return the nearest of right, anterior and superior (0 to 2) to each column of directions (3, N), shape (N,)."""
    return np.abs(directions).argmax(axis=0)


def spacing_ras(volume: Volume) -> np.ndarray:
    """Return the spacing in mm along the axes nearest to right, anterior and superior, shape (3,)."""
    return volume.spacing[nearest_axes(volume)]


def extent_ras(volume: Volume) -> np.ndarray:
    """Return the field of view in mm along the axes nearest to right, anterior and superior, shape (3,)."""
    return spacing_ras(volume) * np.array(volume.array.shape[::-1])[nearest_axes(volume)]


def largest_extent(volume: Volume) -> float:
    """Return the longest side of the field of view in mm; 0 for a single slice, which often has no true spacing."""
    return 0.0 if is_single_slice(volume) else float((volume.spacing * volume.array.shape[::-1]).max())


def check_grid(volume: Volume, spacing_mm: float) -> None:
    """Raise InputError if the field of view is too large for a grid of isotropic voxels, before one is made."""
    sizes = np.maximum(volume.spacing * volume.array.shape[::-1] / spacing_mm, 1.0)
    if not np.prod(sizes) <= MOST_GRID_VOXELS:
        extent = float((volume.spacing * volume.array.shape[::-1]).max())
        raise InputError("grid_too_large", name=volume.name, extent=extent, spacing=spacing_mm)


def is_single_slice(volume: Volume) -> bool:
    """Return whether a volume is one slice, along any of its axes."""
    return min(volume.array.shape) == 1


def reoriented(volume: Volume, towards: str) -> Volume:
    """Reorient a volume to the nearest anatomical axes (view, no copy): the same voxels at the same positions.

    `towards` names the directions of its axes (x, y, z), such as ``LPS`` for left, posterior and superior.
    """
    here = [LETTERS[letter] for letter in orientation(volume)]
    axes = [next(axis for axis, (along, _) in enumerate(here) if along == LETTERS[letter][0]) for letter in towards]
    flipped = [here[axis][1] != LETTERS[letter][1] for axis, letter in zip(axes, towards)]
    return _in_order(volume, axes, flipped)


def in_order_of(volume: Volume, other: Volume) -> Volume | None:
    """Bring a volume of the same grid to the voxel order of another volume (view, no copy).

    Returns:
        The same voxels at the same positions, with the axes of `other`; None if the voxels of the two lie elsewhere.
    """
    # Column by column, the axis of this volume along which an axis of the other runs.
    cosines = (volume.affine[:3, :3] / volume.spacing).T @ (other.affine[:3, :3] / other.spacing)
    axes = np.abs(cosines).argmax(axis=0)
    if sorted(axes) != [0, 1, 2]:
        return None
    flipped = [cosines[axis, column] < 0 for column, axis in enumerate(axes)]
    found = _in_order(volume, axes.tolist(), flipped)
    return found if other.same_grid(found) else None


def orientation(volume: Volume) -> str:
    """Return the anatomical directions nearest to the axes (x, y, z), such as ``RAS``."""
    import SimpleITK as sitk

    # A letter names the side that the axis runs towards, as in DICOM.
    return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(volume.direction)


def _in_order(volume: Volume, axes: Sequence[int], flipped: Sequence[bool]) -> Volume:
    """Permute the axes of a volume, and flip them afterwards (view, no copy).

    Args:
        volume: The volume.
        axes: The present axis (x, y or z; 0 to 2) of each new one.
        flipped: Whether each new axis runs backwards.
    """
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in reversed(flipped))
    array = volume.array.transpose([2 - axis for axis in reversed(axes)])[steps]
    affine = volume.affine.copy()
    for column, (axis, flip) in enumerate(zip(axes, flipped)):
        affine[:3, column] = volume.affine[:3, axis] * (-1 if flip else 1)
        if flip:
            affine[:3, 3] += volume.affine[:3, axis] * (volume.array.shape[2 - axis] - 1)
    return replace(volume, array=array, affine=affine)


def fingerprint(volume: Volume) -> str:
    """Compute the sha256 of a volume's values, independent of the order of the grid's axes and of the number type.

    Slicer may flip or permute the axes of a grid when it opens a saved scene.
    """
    # Unit vectors of the array's axes in RAS, of which each points to its largest component's positive side.
    directions = np.round((volume.affine[:3, :3] / volume.spacing).T[::-1], AXIS_DIGITS)
    largest = np.abs(directions).argmax(axis=1)
    backwards = directions[np.arange(3), largest] < 0
    directions[backwards] *= -1
    array = volume.array[tuple(slice(None, None, -1) if flip else slice(None) for flip in backwards)]
    array = array.transpose(np.lexsort(directions.T))
    digest = hashlib.sha256(str(array.shape).encode())
    # Slab by slab, so that a large scan is not in memory twice.
    for slab in array:
        digest.update(np.ascontiguousarray(slab, dtype=np.float32).data)
    return digest.hexdigest()
