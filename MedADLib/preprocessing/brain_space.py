"""The space of a model of brains: an affine template, and the mapping of a scan to it and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import InputError, ModelError
from ..masks import bounding_slices
from ..messages import Message
from ..runtime.progress import Progress
from ..volume import Volume, is_single_slice
from .brain_extraction import SMALLEST_BRAIN_ML, brain_mask
from .intensity import HISTOGRAM_EDGES, PERCENTILES, Landmarks, bias_field, landmark_values
from .registration import affine_to_native, resample
from .space import CEILING, check_limits, resemblance, template_parts, unlike_warnings


@dataclass(frozen=True, eq=False)
class Template:
    """The space of a model of brains: a mean healthy brain, its mask and its intensities.

    Attributes:
        kind: Name of the kind of space in a model file.
        symmetric: Whether the mirror image of a healthy scan is a healthy scan too.
        region: The part to examine, in words.
        image: Mean of the aligned training scans, float32, standard intensities, on the model's grid.
        mask: Brain, bool (Z, Y, X).
        landmarks: Standard intensities at `PERCENTILES`.
        histogram: Mean standard histogram of the training scans.
        limits: Limits of a scan that is similar to the training scans: largest ``histogram`` distance, smallest
            ``correlation`` with the mean, and smallest ``overlap`` with the mask.
    """

    kind: ClassVar[str] = "brain"
    symmetric: ClassVar[bool] = True
    region: ClassVar[str] = "brain mask"

    image: Volume
    mask: np.ndarray
    landmarks: np.ndarray
    histogram: np.ndarray
    limits: dict[str, float]

    def __post_init__(self) -> None:
        if self.mask.shape != self.image.array.shape or self.mask.dtype != bool or not self.mask.any():
            raise ModelError("template_mask")
        if self.landmarks.shape != (len(PERCENTILES),) or np.diff(self.landmarks).min() <= 0:
            raise ModelError("template_landmarks")
        if self.histogram.shape != (len(HISTOGRAM_EDGES) - 1,) or self.histogram.min() < 0:
            raise ModelError("template_histogram")
        check_limits(self.limits)

    def examined(
        self, volume: Volume, given: Volume | None = None, progress: Progress | None = None
    ) -> tuple[np.ndarray, Message]:
        """Find the part of a scan to examine: its brain, see `brain_mask`.

        Raises:
            InputError: If the scan is a single slice, or there is no usable mask.
        """
        if is_single_slice(volume):
            raise InputError("scan_single_slice_for_volumes", name=volume.name)
        return brain_mask(volume, given, progress)

    def prepared(self, native: Volume, native_mask: np.ndarray, progress: Progress | None = None) -> Prepared:
        """Map a scan to this space, see `prepare`."""
        return prepare(native, native_mask, self, progress)

    def parameters(self) -> dict:
        """Return what is not an array, for JSON."""
        return {"affine": self.image.affine.tolist(), "limits": dict(self.limits)}

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays, for safetensors; the mean in half precision."""
        return {
            "image": self.image.array.astype(np.float16),
            "mask": self.mask.astype(np.uint8),
            "landmarks": self.landmarks.astype(np.float64),
            "histogram": self.histogram.astype(np.float64),
        }

    @classmethod
    def from_tensors(cls, parameters: dict, tensors: dict[str, np.ndarray]) -> Template:
        """Build the template from `parameters()` and `tensors()`.

        Raises:
            ModelError: If anything is missing or malformed.
        """
        image, limits = template_parts(parameters, tensors, {"image", "mask", "landmarks", "histogram"})
        return cls(image, tensors["mask"] > 0, tensors["landmarks"], tensors["histogram"], limits)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan in the space of a model of brains.

    Attributes:
        image: Standard intensities, float32 (Z, Y, X), 0 outside the mask.
        mask: Brain on the model's grid, bool.
        native: The scan itself.
        native_mask: Its brain on its own grid, bool (Z, Y, X).
        template: The space.
        to_native: 4×4, template RAS mm to scan RAS mm.
        bias: Bias field on the model's grid.
        landmarks: The intensity map.
        resemblance: Similarity to the training scans, with the keys of `Template.limits`.
    """

    image: np.ndarray
    mask: np.ndarray
    native: Volume
    native_mask: np.ndarray
    template: Template
    to_native: np.ndarray
    bias: np.ndarray
    landmarks: Landmarks
    resemblance: dict[str, float]

    def map_to_native(self, scores: np.ndarray) -> Volume:
        """Resample a map (Z, Y, X) from the model's grid to the scan's grid; 0 outside the brain."""
        box, (back,) = self._back(scores)
        found = np.zeros(self.native.array.shape, np.float32)
        found[box] = np.where(self.native_mask[box], back, 0)
        return self.native.with_array(found, f"{self.native.name}_anomaly")

    def image_to_native(self, image: np.ndarray) -> Volume:
        """Convert standard intensities on the model's grid to intensities of the scan on its own grid.

        Voxels of the scan outside the examined brain stay, so that the two can be compared by swiping.
        """
        intensities = self.landmarks.backward(image) * self.bias
        box, (back, inside) = self._back(intensities, self.mask.astype(np.float32))
        restored = self.native.array.astype(np.float32)
        np.copyto(restored[box], back, where=self.native_mask[box] & (inside > 0.5))
        return self.native.with_array(restored, f"{self.native.name}_restored")

    def _back(self, *arrays: np.ndarray) -> tuple[tuple[slice, slice, slice], list[np.ndarray]]:
        """Return the box of the brain on the scan's grid, and in it arrays (Z, Y, X) of the model's grid, float32.

        The arrays are resampled one by one: three of them as channels of one image take 1.5 times as long.
        """
        box = bounding_slices(self.native_mask)
        grid, part, to_template = self.template.image, self.native.within(box), np.linalg.inv(self.to_native)
        return box, [resample(grid.with_array(array), part, to_template) for array in arrays]

    def warnings(self) -> list[Message]:
        """Return how the scan differs from the model's training scans; empty if it does not."""
        limits, seen = self.template.limits, self.resemblance
        found = unlike_warnings(limits, seen)
        if seen["overlap"] < limits["overlap"]:
            found.append(Message("brain_overlap_low", overlap=seen["overlap"], limit=limits["overlap"]))
        return found


