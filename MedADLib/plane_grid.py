"""A single slice as a picture: upright whatever its orientation in space, and on another grid without loss of shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .volume import Volume

Box = tuple[slice, slice]


def is_single_slice(volume: Volume) -> bool:
    """Whether a volume is one slice, along any of its axes."""
    return min(volume.array.shape) == 1


@dataclass(frozen=True)
class PlaneView:
    """How a single slice is turned into a picture whose rows and columns mean the same in every scan.

    Of the two anatomical directions nearest to the slice's own axes, the columns run along the first of right,
    anterior, superior, and the rows along the other; the first row and column are the most left, posterior, inferior.

    Attributes:
        shape: Of the volume, (Z, Y, X).
        axes: Array axes across the slice, along the picture's rows' numbers, and along its columns' numbers.
        flipped: Whether the numbers of rows, and of columns, run against the array's.
        spacing: Between rows, and between columns, in mm.
    """

    shape: tuple[int, int, int]
    axes: tuple[int, int, int]
    flipped: tuple[bool, bool]
    spacing: tuple[float, float]

    @classmethod
    def of(cls, volume: Volume) -> PlaneView:
        """The view of a single slice.

        Raises:
            InputError: If the volume is no single slice, or only a line of voxels.
        """
        shape = volume.array.shape
        if sorted(shape)[0] > 1 or sorted(shape)[1] == 1:
            shown = " x ".join(map(str, shape[::-1]))
            raise InputError(f"{volume.name} ({shown} voxels) is no single slice", "Give an image of one slice.")
        across = shape.index(1)
        first, second = (axis for axis in range(3) if axis != across)
        directions = {axis: volume.affine[:3, 2 - axis] / volume.spacing[2 - axis] for axis in (first, second)}
        pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
        # Rounded, so that a slice at 45 degrees is not turned by the last digit of its header.
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
        """Rows and columns of the picture."""
        return self.shape[self.axes[1]], self.shape[self.axes[2]]

    @property
    def extent_mm(self) -> tuple[float, float]:
        """Height and width of the field of view."""
        return self.size[0] * self.spacing[0], self.size[1] * self.spacing[1]

    def picture(self, array: np.ndarray) -> np.ndarray:
        """The picture, (rows, columns), of an array (Z, Y, X) on the volume's grid."""
        return array.transpose(self.axes)[0][self._steps]

    def array(self, picture: np.ndarray) -> np.ndarray:
        """The array (Z, Y, X) on the volume's grid of a picture (rows, columns)."""
        return np.ascontiguousarray(picture[self._steps][None].transpose(np.argsort(self.axes)))

    @property
    def _steps(self) -> Box:
        return tuple(slice(None, None, -1 if flipped else 1) for flipped in self.flipped)


def letterbox(extent_mm: tuple[float, float], grid: tuple[int, int]) -> Box:
    """Where a field of view lies on a grid of square pixels: as large as it fits, in the middle.

    Args:
        extent_mm: Height and width.
        grid: Rows and columns.
    """
    scale = min(grid[0] / extent_mm[0], grid[1] / extent_mm[1])
    sizes = [min(max(round(mm * scale), 1), most) for mm, most in zip(extent_mm, grid)]
    starts = [(most - size) // 2 for size, most in zip(sizes, grid)]
    return tuple(slice(start, start + size) for start, size in zip(starts, sizes))


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture of the same field of view with other pixels: means over areas where they grow, else linear.

    What is constant stays exactly so, and nothing beyond the edges takes part.

    Args:
        picture: (rows, columns).
        size: Rows and columns to bring it to.

    Returns:
        float32 array of `size`.
    """
    values = picture.astype(np.float64)
    for axis, wanted in enumerate(size):
        moved = np.moveaxis(values, axis, 0)
        values = np.moveaxis(_means(moved, wanted) if wanted < len(moved) else _between(moved, wanted), 0, axis)
    return values.astype(np.float32)


def _means(values: np.ndarray, wanted: int) -> np.ndarray:
    """Means over `wanted` equal parts of the first axis; pixels that lie in two parts count in both by their shares."""
    total = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    edges = np.linspace(0, len(values), wanted + 1)
    before = np.minimum(edges.astype(int), len(values) - 1)
    return np.diff(total[before] + (edges - before)[:, None] * values[before], axis=0) * (wanted / len(values))


def _between(values: np.ndarray, wanted: int) -> np.ndarray:
    """Values at the centres of `wanted` equal parts of the first axis, linear between the old centres."""
    places = np.clip((np.arange(wanted) + 0.5) * (len(values) / wanted) - 0.5, 0, len(values) - 1)
    low = np.minimum(places.astype(int), max(len(values) - 2, 0))
    high = np.minimum(low + 1, len(values) - 1)
    return values[low] + (places - low)[:, None] * (values[high] - values[low])
