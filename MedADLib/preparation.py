"""Brings a scan to a model's space and remembers the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .errors import InputError, ModelError
from .intensity import (
    HISTOGRAM_EDGES,
    PERCENTILES,
    Landmarks,
    bias_field,
    histogram_distance,
    landmark_values,
    standard_histogram,
)
from .jsonvalues import finite_number
from .plane_grid import is_single_slice
from .progress import Progress
from .registration import affine_to_native, resample
from .volume import Volume

CEILING = 1.5
SMALLEST_BRAIN_ML = 200.0
# The histogram of another scanner differs about this much from those of the training scans; of another contrast, more.
FAR = 2.5


@dataclass(frozen=True, eq=False)
class Template:
    """The model's space: a mean healthy brain, its outline and its intensities.

    Attributes:
        kind: What tells this space from others in a model file.
        symmetric: Whether the mirror image of a healthy scan is as healthy.
        region: What is examined, in words.
        image: Mean of the aligned training scans, float32, standard intensities, on the model's grid.
        mask: Brain, bool (Z, Y, X).
        landmarks: Standard intensities at `PERCENTILES`.
        histogram: Mean standard histogram of the training scans.
        limits: Largest histogram distance, smallest correlation with the mean and smallest overlap with the
            mask that a scan like the training scans shows; keys ``histogram``, ``correlation``, ``overlap``.
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
            raise ModelError("the template's mask does not fit its image")
        if self.landmarks.shape != (len(PERCENTILES),) or np.diff(self.landmarks).min() <= 0:
            raise ModelError("the template's intensity landmarks are not increasing")
        if self.histogram.shape != (len(HISTOGRAM_EDGES) - 1,) or self.histogram.min() < 0:
            raise ModelError("the template's histogram is malformed")
        check_limits(self.limits)

    def examined(
        self, volume: Volume, given: Volume | None = None, progress: Progress | None = None
    ) -> tuple[np.ndarray, str]:
        """The part of a scan to examine: its brain, see `brain_mask`.

        Raises:
            InputError: If the scan is a single slice, or there is no usable mask.
        """
        from .brainmask import brain_mask

        if is_single_slice(volume):
            raise InputError(
                f"{volume.name} is a single slice, but this model knows whole volumes", "Choose a 2-D model."
            )
        return brain_mask(volume, given, progress)

    def prepared(self, native: Volume, native_mask: np.ndarray, progress: Progress | None = None) -> Prepared:
        """A scan in this space, see `prepare`."""
        return prepare(native, native_mask, self, progress)

    def parameters(self) -> dict:
        """What is not an array, for JSON."""
        return {"affine": self.image.affine.tolist(), "limits": dict(self.limits)}

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays, for safetensors; the mean is kept in half precision."""
        return {
            "image": self.image.array.astype(np.float16),
            "mask": self.mask.astype(np.uint8),
            "landmarks": self.landmarks.astype(np.float64),
            "histogram": self.histogram.astype(np.float64),
        }

    @classmethod
    def from_tensors(cls, parameters: dict, tensors: dict[str, np.ndarray]) -> Template:
        """The template of `parameters()` and `tensors()`.

        Raises:
            ModelError: If anything is missing or malformed.
        """
        image, limits = template_parts(parameters, tensors, {"image", "mask", "landmarks", "histogram"})
        return cls(image, tensors["mask"] > 0, tensors["landmarks"], tensors["histogram"], limits)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan in the model's space.

    Attributes:
        image: Standard intensities, float32 (Z, Y, X), 0 outside the mask.
        mask: Brain on the model's grid, bool.
        native: The scan itself.
        native_mask: Its brain, bool (Z, Y, X) of the scan.
        template: The space.
        to_native: 4×4, template RAS mm to scan RAS mm.
        bias: Bias field on the model's grid.
        landmarks: The intensity map.
        resemblance: Histogram distance, correlation and overlap with the template, as in `Template.limits`.
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
        """A map of shape (Z, Y, X) on the model's grid, on the scan's own grid; 0 outside the brain."""
        back = resample(self.template.image.with_array(scores), self.native, np.linalg.inv(self.to_native))
        return self.native.with_array(
            np.where(self.native_mask, back, 0).astype(np.float32), f"{self.native.name}_anomaly"
        )

    def image_to_native(self, image: np.ndarray) -> Volume:
        """Standard intensities on the model's grid as the scan's own intensities on its own grid.

        Outside the examined brain the scan's voxels are kept, so that the two can be compared by swiping.
        """
        intensities = self.landmarks.backward(image) * self.bias
        back = resample(self.template.image.with_array(intensities), self.native, np.linalg.inv(self.to_native))
        inside = resample(
            self.template.image.with_array(self.mask.astype(np.float32)), self.native, np.linalg.inv(self.to_native)
        )
        restored = np.where(self.native_mask & (inside > 0.5), back, self.native.array)
        return self.native.with_array(restored.astype(np.float32), f"{self.native.name}_restored")

    def warnings(self) -> list[str]:
        """How the scan differs from the model's training scans, in words; empty if it does not."""
        limits, seen = self.template.limits, self.resemblance
        found = unlike_warnings(limits, seen)
        if seen["overlap"] < limits["overlap"]:
            found.append(
                f"the brain overlaps the model's template by {seen['overlap']:.3f} only (training scans at least "
                f"{limits['overlap']:.3f}): part of it may be missing or the alignment may have failed"
            )
        return found


