"""The space of a model of brains: an affine template."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ..errors import InputError, ModelError
from ..masks import bounding_slices
from ..messages import Message
from ..runtime.progress import Progress
from ..volume import Volume
from .brain_extraction import SMALLEST_BRAIN_ML, brain_mask
from .empty_slices import EmptySlices, bridged, empty_slices, filled
from .intensity import PERCENTILES, IntensityUnit, Landmarks, PercentileScaling, bias_field, landmark_values
from .registration import AlignmentQuality, affine_to_native, alignment_quality, best_turn, resample
from .space import BRAIN, CEILING, Box, PreparedScan, ReferenceSpace

# A restoration that differs from the scan by this much, a fifth of an SD of a T1 brain, keeps none of its fine detail.
CHANGED = 0.05


@dataclass(frozen=True, eq=False)
class BrainSpace(ReferenceSpace):
    """The mean of affinely aligned healthy brains.

    Attributes:
        landmarks: Standard intensities at `PERCENTILES` of scans with the contrast of the mean, increasing.
        any_contrast: Whether scans of every MR contrast fit: their intensities are scaled by two percentiles, without
            landmarks, and only the shape of the brain is compared with the training scans.
    """

    kind: ClassVar[str] = BRAIN
    symmetric: ClassVar[bool] = True
    region: ClassVar[str] = "brain mask"
    overlap_warning: ClassVar[str] = "brain_overlap_low"

    landmarks: np.ndarray
    any_contrast: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.landmarks.shape != (len(PERCENTILES),) or np.diff(self.landmarks).min() <= 0:
            raise ModelError("template_landmarks")

    def _examined(self, volume: Volume, given: Volume | None, progress: Progress) -> tuple[np.ndarray, Message]:
        return brain_mask(volume, given, progress, self._turn_of)

    def _turn_of(self, volume: Volume, rough: np.ndarray) -> np.ndarray:
        return best_turn(self.image, self.mask, volume, rough)

    def _prepared(self, native: Volume, native_mask: np.ndarray, progress: Progress) -> PreparedBrain:
        """Align, resample and normalise a scan, and correct its bias field; see `ReferenceSpace.prepared`.

        Empty slices are interpolated on the grid of the model only: on that of the scan they are not examined.
        """
        scan, examined, empty = native, native_mask, empty_slices(native)
        native, native_mask = filled(scan, empty), bridged(examined, empty)
        if native_mask.sum() * native.voxel_ml < SMALLEST_BRAIN_ML:
            raise InputError("brain_too_small", name=native.name, ml=native_mask.sum() * native.voxel_ml)
        with progress.timed("align"):
            to_native = affine_to_native(self.image, self.mask, native, native_mask, progress)
            quality = alignment_quality(self.image, self.mask, native, native_mask, to_native)
        progress.update(0.7, Message("progress_resampling"))
        unit = IntensityUnit.of(native.array, native_mask)
        with progress.timed("resample"):
            image, mask = _resampled_brain(native, native_mask, self.image, to_native, unit)
        if not mask.any():
            raise InputError("brain_not_aligned", name=native.name)
        landmark_values(image[mask])  # raises for a single intensity, which is none any more once it is corrected
        progress.update(0.8, Message("progress_bias_field"))
        with progress.timed("bias field"):
            bias = bias_field(self.image.with_array(image), mask)
        corrected = image / bias
        scaling = self._scaling(corrected[mask], native.name)
        standard = np.where(mask, np.clip(scaling.forward(corrected), 0, CEILING), 0).astype(np.float32)
        similarity = self.similarity(corrected, standard, mask)
        parts = (standard, mask, scan, examined, self, scaling, similarity)
        return PreparedBrain(*parts, to_native, bias, unit, quality, empty)

    def _scaling(self, values: np.ndarray, name: str) -> Landmarks | PercentileScaling:
        """Return the scaling of the brain's intensities (N,) of a scan."""
        if self.any_contrast:
            return PercentileScaling.of(values, name)
        return Landmarks(landmark_values(values), self.landmarks)

    def warnings(self, similarity: dict[str, float]) -> list[Message]:
        """Return how a scan of this similarity differs from the training scans; see `ReferenceSpace.warnings`."""
        if self.any_contrast:
            similarity = similarity | {"histogram": 0.0, "correlation": 1.0}
        return super().warnings(similarity)

    def describe(self) -> str:
        """Describe the space in words."""
        spacing = " x ".join(f"{step:g}" for step in self.image.spacing)
        return f"brains of {' x '.join(map(str, self.image.array.shape[::-1]))} voxels of {spacing} mm"

    def parameters(self) -> dict[str, Any]:
        """Return what is not an array, for JSON; without a kind, as in the first model files."""
        found = {key: value for key, value in super().parameters().items() if key != "kind"}
        return found | ({"any_contrast": True} if self.any_contrast else {})

    @classmethod
    def from_tensors(cls, parameters: dict[str, Any], tensors: dict[str, np.ndarray]) -> BrainSpace:
        """Build the space; see `ReferenceSpace.from_tensors`."""
        others = {key: value for key, value in parameters.items() if key != "any_contrast"}
        any_contrast = parameters.get("any_contrast", False)
        if type(any_contrast) is not bool:
            raise ModelError("template_malformed", detail="any_contrast")
        return replace(super().from_tensors(others, tensors), any_contrast=any_contrast)

    @classmethod
    def _statistics(cls) -> list[str]:
        return ["landmarks", "histogram"]

    def same_as(self, other: ReferenceSpace) -> bool:
        """Return whether two spaces are equal; see `ReferenceSpace.same_as`."""
        return super().same_as(other) and self.any_contrast == other.any_contrast


