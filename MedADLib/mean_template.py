"""What the spaces of whole fields of view share: a mean healthy image, how it is learned, and how it is kept.

Nothing is aligned here, and nothing is known of what the images show: they are examined in their whole field of view,
unless the user gives a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import numpy as np

from .errors import InputError, ModelError
from .intensity import HISTOGRAM_EDGES, standard_histogram
from .preparation import template_parts
from .progress import Progress
from .resemblance import check_limits, resemblance, unlike_warnings
from .template import limits_of
from .volume import Volume

FEWEST = 3
# Grids are chosen from no more images than these.
LOOKED_AT = 64
# Slices with less to examine are passed over by the slice-wise methods.
SMALLEST_SHARE = 0.01


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
            raise ModelError("the template's mask does not fit its image")
        if self.histogram.shape != (len(HISTOGRAM_EDGES) - 1,) or self.histogram.min() < 0:
            raise ModelError("the template's histogram is malformed")
        check_limits(self.limits)

    @classmethod
    def unlearned(cls: type[Mean], shape: tuple[int, int, int], affine: np.ndarray) -> Mean:
        """A template of a grid (Z, Y, X) and its 4×4 affine that knows no image yet."""
        bins = len(HISTOGRAM_EDGES) - 1
        limits = {"histogram": np.inf, "correlation": -1.0, "overlap": 0.0}
        image = Volume(np.zeros(shape, np.float32), affine, "template")
        return cls(image, np.ones(shape, bool), np.full(bins, 1 / bins), limits)

    def unlike(self, seen: dict[str, float]) -> list[str]:
        """How an image differs from the training images, in words; empty if it does not.

        Args:
            seen: Its resemblance, as `resemblance` gives it.
        """
        found = unlike_warnings(self.limits, seen)
        if seen["overlap"] < self.limits["overlap"]:
            found.append(
                "what is examined has another shape than the field of view of the model's training images: they "
                f"overlap by {seen['overlap']:.3f} (training images at least {self.limits['overlap']:.3f})"
            )
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
    from .brainmask import given_mask

    if given is not None:
        return given_mask(volume, given), "given mask"
    return np.ones(volume.array.shape, bool), "whole field of view"


def sampled(names: Sequence[str]) -> list[str]:
    """At most `LOOKED_AT` of the names, evenly over all.

    Raises:
        InputError: If there are too few for a template.
    """
    if len(names) < FEWEST:
        raise InputError(f"{len(names)} images are too few for a template", f"Give at least {FEWEST} healthy images.")
    return [names[n] for n in np.unique(np.linspace(0, len(names) - 1, min(LOOKED_AT, len(names))).astype(int))]


def mean_learned(
    template: Mean, names: Sequence[str], read: Callable[[str], Volume], progress: Progress, start: float
) -> Mean:
    """A template with the mean of healthy images, read one at a time because there may be thousands.

    Args:
        template: The grid; it knows no image yet.
        names: Of the images.
        read: Gives an image by its name.
        progress: Told before each image; may cancel.
        start: Progress fraction at the first.

    Returns:
        With the limits of what the images themselves show.
    """
    shape, images, masks = template.image.array.shape, [], []
    total, count, histogram = np.zeros(shape), np.zeros(shape), np.zeros(template.histogram.shape)
    grid = " x ".join(map(str, shape[::-1]))
    for index, name in enumerate(names):
        progress.update(start + (1 - start) * index / len(names), f"template of {grid} voxels: {name}")
        volume = read(name)
        prepared = template.prepared(volume, template.examined(volume)[0])
        total, count = total + np.where(prepared.mask, prepared.image, 0), count + prepared.mask
        histogram += standard_histogram(prepared.image[prepared.mask])
        images.append(prepared.image.astype(np.float16))
        masks.append(prepared.mask)
    mean = np.where(count > 0, total / np.maximum(count, 1), 0).astype(np.float32)
    mask = count > 0.5 * len(names)
    template = replace(
        template, image=template.image.with_array(mean), mask=mask, histogram=histogram / histogram.sum()
    )
    seen = [resemblance(i, i, m, template) for i, m in ((i.astype(np.float32), m) for i, m in zip(images, masks))]
    return replace(template, limits=limits_of(seen))
