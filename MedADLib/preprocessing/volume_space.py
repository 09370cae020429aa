"""The space of a model of volumes of any part of the body: the whole field of view, without registration.

A scan is reoriented and resampled to the model's grid in mm, with the centres of both fields of view aligned, and
cropped or padded. The mapping back is a shift. Voxels outside the field of view of most training scans are not
examined, because there the model has no training data.
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
from .intensity import PercentileScaling
from .registration import resample
from .space import CEILING, SMALLEST_SHARE, MeanTemplate, PreparedWhole, resemblance, whole_or_given

# Share beyond which a warning is due; a slightly larger field of view than usual is harmless.
MUCH_BEYOND = 0.15


@dataclass(frozen=True, eq=False)
class FieldTemplate(MeanTemplate):
    """The space of a model of volumes: a mean healthy volume with the axes of RAS coordinates."""

    kind: ClassVar[str] = "field"

    def __post_init__(self) -> None:
        if len(self.image.array) < FEWEST_SLICES:
            raise ModelError("template_single_slice")
        if not np.allclose(self.image.affine[:3, :3], np.diag(self.image.spacing), atol=1e-9):
            raise ModelError("template_oblique")
        super().__post_init__()

    @classmethod
    def empty(cls, shape: tuple[int, int, int], spacing: Sequence[float]) -> FieldTemplate:
        """Make a template of shape (Z, Y, X) and spacing (x, y, z) in mm, before its mean is computed."""
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = -0.5 * (np.array(shape[::-1]) - 1) * spacing
        return cls.unlearned(shape, affine)

    def examined(
        self, volume: Volume, given: Volume | None = None, progress: Progress | None = None
    ) -> tuple[np.ndarray, Message]:
        """Find the part of a scan to examine: all of it, or the user's mask.

        Args:
            volume: The scan.
            given: Nonzero in the part to examine, on the same grid.
            progress: May cancel.

        Returns:
            The mask, bool, on the volume's grid, and its origin as a message.

        Raises:
            InputError: If the scan is a single slice, or the given mask is empty or on another grid.
        """
        (progress or Progress()).update(0.0, "")
        if is_single_slice(volume):
            raise InputError("scan_single_slice_for_volumes", name=volume.name)
        return whole_or_given(volume, given)

    def prepared(self, native: Volume, native_mask: np.ndarray, progress: Progress | None = None) -> PreparedField:
        """Map a scan to the model's grid and normalise it.

        Args:
            native: The scan.
            native_mask: The part to examine, bool (Z, Y, X), on its grid.
            progress: Reports each step; may cancel.

        Raises:
            InputError: If the part to examine has one intensity only, or is too small on the model's grid.
        """
        (progress or Progress()).update(0.0, Message("progress_resampling"))
        spacing = self.image.spacing
        shown = averaged(native.with_array(np.where(native_mask, native.array, 0).astype(np.float32)), spacing)
        share = averaged(native.with_array(native_mask.astype(np.float32)), spacing)
        to_native = centred_on(self.image, share)
        inside = resample(share, self.image, to_native)
        mask = inside > 0.5
        if not ((mask & self.mask).mean(axis=(1, 2)) >= SMALLEST_SHARE).any():
            raise InputError("scan_little_examined", name=native.name)
        # Without the division by the share, the zeros around the examined part would darken its rim.
        values = resample(shown, self.image, to_native) / np.maximum(inside, 0.5)
        scaling = PercentileScaling.of(values[mask], native.name)
        image = np.where(mask, np.clip(scaling.forward(values), 0, CEILING), 0).astype(np.float32)
        seen, examined = resemblance(image, image, mask, self), mask & self.mask
        beyond = max(float(1 - examined.sum() * self.image.voxel_ml / (native_mask.sum() * native.voxel_ml)), 0.0)
        image = np.where(examined, image, 0).astype(np.float32)
        return PreparedField(image, examined, native, native_mask, self, to_native, scaling, seen, beyond)


@dataclass(frozen=True, eq=False)
class PreparedField(PreparedWhole):
    """A scan in the space of a model of volumes; the methods are those of `Prepared`.

    Maps are 0 also where the scan reaches beyond the field of view of most training scans.

    Attributes:
        image: Standard intensities, float32 (Z, Y, X), 0 outside the mask.
        mask: Examined part within the field of view of most training scans, on the model's grid, bool.
        native: The scan itself.
        native_mask: Part to examine on its own grid, bool.
        template: The space.
        to_native: 4×4, template RAS mm to scan RAS mm; a shift.
        scaling: The intensity map.
        resemblance: As in `Prepared`.
        beyond: Share of the part to examine that lies beyond the field of view of most training scans.
    """

    image: np.ndarray
    mask: np.ndarray
    native: Volume
    native_mask: np.ndarray
    template: FieldTemplate
    to_native: np.ndarray
    scaling: PercentileScaling
    resemblance: dict[str, float]
    beyond: float

    def warnings(self) -> list[Message]:
        """Return how the scan differs from the model's training images; empty if it does not."""
        found = super().warnings()
        if self.beyond > MUCH_BEYOND:
            found.append(Message("field_beyond_training", share=self.beyond))
        return found

    def _back(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        grid, to_template = self.template.image, np.linalg.inv(self.to_native)
        share = resample(grid.with_array(self.mask.astype(np.float32)), self.native, to_template)
        # Without the division by the share of examined voxels, the rim would fade into the part not examined.
        back = resample(grid.with_array(np.where(self.mask, values, 0).astype(np.float32)), self.native, to_template)
        return back / np.maximum(share, 0.5), share > 0.5
