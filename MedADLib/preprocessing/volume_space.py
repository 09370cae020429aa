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
from ..volume import Volume
from .grids import FEWEST_SLICES, averaged, centred_on
from .intensity import IntensityUnit, PercentileScaling
from .registration import resample
from .space import CEILING, SMALLEST_SHARE, VOLUME, Box, PreparedScan, ReferenceSpace

# Share beyond which a warning is due; a slightly larger field of view than usual is harmless.
MUCH_BEYOND = 0.15


@dataclass(frozen=True, eq=False)
class VolumeSpace(ReferenceSpace):
    """The space of a model of volumes: a mean healthy volume with the axes of RAS coordinates."""

    kind: ClassVar[str] = VOLUME

    def __post_init__(self) -> None:
        if len(self.image.array) < FEWEST_SLICES:
            raise ModelError("template_single_slice")
        if not np.allclose(self.image.affine[:3, :3], np.diag(self.image.spacing), atol=1e-9):
            raise ModelError("template_oblique")
        super().__post_init__()

    @classmethod
    def empty(cls, shape: tuple[int, int, int], spacing: Sequence[float]) -> VolumeSpace:
        """Make a space of shape (Z, Y, X) and spacing (x, y, z) in mm, before its mean is computed."""
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = -0.5 * (np.array(shape[::-1]) - 1) * spacing
        return cls.without_mean(shape, affine)

    def _prepared(self, native: Volume, native_mask: np.ndarray, progress: Progress) -> PreparedVolume:
        """Resample a scan, with its centre on that of the grid, and normalise it; see `ReferenceSpace.prepared`."""
        progress.update(0.0, Message("progress_resampling"))
        spacing, tissue = self.image.spacing, IntensityUnit.of(native.array, native_mask).clipped(native.array)
        shown = averaged(native.with_array(np.where(native_mask, tissue, 0).astype(np.float32)), spacing)
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
        similarity, examined = self.similarity(image, image, mask), mask & self.mask
        beyond = max(float(1 - examined.sum() * self.image.voxel_ml / (native_mask.sum() * native.voxel_ml)), 0.0)
        image = np.where(examined, image, 0).astype(np.float32)
        return PreparedVolume(image, examined, native, native_mask, self, scaling, similarity, to_native, beyond)

    def describe(self) -> str:
        """Describe the space in words."""
        spacing = " x ".join(f"{step:g}" for step in self.image.spacing)
        voxels = f"{' x '.join(map(str, self.image.array.shape[::-1]))} voxels of {spacing} mm"
        return f"volumes of {voxels}, examined in the whole field of view"


@dataclass(frozen=True, eq=False)
class PreparedVolume(PreparedScan):
    """A scan in the space of a model of volumes; not examined beyond the field of view of most training scans.

    Attributes:
        to_native: 4×4, template RAS mm to scan RAS mm; a shift.
        beyond: Share of the part to examine that lies beyond the field of view of most training scans.
    """

    to_native: np.ndarray
    beyond: float

    def warnings(self) -> list[Message]:
        """Return how the scan differs from the model's training scans; empty if it does not."""
        found = super().warnings()
        if self.beyond > MUCH_BEYOND:
            found.append(Message("volume_beyond_training", share=self.beyond))
        return found

    def _resampled(self, values: np.ndarray, part: Box) -> np.ndarray:
        to_template = np.linalg.inv(self.to_native)
        return resample(
            self.template.image.with_array(values.astype(np.float32)), self.native.within(part), to_template
        )
