"""The space of a model of single slices: the whole field of view, without registration.

Images such as X-rays have many sizes, and often no true spacing. The field of view of a slice is therefore scaled to
the model's grid, and its longer side counts as `LONGER_SIDE_MM`: sizes in mm mean a share of the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import InputError, ModelError
from ..messages import Message
from ..runtime.progress import Progress
from ..volume import Volume
from .intensity import IntensityUnit, PercentileScaling
from .space import CEILING, SLICE, SMALLEST_SHARE, Box, PreparedScan, ReferenceSpace

Rectangle = tuple[slice, slice]

LONGER_SIDE_MM = 192.0


@dataclass(frozen=True)
class SliceView:
    """Reorientation of a single slice to an image with the same directions of rows and columns in every scan.

    The slice's axes have two nearest anatomical directions. The column index increases along the first of them in the
    order right, anterior, superior, and the row index along the other one.

    Attributes:
        shape: Shape of the volume, (Z, Y, X).
        axes: Array axes across the slice, along the row index, and along the column index.
        flipped: Whether the row index, and the column index, run against those of the array.
        spacing: Distance in mm between rows, and between columns.
    """

    shape: tuple[int, int, int]
    axes: tuple[int, int, int]
    flipped: tuple[bool, bool]
    spacing: tuple[float, float]

    @classmethod
    def of(cls, volume: Volume) -> SliceView:
        """Find the view of a single slice.

        Raises:
            InputError: If the volume is not a single slice, or only a line of voxels.
        """
        shape = volume.array.shape
        if sorted(shape)[0] > 1 or sorted(shape)[1] == 1:
            shown = " x ".join(map(str, shape[::-1]))
            raise InputError("scan_not_single_slice", name=volume.name, shape=shown)
        across = shape.index(1)
        first, second = (axis for axis in range(3) if axis != across)
        directions = {axis: volume.affine[:3, 2 - axis] / volume.spacing[2 - axis] for axis in (first, second)}
        pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
        # Rounded, so that the last digit of the header does not decide about a slice at 45 degrees.
        nearest = max(pairs, key=lambda p: round(abs(directions[first][p[0]]) + abs(directions[second][p[1]]), 4))
        anatomical = dict(zip((first, second), nearest))
        columns, rows = sorted((first, second), key=anatomical.get)
        return cls(
            shape,
            (across, rows, columns),
            tuple(bool(directions[axis][anatomical[axis]] < 0) for axis in (rows, columns)),
            tuple(float(volume.spacing[2 - axis]) for axis in (rows, columns)),
        )

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return self.shape[self.axes[1]], self.shape[self.axes[2]]

    @property
    def extent_mm(self) -> tuple[float, float]:
        """Height and width of the field of view in mm."""
        return self.size[0] * self.spacing[0], self.size[1] * self.spacing[1]

    def image(self, array: np.ndarray) -> np.ndarray:
        """Convert an array (Z, Y, X) on the volume's grid to an image (rows, columns)."""
        return array.transpose(self.axes)[0][self._steps]

    def array(self, image: np.ndarray) -> np.ndarray:
        """Convert an image (rows, columns) to an array (Z, Y, X) on the volume's grid."""
        return np.ascontiguousarray(image[self._steps][None].transpose(np.argsort(self.axes)))

    @property
    def _steps(self) -> Rectangle:
        return tuple(slice(None, None, -1 if flipped else 1) for flipped in self.flipped)