def prepare(native: Volume, native_mask: np.ndarray, template: Template, progress: Progress | None = None) -> Prepared:
    """Map a scan to the space: align, resample, correct the bias field, normalise.

    Args:
        native: The scan, float32.
        native_mask: Its brain, bool (Z, Y, X).
        template: The model's space.
        progress: Reports each step; may cancel.

    Returns:
        The scan in the space, with all that the mapping back needs.

    Raises:
        InputError: If the brain is too small or has one intensity only.
        Cancelled: If the user asked to stop.
    """
    progress = progress or Progress()
    if native_mask.sum() * native.voxel_ml < SMALLEST_BRAIN_ML:
        raise InputError("brain_too_small", name=native.name, ml=native_mask.sum() * native.voxel_ml)
    with progress.timed("align"):
        to_native = affine_to_native(template.image, template.mask, native, native_mask, progress)
    progress.update(0.7, Message("progress_resampling"))
    with progress.timed("resample"):
        image, mask = _resampled_brain(native, native_mask, template.image, to_native)
    if not mask.any():
        raise InputError("brain_not_aligned", name=native.name)
    progress.update(0.8, Message("progress_bias_field"))
    with progress.timed("bias field"):
        bias = bias_field(template.image.with_array(image), mask)
    corrected = image / bias
    landmarks = Landmarks(landmark_values(corrected[mask]), template.landmarks)
    standard = np.where(mask, np.clip(landmarks.forward(corrected), 0, CEILING), 0).astype(np.float32)
    return Prepared(
        standard,
        mask,
        native,
        native_mask,
        template,
        to_native,
        bias,
        landmarks,
        resemblance(corrected, standard, mask, template),
    )


def _resampled_brain(
    native: Volume, native_mask: np.ndarray, grid: Volume, to_native: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the intensities of the brain on a grid, float32 (Z, Y, X), 0 outside, and its mask there, bool.

    Only the box of the brain is resampled, with a rim of one voxel, so that the edge is that of the whole scan.
    """
    rim = zip(bounding_slices(native_mask), native_mask.shape)
    box = tuple(slice(max(part.start - 1, 0), min(part.stop + 1, size)) for part, size in rim)
    part, brain = native.within(box), native_mask[box]
    inside = resample(part.with_array(brain.astype(np.float32)), grid, to_native)
    mask = inside > 0.5
    # Without the division by the resampled mask, the zeros around the brain would darken its rim.
    masked = resample(part.with_array(np.where(brain, part.array, np.float32(0))), grid, to_native)
    return np.where(mask, masked / np.maximum(inside, 0.5), 0).astype(np.float32), mask
