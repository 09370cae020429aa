"""Restoration of brains of any MR contrast, by a network that learned synthetic contrasts and anomalies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool3d, interpolate

from ..errors import SettingError
from ..networks.synthetic_restoration import SlabRestorer
from .synthetic_restoration import SyntheticRestoration, SyntheticRestorationParameters

# Shares of examined voxels and of tissue below which a voxel of the coarse grid does not count.
LEAST_EXAMINED, LEAST_TISSUE = 0.6, 0.5
# Rounds of the robust regression; residuals beyond this many robust SD count less (Huber 1964).
ROUNDS, USUAL_SD = 6, 1.5
# Squared residuals enter the variance up to this many robust SD; the SD is at least this share of the robust SD.
FARTHEST_SD, LEAST_SD = 4.0, 0.3
# Keeps the regression regular where two tissues have the same shares everywhere.
RIDGE = 1e-6
MOST_TISSUES = 16


@dataclass(frozen=True)
class AnyContrastParameters(SyntheticRestorationParameters):
    """Settings of the network and of its score.

    Attributes:
        tissues: Number of tissues with stored shares.
    """

    tissues: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.tissues <= MOST_TISSUES:
            raise SettingError("tissue_count", most=MOST_TISSUES)

    def network(self) -> SlabRestorer:
        """Build the untrained network."""
        return SlabRestorer(tuple(self.channels), tuple(self.resolution), self.tissues)


class AnyContrastRestoration(SyntheticRestoration):
    """Restorer of synthetic anomalies in synthetic contrasts (after Billot et al. 2023 and Liu et al. 2025).

    As `SyntheticRestoration`, but the training scans get random contrasts, and the network restores a scan in its own
    contrast. Mean and SD of healthy scans of that contrast do not exist; the network sees those that a regression of
    the scan on the shares of tissues in the training scans gives instead, see `expected_maps`.
    """

    name = "any_contrast"
    Parameters = AnyContrastParameters

    def _healthy(self, image: np.ndarray, mask: np.ndarray) -> torch.Tensor:
        return expected_maps(image, mask, self.network.healthy.cpu().numpy())


def expected_maps(image: np.ndarray, mask: np.ndarray, shares: np.ndarray) -> torch.Tensor:
    """Estimate mean and SD of healthy scans of the contrast of a scan, from the scan itself.

    The mean is the best linear combination of the shares p_j of tissues and of their products p_j·p_k, which are large
    at borders, found by robust regression, so that a lesion changes it little. The variance is the same combination of
    the squared residuals.

    Args:
        image: Standard intensities, (Z, Y, X).
        mask: Examined part, bool (Z, Y, X).
        shares: Mean shares of the tissues in healthy scans on a coarser grid, (K, Z', Y', X').

    Returns:
        Mean and SD, float32 (2, Z, Y, X).
    """
    parts = np.stack([np.where(mask, image, 0), mask]).astype(np.float32)
    total, examined = adaptive_avg_pool3d(torch.from_numpy(parts)[None], shares.shape[1:])[0].numpy()
    mean, spread = regressed(total / np.maximum(examined, 1e-3), examined > LEAST_EXAMINED, shares)
    maps = torch.from_numpy(np.stack([mean, spread]))[None]
    return interpolate(maps, size=image.shape, mode="trilinear", align_corners=False)[0]


def regressed(values: np.ndarray, examined: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regress intensities on shares of tissues; see `expected_maps`.

    Args:
        values: Intensities on the coarser grid, (Z', Y', X').
        examined: Examined part there, bool.
        shares: Shares of the tissues, (K, Z', Y', X').

    Returns:
        Mean and SD, each float32 (Z', Y', X').
    """
    tissue = shares.sum(axis=0)
    parts = shares / np.maximum(tissue, 1e-3)
    first, second = np.triu_indices(len(shares), 1)
    terms = np.concatenate([parts, parts[first] * parts[second]])
    used = examined & (tissue > LEAST_TISSUE)
    if np.count_nonzero(used) < len(terms):
        return np.zeros(values.shape, np.float32), np.ones(values.shape, np.float32)
    design, seen = terms[:, used].T.astype(np.float64), values[used].astype(np.float64)
    weights = np.ones(len(seen))
    for _ in range(ROUNDS):
        found = _least_squares(design, seen, weights)
        distance = np.abs(seen - design @ found)
        usual = max(float(np.median(distance)) * 1.4826, 1e-4)
        weights = np.minimum(1.0, USUAL_SD * usual / np.maximum(distance, 1e-6))
    variance = _least_squares(design, np.minimum(distance, FARTHEST_SD * usual) ** 2, np.ones(len(seen)))
    mean, squared = (np.tensordot(each.astype(np.float32), terms, 1) for each in (found, variance))
    return mean, np.sqrt(np.maximum(squared, (LEAST_SD * usual) ** 2))


def _least_squares(design: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the coefficients of a weighted linear regression."""
    weighted = design.T * weights
    ridge = RIDGE * len(values) * np.eye(design.shape[1])
    return np.linalg.solve(weighted @ design + ridge, weighted @ values)
