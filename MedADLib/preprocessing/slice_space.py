"""The space of a model of single slices: the whole field of view, without registration.

A single slice as a picture: upright whatever its orientation in space, and on another grid without loss of shape.

The space of a model of single slices: the whole field of view, upright and to scale, without any alignment.

Pictures such as X-rays come in many sizes, and often without a true spacing. So a slice is brought to the model's grid
by its field of view, whose longer side counts as `FIELD_MM`: sizes in mm within the model mean a share of the picture,
the same as in models of the brain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import InputError, ModelError
from ..messages import Message
from ..runtime.progress import Progress
from ..volume import Volume, is_single_slice
from .intensity import Span
from .space import CEILING, SMALLEST_SHARE, MeanTemplate, resemblance, whole_or_given

Box = tuple[slice, slice]

FIELD_MM = 192.0


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
            raise InputError("scan_not_single_slice", name=volume.name, shape=shown)
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


@dataclass(frozen=True, eq=False)
class PlaneTemplate(MeanTemplate):
    """The model's space: a mean healthy picture; image and mask are (1, Y, X)."""

    kind: ClassVar[str] = "plane"

    def __post_init__(self) -> None:
        if len(self.image.array) != 1:
            raise ModelError("template_not_single_slice")
        super().__post_init__()

    @classmethod
    def empty(cls, size: tuple[int, int]) -> PlaneTemplate:
        """A template of rows and columns that knows no picture yet."""
        affine = np.diag([FIELD_MM / max(size), FIELD_MM / max(size), 1.0, 1.0])
        affine[:2, 3] = -0.5 * (np.array(size[::-1]) - 1) * FIELD_MM / max(size)
        return cls.unlearned((1, *size), affine)

    def examined(
        self, volume: Volume, given: Volume | None = None, progress: Progress | None = None
    ) -> tuple[np.ndarray, str]:
        """The part of a slice to examine: all of it, or the user's mask.

        Args:
            volume: The scan.
            given: Nonzero in the part to examine, on the same grid.
            progress: Told; may cancel.

        Returns:
            The mask, bool, on the volume's grid, and how it came about, in words.

        Raises:
            InputError: If the scan is no single slice, or the given mask is empty or on another grid.
        """
        (progress or Progress()).update(0.0, "")
        if not is_single_slice(volume):
            shown = " x ".join(map(str, volume.array.shape[::-1]))
            raise InputError("scan_several_slices", name=volume.name, shape=shown)
        return whole_or_given(volume, given)

    def prepared(self, native: Volume, native_mask: np.ndarray, progress: Progress | None = None) -> PreparedPlane:
        """Bring a slice to the model's grid and normalise it.

        Args:
            native: The scan, one slice.
            native_mask: What to examine, bool, on its grid.
            progress: Told about each step; may cancel.

        Raises:
            InputError: If the slice has one intensity only, or too little of it is to be examined.
        """
        progress = progress or Progress()
        progress.update(0.0, "scaling to the model's grid")
        view, grid = PlaneView.of(native), self.image.array.shape[1:]
        box = letterbox(view.extent_mm, grid)
        size = tuple(part.stop - part.start for part in box)
        picture = resized(view.picture(native.array), size)
        span = Span.of(picture, native.name)
        image, mask = np.zeros((1, *grid), np.float32), np.zeros((1, *grid), bool)
        image[0][box] = np.clip(span.forward(picture), 0, CEILING)
        mask[0][box] = resized(view.picture(native_mask), size) > 0.5
        if mask.mean() < SMALLEST_SHARE:
            raise InputError("slice_little_examined", name=native.name)
        seen = resemblance(image, image, mask, self)
        return PreparedPlane(image, mask, native, native_mask, self, view, box, span, seen)


@dataclass(frozen=True, eq=False)
class PreparedPlane:
    """A slice in the model's space; it offers what `Prepared` does.

    Attributes:
        image: Standard intensities, float32 (1, Y, X), 0 outside the field of view.
        mask: What is examined, on the model's grid, bool.
        native: The scan itself.
        native_mask: What is examined, on its own grid.
        template: The space.
        view: How the scan becomes an upright picture.
        box: Where the field of view lies on the model's grid.
        span: The intensity map.
        resemblance: As in `Prepared`.
    """

    image: np.ndarray
    mask: np.ndarray
    native: Volume
    native_mask: np.ndarray
    template: PlaneTemplate
    view: PlaneView
    box: Box
    span: Span
    resemblance: dict[str, float]

    def map_to_native(self, scores: np.ndarray) -> Volume:
        """A map (1, Y, X) on the model's grid, on the scan's own grid; 0 outside what is examined."""
        back, _ = self._back(scores)
        return self.native.with_array(
            np.where(self.native_mask, back, 0).astype(np.float32), f"{self.native.name}_anomaly"
        )

    def image_to_native(self, image: np.ndarray) -> Volume:
        """Standard intensities on the model's grid as the scan's own, on its own grid; the rest of the scan is kept."""
        back, inside = self._back(image)
        restored = np.where(self.native_mask & inside, self.span.backward(back), self.native.array)
        return self.native.with_array(restored.astype(np.float32), f"{self.native.name}_restored")

    def warnings(self) -> list[Message]:
        """Return how the scan differs from the model's training images; empty if it does not."""
        return self.template.unlike(self.resemblance)

    def _back(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values from the model's grid on the scan's, and where they are known; both (Z, Y, X)."""
        mask = self.mask[0][self.box]
        share = resized(mask, self.view.size)
        # Dividing by the share of examined pixels keeps the rim from fading into what is not examined.
        back = resized(np.where(mask, values[0][self.box], 0), self.view.size) / np.maximum(share, 0.5)
        return self.view.array(back), self.view.array(share > 0.5)
