"""Draw random contrasts and acquisitions, and apply them to healthy T1 scans.

The intensities have no physical model: each family has ranges for the relative intensities of the tissues, from what
radiologists describe as bright and dark. A test set of images from signal equations is therefore independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..random_fields import random_part
from .acquisition import Acquisition, smooth_field
from .anatomy import BLURS_MM, FULL, Anatomy

# Percentiles of the brain and the intensities that they get, so that darker and brighter values remain visible.
PERCENTILES, SCALED = (1.0, 99.0), (0.1, 0.9)
# Range of all intensities.
LOWEST, HIGHEST = 0.0, 1.5

CLASSES, CURVE = "classes", "curve"


@dataclass(frozen=True)
class Family:
    """Ranges of relative intensities.

    Attributes:
        fluid, grey, white, deep, vessels, choroid: Lowest and highest intensity of each tissue; that of deep grey
            matter is relative: 0 as white, 1 as cortical grey matter.
        least: Least difference from grey to white matter, with its sign; None for any.
        lit: Probability that vessels and meninges differ from the fluid around them.
        share: Relative frequency.
        texture: Range of the gain of the T1's texture.
    """

    fluid: tuple[float, float]
    grey: tuple[float, float]
    white: tuple[float, float]
    deep: tuple[float, float]
    vessels: tuple[float, float]
    choroid: tuple[float, float]
    least: float | None
    lit: float
    share: float
    texture: tuple[float, float]


ANY = "any"
FAMILIES = {
    "t1": Family(
        (0.02, 0.2), (0.4, 0.65), (0.75, 0.95), (0.3, 0.8), (0.05, 1.2), (0.3, 0.6), -0.12, 0.2, 0.1, (0.5, 1)
    ),
    "t2": Family(
        (0.85, 1.1), (0.38, 0.56), (0.24, 0.4), (0.1, 0.8), (0.1, 0.8), (0.6, 0.9), 0.09, 0.4, 0.2, (-1, -0.2)
    ),
    "flair": Family(
        (0.03, 0.2), (0.64, 0.84), (0.5, 0.72), (0.1, 0.8), (0.1, 0.8), (0.5, 0.85), 0.07, 0.5, 0.2, (-0.8, 0.3)
    ),
    "pd": Family(
        (0.6, 0.86), (0.8, 0.95), (0.54, 0.72), (0.2, 0.9), (0.0, 0.6), (0.7, 0.95), 0.1, 0.7, 0.12, (-1, -0.2)
    ),
    "t1c": Family(
        (0.05, 0.22), (0.42, 0.6), (0.5, 0.78), (0.2, 0.9), (0.9, 1.5), (0.75, 1.3), -0.04, 1, 0.13, (0.3, 1)
    ),
    ANY: Family((0, 1), (0.1, 1), (0.1, 1), (-0.3, 1.3), (0, 1.3), (0, 1), None, 0.5, 0.25, (-0.9, 0.9)),
}
# Smallest and largest number of knots of a transfer curve, and largest step between neighbours.
KNOTS, STEEPEST = (6, 10), 0.4
# Standard intensities that a curve covers.
REACH, ENTRIES = 1.2, 241
# Share of the contrasts that are curves.
CURVES = 0.5
# The T1's texture is limited to this difference from the mean of its tissue.
ROUGHEST = 0.2
# Largest SD of smooth variations in fluid, grey and white matter, and of noise, relative to the range of the tissues.
SHADES_SD, GRAIN_SD = (0.12, 0.04, 0.04), 0.06
# Streams of random numbers of one contrast.
GRAIN, SHADES, NOISE, SAMPLED = 1, 2, 3, 4


@dataclass(frozen=True)
class Contrast:
    """A contrast and an acquisition; draw it with `Contrast.draw`.

    All numbers are here, so that other slabs and other subjects get the same contrast.

    Attributes:
        family: Name in `FAMILIES`.
        mode: "classes", where the tissues have the intensities `levels`, or "curve", where the T1 has the curve
            `knots`.
        levels: Intensities of fluid, grey, white and deep grey matter, vessels and choroid plexus.
        lit: Share of the vessels' and the choroid plexus's intensity that shows, 0 to 1.
        knots: Pairs of standard intensity and new intensity, increasing; empty for classes.
        fineness: Share of the T1's texture that goes through the curve.
        texture: Gain of the T1's texture in fluid, grey, white and deep grey matter.
        grain: SD of noise within the four tissues.
        grain_mm: Width of that noise in mm.
        shades: SD of smooth variations within fluid, grey and white matter, such as from flow and myelin.
        jitter: Factor and offset on the scaled intensities.
        seed: Seed of noise and fields.
        acquisition: What the scanner and the brain extraction add.
    """

    family: str
    mode: str
    levels: tuple[float, ...]
    lit: float
    knots: tuple[tuple[float, float], ...]
    fineness: float
    texture: tuple[float, ...]
    grain: tuple[float, ...]
    grain_mm: float
    shades: tuple[float, ...]
    jitter: tuple[float, float]
    seed: int
    acquisition: Acquisition

    @classmethod
    def draw(cls, random: np.random.Generator, family: str | None = None, mode: str | None = None) -> Contrast:
        """Draw a contrast.

        Args:
            random: Random generator.
            family: Name in `FAMILIES`; None draws it by frequency.
            mode: "classes" or "curve"; None draws it, each half of the time.
        """
        shares = np.array([each.share for each in FAMILIES.values()])
        drawn = list(FAMILIES)[int(random.choice(len(shares), p=shares / shares.sum()))]
        family = drawn if family is None else family
        curved = random.random() < CURVES
        mode = (CURVE if curved else CLASSES) if mode is None else mode
        ranges = FAMILIES[family]
        levels = _levels(ranges, random)
        knots: tuple[tuple[float, float], ...] = ()
        if mode == CURVE:
            knots = _any_knots(random) if ranges.least is None else ()
        tissues = [value for _, value in knots] or levels[:4]
        contrast = max(tissues) - min(tissues)
        acquisition = Acquisition.draw(random, contrast)
        gain = random.uniform(*ranges.texture)
        fineness = float(random.uniform(0.4, 1))
        # Of a curve, the texture that does not go through it.
        rest = 1 - fineness if mode == CURVE else 1.0
        texture = tuple(float(rest * (gain + random.uniform(-0.25, 0.25))) for _ in range(4))
        grain = tuple(float(part) for part in random.uniform(0, GRAIN_SD, 4) * contrast)
        return cls(
            family,
            mode,
            levels,
            float(random.uniform(0.6 if ranges.lit == 1 else 0.3, 1)) if random.random() < ranges.lit else 0.0,
            knots,
            fineness,
            texture,
            grain,
            float(random.choice((0.0, 1.6, 2.6))),
            tuple(float(contrast * random.uniform(0, most)) for most in SHADES_SD),
            # Other tissue in the mask changes the percentiles of the brain.
            (float(random.uniform(0.75 if acquisition.rim_mm else 0.94, 1.06)), float(random.uniform(-0.03, 0.03))),
            int(random.integers(2**31)),
            acquisition,
        )

    def apply(self, anatomy: Anatomy, slices: Sequence[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Compute the image of a healthy scan in this contrast, or some slices of it.

        A slice is the same whatever other slices are computed with it. Thick slices, the field of view and the scale
        of intensities are those of the whole scan.

        Args:
            anatomy: The scan.
            slices: Numbers of the slices, which may repeat; None for all.

        Returns:
            The image, float32 (Z, Y, X), with the brain's 1st percentile at about 0.1 and the 99th at about 0.9, from
            0 to 1.5, and 0 outside the mask; and the mask, bool, which imperfect brain extraction makes differ from
            that of the scan.
        """
        depth = anatomy.mask.shape[0]
        chosen = np.arange(depth) if slices is None else np.asarray(slices, int)
        unique, order = np.unique(chosen, return_inverse=True)
        acquisition = self.acquisition
        weights = acquisition.sampling(anatomy.mask.shape, anatomy.spacing)
        rows, used = weights[0].restricted(unique)
        image = self._signal(anatomy, used)
        image *= acquisition.bias_field(anatomy.mask.shape, self.seed, used)
        image = acquisition.acquired(image, weights, rows, (self.seed, NOISE, anatomy.number))
        mask = acquisition.mask(anatomy.distance[unique], unique, anatomy.mask.shape, self.seed)
        low, high = self._limits(self._sampled(anatomy))
        image = self._scaled(image, low, high)
        image = np.where(mask, image, 0).astype(np.float32)
        return (
            (image, mask)
            if len(unique) == len(chosen) and (order == np.arange(len(order))).all()
            else (
                image[order],
                mask[order],
            )
        )

    def curve(self, means: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Return the curve for a scan with the given class means: standard intensities and new intensities."""
        if self.knots:
            return tuple(np.array(part) for part in zip(*self.knots))
        fluid, grey, white = means[:3]
        a, b, c = self.levels[:3]
        # Beyond the class means, the curve goes on and levels off.
        points = [0.0, fluid, grey, white, white + 0.5 * (white - grey), REACH]
        values = [a - 0.15 * (b - a), a, b, c, c + 0.25 * (c - b), c + 0.3 * (c - b)]
        return np.array(points), np.maximum(values, 0)

    def _table(self, means: Sequence[float]) -> np.ndarray:
        """Return the curve at `ENTRIES` intensities from 0 to `REACH`."""
        points, values = self.curve(means)
        table = np.interp(np.linspace(0, REACH, ENTRIES), points, values)
        kernel = np.exp(-0.5 * (np.arange(-12, 13) / 5.0) ** 2)
        return np.convolve(np.pad(table, 12, mode="edge"), kernel / kernel.sum(), "valid").astype(np.float32)

    def _own(self, means: Sequence[float]) -> np.ndarray:
        """Return the intensities of the four pure tissues, float32."""
        if self.mode == CLASSES:
            return np.array(self.levels[:4], np.float32)
        return np.interp(means, np.linspace(0, REACH, ENTRIES), self._table(means)).astype(np.float32)

    def _covered(self, value: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Cover intensities (N,) with vessels and choroid plexus."""
        if self.lit:
            for number in (4, 5):
                value = value + shares[number] * np.float32(self.lit / FULL) * (np.float32(self.levels[number]) - value)
        return value

    def _mixed(self, shares: np.ndarray, original: np.ndarray, means: tuple[float, ...]) -> np.ndarray:
        """Return intensities from the shares (6, N), 0 to 255, and the T1 (N,)."""
        weights = np.stack([np.array(means), self._own(means), self.texture]).astype(np.float32) / FULL
        base, value, gain = weights @ shares[:4]
        residual = np.clip(original - base, -ROUGHEST, ROUGHEST)
        if self.mode == CURVE:
            position = (base + np.float32(self.fineness) * residual) * np.float32((ENTRIES - 1) / REACH)
            found = self._table(means)[np.clip(position + 0.5, 0, ENTRIES - 1).astype(np.int16)]
            # At a ventricle, a voxel between fluid and white matter has no part that is grey matter.
            value = np.where((shares[0] > 0) & (shares[2] + shares[3] > 0), value, found)
        return self._covered(value + gain * residual, shares)

    def _signal(self, anatomy: Anatomy, planes: np.ndarray) -> np.ndarray:
        """Return the intensities of some planes before the acquisition, (Z, Y, X), with surroundings outside."""
        shape = anatomy.mask.shape
        part = slice(int(planes[0]), int(planes[-1]) + 1)
        shares = anatomy.memberships[:, part].astype(np.float32).reshape(6, -1)
        original = anatomy.image[part].astype(np.float32).ravel()
        value = self._mixed(shares, original, anatomy.means)
        spread = np.array(self.grain, np.float32) / FULL @ shares[:4]
        stream = np.random.default_rng([self.seed, GRAIN, anatomy.number])
        indices = [np.arange(part.start, part.stop), *(np.arange(size) for size in shape[1:])]
        value += spread * random_part(indices, anatomy.spacing, self.grain_mm, stream).ravel()
        for number, amount in enumerate(self.shades):
            field = smooth_field(shape, 5, (self.seed, SHADES, number, anatomy.number), indices[0])
            value += np.float32(amount / FULL) * shares[number] * field.ravel()
        value = np.maximum(value, 0).reshape(-1, *shape[1:])
        return self.acquisition.surrounded(value, anatomy.distance[part], self.levels[0], indices[0], shape, self.seed)

    def sampled(self, anatomy: Anatomy) -> np.ndarray:
        """Estimate the intensities of the image at `Anatomy.places`, float32 (N,)."""
        values = self._sampled(anatomy)
        return self._scaled(values, *self._limits(values)).astype(np.float32)

    def _sampled(self, anatomy: Anatomy) -> np.ndarray:
        """Estimate the intensities at some voxels of the brain before they are scaled, (N,)."""
        blur = np.array(self.acquisition.blurs())
        *shares, original = anatomy.samples[int(np.square(np.array(BLURS_MM) - blur).sum(axis=1).argmin())]
        shares = np.stack(shares)
        random = np.random.default_rng([self.seed, SAMPLED])
        value = self._mixed(shares, original, anatomy.means)
        value = value + np.array(self.grain, np.float32) / FULL @ shares[:4] * random.standard_normal(value.shape)
        value = np.maximum(value, 0) * self.acquisition.bias_at(anatomy.mask.shape, self.seed, anatomy.places)
        return self.acquisition.noisy(value, random.standard_normal((2, *value.shape)))

    @staticmethod
    def _limits(values: np.ndarray) -> tuple[float, float]:
        """Return the percentiles that are scaled."""
        low, high = np.percentile(values, PERCENTILES)
        return float(low), float(max(high, low + 1e-3))

    def _scaled(self, image: np.ndarray, low: float, high: float) -> np.ndarray:
        factor, offset = self.jitter
        share = (image - np.float32(low)) / np.float32(high - low)
        gamma = self.acquisition.gamma
        share = np.sign(share) * np.abs(share) ** np.float32(gamma)
        scaled = SCALED[0] + (SCALED[1] - SCALED[0]) * share
        return np.clip(np.float32(factor) * scaled + np.float32(offset), LOWEST, HIGHEST)


def _levels(ranges: Family, random: np.random.Generator) -> tuple[float, ...]:
    """Draw the six intensities of a family."""
    fluid, grey, white = (float(random.uniform(*each)) for each in (ranges.fluid, ranges.grey, ranges.white))
    if ranges.least is not None:
        sign = 1 if ranges.least > 0 else -1
        grey = white + sign * max(sign * (grey - white), abs(ranges.least))
        # The ranges of fluid and grey matter may overlap, the intensities keep their order.
        fluid = min(fluid, grey - 0.03) if ranges.fluid[0] < ranges.grey[0] else fluid
    share = random.uniform(*ranges.deep)
    vessels, choroid = (float(random.uniform(*each)) for each in (ranges.vessels, ranges.choroid))
    return fluid, grey, white, float(white + share * (grey - white)), vessels, choroid


def _any_knots(random: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Draw a curve through 6 to 10 knots that may go up and down."""
    count = int(random.integers(KNOTS[0], KNOTS[1] + 1))
    places = np.linspace(0, REACH, count)
    places[1:-1] += random.uniform(-0.35, 0.35, count - 2) * REACH / (count - 1)
    values = [float(random.uniform(0, 1))]
    for _ in range(count - 1):
        step = random.uniform(-STEEPEST, STEEPEST)
        # A step beyond the range goes the other way.
        values.append(float(values[-1] + (step if 0 <= values[-1] + step <= 1 else -step)))
    return tuple((float(place), value) for place, value in zip(places, values))
