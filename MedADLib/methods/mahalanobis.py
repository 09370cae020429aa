"""Voxelwise Mahalanobis distance to the local features of aligned healthy scans; no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool3d, interpolate

from ..errors import ModelError, SettingError
from ..messages import Message
from ..runtime.progress import Progress
from ..scoring.pooling import smooth
from ..scoring.restoration import Restoration
from .base import Method, is_grid, require_tensors

# Widths of the two Gaussians of the features, full width at half maximum in mm.
FINE_MM, COARSE_MM = 3.0, 6.0
# Added to SD and gradient before the logarithm, in standard intensities: about the noise of a T1 scan.
NOISE = 0.01
FEATURES = 5
# Entries (row, column) of the lower triangle of a matrix of all features, in the order in which they are stored.
TRIANGLE = tuple((row, column) for row in range(FEATURES) for column in range(row + 1))
# Edge of the blocks that have one mean and covariance, in voxels.
COARSER = 2
FEWEST = 3
# Smallest SD of a feature, for scans without any variation.
LEAST_SD = 1e-3


@dataclass(frozen=True)
class MahalanobisParameters:
    """Settings of the method; the training finds all of them.

    Attributes:
        shape: Model grid (Z, Y, X).
        spacing: Voxel spacing along (x, y, z) in mm.
        resolution: Grid (Z, Y, X) of mean and covariance.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    resolution: tuple[int, ...]

    found: ClassVar[tuple[str, ...]] = ("shape", "spacing", "resolution")

    def __post_init__(self) -> None:
        if not is_grid(self.shape, self.spacing):
            raise SettingError("grid_of_a_body")
        if len(self.resolution) != 3 or any(not 0 < few <= size for few, size in zip(self.resolution, self.shape)):
            raise SettingError("feature_grid")


