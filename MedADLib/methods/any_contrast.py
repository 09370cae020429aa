"""Restoration of brains of any MR contrast, by a network that learned synthetic contrasts and anomalies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import interpolate

from ..errors import SettingError
from ..networks.synthetic_restoration import SlabRestorer
from ..runtime.numerics import evenly_spread
from .synthetic_restoration import SyntheticRestoration, SyntheticRestorationParameters

# At most this many voxels of the scan enter the regression, where the tissues add up to this share at least.
SAMPLED, LEAST_TISSUE = 20_000, 0.5
# Rounds of the robust regression; residuals beyond this many robust SD count less (Huber 1964).
ROUNDS, USUAL_SD = 6, 1.5
# Squared residuals enter the variance up to this many robust SD; the SD is at least this share of the robust SD.
FARTHEST_SD, LEAST_SD = 4.0, 0.3
# Smallest robust SD, in standard intensities.
LEAST_USUAL = 1e-3
# Keeps the regression regular where two tissues have the same shares everywhere.
RIDGE = 1e-6
MOST_TISSUES = 16


@dataclass(frozen=True)
class AnyContrastParameters(SyntheticRestorationParameters):
    """Settings of the network and of its score, see `SyntheticRestorationParameters`.

    Attributes:
        tissues: Number of tissues with stored shares.
    """

    tissues: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dimensions != 2:
            raise SettingError("contrasts_of_blocks")
        if not 2 <= self.tissues <= MOST_TISSUES:
            raise SettingError("tissue_count", most=MOST_TISSUES)

    def network(self) -> SlabRestorer:
        """Build the untrained network."""
        return SlabRestorer(tuple(self.channels), tuple(self.resolution), self.dimensions, self.tissues)


class AnyContrastRestoration(SyntheticRestoration):
    """Restorer of synthetic anomalies in synthetic contrasts (after Billot et al. 2023 and Liu et al. 2025).

    As `SyntheticRestoration`, but the training scans get random contrasts, and the network restores a scan in its own
    contrast. There are no healthy scans of that contrast. Instead of their mean and SD, the network sees those that a
    regression of the scan on the shares of tissues in the training scans gives, see `TissueRegression`.
    """

    name = "any_contrast"
    Parameters = AnyContrastParameters

    def _healthy(self, image: np.ndarray, mask: np.ndarray) -> torch.Tensor:
        shares = self.network.healthy.cpu().numpy()
        places = np.flatnonzero(mask)
        places = np.stack(np.unravel_index(places[evenly_spread(len(places), SAMPLED)], mask.shape))
        found = TissueRegression.of(image[tuple(places)], design_at(places, mask.shape, shares))
        maps = torch.from_numpy(found.maps(terms_of(shares)))[None]
        return interpolate(maps, size=image.shape, mode="trilinear", align_corners=False)[0]


@dataclass(frozen=True, eq=False)
class TissueRegression:
    """Mean and SD of healthy scans of the contrast of a scan, estimated from the scan itself.

    The mean is the best linear combination of the shares p_j of tissues and of their products p_j·p_k, which are large
    at borders, found by robust regression, so that a lesion changes it little. The variance is such a combination of
    the squared residuals.

    Attributes:
        mean: Coefficients of the mean, (T,).
        variance: Coefficients of the variance, (T,).
        least: Smallest SD.
    """

    mean: np.ndarray
    variance: np.ndarray
    least: float

    @classmethod
    def of(cls, values: np.ndarray, design: np.ndarray) -> TissueRegression:
        """Regress intensities of voxels on the terms of their places.

        Args:
            values: Intensities, (N,).
            design: From `design_at`, (N, T); rows of zeros do not count.
        """
        known = design.any(axis=1)
        values, design = values[known].astype(np.float64), design[known].astype(np.float64)
        weights, distance, usual = np.ones(len(values)), np.zeros(len(values)), LEAST_USUAL
        for _ in range(ROUNDS):
            mean = _least_squares(design, values, weights)
            distance = np.abs(values - design @ mean)
            usual = max(float(np.median(distance)) * 1.4826 if distance.size else 0.0, LEAST_USUAL)
            weights = np.minimum(1.0, USUAL_SD * usual / np.maximum(distance, LEAST_USUAL))
        variance = _least_squares(design, np.minimum(distance, FARTHEST_SD * usual) ** 2, np.ones(len(values)))
        return cls(mean, variance, LEAST_SD * usual)

    def maps(self, terms: np.ndarray) -> np.ndarray:
        """Return mean and SD where the terms (T, …) are known, float32 (2, …)."""
        mean, squared = (np.tensordot(part.astype(np.float32), terms, 1) for part in (self.mean, self.variance))
        return np.stack([mean, np.sqrt(np.maximum(squared, self.least**2))])


def terms_of(shares: np.ndarray) -> np.ndarray:
    """Return the shares of K tissues and their products, which describe a place: float32 (T, …), T = K (K + 1) / 2.

    Args:
        shares: Mean shares of the tissues in healthy scans, (K, …). Where there is little tissue, the terms are 0.
    """
    tissue = shares.sum(axis=0)
    parts = np.where(tissue > LEAST_TISSUE, shares / np.maximum(tissue, LEAST_TISSUE), 0).astype(np.float32)
    first, second = np.triu_indices(len(shares), 1)
    return np.concatenate([parts, parts[first] * parts[second]])


def design_at(places: np.ndarray, shape: tuple[int, ...], shares: np.ndarray) -> np.ndarray:
    """Return the terms at voxels of a grid.

    Args:
        places: Indices (z, y, x) of the voxels, (3, N).
        shape: The grid, (Z, Y, X).
        shares: Shares of the tissues on a coarser grid of the same extent, (K, Z', Y', X').

    Returns:
        float32 (N, T).
    """
    cells = tuple(index * coarse // size for index, size, coarse in zip(places, shape, shares.shape[1:]))
    return terms_of(shares[(slice(None), *cells)]).T


def _least_squares(design: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the coefficients of a weighted linear regression."""
    weighted = design.T * weights
    ridge = RIDGE * max(len(values), 1) * np.eye(design.shape[1])
    return np.linalg.solve(weighted @ design + ridge, weighted @ values)
