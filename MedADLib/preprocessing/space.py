"""What the spaces of models share: a mean image, its storage, and the similarity to training data.

How far a scan, in a model's space, is like the scans that the model was trained on, and when to warn.

What the spaces of whole fields of view share: a mean healthy image, how it is learned, and how it is kept.

Nothing is aligned here, and nothing is known of what the images show: they are examined in their whole field of view,
unless the user gives a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

import numpy as np

from ..errors import InputError, ModelError
from ..messages import Message
from ..runtime.strict_json import finite_number
from ..volume import Volume
from .intensity import HISTOGRAM_EDGES, histogram_distance, standard_histogram

CEILING = 1.5

# The histogram of another scanner differs about this much from those of the training scans; of another contrast, more.
FAR = 2.5

FEWEST = 3
# Grids are chosen from no more images than these.
LOOKED_AT = 64
# Slices with less to examine are passed over by the slice-wise methods.
SMALLEST_SHARE = 0.01

MARGIN = 1.5
# A handful of very similar scans must not make every other scan look strange.
LEAST_HISTOGRAM, LEAST_CORRELATION, LEAST_OVERLAP = 0.03, 0.05, 0.07


def template_parts(
    parameters: dict, tensors: dict[str, np.ndarray], names: set[str]
) -> tuple[Volume, dict[str, float]]:
    """The mean and the limits of a saved template.

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
    """A 4×4 matrix from JSON lists."""
    return np.array([[finite_number(value, "the template's affine") for value in row] for row in rows])


class Resembled(Protocol):
    """What a space knows of the training scans.

    Attributes:
        image: Their mean.
        mask: What of it is examined, bool (Z, Y, X).
        histogram: Their mean standard histogram.
    """

    image: Volume
    mask: np.ndarray
    histogram: np.ndarray


def resemblance(corrected: np.ndarray, standard: np.ndarray, mask: np.ndarray, template: Resembled) -> dict[str, float]:
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
    """Refuse limits that are not those of a template; raises ModelError."""
    if set(limits) != {"histogram", "correlation", "overlap"}:
        raise ModelError("template_limits")


@dataclass(frozen=True, eq=False)
class MeanTemplate:
    """A mean healthy image.

    Attributes:
        image: Mean of the training images, float32 (Z, Y, X), standard intensities, on the model's grid.
        mask: Where most of them have their field of view, bool (Z, Y, X).
        histogram: Mean standard histogram of the training images.
        limits: As in `Template`.
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
        """A template of a grid (Z, Y, X) and its 4×4 affine that knows no image yet."""
        bins = len(HISTOGRAM_EDGES) - 1
        limits = {"histogram": np.inf, "correlation": -1.0, "overlap": 0.0}
        image = Volume(np.zeros(shape, np.float32), affine, "template")
        return cls(image, np.ones(shape, bool), np.full(bins, 1 / bins), limits)

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
        """What is not an array, for JSON."""
        return {"kind": self.kind, "affine": self.image.affine.tolist(), "limits": dict(self.limits)}

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays, for safetensors; the mean is kept in half precision."""
        return {
            "image": self.image.array.astype(np.float16),
            "mask": self.mask.astype(np.uint8),
            "histogram": self.histogram.astype(np.float64),
        }

    @classmethod
    def from_tensors(cls: type[Mean], parameters: dict, tensors: dict[str, np.ndarray]) -> Mean:
        """The template of `parameters()` and `tensors()`.

        Raises:
            ModelError: If anything is missing or malformed.
        """
        own = {key: value for key, value in parameters.items() if key != "kind"}
        image, limits = template_parts(own, tensors, {"image", "mask", "histogram"})
        return cls(image, tensors["mask"] > 0, tensors["histogram"], limits)


Mean = TypeVar("Mean", bound=MeanTemplate)


def whole_or_given(volume: Volume, given: Volume | None) -> tuple[np.ndarray, str]:
    """The whole field of view, or the user's mask; and which of them, in words.

    Raises:
        InputError: If the mask is empty or on another grid.
    """
    from .brain_extraction import given_mask

    if given is not None:
        return given_mask(volume, given), Message("part_given_mask")
    return np.ones(volume.array.shape, bool), Message("part_field_of_view")


def limits_of(seen: Sequence[dict[str, float]]) -> dict[str, float]:
    """What all scans of these resemblances keep with a margin, as in `Template.limits`."""
    return {
        "histogram": max(MARGIN * max(s["histogram"] for s in seen), LEAST_HISTOGRAM),
        "correlation": 1 - max(MARGIN * (1 - min(s["correlation"] for s in seen)), LEAST_CORRELATION),
        "overlap": 1 - max(MARGIN * (1 - min(s["overlap"] for s in seen)), LEAST_OVERLAP),
    }