def prepare(native: Volume, native_mask: np.ndarray, template: Template, progress: Progress | None = None) -> Prepared:
    """Align, resample, correct the bias field and normalise.

    Args:
        native: The scan, float32.
        native_mask: Its brain, bool (Z, Y, X).
        template: The model's space.
        progress: Told about each step.

    Returns:
        The scan in model space with everything needed to go back.

    Raises:
        InputError: If the brain is too small or has one intensity only.
        Cancelled: If the user asked to stop.
    """
    progress = progress or Progress()
    if native_mask.sum() * native.voxel_ml < SMALLEST_BRAIN_ML:
        raise InputError(
            f"the brain in {native.name} has {native_mask.sum() * native.voxel_ml:.0f} ml only",
            "Check the mask, and that the voxel spacing is in millimetres.",
        )
    to_native = affine_to_native(template.image, template.mask, native, native_mask, progress)
    progress.update(0.7, "resampling")
    inside = resample(native.with_array(native_mask.astype(np.float32)), template.image, to_native)
    mask = inside > 0.5
    if not mask.any():
        raise InputError(f"the brain in {native.name} could not be aligned to the template", "Give a brain mask.")
    # Dividing by the resampled mask keeps the rim from being darkened by the zeros around the brain.
    masked = resample(native.with_array(np.where(native_mask, native.array, 0)), template.image, to_native)
    image = np.where(mask, masked / np.maximum(inside, 0.5), 0).astype(np.float32)
    progress.update(0.8, "correcting the bias field")
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


def resemblance(corrected: np.ndarray, standard: np.ndarray, mask: np.ndarray, template: Template) -> dict[str, float]:
    """How far a scan in model space is like the training scans.

    Args:
        corrected: Intensities after the bias correction, before the landmarks, (Z, Y, X).
        standard: Standard intensities.
        mask: Brain.
        template: The space.

    Returns:
        ``histogram`` (Wasserstein-1), ``correlation`` (Pearson, inside both masks), ``overlap`` (Dice).
    """
    both = mask & template.mask
    overlap = 2.0 * both.sum() / (mask.sum() + template.mask.sum())
    # Of a constant image, such as a template that has no mean yet, there is no correlation.
    with np.errstate(invalid="ignore"):
        correlation = np.corrcoef(standard[both], template.image.array[both])[0, 1] if both.sum() > 1 else 0.0
    return {
        "histogram": histogram_distance(standard_histogram(corrected[mask]), template.histogram),
        "correlation": float(np.nan_to_num(correlation)),
        "overlap": float(overlap),
    }


def unlike_warnings(limits: dict[str, float], seen: dict[str, float]) -> list[str]:
    """A warning, in words, if a scan's intensities are not those of the training scans; else nothing."""
    if seen["histogram"] <= FAR * limits["histogram"] and seen["correlation"] >= limits["correlation"]:
        return []
    return [
        "this scan is unlike the model's training data: intensity histogram distance "
        f"{seen['histogram']:.3f} (training scans up to {limits['histogram']:.3f}), correlation with the "
        f"healthy mean {seen['correlation']:.2f} (at least {limits['correlation']:.2f}). Is it another "
        "contrast or modality? Do not rely on the result"
    ]


def check_limits(limits: dict[str, float]) -> None:
    """Refuse limits that are not those of a template; raises ModelError."""
    if set(limits) != {"histogram", "correlation", "overlap"}:
        raise ModelError("the template's limits are incomplete")


def template_parts(
    parameters: dict, tensors: dict[str, np.ndarray], names: set[str]
) -> tuple[Volume, dict[str, float]]:
    """The mean and the limits of a saved template.

    Raises:
        ModelError: If parameters or tensors are not exactly those expected, or malformed.
    """
    if set(parameters) != {"affine", "limits"} or set(tensors) != names:
        raise ModelError("the template is incomplete or has parts that this version does not know", "Update MedAD.")
    try:
        image = Volume(tensors["image"].astype(np.float32), _affine(parameters["affine"]), "template")
        return image, {key: finite_number(value, key) for key, value in parameters["limits"].items()}
    except (InputError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"the template is malformed ({error})") from error


def _affine(rows: object) -> np.ndarray:
    """A 4×4 matrix from JSON lists."""
    return np.array([[finite_number(value, "the template's affine") for value in row] for row in rows])