class Mahalanobis(Method):
    """Mahalanobis distance of five local features to their healthy distribution: a baseline without a network.

    As PaDiM (Defard et al. 2021): a Gaussian of features at each position. The features are made by hand in place of
    those of a network: intensity, local SD at two scales, gradient, and Laplacian, see `local_features`. Voxel score:
    |W·(f − μ)| with the healthy mean μ of the features f, and WᵀW = Σ⁻¹ with their covariance Σ. Sample score: its mean
    over the brain. The pseudo-healthy image is the healthy mean of the intensity.
    """

    name = "mahalanobis"
    Parameters = MahalanobisParameters

    def __init__(self, parameters: MahalanobisParameters, mean: np.ndarray, whitening: np.ndarray):
        """Store μ, float32 (5, Z', Y', X'), and the lower triangle of W, float32 (15, Z', Y', X')."""
        self.parameters, self.mean, self.whitening = parameters, mean, whitening

    @classmethod
    def train(
        cls,
        scans: Sequence[tuple[np.ndarray, np.ndarray]],
        spacing: tuple[float, ...],
        mirrored: bool = True,
        progress: Progress | None = None,
    ) -> Mahalanobis:
        """Estimate mean and covariance of the features over scans and, where those are healthy too, mirror images.

        The scans are few for a covariance at each voxel, and their alignment is inexact. Mean and covariance are
        therefore those of blocks of voxels, and the covariance is `shrunk` towards a multiple of its mean over all
        positions. Deviations are from the interpolated mean, as in the score. Positions that hardly any scan has get
        the mean of the nearest other position, and the covariance of the whole brain.

        Args:
            scans: Pairs of image and mask, each (Z, Y, X).
            spacing: Voxel spacing along (x, y, z) in mm.
            mirrored: Whether mirror images of the scans are healthy scans too.
            progress: Receives each scan; may cancel.

        Raises:
            ModelError: If there are fewer than 3 scans.
            Cancelled: If the user stops the training.
        """
        from scipy.ndimage import distance_transform_edt

        if len(scans) < FEWEST:
            raise ModelError("mahalanobis_too_few_scans", count=len(scans), minimum=FEWEST)
        progress, shape = progress or Progress(), scans[0][0].shape
        resolution = tuple(-(-size // COARSER) for size in shape)

        def samples(half: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
            """Yield features and mask of each scan and mirror image; the halves of the training are 0 and 1."""
            for number, (image, mask) in enumerate(scans):
                message = Message("progress_features", number=number + 1, count=len(scans))
                progress.update((half + number / len(scans)) / 2, message)
                features = local_features(image, mask, spacing)
                for turn in (slice(None), slice(None, None, -1))[: 1 + mirrored]:
                    yield features[..., turn], mask[..., turn]

        count, totals = np.zeros(resolution), np.zeros((FEATURES, *resolution))
        for features, mask in samples(0):
            count += _coarser(mask[None], resolution)[0]
            totals += _coarser(features, resolution)
        seen = count >= FEWEST * (1 + mirrored)
        nearest = distance_transform_edt(~seen, return_distances=False, return_indices=True)
        mean = (totals / np.maximum(count, 1))[(slice(None), *nearest)].astype(np.float32)
        fine = _finer(mean, shape)
        squares = np.zeros((len(TRIANGLE), *resolution))
        for features, mask in samples(1):
            deviations = (features - fine) * mask
            products = np.stack([deviations[row] * deviations[column] for row, column in TRIANGLE])
            squares += _coarser(products, resolution)
        whitening = _whitening(count, mean, squares, seen)
        parameters = MahalanobisParameters(tuple(shape), tuple(float(step) for step in spacing), resolution)
        return cls(parameters, mean, whitening)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return μ and W in half precision."""
        return {"mean": self.mean.astype(np.float16), "whitening": self.whitening.astype(np.float16)}

    @classmethod
    def from_tensors(cls, parameters: MahalanobisParameters, tensors: dict[str, np.ndarray]) -> Mahalanobis:
        """Build the method from saved tensors.

        Raises:
            ModelError: If they do not fit the parameters.
        """
        grid = tuple(parameters.resolution)
        require_tensors(cls.name, tensors, {"mean": (FEATURES, *grid), "whitening": (len(TRIANGLE), *grid)})
        return cls(parameters, *(tensors[key].astype(np.float32) for key in ("mean", "whitening")))

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether the method accepts prepared scans of this shape (Z, Y, X)."""
        return tuple(shape) == tuple(self.parameters.shape)

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score the distance; the pseudo-healthy image is the healthy mean of the intensity."""
        mean = _finer(self.mean, image.shape)
        deviations = local_features(image, mask, self.parameters.spacing) - mean
        progress.update(0.6)
        whitened = np.zeros_like(deviations)
        for (row, column), weight in zip(TRIANGLE, self.whitening):
            whitened[row] += _finer(weight[None], image.shape)[0] * deviations[column]
        score = np.sqrt((whitened**2).sum(axis=0))
        return Restoration(score, mean[0], float(score[mask].mean()))


def local_features(image: np.ndarray, mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Compute the local features of a scan from its voxels inside the mask.

    The features have about the same meaning at the edge of the mask as in its middle, because the Gaussians and the
    gradient use voxels inside the mask only.

    Args:
        image: Standard intensities, (Z, Y, X).
        mask: Examined part, bool (Z, Y, X).
        spacing: Voxel spacing along (x, y, z) in mm.

    Returns:
        float32 (5, Z, Y, X), 0 outside the mask: Gaussian mean over 3 mm; logarithms of the SD under Gaussians of 3 and
        of 6 mm and of the gradient of the first feature in units of 1 / 3 mm, so that changes in proportion count
        alike; difference of the means over 3 and 6 mm, an approximation of the Laplacian (Marr, Hildreth 1980).
    """
    squares = image.astype(np.float32) ** 2
    fine, coarse = (smooth(image, mask, spacing, width) for width in (FINE_MM, COARSE_MM))
    variances = [smooth(squares, mask, spacing, w) - m**2 for w, m in ((FINE_MM, fine), (COARSE_MM, coarse))]
    lengths = [np.sqrt(np.maximum(variance, 0)) for variance in variances]
    lengths.append(FINE_MM * gradient_length(fine, mask, spacing))
    return np.where(mask, np.stack([fine, *(np.log(length + NOISE) for length in lengths), fine - coarse]), 0)


def gradient_length(image: np.ndarray, mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the length of the gradient of an image (Z, Y, X) per mm, by differences between voxels of a mask.

    Differences are central, and one-sided where only one neighbour is inside. `spacing` is (x, y, z) in mm.
    """
    squares = np.zeros(image.shape, np.float32)
    for axis, step in enumerate(spacing[::-1]):
        values, inside = np.moveaxis(image, axis, 0), np.moveaxis(mask, axis, 0)
        pairs = inside[1:] & inside[:-1]
        differences = np.where(pairs, (values[1:] - values[:-1]) / np.float32(step), 0)
        total, count = np.zeros(values.shape, np.float32), np.zeros(values.shape, np.float32)
        for part in (slice(1, None), slice(None, -1)):
            total[part] += differences
            count[part] += pairs
        squares += np.moveaxis((total / np.maximum(count, 1)) ** 2, 0, axis)
    return np.sqrt(squares)


def shrunk(covariances: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Shrink sample covariances towards a multiple of the unit matrix (Chen et al. 2010, OAS).

    For few samples of a normal distribution this has a smaller error than the weight of Ledoit and Wolf, and needs the
    covariance alone.

    Args:
        covariances: Sample covariances, (N, p, p).
        counts: Number of samples behind each, (N,).

    Returns:
        (1 − ρ)·S + ρ·(tr S / p)·I, (N, p, p).
    """
    size = covariances.shape[-1]
    level = np.trace(covariances, axis1=1, axis2=2) / size
    power = (covariances**2).mean(axis=(1, 2))
    excess = (counts + 1) * (power - level**2 / size)
    weight = np.minimum((power + level**2) / np.maximum(excess, 1e-300), 1.0)
    return (1 - weight)[:, None, None] * covariances + (weight * level)[:, None, None] * np.eye(size)


def _whitening(count: np.ndarray, mean: np.ndarray, squares: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the lower triangle of W, float32 (15, Z', Y', X').

    Args:
        count: Samples at each position, (Z', Y', X'); a block that is partly inside a mask counts in part.
        mean: μ, (5, Z', Y', X').
        squares: Sums of products of deviations in the order of `TRIANGLE`, (15, Z', Y', X').
        seen: Positions of enough samples, bool (Z', Y', X'); others get the covariance of the whole brain.
    """
    counts, covariances = count[seen], np.zeros((np.count_nonzero(seen), FEATURES, FEATURES))
    for (row, column), part in zip(TRIANGLE, squares):
        covariances[:, row, column] = covariances[:, column, row] = part[seen] / counts
    covariances += LEAST_SD**2 * np.eye(FEATURES)
    within = np.average(covariances, axis=0, weights=counts)
    between = np.cov(mean[:, seen], aweights=counts, bias=True)
    # In these coordinates `within` is the unit matrix, so the shrinkage is towards a multiple of it.
    to_unit = np.linalg.inv(np.linalg.cholesky(within))
    covariances = shrunk(to_unit @ covariances @ to_unit.T, counts)
    found = np.zeros((FEATURES, FEATURES, *count.shape), np.float32)
    found[:] = np.linalg.inv(np.linalg.cholesky(within + between))[..., None, None, None]
    found[..., seen] = np.moveaxis(np.linalg.inv(np.linalg.cholesky(covariances)) @ to_unit, 0, -1)
    return np.stack([found[row, column] for row, column in TRIANGLE])


def _coarser(maps: np.ndarray, resolution: tuple[int, ...]) -> np.ndarray:
    """Return the means of the blocks of maps (C, Z, Y, X), float32 (C, Z', Y', X')."""
    return adaptive_avg_pool3d(torch.from_numpy(np.ascontiguousarray(maps, np.float32)), resolution).numpy()


def _finer(maps: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate coarse maps (C, Z', Y', X') trilinearly to a grid, float32 (C, Z, Y, X)."""
    return interpolate(torch.from_numpy(maps)[None], size=shape, mode="trilinear", align_corners=False)[0].numpy()
