"""Tissue memberships of a healthy T1 scan: what an image of another contrast is made of.

A scan is examined once. Its memberships are uint8, so that the scans of a training fit into memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing, distance_transform_edt, gaussian_filter, maximum_filter, uniform_filter

from ...errors import InputError
from ...runtime.numerics import evenly_spread, k_means

# Tissues add up to `FULL`; overlays cover a part of them.
TISSUES = ("fluid", "grey", "white", "deep")
OVERLAYS = ("vessels", "choroid")
FULL = 255

# Parts of the interval between two class means that count as pure tissue: (at the darker, at the brighter class).
FLUID_GREY, GREY_WHITE = (0.08, 0.12), (0.14, 0.14)

# Ellipsoids of the deep grey matter, mirrored: centre and radii as (fraction of the width from the midline, of the
# length from the back, of the length from the top), and the part of the interval from grey to white matter in which
# deep grey matter turns into white matter.
DEEP_GREY = (
    ((0.08, 0.52, 0.385), (0.09, 0.10, 0.07), (0.72, 1.0)),  # thalamus
    ((0.165, 0.62, 0.41), (0.095, 0.145, 0.085), (0.6, 0.88)),  # putamen and pallidum
    ((0.085, 0.695, 0.385), (0.075, 0.09, 0.085), (0.5, 0.85)),  # head of the caudate nucleus, accumbens
    ((0.10, 0.58, 0.31), (0.05, 0.14, 0.05), (0.5, 0.85)),  # body of the caudate nucleus
)
# Boxes of the lateral ventricles, of their choroid plexus, and of the veins between the hemispheres.
VENTRICLES = ((0.0, 0.26), (0.22, 0.82), (0.22, 0.58))
CHOROID = ((0.06, 0.22), (0.27, 0.47), (0.26, 0.44))
VEINS = ((0.0, 0.03), (0.29, 0.45), (0.34, 0.44))

# Distance from the surface from which fluid is a ventricle, and width of its rim, in mm.
VENTRICLE_DEPTH, RIM = 14.0, 4.2
# Signed distances are kept in steps of this many mm.
STEP_MM = 0.25
# Voxels from which the percentiles of an image are estimated, and SD in mm of their blur, across slices and in them.
SAMPLED = 4000
BLURS_MM = ((0.0, 0.0), (0.0, 0.9), (1.6, 0.0), (1.6, 0.9), (3.0, 0.0), (3.0, 0.9))


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A healthy T1 scan with the tissues of each voxel; see `Contrast.apply`.

    Attributes:
        image: T1 in standard intensities, float16 (Z, Y, X), 0 outside the brain; axes towards superior, anterior and
            right.
        mask: Brain, bool (Z, Y, X).
        memberships: uint8 (6, Z, Y, X): fluid, grey matter, white matter and deep grey matter, which add up to 255 in
            the brain, and the shares of vessels or meninges and of choroid plexus that may cover them.
        distance: Distance to the surface in steps of 0.25 mm, positive in the brain, int8 (Z, Y, X), clipped.
        means: Mean standard intensity of the four tissues.
        spacing: Voxel spacing along (z, y, x) in mm.
        places: Indices of some voxels of the brain, (3, N); percentiles are estimated from them.
        samples: Their memberships and standard intensity after each blur of `BLURS_MM`, float32 (6, 7, N).
        number: Tells subjects apart; each has its own noise.
    """

    image: np.ndarray
    mask: np.ndarray
    memberships: np.ndarray
    distance: np.ndarray
    means: tuple[float, float, float, float]
    spacing: tuple[float, float, float]
    places: np.ndarray
    samples: np.ndarray
    number: int

    @classmethod
    def of(cls, image: np.ndarray, mask: np.ndarray, spacing: tuple[float, float, float], number: int = 0) -> Anatomy:
        """Find the tissues of a prepared T1 scan, once for each scan (some seconds).

        Fluid, grey and white matter come from the intensity of the scan after edge-preserving smoothing: pure around
        the class means, a linear partial volume between them. Between a ventricle and white matter the partial volume
        is of these two, without grey matter. Deep grey matter are intensities between grey and white in the place of
        the basal ganglia and thalami. Vessels and meninges are what is brighter than white matter, the outermost
        fluid, the fluid between the hemispheres, and thin curves in the sulci at random positions, where the T1 does
        not show them.

        Args:
            image: T1 in standard intensities (Z, Y, X), 0 outside the brain; axes towards superior, anterior, right.
            mask: Brain (Z, Y, X).
            spacing: Voxel spacing along (z, y, x) in mm.
            number: Number of the scan; determines the random positions.

        Raises:
            InputError: If the mask is empty or the scan has fewer than three tissues.
        """
        image, mask = np.asarray(image, np.float32), np.asarray(mask, bool)
        spacing = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
        if not mask.any():
            raise InputError("scans_without_brain")
        box = tuple(_extent(mask.any(axis=tuple(other for other in range(3) if other != axis)), 6) for axis in range(3))
        brain = _Brain(np.where(mask, image, 0)[box], mask[box], spacing, np.random.default_rng([number, 16]))
        memberships = np.zeros((len(TISSUES) + len(OVERLAYS), *image.shape), np.uint8)
        memberships[(slice(None), *box)] = brain.memberships()
        distance = np.full(image.shape, -128, np.int8)
        distance[box] = np.clip(np.round(brain.distance / STEP_MM), -128, 127)
        inside = np.flatnonzero(mask)
        inside = inside[np.random.default_rng(number).integers(0, len(inside), SAMPLED)]
        places = np.stack(np.unravel_index(inside, mask.shape))
        starts = np.array([[side.start] for side in box])
        # The surroundings of the brain are fluid.
        parts = [*memberships[(slice(None), *box)], image[box]]
        parts = [np.where(mask[box], part, fill) for part, fill in zip(parts, (FULL, 0, 0, 0, 0, 0, brain.means[0]))]
        samples = _blurred_samples(parts, spacing, places - starts)
        kept = np.where(mask, image, 0).astype(np.float16)
        return cls(kept, mask, memberships, distance, brain.means, spacing, places, samples, number)


