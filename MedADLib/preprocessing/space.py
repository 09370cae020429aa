"""The space of a model, and a scan in it with the way back to its own grid; each kind of space is a subclass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..errors import InputError, ModelError
from ..masks import bounding_slices
from ..messages import Message
from ..runtime.progress import Progress
from ..runtime.strict_json import finite_number
from ..volume import Volume, is_single_slice, size_text
from .brain_extraction import given_mask
from .intensity import (
    CONSTANT,
    HISTOGRAM_EDGES,
    Landmarks,
    PercentileScaling,
    histogram_distance,
    standard_histogram,
    without_wrong_voxels,
)

BRAIN, VOLUME, SLICE = KINDS = ("brain", "field", "plane")
CEILING = 1.5

# The histogram of another scanner differs by about this factor of the limit; that of another contrast by more.
FAR = 2.5

FEWEST = 3
# Most images from which a grid is chosen.
LOOKED_AT = 64
# Slice-wise methods skip slices with a smaller examined share.
SMALLEST_SHARE = 0.01

Box = tuple[slice, slice, slice]
# Voxels of a scan that are resampled at once.
PART_VOXELS = 12_000_000

MARGIN = 1.5
# Limits of the grid in a model file, mm: spacing, field of view, and distance of its first voxel from the origin.
FINEST_MM, COARSEST_MM, WIDEST_MM, FARTHEST_MM = 0.01, 100.0, 4000.0, 1e4
# A few very similar training scans must not make the limits too narrow for other scans.
LEAST_HISTOGRAM, LEAST_CORRELATION, LEAST_OVERLAP = 0.03, 0.05, 0.07


@dataclass(frozen=True, eq=False)
class ReferenceSpace(ABC):
    """The space of a model: a grid with the mean of the training scans and the statistics of their intensities.

    Attributes:
        kind: Name of the kind of space in a model file.
        flat: Whether the scans are single slices.
        symmetric: Whether the mirror image of a healthy scan is a healthy scan too.
        region: The part to examine, in words.
        overlap_warning: Code of the warning that the examined part has another shape than in the training scans.
        image: Mean of the training scans, float32 (Z, Y, X), standard intensities, on the model's grid.
        mask: Examined part of most training scans, bool (Z, Y, X).
        histogram: Mean standard histogram of the training scans.
        limits: Limits of a scan that is similar to the training scans: largest ``histogram`` distance, smallest
            ``correlation`` with the mean, and smallest ``overlap`` with the mask.
    """

    kind: ClassVar[str]
    flat: ClassVar[bool] = False
    symmetric: ClassVar[bool] = False
    region: ClassVar[str] = "field of view"
    overlap_warning: ClassVar[str] = "volume_other_shape"

    image: Volume
    mask: np.ndarray
    histogram: np.ndarray
    limits: dict[str, float]

    def __post_init__(self) -> None:
        spacing, extent = self.image.spacing, self.image.spacing * self.image.array.shape[::-1]
        if not FINEST_MM <= spacing.min() <= spacing.max() <= COARSEST_MM or extent.max() > WIDEST_MM:
            raise ModelError("template_spacing", spacing=size_text(spacing), extent=float(extent.max()))
        if np.abs(self.image.affine[:3, 3]).max() > FARTHEST_MM or (self.image.affine[3] != (0, 0, 0, 1)).any():
            raise ModelError("template_position")
        if self.mask.shape != self.image.array.shape or self.mask.dtype != bool or not self.mask.any():
            raise ModelError("template_mask")
        if self.histogram.shape != (len(HISTOGRAM_EDGES) - 1,) or self.histogram.min() < 0:
            raise ModelError("template_histogram")
        if set(self.limits) != {"histogram", "correlation", "overlap"}:
            raise ModelError("template_limits")

    @classmethod
    def without_mean(cls, shape: tuple[int, int, int], affine: np.ndarray, **arrays: np.ndarray) -> ReferenceSpace:
        """Make a space of a grid (Z, Y, X) and its 4×4 affine, before its mean is computed; no scan is beyond limits.

        Args:
            shape: Shape of the grid, (Z, Y, X).
            affine: 4×4, voxel index (x, y, z) to RAS mm.
            arrays: Further fields of the kind of space.
        """
        image, bins = Volume(np.zeros(shape, np.float32), affine, "template"), len(HISTOGRAM_EDGES) - 1
        limits = {"histogram": np.inf, "correlation": -1.0, "overlap": 0.0}
        return cls(image, np.ones(shape, bool), np.full(bins, 1 / bins), limits, **arrays)

    def examined(
        self, volume: Volume, given: Volume | None = None, progress: Progress | None = None
    ) -> tuple[np.ndarray, Message]:
        """Find the part of a scan to examine, by the mask `given` on its grid if there is one.

        Returns:
            The mask, bool (Z, Y, X), on the grid of the scan, and its origin as a message.

        Raises:
            InputError: If the scan is a single slice and the space is not, or the reverse, if there is no usable mask,
                or if the scan has one intensity inside it.
        """
        if is_single_slice(volume) and not self.flat:
            raise InputError("scan_single_slice_for_volumes", name=volume.name)
        if self.flat and not is_single_slice(volume):
            shown = " x ".join(map(str, volume.array.shape[::-1]))
            raise InputError("scan_several_slices", name=volume.name, shape=shown)
        examined, how = self._examined(volume, given, progress or Progress())
        check_signal(volume, examined)
        return examined, how

    def _examined(self, volume: Volume, given: Volume | None, progress: Progress) -> tuple[np.ndarray, Message]:
        """Return the whole field of view or the given mask."""
        progress.update(0.0, "")
        if given is not None:
            return given_mask(volume, given), Message("part_given_mask")
        return np.ones(volume.array.shape, bool), Message("part_field_of_view")

    def prepared(self, native: Volume, native_mask: np.ndarray, progress: Progress | None = None) -> PreparedScan:
        """Map a scan and the part to examine, bool (Z, Y, X), to the grid of the model, and normalise intensities.

        Wrong voxels are replaced first, see `without_wrong_voxels`.

        Raises:
            InputError: If the part to examine is too small or has one intensity only.
            Cancelled: If the user has requested cancellation.
        """
        return self._prepared(without_wrong_voxels(native, native_mask), native_mask, progress or Progress())

    @abstractmethod
    def _prepared(self, native: Volume, native_mask: np.ndarray, progress: Progress) -> PreparedScan:
        """Do the work of `prepared` for a scan without wrong voxels."""

    @abstractmethod
    def describe(self) -> str:
        """Describe the space in words, such as ``single slices of 160 x 128 pixels``."""

    def similarity(self, corrected: np.ndarray, standard: np.ndarray, mask: np.ndarray) -> dict[str, float]:
        """Measure the similarity of a scan on the grid of the model to the training scans.

        Args:
            corrected: Intensities after the bias correction, before the normalisation, (Z, Y, X).
            standard: Standard intensities, (Z, Y, X).
            mask: Examined part, bool (Z, Y, X).

        Returns:
            ``histogram`` (Wasserstein-1), ``correlation`` (Pearson, inside both masks), ``overlap`` (Dice).
        """
        both = mask & self.mask
        overlap = 2.0 * both.sum() / (mask.sum() + self.mask.sum())
        # A constant image, such as a space without a mean yet, has no correlation.
        with np.errstate(invalid="ignore"):
            correlation = np.corrcoef(standard[both], self.image.array[both])[0, 1] if both.sum() > 1 else 0.0
        return {
            "histogram": histogram_distance(standard_histogram(corrected[mask]), self.histogram),
            "correlation": float(np.nan_to_num(correlation)),
            "overlap": float(overlap),
        }

    def warnings(self, similarity: dict[str, float]) -> list[Message]:
        """Return how a scan of this similarity differs from the training scans; empty if it does not."""
        found = similarity_warnings(self.limits, similarity)
        if similarity["overlap"] < self.limits["overlap"]:
            found.append(Message(self.overlap_warning, overlap=similarity["overlap"], limit=self.limits["overlap"]))
        return found

    def parameters(self) -> dict:
        """Return what is not an array, for JSON."""
        return {"kind": self.kind, "affine": self.image.affine.tolist(), "limits": dict(self.limits)}

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays, for safetensors; the mean in half precision."""
        image, mask = self.image.array.astype(np.float16), self.mask.astype(np.uint8)
        statistics = {name: getattr(self, name).astype(np.float64) for name in self._statistics()}
        return {"image": image, "mask": mask, **statistics}

    @classmethod
    def from_tensors(cls, parameters: dict, tensors: dict[str, np.ndarray]) -> ReferenceSpace:
        """Build the space from `parameters()` and `tensors()`.

        Raises:
            ModelError: If parameters or tensors are not exactly those expected, or malformed.
        """
        statistics = cls._statistics()
        if {*parameters, "kind"} != {"kind", "affine", "limits"} or set(tensors) != {"image", "mask", *statistics}:
            raise ModelError("template_incomplete")
        try:
            rows = [[finite_number(value, "the template's affine") for value in row] for row in parameters["affine"]]
            image = Volume(tensors["image"].astype(np.float32), np.array(rows), "template")
            limits = {key: finite_number(value, key) for key, value in parameters["limits"].items()}
        except (InputError, TypeError, ValueError, AttributeError) as error:
            raise ModelError("template_malformed", detail=error) from error
        return cls(image=image, mask=tensors["mask"] > 0, limits=limits, **{name: tensors[name] for name in statistics})

    @classmethod
    def _statistics(cls) -> list[str]:
        """Return the names of the fields that are statistics of intensities."""
        return [field.name for field in fields(cls) if field.name not in ("image", "mask", "limits")]

    def same_as(self, other: ReferenceSpace) -> bool:
        """Return whether two spaces are equal, so that a scan prepared for one can be used with the other."""
        if self.kind != other.kind or not np.array_equal(self.image.affine, other.image.affine):
            return False
        theirs = other.tensors()
        return all(np.array_equal(array, theirs[name]) for name, array in self.tensors().items())