def letterbox(extent_mm: tuple[float, float], grid: tuple[int, int]) -> Rectangle:
    """Fit a field of view (height and width in mm) into a grid, as large as possible and centred; return its slices."""
    scale = min(grid[0] / extent_mm[0], grid[1] / extent_mm[1])
    sizes = [min(max(round(mm * scale), 1), most) for mm, most in zip(extent_mm, grid)]
    starts = [(most - size) // 2 for size, most in zip(sizes, grid)]
    return tuple(slice(start, start + size) for start, size in zip(starts, sizes))


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image: area means along axes that shrink, linear interpolation along the others; float32.

    Constant images stay exactly constant; there is no padding beyond the edges.
    """
    values = image.astype(np.float64)
    for axis, wanted in enumerate(size):
        moved = np.moveaxis(values, axis, 0)
        values = np.moveaxis(_means(moved, wanted) if wanted < len(moved) else _between(moved, wanted), 0, axis)
    return values.astype(np.float32)


def _means(values: np.ndarray, wanted: int) -> np.ndarray:
    """Average over `wanted` equal parts of the first axis; pixels in two parts count in both by their shares."""
    total = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    edges = np.linspace(0, len(values), wanted + 1)
    before = np.minimum(edges.astype(int), len(values) - 1)
    return np.diff(total[before] + (edges - before)[:, None] * values[before], axis=0) * (wanted / len(values))


def _between(values: np.ndarray, wanted: int) -> np.ndarray:
    """Interpolate linearly at the centres of `wanted` equal parts of the first axis."""
    positions = np.clip((np.arange(wanted) + 0.5) * (len(values) / wanted) - 0.5, 0, len(values) - 1)
    low = np.minimum(positions.astype(int), max(len(values) - 2, 0))
    high = np.minimum(low + 1, len(values) - 1)
    return values[low] + (positions - low)[:, None] * (values[high] - values[low])


@dataclass(frozen=True, eq=False)
class SliceSpace(ReferenceSpace):
    """The space of a model of single slices: a mean healthy image; image and mask are (1, Y, X)."""

    kind: ClassVar[str] = SLICE
    flat: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if len(self.image.array) != 1:
            raise ModelError("template_not_single_slice")
        super().__post_init__()

    @classmethod
    def empty(cls, size: tuple[int, int]) -> SliceSpace:
        """Make a space of these rows and columns, before its mean is computed."""
        affine = np.diag([LONGER_SIDE_MM / max(size), LONGER_SIDE_MM / max(size), 1.0, 1.0])
        affine[:2, 3] = -0.5 * (np.array(size[::-1]) - 1) * LONGER_SIDE_MM / max(size)
        return cls.without_mean((1, *size), affine)

    def _prepared(self, native: Volume, native_mask: np.ndarray, progress: Progress) -> PreparedSlice:
        """Scale a slice to the grid of the model and normalise it; see `ReferenceSpace.prepared`."""
        progress.update(0.0, Message("progress_scaling"))
        view, grid = SliceView.of(native), self.image.array.shape[1:]
        box = letterbox(view.extent_mm, grid)
        size = tuple(part.stop - part.start for part in box)
        inside = resized(view.image(IntensityUnit.of(native.array, native_mask).clipped(native.array)), size)
        scaling = PercentileScaling.of(inside, native.name)
        image, mask = np.zeros((1, *grid), np.float32), np.zeros((1, *grid), bool)
        image[0][box] = np.clip(scaling.forward(inside), 0, CEILING)
        mask[0][box] = resized(view.image(native_mask), size) > 0.5
        if mask.mean() < SMALLEST_SHARE:
            raise InputError("slice_little_examined", name=native.name)
        similarity = self.similarity(image, image, mask)
        return PreparedSlice(image, mask, native, native_mask, self, scaling, similarity, view, box)

    def describe(self) -> str:
        """Describe the space in words."""
        _, rows, columns = self.image.array.shape
        return f"single slices of {columns} x {rows} pixels, examined in the whole field of view"


@dataclass(frozen=True, eq=False)
class PreparedSlice(PreparedScan):
    """A slice in the space of a model of single slices.

    Attributes:
        view: Reorientation of the slice to an image.
        box: Rows and columns of the field of view on the grid of the model.
    """

    view: SliceView
    box: Rectangle

    def _resampled(self, values: np.ndarray, part: Box) -> np.ndarray:
        return self.view.array(resized(values[0][self.box], self.view.size))[part]