def _extent(occupied: np.ndarray, margin: int) -> slice:
    found = np.flatnonzero(occupied)
    return slice(max(int(found[0]) - margin, 0), min(int(found[-1]) + 1 + margin, len(occupied)))


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 0 up to `low`, 1 from `high`, and a line between."""
    return np.clip((values - np.float32(low)) / np.float32(max(high - low, 1e-3)), 0, 1)


class _Brain:
    """The part of a scan around the brain.

    Args:
        image: T1, float32 (Z, Y, X), 0 outside the brain.
        mask: Brain.
        spacing: Voxel spacing along (z, y, x) in mm.
        random: Random generator of the positions of small vessels.
    """

    def __init__(
        self, image: np.ndarray, mask: np.ndarray, spacing: tuple[float, float, float], random: np.random.Generator
    ):
        self.image, self.mask, self.spacing, self.random = image, mask, spacing, random
        inner = distance_transform_edt(mask, spacing)
        self.distance = np.where(mask, inner, -distance_transform_edt(~mask, spacing)).astype(np.float32)
        self.smooth = _smoothed(image, mask)
        self.levels = _levels(self.smooth[mask])
        sides = [_extent(mask.any(axis=tuple(other for other in range(3) if other != axis)), 0) for axis in range(3)]
        length = (sides[1].stop - sides[1].start) * spacing[1]
        width = (sides[2].stop - sides[2].start) * spacing[2]
        z, y, x = (np.arange(size, dtype=np.float32) for size in mask.shape)
        middle = 0.5 * (sides[2].start + sides[2].stop - 1)
        # Fractions: from the midline, from the back, and from the top.
        self.across = (np.abs(x - middle) * spacing[2] / width)[None, None, :]
        self.along = ((y - sides[1].start) * spacing[1] / length)[None, :, None]
        self.below = ((sides[0].stop - 1 - z) * spacing[0] / length)[:, None, None]
        self.width = width

    def memberships(self) -> np.ndarray:
        """Return the memberships, uint8 (6, Z, Y, X), and set the class means."""
        fluid, grey, white, brightest = self.levels
        light = _ramp(self.smooth, fluid + FLUID_GREY[0] * (grey - fluid), grey - FLUID_GREY[1] * (grey - fluid))
        bright = _ramp(self.smooth, grey + GREY_WHITE[0] * (white - grey), white - GREY_WHITE[1] * (white - grey))
        wet = 1 - light
        ventricle, edge = self._ventricles(wet)
        tissue = self.smooth
        if edge.any():
            # A voxel between fluid and white matter has the intensity of grey matter.
            near = maximum_filter(np.where(ventricle, 0, self.smooth), (3, 5, 5))
            tissue = np.clip(near, grey, white)
            share = np.clip((self.smooth - fluid) / (tissue - fluid), 0, 1)
            wet = np.where(edge, 1 - share, wet)
            bright = np.where(edge, _ramp(tissue, grey + 0.3 * (white - grey), white - 0.1 * (white - grey)), bright)
        deep = self._deep_grey((np.where(edge, tissue, self.smooth) - grey) / (white - grey)) * (1 - wet)
        rest = 1 - wet - deep
        shares = np.stack([wet, rest * (1 - bright), rest * bright, deep])
        vessels, choroid = self._vessels(wet, ventricle), self._choroid(wet)
        # A bright vessel or remnant of fat lies in fluid; bright white matter does not.
        near = maximum_filter(np.where(self.mask, wet, 1), 3) > 0.3
        lit = _ramp(self.image, brightest + 0.04, brightest + 0.15) * near
        shares = shares * (1 - lit)
        shares[0] += lit
        # Rounded sums have exact differences, so that the tissues add up.
        tissues = np.diff(np.round(np.cumsum(shares, axis=0) * FULL), axis=0, prepend=0)
        tissues[3] += FULL - tissues.sum(0)
        covers = np.round(np.stack([np.maximum(vessels, lit), choroid]) * FULL)
        found = np.where(self.mask, np.concatenate([tissues, covers]), 0).astype(np.uint8)
        pure = found[3] > 0.8 * FULL
        mean = float(self.smooth[pure].mean()) if pure.sum() > 50 else 0.5 * (grey + white)
        self.means = (fluid, grey, white, mean)
        return found

    def _box(self, limits: tuple[tuple[float, float], ...]) -> np.ndarray:
        """Mark a box given as fractions across, along and below."""
        marks = [
            (low <= values) & (values <= high)
            for (low, high), values in zip(limits, (self.across, self.along, self.below))
        ]
        return marks[0] & marks[1] & marks[2]

    def _ventricles(self, wet: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the fluid of the ventricles, and the voxels around it."""
        core = (wet > 0.8) & (self.distance > VENTRICLE_DEPTH) & self._box(VENTRICLES)
        if not core.any():
            return core, core
        near = distance_transform_edt(~core, self.spacing) <= RIM
        return core, near & ~core & (self.distance > VENTRICLE_DEPTH - RIM)

    def _deep_grey(self, brightness: np.ndarray) -> np.ndarray:
        """Return the share of deep grey matter, 0 to 1, by position and brightness: 0 as grey, 1 as white matter."""
        found = np.zeros(self.mask.shape, np.float32)
        for centre, radii, limits in DEEP_GREY:
            squared = sum(
                ((values - at) / radius) ** 2
                for values, at, radius in zip((self.across, self.along, self.below), centre, radii)
            )
            found = np.maximum(found, (1 - _ramp(np.sqrt(squared), 0.9, 1.15)) * (1 - _ramp(brightness, *limits)))
        return found

    def _noise(self, width_mm: float) -> np.ndarray:
        """Return smooth noise of SD 1."""
        noise = self.random.standard_normal(self.mask.shape, np.float32)
        noise = gaussian_filter(noise, [width_mm / step for step in self.spacing], truncate=3)
        return noise / noise.std()

    def _vessels(self, wet: np.ndarray, ventricle: np.ndarray) -> np.ndarray:
        """Return the share of vessels and meninges, 0 to 1."""
        outside = np.where(ventricle, 0, wet)
        width = 4.0
        # Where two random fields are zero are curves; the noise has a slope of about 1/(√2 width).
        apart = np.sqrt(self._noise(width) ** 2 + self._noise(width) ** 2) * width * 1.2
        patches = self._noise(9.0)
        curves = _ramp(1.9 + 0.5 * patches - apart, 0.0, 1.0) * _ramp(uniform_filter(outside, 3), 0.18, 0.35)
        curves = curves * (self.distance < 24) * (1 - self._deep_grey(np.zeros_like(wet)))
        midline = _ramp(-self.across * self.width, -2.0, -0.6) * _ramp(outside, 0.15, 0.5) * (self.below < 0.42)
        sinus = _ramp(-self.across * self.width, -5.0, -3.0) * _ramp(-self.distance, -7.0, -4.0) * (self.below < 0.35)
        sinus = sinus * _ramp(outside, 0.2, 0.6)
        shell = _ramp(-self.distance, -2.2, -1.0) * _ramp(outside, 0.2, 0.6) * _ramp(patches, -0.3, 0.8)
        inner = self._box(VEINS) * _ramp(wet, 0.25, 0.6) * _ramp(-self.across * self.width, -2.4, -1.0)
        broken = _ramp(patches, -1.0, 0.5)
        parts = (curves, 0.5 * midline * broken, sinus, 0.45 * shell, 0.6 * inner * broken)
        return np.maximum.reduce(parts)

    def _choroid(self, wet: np.ndarray) -> np.ndarray:
        """Return the share of choroid plexus in the fluid of the lateral ventricles."""
        inside = self._box(CHOROID) & (self.distance > VENTRICLE_DEPTH) & (wet > 0.3)
        inside = binary_closing(inside, iterations=1)
        return inside * _ramp(self._noise(2.2), 0.0, 0.9) * wet