@dataclass(frozen=True, eq=False)
class PreparedBrain(PreparedScan):
    """A scan in the space of a model of brains.

    Attributes:
        to_native: 4×4, template RAS mm to scan RAS mm.
        bias: Bias field on the grid of the model, float32 (Z, Y, X).
        unit: Zero point and unit of the scan's intensities; `bias` and `scaling` apply to intensities in this unit.
        quality: Quality of the alignment.
        empty: Empty slices of the scan.
    """

    to_native: np.ndarray
    bias: np.ndarray
    unit: IntensityUnit
    quality: AlignmentQuality = AlignmentQuality(1.0, 1.0)
    empty: EmptySlices = EmptySlices()

    def standardised(self, other: Volume) -> np.ndarray:
        """Bring another image on the grid of the scan to the model's space as this scan, float32 (Z, Y, X).

        Alignment, bias field and intensity scaling are those of this scan, so that the two differ only where the images
        do, as a scan with and without a simulated lesion.
        """
        empty = empty_slices(other)
        brain = bridged(self.native_mask, empty)
        image, _ = _resampled_brain(filled(other, empty), brain, self.template.image, self.to_native, self.unit)
        values = np.clip(self.scaling.forward(image / self.bias), 0, CEILING)
        return np.where(self.mask, values, 0).astype(np.float32)

    def warnings(self) -> list[Message]:
        """Return the empty slices of the scan, and how it differs from the training scans."""
        return [*self.empty.messages, *super().warnings()]

    def _detail(self, image: np.ndarray, part: Box) -> np.ndarray:
        """Return the detail of the scan that the model's grid is too coarse for, where the restoration keeps it."""
        detail = self._to_native(self._own, part)
        np.subtract(self.native.array[part], detail, out=detail, casting="same_kind")
        kept = np.clip(1 - np.abs(image - self.image) / CHANGED, 0, 1).astype(np.float32)
        detail *= self._to_native(kept, part)
        return detail

    @cached_property
    def _own(self) -> np.ndarray:
        """The scan on the grid of the model, in intensities of the scan."""
        return self._native_intensities(self.image)

    def _native_intensities(self, image: np.ndarray) -> np.ndarray:
        return self.unit.backward(super()._native_intensities(image) * self.bias)

    def _to_native(self, values: np.ndarray, part: Box) -> np.ndarray:
        # The brain ends here: nothing beyond the rim, into which it fades, belongs to it.
        return self._resampled(values, part)

    def _resampled(self, values: np.ndarray, part: Box) -> np.ndarray:
        # The arrays are resampled one by one: several as channels of one image take 1.5 times as long.
        to_template = np.linalg.inv(self.to_native)
        return resample(self.template.image.with_array(values), self.native.within(part), to_template)


def _resampled_brain(
    native: Volume, native_mask: np.ndarray, grid: Volume, to_native: np.ndarray, unit: IntensityUnit
) -> tuple[np.ndarray, np.ndarray]:
    """Return the intensities of the brain on a grid, in a unit, float32 (Z, Y, X), 0 outside, and its mask there, bool.

    Only the box of the brain is resampled, with a rim of one voxel, so that the edge is that of the whole scan.
    """
    rim = zip(bounding_slices(native_mask), native_mask.shape)
    box = tuple(slice(max(part.start - 1, 0), min(part.stop + 1, size)) for part, size in rim)
    part, brain = native.within(box), native_mask[box]
    inside = resample(part.with_array(brain.astype(np.float32)), grid, to_native)
    mask = inside > 0.5
    # Without the division by the resampled mask, the zeros around the brain would darken its rim.
    masked = resample(part.with_array(np.where(brain, unit.forward(part.array), np.float32(0))), grid, to_native)
    return np.where(mask, masked / np.maximum(inside, 0.5), 0).astype(np.float32), mask


def of_any_contrast(space: ReferenceSpace) -> BrainSpace:
    """Return a space of brains for scans of any MR contrast.

    Raises:
        InputError: If it is a space of something else.
    """
    if not isinstance(space, BrainSpace):
        raise InputError("any_contrast_without_brains")
    return replace(space, any_contrast=True)
