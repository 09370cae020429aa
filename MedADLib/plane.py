"""The space of a model of single slices: the whole field of view, upright and to scale, without any alignment.

Pictures such as X-rays come in many sizes, and often without a true spacing. So a slice is brought to the model's grid
by its field of view, whose longer side counts as `FIELD_MM`: sizes in mm within the model mean a share of the picture,
the same as in models of the brain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .errors import InputError, ModelError
from .mean_template import SMALLEST_SHARE, MeanTemplate, whole_or_given
from .plane_grid import Box, PlaneView, is_single_slice, letterbox, resized
from .preparation import CEILING
from .progress import Progress
from .resemblance import resemblance
from .span import Span
from .volume import Volume

FIELD_MM = 192.0


@dataclass(frozen=True, eq=False)
class PlaneTemplate(MeanTemplate):
    """The model's space: a mean healthy picture; image and mask are (1, Y, X)."""

    kind: ClassVar[str] = "plane"

    def __post_init__(self) -> None:
        if len(self.image.array) != 1:
            raise ModelError("the template of a 2-D model is no single slice")
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
            raise InputError(
                f"{volume.name} has more than one slice ({shown} voxels), but this model knows single slices",
                "Choose a model for volumes, or give one slice.",
            )
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
            raise InputError(f"too little of {native.name} is examined", "Give a larger mask, or none.")
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

    def warnings(self) -> list[str]:
        """How the scan differs from the model's training images, in words; empty if it does not."""
        return self.template.unlike(self.resemblance)

    def _back(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values from the model's grid on the scan's, and where they are known; both (Z, Y, X)."""
        mask = self.mask[0][self.box]
        share = resized(mask, self.view.size)
        # Dividing by the share of examined pixels keeps the rim from fading into what is not examined.
        back = resized(np.where(mask, values[0][self.box], 0), self.view.size) / np.maximum(share, 0.5)
        return self.view.array(back), self.view.array(share > 0.5)