@dataclass(frozen=True, eq=False)
class PreparedScan(ABC):
    """A scan on the grid of a model, with the way back to its own grid.

    Attributes:
        image: Standard intensities, float32 (Z, Y, X), on the grid of the model; 0 where nothing was resampled.
        mask: Examined part on the grid of the model, bool (Z, Y, X).
        native: The scan itself, without wrong voxels.
        native_mask: Examined part on its own grid, bool (Z, Y, X).
        template: The space.
        scaling: The intensity map.
        similarity: Similarity to the training scans, with the keys of `ReferenceSpace.limits`.
    """

    image: np.ndarray
    mask: np.ndarray
    native: Volume
    native_mask: np.ndarray
    template: ReferenceSpace
    scaling: Landmarks | PercentileScaling
    similarity: dict[str, float]

    def map_to_native(self, scores: np.ndarray) -> Volume:
        """Resample a map (Z, Y, X) from the model's grid to the scan's grid; 0 outside the examined part."""
        found = np.zeros(self.native.array.shape, np.float32)
        for part in self.native_parts:
            np.copyto(found[part], self._to_native(scores, part), where=self.native_mask[part])
        return self.native.with_array(found, f"{self.native.name}_anomaly")

    def image_to_native(self, image: np.ndarray) -> Volume:
        """Convert standard intensities on the model's grid to intensities of the scan on its own grid.

        Voxels of the scan outside the examined part stay, so that the two can be compared by swiping.
        """
        restored, intensities = self.native.array.astype(np.float32), self._native_intensities(image)
        for part in self.native_parts:
            values = self._to_native(intensities, part) + self._detail(image, part)
            np.copyto(restored[part], values, where=self.restorable(part))
        return self.native.with_array(restored, f"{self.native.name}_restored")

    def warnings(self) -> list[Message]:
        """Return how the scan differs from the model's training scans; empty if it does not."""
        return self.template.warnings(self.similarity)

    @cached_property
    def native_parts(self) -> list[Box]:
        """Boxes (z, y, x) that make up that of the examined part on the grid of the scan; the rest is not resampled.

        Each has at most about `PART_VOXELS`, so that a large scan takes no more memory than the results do.
        """
        slices, *plane = bounding_slices(self.native_mask)
        height = max(1, PART_VOXELS // int(np.prod([side.stop - side.start for side in plane])))
        starts = range(slices.start, slices.stop, height)
        return [(slice(start, min(start + height, slices.stop)), *plane) for start in starts]

    def share(self, part: Box) -> np.ndarray:
        """Return the share of examined voxels of the model around each voxel of a part of the scan, float32."""
        return self._resampled(self.mask.astype(np.float32), part)

    def restorable(self, part: Box) -> np.ndarray:
        """Return the examined voxels of a part of the scan that the grid of the model covers, bool (Z, Y, X)."""
        return self.native_mask[part] & (self.share(part) > 0.5)

    def _native_intensities(self, image: np.ndarray) -> np.ndarray:
        """Convert standard intensities to intensities of the scan, still on the grid of the model."""
        return self.scaling.backward(image)

    def _detail(self, image: np.ndarray, part: Box) -> np.ndarray | float:
        """Return what to add to a part of a restoration (Z, Y, X), such as detail of the scan; 0 for nothing."""
        return 0.0

    def _to_native(self, values: np.ndarray, part: Box) -> np.ndarray:
        """Resample the examined values (Z, Y, X) from the model's grid to a part of the scan's grid."""
        # Without the division by the share of examined voxels, the rim would fade into the part not examined.
        return self._resampled(np.where(self.mask, values, 0), part) / np.maximum(self.share(part), 0.5)

    @abstractmethod
    def _resampled(self, values: np.ndarray, part: Box) -> np.ndarray:
        """Resample values (Z, Y, X) from the model's grid to a part of the scan's grid, 0 beyond the model's grid."""


def check_signal(volume: Volume, mask: np.ndarray) -> None:
    """Check that a scan has more than one intensity inside a mask, bool (Z, Y, X), beyond the rounding of float32.

    Resampling and bias correction would turn such a scan into a map of rounding errors.

    Raises:
        InputError: If it has not.
    """
    # Slice by slice, because a copy of all voxels would take the memory of another scan.
    inside = [number for number, part in enumerate(mask) if part.any()]
    if not inside:
        # The space says what it lacks.
        return
    low = min(float(volume.array[number][mask[number]].min()) for number in inside)
    high = max(float(volume.array[number][mask[number]].max()) for number in inside)
    if not high - low > CONSTANT * max(abs(low), abs(high)):
        raise InputError("scan_one_intensity", name=volume.name)


def kind_of(parameters: dict) -> str:
    """Return the kind of space in the preparation of a model file; files without one are of the brain.

    Raises:
        ModelError: If this version does not support the kind.
    """
    kind = parameters.get("kind", BRAIN)
    if type(kind) is not str or kind not in KINDS:
        raise ModelError("space_unknown", kind=kind)
    return kind


def similarity_warnings(limits: dict[str, float], similarity: dict[str, float]) -> list[Message]:
    """Return at most one warning, `out_of_distribution`, that a scan of this similarity is out of distribution."""
    far = similarity["histogram"] > FAR * limits["histogram"]
    if not far and similarity["correlation"] >= limits["correlation"]:
        return []
    measured = {name: similarity[name] for name in ("histogram", "correlation")}
    return [Message("out_of_distribution", **measured, **{f"{name}_limit": limits[name] for name in measured})]


def limits_of(similarities: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return limits that all scans with these similarities keep with a margin, as in `ReferenceSpace.limits`."""
    return {
        "histogram": max(MARGIN * max(s["histogram"] for s in similarities), LEAST_HISTOGRAM),
        "correlation": 1 - max(MARGIN * (1 - min(s["correlation"] for s in similarities)), LEAST_CORRELATION),
        "overlap": 1 - max(MARGIN * (1 - min(s["overlap"] for s in similarities)), LEAST_OVERLAP),
    }
