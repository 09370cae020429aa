"""Latent restoration of whole volumes: a 3-D VQ-VAE at about 2 mm and a prior over all codes (Pinaya et al. 2022).

The algorithm of `latent_restoration` with one more dimension: one volume takes the place of the slices of a scan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch.nn.functional import interpolate

from ..errors import SettingError
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from .latent_restoration import LatentRestoration, LatentRestorationParameters, codes_from_prior


def resized(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Resample a volume (Z, Y, X) to another grid, float32: linear, antialiased if the grid is coarser."""
    volume = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    # Antialiased interpolation exists in 2-D only: (Y, X) first, then (Z, X) with unchanged X.
    for sides in ((shape[1], shape[2]), (shape[0], shape[2])):
        volume = interpolate(volume[:, None], sides, mode="bilinear", antialias=True)[:, 0].transpose(0, 1)
    return volume.contiguous().numpy()


def coarse_scan(image: np.ndarray, mask: np.ndarray, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Resample image and mask (Z, Y, X) to another grid; its mask contains every voxel that overlaps the brain."""
    return resized(image, shape), resized(mask, shape) > 0


@dataclass(frozen=True)
class VolumeRestorationParameters(LatentRestorationParameters):
    """Settings of networks and restoration: those of slices, with the following differences.

    Attributes:
        size: Shape of prepared scans (Z, Y, X).
        working: Shape (Z, Y, X) of the networks' grid, to which scans are resampled.
    """

    size: tuple[int, ...] = (100, 160, 160)
    channels: tuple[int, ...] = (16, 32, 64)
    residual_layers: int = 1
    codes: int = 256
    prior_layers: int = 4
    samples: int = 8
    working: tuple[int, ...] = (72, 96, 96)

    dimensions: ClassVar[int] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.size) != 3 or not all(0 < n <= 1024 for n in self.size) or math.prod(self.size) > 1 << 27:
            raise SettingError("volume_size")
        if self.slice_step != 1:
            raise SettingError("volume_slice_step")
        if math.prod(self.working) > 1 << 23:
            raise SettingError("working_grid")

    @property
    def coded(self) -> tuple[int, ...]:
        """The working grid."""
        return self.working

    @property
    def further(self) -> tuple[int, ...]:
        """Distance to the code one row back, and to the code one plane back."""
        return self.grid[2], self.grid[1] * self.grid[2]


class VolumeRestoration(LatentRestoration):
    """Latent restoration of a whole volume (Naval Marimont and Tarroni 2021; Pinaya et al. 2022).

    Improbable codes of the volume are resampled, and the change is the anomaly; see `LatentRestoration`. Only codes
    that contain brain are resampled and count in the sample score; the prior sees all codes. Restorations are compared
    with the scan on the working grid, because they cannot have finer detail.
    """

    name = "volume_restoration"
    Parameters = VolumeRestorationParameters
    unit = "volume"
    adjustable = tuple(name for name in LatentRestoration.adjustable if name != "slice_step")

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Restore on the working grid and resample the result to the scan's; see `LatentRestoration.restore`."""
        coarse, inside = self._as_one_slice(image, mask)
        found = super()._restore(coarse, inside, seed, device, progress)
        score, restored = (
            resized(np.where(inside, part, 0)[0], image.shape) for part in (found.score, np.maximum(found.restored, 0))
        )
        return Restoration(score, restored, found.sample_score, found.facts)

    def prior_slices(self, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
        """Sample volumes from the autoregressive prior, and take slices from low to high; see `Method.prior_slices`."""
        volumes = codes_from_prior(self, 0.0, count, seed)
        heights = np.linspace(0.1, 0.9, columns) * (volumes.shape[1] - 1)
        return [volumes[:, int(height)] for height in heights]

    def code_nll(self, image: np.ndarray, mask: np.ndarray, device: str = "cpu") -> np.ndarray:
        """Compute the negative log-likelihood of the codes that contain brain; see `LatentRestoration.code_nll`."""
        return super().code_nll(*self._as_one_slice(image, mask), device)

    def _as_one_slice(self, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Resample the scan to the working grid, (1, Z, Y, X): a stack of one slice with three dimensions."""
        image, mask = coarse_scan(image, mask, self.parameters.working)
        return image[None], mask[None]

    def _counted(self, masks: np.ndarray) -> np.ndarray:
        return self._with_brain(masks)

    def _decoded(
        self, codes: torch.Tensor, positions: torch.Tensor, reduced: bool, on_progress: Callable[[float], None]
    ) -> torch.Tensor:
        """Decode codes (n, length) to (n, channels, Z, Y, X), one sample at a time to save memory."""
        decoded = []
        for single, position in zip(codes.split(1), positions.split(1)):
            decoded.append(super()._decoded(single, position, reduced, lambda done: None))
            on_progress(len(decoded) / len(codes))
        return torch.cat(decoded)
