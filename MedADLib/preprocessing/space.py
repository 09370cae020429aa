"""Common parts of the spaces of models: the mean image, its storage, and the out-of-distribution check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

import numpy as np

from ..errors import InputError, ModelError
from ..messages import Message
from ..runtime.strict_json import finite_number
from ..volume import Volume
from .brain_extraction import given_mask
from .intensity import HISTOGRAM_EDGES, PercentileScaling, histogram_distance, standard_histogram

CEILING = 1.5

# The histogram of another scanner differs by about this factor of the limit; that of another contrast by more.
FAR = 2.5

FEWEST = 3
# Most images from which a grid is chosen.
LOOKED_AT = 64
# Slice-wise methods skip slices with a smaller examined share.
SMALLEST_SHARE = 0.01

MARGIN = 1.5
# A few very similar training scans must not make the limits too narrow for other scans.
LEAST_HISTOGRAM, LEAST_CORRELATION, LEAST_OVERLAP = 0.03, 0.05, 0.07


def template_parts(
    parameters: dict, tensors: dict[str, np.ndarray], names: set[str]
) -> tuple[Volume, dict[str, float]]:
    """Return the mean and the limits of a saved template.

    Raises:
        ModelError: If parameters or tensors are not exactly those expected, or malformed.
    """
    if set(parameters) != {"affine", "limits"} or set(tensors) != names:
        raise ModelError("template_incomplete")
    try:
        image = Volume(tensors["image"].astype(np.float32), _affine(parameters["affine"]), "template")
        return image, {key: finite_number(value, key) for key, value in parameters["limits"].items()}
    except (InputError, TypeError, ValueError, AttributeError) as error:
        raise ModelError("template_malformed", detail=error) from error


def _affine(rows: object) -> np.ndarray:
    """Convert JSON lists to a 4×4 matrix."""
    return np.array([[finite_number(value, "the template's affine") for value in row] for row in rows])


class Resembled(Protocol):
    """The statistics of the training scans that a space has.

    Attributes:
        image: Mean of the training scans.
        mask: Examined part of the mean, bool (Z, Y, X).
        histogram: Mean standard histogram of the training scans.
    """

    image: Volume
    mask: np.ndarray
    histogram: np.ndarray


def resemblance(corrected: np.ndarray, standard: np.ndarray, mask: np.ndarray, template: Resembled) -> dict[str, float]:
    """Measure the similarity of a scan in the model's space to the training scans.

    Args:
        corrected: Intensities after the bias correction, before the landmarks, (Z, Y, X).
        standard: Standard intensities, (Z, Y, X).
        mask: Examined part, bool (Z, Y, X).
        template: The space.

    Returns:
        ``histogram`` (Wasserstein-1), ``correlation`` (Pearson, inside both masks), ``overlap`` (Dice).
    """
    both = mask & template.mask
    overlap = 2.0 * both.sum() / (mask.sum() + template.mask.sum())
    # A constant image, such as a template without a mean yet, has no correlation.
    with np.errstate(invalid="ignore"):
        correlation = np.corrcoef(standard[both], template.image.array[both])[0, 1] if both.sum() > 1 else 0.0
    return {
        "histogram": histogram_distance(standard_histogram(corrected[mask]), template.histogram),
        "correlation": float(np.nan_to_num(correlation)),
        "overlap": float(overlap),
    }


def unlike_warnings(limits: dict[str, float], seen: dict[str, float]) -> list[Message]:
    """Return the out-of-distribution warning `unlike_training` if the scan differs too much from the training scans.

    Args:
        limits: Limits of the template, see `Template.limits`.
        seen: Similarity of the scan to the training scans, see `resemblance`.

    Returns:
        At most one warning.
    """
    if seen["histogram"] <= FAR * limits["histogram"] and seen["correlation"] >= limits["correlation"]:
        return []
    return [
        Message(
            "unlike_training",
            histogram=seen["histogram"],
            histogram_limit=limits["histogram"],
            correlation=seen["correlation"],
            correlation_limit=limits["correlation"],
        )
    ]


def check_limits(limits: dict[str, float]) -> None:
    """Raise ModelError unless the limits are those of a template."""
    if set(limits) != {"histogram", "correlation", "overlap"}:
        raise ModelError("template_limits")


@dataclass(frozen=True, eq=False)
class MeanTemplate:
    """The space of a model that examines whole fields of view: a mean healthy image.

    Attributes:
        image: Mean of the training images, float32 (Z, Y, X), standard intensities, on the model's grid.
        mask: Field of view of most training images, bool (Z, Y, X).
        histogram: Mean standard histogram of the training images.
        limits: Limits of a similar image, as in `Template`.
    """

    kind: ClassVar[str]
    symmetric: ClassVar[bool] = False
    region: ClassVar[str] = "field of view"

    image: Volume
    mask: np.ndarray
    histogram: np.ndarray
    limits: dict[str, float]

    def __post_init__(self) -> None:
        if self.mask.shape != self.image.array.shape or self.mask.dtype != bool or not self.mask.any():
            raise ModelError("template_mask")
        if self.histogram.shape != (len(HISTOGRAM_EDGES) - 1,) or self.histogram.min() < 0:
            raise ModelError("template_histogram")
        check_limits(self.limits)

    @classmethod
    def unlearned(cls: type[Mean], shape: tuple[int, int, int], affine: np.ndarray) -> Mean:
        """Make a template of a grid (Z, Y, X) and its 4×4 affine, before its mean is computed."""
        image = Volume(np.zeros(shape, np.float32), affine, "template")
        return cls(image, np.ones(shape, bool), uniform_histogram(), no_limits())

    def unlike(self, seen: dict[str, float]) -> list[Message]:
        """Return how an image differs from the training images; empty if it does not.

        Args:
            seen: Similarity of the image to the training images, see `resemblance`.
        """
        found = unlike_warnings(self.limits, seen)
        if seen["overlap"] < self.limits["overlap"]:
            found.append(Message("field_other_shape", overlap=seen["overlap"], limit=self.limits["overlap"]))
        return found

    def parameters(self) -> dict:
        """Return what is not an array, for JSON."""
        return {"kind": self.kind, "affine": self.image.affine.tolist(), "limits": dict(self.limits)}

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays, for safetensors; the mean in half precision."""
        return {
            "image": self.image.array.astype(np.float16),
            "mask": self.mask.astype(np.uint8),
            "histogram": self.histogram.astype(np.float64),
        }

    @classmethod
    def from_tensors(cls: type[Mean], parameters: dict, tensors: dict[str, np.ndarray]) -> Mean:
        """Build the template from `parameters()` and `tensors()`.

        Raises:
            ModelError: If anything is missing or malformed.
        """
        own = {key: value for key, value in parameters.items() if key != "kind"}
        image, limits = template_parts(own, tensors, {"image", "mask", "histogram"})
        return cls(image, tensors["mask"] > 0, tensors["histogram"], limits)