def _blurred_samples(parts: list[np.ndarray], spacing: tuple[float, float, float], places: np.ndarray) -> np.ndarray:
    """Return the values of some voxels of each array after each blur, (blurs, arrays, N)."""
    found = np.zeros((len(BLURS_MM), len(parts), places.shape[1]), np.float32)
    for number, values in enumerate(parts):
        for blur, (across, within) in enumerate(BLURS_MM):
            width = [mm / step for mm, step in zip((across, within, within), spacing)]
            found[blur, number] = gaussian_filter(values.astype(np.float32), width, truncate=2.5)[tuple(places)]
    return found


def _smoothed(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Smooth within tissues and keep edges (Perona and Malik 1990)."""
    result, share = image.copy(), mask.astype(np.float32)
    for _ in range(3):
        change = np.zeros_like(result)
        for axis in range(3):
            low = tuple(slice(None, -1) if axis == other else slice(None) for other in range(3))
            high = tuple(slice(1, None) if axis == other else slice(None) for other in range(3))
            slope = (result[high] - result[low]) * (share[high] * share[low])
            slope /= 1 + (slope / np.float32(0.06)) ** 2
            change[low] += slope
            change[high] -= slope
        result += np.float32(0.16) * change
    return result


def _levels(values: np.ndarray) -> tuple[float, float, float, float]:
    """Find the intensities of pure fluid, grey matter and white matter, and of the brightest white matter, by k-means.

    Raises:
        InputError: If there are fewer than three tissues.
    """
    values = values[evenly_spread(len(values), 40000)]
    start = np.percentile(values, [4, 40, 85])[:, None]
    centres, nearest = k_means(values[:, None], start, 40)
    groups = [values[nearest == number] for number in range(3)]
    if min(len(group) for group in groups) < 10:
        raise InputError("too_few_intensities", classes=3)
    # Partial volume makes the mean of fluid too bright, and that of white matter too dark.
    fluid, white, brightest = (
        float(np.percentile(groups[number], share)) for number, share in ((0, 15), (2, 65), (2, 99.5))
    )
    grey = float(centres[1, 0])
    if not fluid < grey < white:
        raise InputError("too_few_intensities", classes=3)
    return fluid, grey, white, brightest
