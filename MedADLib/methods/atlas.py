"""Voxelwise z-score against the mean and SD of aligned healthy scans; no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import ModelError, SettingError
from ..runtime.progress import Progress
from ..scoring.pooling import smooth
from ..scoring.restoration import Restoration
from .base import Method, is_grid, require_tensors

FEWEST = 3


@dataclass(frozen=True)
class AtlasParameters:
    """Settings of the atlas.

    Attributes:
        shape: Model grid (Z, Y, X).
        spacing: Voxel spacing along (x, y, z) in mm.
        fwhm_mm: Smoothing of the signed z-score, full width at half maximum.
        floor: Smallest SD, as a fraction of the mean SD over the brain; it limits z where the healthy SD is small.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    fwhm_mm: float = 8.0
    floor: float = 0.5

    found: ClassVar[tuple[str, ...]] = ("shape", "spacing", "fwhm_mm", "floor")

    def __post_init__(self) -> None:
        if not is_grid(self.shape, self.spacing):
            raise SettingError("grid_of_a_body")
        if not (0 <= self.fwhm_mm <= 50 and 0 < self.floor <= 10):
            raise SettingError("atlas_smoothing")


class Atlas(Method):
    """Voxelwise z-score against aligned, histogram-matched healthy scans: a baseline without a network.

    Voxel score: |G ∗ (x − μ) / max(σ, floor·mean σ)| with a Gaussian G inside the brain. Sample score: its mean over
    the brain. The pseudo-healthy image is μ.
    """

    name = "atlas"
    Parameters = AtlasParameters

    def __init__(self, parameters: AtlasParameters, mean: np.ndarray, spread: np.ndarray):
        """Store mean and SD of healthy scans, float32 (Z, Y, X) in standard intensities."""
        self.parameters, self.mean, self.spread = parameters, mean, spread

    @classmethod
    def train(
        cls,
        scans: Sequence[tuple[np.ndarray, np.ndarray]],
        spacing: tuple[float, ...],
        mirrored: bool = True,
        **settings,
    ) -> Atlas:
        """Compute voxelwise mean and SD over scans and, where those are healthy too, their mirror images.

        Scans are pairs of image and mask, (Z, Y, X); `spacing` is (x, y, z) in mm; `settings` are other parameters.

        Raises:
            ModelError: If there are fewer than 3 scans.
        """
        if len(scans) < FEWEST:
            raise ModelError("atlas_too_few_scans", count=len(scans), minimum=FEWEST)
        shape = scans[0][0].shape
        count, total, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for image, mask in scans:
            for i, m in ((image, mask), (image[:, :, ::-1], mask[:, :, ::-1]))[: 1 + mirrored]:
                values = np.where(m, i.astype(np.float64), 0.0)
                count, total, squares = count + m, total + values, squares + values**2
        safe = np.maximum(count, 1)
        mean = total / safe
        spread = np.sqrt(np.maximum(squares / safe - mean**2, 0))
        rare = count < FEWEST * (1 + mirrored)
        mean[count == 0] = 0.0
        spread[rare] = spread[~rare].max()
        parameters = AtlasParameters(tuple(shape), tuple(float(s) for s in spacing), **settings)
        return cls(parameters, mean.astype(np.float32), spread.astype(np.float32))

    def tensors(self) -> dict[str, np.ndarray]:
        """Return mean and SD in half precision."""
        return {"mean": self.mean.astype(np.float16), "spread": self.spread.astype(np.float16)}

    @classmethod
    def from_tensors(cls, parameters: AtlasParameters, tensors: dict[str, np.ndarray]) -> Atlas:
        """Build the atlas from saved tensors.

        Raises:
            ModelError: If they do not fit the parameters.
        """
        require_tensors(cls.name, tensors, {"mean": parameters.shape, "spread": parameters.shape})
        mean, spread = (tensors[key].astype(np.float32) for key in ("mean", "spread"))
        if spread.min() < 0 or spread.max() <= 0:
            raise ModelError("atlas_sd_not_positive")
        return cls(parameters, mean, spread)

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether the atlas accepts prepared scans of this shape (Z, Y, X)."""
        return tuple(shape) == tuple(self.parameters.shape)

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score |smoothed z|; the pseudo-healthy image is the healthy mean."""
        floor = self.parameters.floor * float(self.spread[mask].mean())
        z = np.where(mask, (image - self.mean) / np.maximum(self.spread, floor), 0).astype(np.float32)
        if self.parameters.fwhm_mm > 0:
            z = smooth(z, mask, self.parameters.spacing, self.parameters.fwhm_mm)
        score = np.abs(z)
        return Restoration(score, self.mean, float(score[mask].mean()))