Mean = TypeVar("Mean", bound=MeanTemplate)


class PreparedWhole(ABC):
    """A scan in the space of a model that examines whole fields of view.

    Attributes:
        native: The scan itself.
        native_mask: Part to examine on its own grid, bool (Z, Y, X).
        template: The space.
        scaling: The intensity map.
        resemblance: Similarity to the training images, with the keys of `Template.limits`.
    """

    native: Volume
    native_mask: np.ndarray
    template: MeanTemplate
    scaling: PercentileScaling
    resemblance: dict[str, float]

    def map_to_native(self, scores: np.ndarray) -> Volume:
        """Resample a map (Z, Y, X) from the model's grid to the scan's grid; 0 outside the examined part."""
        back, _ = self._back(scores)
        return self.native.with_array(
            np.where(self.native_mask, back, 0).astype(np.float32), f"{self.native.name}_anomaly"
        )

    def image_to_native(self, image: np.ndarray) -> Volume:
        """Convert standard intensities on the model's grid to intensities of the scan on its own grid.

        Voxels of the scan outside the examined part stay.
        """
        back, inside = self._back(image)
        restored = np.where(self.native_mask & inside, self.scaling.backward(back), self.native.array)
        return self.native.with_array(restored.astype(np.float32), f"{self.native.name}_restored")

    def warnings(self) -> list[Message]:
        """Return how the scan differs from the model's training images; empty if it does not."""
        return self.template.unlike(self.resemblance)

    @abstractmethod
    def _back(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Resample values from the model's grid to the scan's, and return where they are known; both (Z, Y, X)."""


def uniform_histogram() -> np.ndarray:
    """Return the histogram of a template before its mean is computed."""
    bins = len(HISTOGRAM_EDGES) - 1
    return np.full(bins, 1 / bins)


def no_limits() -> dict[str, float]:
    """Return limits that every scan keeps, as in `Template.limits`."""
    return {"histogram": np.inf, "correlation": -1.0, "overlap": 0.0}


def whole_or_given(volume: Volume, given: Volume | None) -> tuple[np.ndarray, Message]:
    """Return the whole field of view or the user's mask, bool (Z, Y, X), and which of them as a message.

    Raises:
        InputError: If the mask is empty or on another grid.
    """
    if given is not None:
        return given_mask(volume, given), Message("part_given_mask")
    return np.ones(volume.array.shape, bool), Message("part_field_of_view")


def limits_of(seen: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return limits that all scans with these similarities keep with a margin, as in `Template.limits`."""
    return {
        "histogram": max(MARGIN * max(s["histogram"] for s in seen), LEAST_HISTOGRAM),
        "correlation": 1 - max(MARGIN * (1 - min(s["correlation"] for s in seen)), LEAST_CORRELATION),
        "overlap": 1 - max(MARGIN * (1 - min(s["overlap"] for s in seen)), LEAST_OVERLAP),
    }
