"""Shares of tissues in the voxels of a T1 brain, by a mixture of Gaussians with partial volume.

The classes of the mixture are pure fluid, grey and white matter, and voxels that hold any share of two of them
(Santago and Gage 1993, IEEE Trans Med Imaging 12:566). Expectation maximisation runs on the histogram, in turn with a
polynomial for the bias field (after Van Leemput et al. 1999, doi:10.1109/42.811268). Nothing here is used by the
training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from scipy.ndimage import uniform_filter

from ...errors import InputError
from ...runtime.numerics import evenly_spread
from ...volume import Volume
from .anatomy import Frame

FLUID, CORTEX, DEEP, WHITE = TISSUES = ("fluid", "cortex", "deep grey", "white")
BINS, EM_ROUNDS, BIAS_ROUNDS = 256, 40, 4
# Steps of the share of the second tissue in a voxel of two; degree of the polynomial; voxels that it is fitted to.
STEPS, DEGREE, SAMPLED = 10, 3, 150_000
# Ends of the histogram.
PERCENTILES = (0.1, 99.8)
# Smallest SD of a class, as a share of the range of intensities.
LEAST_SD = 0.015
# The rim of white matter that a ventricle touches has the intensity of grey matter: within this many mm both tissues
# have at least these shares there.
WALL_MM, WALL_FLUID, WALL_WHITE = 3.5, 0.12, 0.25
# The head of the caudate nucleus lies this far outside `Frame.outside_nuclei`; distance over which nuclei end, in mm.
NUCLEI_BEYOND_MM, NUCLEI_EDGE_MM = 6.0, 10.0


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of three Gaussians and of the mixed voxels between neighbours among them.

    Attributes:
        means: Mean intensity of fluid, grey and white matter, increasing, (3,).
        sd: SD of each, (3,).
        weights: Shares of the five classes: the three, then fluid with grey and grey with white matter, (5,).
    """

    means: np.ndarray
    sd: np.ndarray
    weights: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> Mixture:
        """Fit intensities (N,), of a brain in which they increase from fluid over grey to white matter."""
        low, high = np.percentile(values, PERCENTILES)
        count, edges = np.histogram(values, BINS, (low, high))
        centre = (edges[1:] + edges[:-1]) / 2
        # Half of the voxels of a brain are brighter than most grey matter.
        start = np.percentile(values, (3.0, 35.0, 80.0))
        found = cls(start, np.full(3, 0.08 * (high - low)), np.array([0.1, 0.35, 0.35, 0.1, 0.1]))
        for _ in range(EM_ROUNDS):
            pure, mixed = found._densities(centre)
            joint = np.concatenate([pure, mixed.mean(axis=1)]) * found.weights[:, None]
            posterior = joint / np.maximum(joint.sum(axis=0), 1e-30) * count
            total = np.maximum(posterior.sum(axis=1), 1e-9)
            means = (posterior[:3] * centre).sum(axis=1) / total[:3]
            variance = (posterior[:3] * (centre - means[:, None]) ** 2).sum(axis=1) / total[:3]
            sd = np.maximum(np.sqrt(variance), LEAST_SD * (high - low))
            found = cls(means, sd, total / total.sum())
        return found

    def shares(self, values: np.ndarray) -> np.ndarray:
        """Return the expected shares of fluid, grey and white matter for intensities (N,): (3, N)."""
        grid = np.linspace(self.means[0] - 4 * self.sd[0], self.means[2] + 4 * self.sd[2], 4 * BINS)
        pure, mixed = self._densities(grid)
        share = (np.arange(STEPS) + 0.5) / STEPS
        found = pure * self.weights[:3, None]
        for pair, first in ((0, 0), (1, 1)):
            joint = mixed[pair] * (self.weights[3 + pair] / STEPS)
            found[first] += ((1 - share)[:, None] * joint).sum(axis=0)
            found[first + 1] += (share[:, None] * joint).sum(axis=0)
        # Beyond the last class a density may vanish; the order of the tissues decides there.
        found[0, grid < self.means[0]] += 1e-12
        found[2, grid > self.means[2]] += 1e-12
        found = found / np.maximum(found.sum(axis=0), 1e-30)
        return np.stack([np.interp(values, grid, one) for one in found])

    def expected(self, values: np.ndarray) -> np.ndarray:
        """Return the intensity without noise of voxels with the shares of these intensities (N,)."""
        return self.means @ self.shares(values)

    def _densities(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the densities of the pure classes (3, N) and, by share, of the mixed ones (2, `STEPS`, N)."""
        share = (np.arange(STEPS) + 0.5)[:, None] / STEPS
        mixed = [
            _normal(values, m + share * (n - m), np.sqrt((1 - share) * s**2 + share * t**2))
            for m, n, s, t in zip(self.means, self.means[1:], self.sd, self.sd[1:])
        ]
        return _normal(values, self.means[:, None], self.sd[:, None]), np.stack(mixed)


def tissue_shares(volume: Volume, brain: np.ndarray) -> np.ndarray:
    """Return the share of each of `TISSUES` in each voxel of a T1 brain.

    Args:
        volume: The scan, (Z, Y, X).
        brain: True in the brain, bool (Z, Y, X).

    Returns:
        float32 (4, Z, Y, X); the shares add up to 1 in the brain and are 0 outside.

    Raises:
        InputError: If fluid, grey and white matter do not get brighter in this order.
    """
    places = np.argwhere(brain)
    chosen = places[evenly_spread(len(places), SAMPLED)]
    values, terms = volume.array[tuple(chosen.T)].astype(np.float64), _polynomials(chosen, brain.shape)
    low, high = np.percentile(values, PERCENTILES)
    if not high > low:
        raise InputError("tissue_contrast", scan=volume.name)
    mixture, fitted = Mixture.fit(values), np.zeros(terms.shape[1])
    for _ in range(BIAS_ROUNDS):
        corrected = values / np.exp(terms @ fitted)
        expected = np.maximum(mixture.expected(corrected), 1e-6 * corrected.max())
        # Fluid says little about a factor: its intensity is low.
        weight = np.clip(expected / mixture.means[2], 0, 1) ** 2 * (corrected > 0.2 * mixture.means[1])
        ratio = np.log(np.maximum(values, 1e-6 * values.max()) / expected)
        fitted, *_ = np.linalg.lstsq(terms * weight[:, None], ratio * weight, rcond=None)
        mixture = Mixture.fit(values / np.exp(terms @ fitted))
    if not (np.diff(mixture.means) > 2 * LEAST_SD * np.ptp(mixture.means)).all():
        raise InputError("tissue_contrast", scan=volume.name)
    found = np.zeros((3, *brain.shape), np.float32)
    bias = np.exp(_polynomials(places, brain.shape) @ fitted.astype(np.float32))
    found[:, brain] = mixture.shares(volume.array[brain] / bias)
    _without_grey_walls(found, volume.spacing[::-1])
    return _with_nuclei(found, volume, brain, places)


def _without_grey_walls(shares: np.ndarray, spacing: np.ndarray) -> None:
    """Divide the grey matter between fluid and white matter where both touch, as at the wall of a ventricle."""
    fluid, grey, white = shares
    size = [max(3, 2 * round(WALL_MM / step / 2) + 1) for step in spacing]
    near = np.minimum(uniform_filter(fluid, size) / WALL_FLUID, uniform_filter(white, size) / WALL_WHITE)
    # Cortex between both has much grey matter around it; a wall is a thin layer.
    layer = np.clip(1.6 - 2.0 * uniform_filter(grey, size), 0, 1)
    moved = grey * np.clip(near - 0.5, 0, 1) * layer
    grey -= moved
    fluid += 0.5 * moved
    white += 0.5 * moved


def _with_nuclei(shares: np.ndarray, volume: Volume, brain: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Separate deep grey matter, by position and by an intensity between those of cortex and white matter."""
    frame = Frame.measure(volume.affine, places)
    outside = frame.outside_nuclei(frame.position([np.arange(size) for size in brain.shape]))
    within = np.clip(0.5 - (outside - NUCLEI_BEYOND_MM) / NUCLEI_EDGE_MM, 0, 1).astype(np.float32)
    fluid, grey, white = shares
    tissue = grey + white
    mixed = 4 * grey * white / np.maximum(tissue, 1e-6) ** 2
    deep = within * np.maximum(mixed * tissue, grey)
    remaining = np.where(tissue > 0, 1 - deep / np.maximum(tissue, 1e-6), 0)
    return np.stack([fluid, grey * remaining, deep, white * remaining]).astype(np.float32)


def _polynomials(places: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return products of Legendre polynomials up to `DEGREE` at voxels (N, 3) of a grid, without the constant."""
    along = [
        legendre.legvander(2 * part / max(size - 1, 1) - 1, DEGREE).astype(np.float32)
        for part, size in zip(places.T, shape)
    ]
    powers = [(a, b, c) for a in range(4) for b in range(4) for c in range(4) if 0 < a + b + c <= DEGREE]
    return np.stack([along[0][:, a] * along[1][:, b] * along[2][:, c] for a, b, c in powers], axis=1)


def _normal(values: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * ((values - mean) / sd) ** 2) / sd
