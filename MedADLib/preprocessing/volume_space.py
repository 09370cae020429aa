"""The space of a model of volumes that are no brains: the whole field of view, upright, to scale, without registration.

Whatever the scans show, a brain's registration and mask would mean nothing for it. So a scan is laid upright onto the
model's grid, in mm as it is, the centre of its field of view on the grid's centre, and cut off or padded. Its way back
is a shift. Where most training scans have no field of view, nothing was learned, and nothing is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import InputError, ModelError
from ..messages import Message
from ..runtime.progress import Progress
from ..volume import Volume, is_single_slice
from .grids import FEWEST_SLICES, averaged, centred_on
from .intensity import Span
from .registration import resample
from .space import CEILING, SMALLEST_SHARE, MeanTemplate, resemblance, whole_or_given

# Healthy scans of a little larger a field of view than most are no reason for a warning.
MUCH_BEYOND = 0.15


@dataclass(frozen=True, eq=False)
class FieldTemplate(MeanTemplate):
    """The model's space: a mean healthy volume, whose axes are those of RAS."""

    kind: ClassVar[str] = "field"

    def __post_init__(self) -> None:
        if len(self.image.array) < FEWEST_SLICES:
            raise ModelError("template_single_slice")
        if not np.allclose(self.image.affine[:3, :3], np.diag(self.image.spacing), atol=1e-9):
            raise ModelError("template_oblique")
        super().__post_init__()

    @classmethod
    def empty(cls, shape: tuple[int, int, int], spacing: Sequence[float]) -> FieldTemplate:
        """A template of shape (Z, Y, X) and spacing (x, y, z) in mm that knows no scan yet."""
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = -0.5 * (np.array(shape[::-1]) - 1) * spacing
        return cls.unlearned(shape, affine)

    def examined(
        self, volume: Volume, given: Volume | None = None, progress: Progress | None = None
    ) -> tuple[np.ndarray, str]:
        """The part of a scan to examine: all of it, or the user's mask.

        Args:
            volume: The scan.
            given: Nonzero in the part to examine, on the same grid.
            progress: Told; may cancel.

        Returns:
            The mask, bool, on the volume's grid, and how it came about, in words.

        Raises:
            InputError: If the scan is a single slice, or the given mask is empty or on another grid.
        """
        (progress or Progress()).update(0.0, "")
        if is_single_slice(volume):
            raise InputError("scan_single_slice_for_volumes", name=volume.name)
        return whole_or_given(volume, given)

    def prepared(self, native: Volume, native_mask: np.ndarray, progress: Progress | None = None) -> PreparedField:
        """Bring a scan to the model's grid and normalise it.

        Args:
            native: The scan.
            native_mask: What to examine, bool (Z, Y, X), on its grid.
            progress: Told about each step; may cancel.

        Raises:
            InputError: If what is examined has one intensity only, or there is too little of it on the model's grid.
        """
        (progress or Progress()).update(0.0, "laying the scan onto the model's grid")
        spacing = self.image.spacing
        shown = averaged(native.with_array(np.where(native_mask, native.array, 0).astype(np.float32)), spacing)
        share = averaged(native.with_array(native_mask.astype(np.float32)), spacing)
        to_native = centred_on(self.image, share)
        inside = resample(share, self.image, to_native)
        mask = inside > 0.5
        if not ((mask & self.mask).mean(axis=(1, 2)) >= SMALLEST_SHARE).any():
            raise InputError("scan_little_examined", name=native.name)
        # Dividing by the share keeps the rim from being darkened by the zeros around what is examined.
        values = resample(shown, self.image, to_native) / np.maximum(inside, 0.5)
        span = Span.of(values[mask], native.name)
        image = np.where(mask, np.clip(span.forward(values), 0, CEILING), 0).astype(np.float32)
        seen, judged = resemblance(image, image, mask, self), mask & self.mask
        beyond = 1 - judged.sum() * self.image.voxel_ml / (native_mask.sum() * native.voxel_ml)
        image = np.where(judged, image, 0).astype(np.float32)
        return PreparedField(image, judged, native, native_mask, self, to_native, span, seen, max(float(beyond), 0.0))


@dataclass(frozen=True, eq=False)
class PreparedField:
    """A scan in the model's space; it offers what `Prepared` does.

    Attributes:
        image: Standard intensities, float32 (Z, Y, X), 0 outside the mask.
        mask: What is examined and was in the field of view of most training scans, on the model's grid, bool.
        native: The scan itself.
        native_mask: What is examined, on its own grid.
        template: The space.
        to_native: 4×4, template RAS mm to scan RAS mm; a shift.
        span: The intensity map.
        resemblance: As in `Prepared`.
        beyond: Share of what was to be examined that lies beyond the field of view of most training scans.
    """

    image: np.ndarray
    mask: np.ndarray
    native: Volume
    native_mask: np.ndarray
    template: FieldTemplate
    to_native: np.ndarray
    span: Span
    resemblance: dict[str, float]
    beyond: float

    def map_to_native(self, scores: np.ndarray) -> Volume:
        """A map of shape (Z, Y, X) on the model's grid, on the scan's own grid; 0 outside what is examined.

        It is 0 too where the scan reaches beyond the field of view of most training scans.
        """
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
        found = self.template.unlike(self.resemblance)
        if self.beyond > MUCH_BEYOND:
            found.append(Message("field_beyond_training", share=self.beyond))
        return found

    def _back(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values from the model's grid on the scan's, and where they are known; both (Z, Y, X)."""
        grid, to_template = self.template.image, np.linalg.inv(self.to_native)
        share = resample(grid.with_array(self.mask.astype(np.float32)), self.native, to_template)
        # Dividing by the share of examined voxels keeps the rim from fading into what is not examined.
        back = resample(grid.with_array(np.where(self.mask, values, 0).astype(np.float32)), self.native, to_template)
        return back / np.maximum(share, 0.5), share > 0.5
