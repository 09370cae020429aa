"""Train the restorer for brains of any contrast: T1 scans in random contrasts, with synthetic anomalies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool3d, interpolate

from ...corruption.contrasts.anatomy import FULL, TISSUES, Anatomy
from ...corruption.contrasts.contrast import Contrast
from ...corruption.multi_scale import Slab
from ...corruption.shapes import band_edges
from ...errors import InputError
from ...methods.any_contrast import (
    AnyContrastParameters,
    AnyContrastRestoration,
    TissueRegression,
    design_at,
    terms_of,
)
from ...methods.settings import with_overrides
from ...methods.slicewise import examined_slices
from ...methods.synthetic_restoration import coordinates, slab_indices
from ...runtime.progress import Progress
from ..data import HealthyData, Scan
from .synthetic_restoration import BATCH, COARSER, RATE, Learned, fitted, learned, moved, occupied_plane

if TYPE_CHECKING:
    from ..config import Options

STEPS = 30000
# So many voxels suffice to find the intensity bands of a contrast.
BAND_SAMPLE = 1000
DRAWN = 53


def train(
    data: HealthyData, options: Options, folder: Path, progress: Progress, workers: int | None = None
) -> tuple[AnyContrastRestoration, dict]:
    """Train the restorer: 30,000 steps of 8 slabs, each of a contrast of its own.

    See `trainers.Trainer`, and `synthetic_restoration.train` for the anomalies and the log.

    Raises:
        InputError: If there is only one training scan.
    """
    shape = data.train[0][0].shape
    resolution = tuple(-(-size // COARSER) for size in shape)
    base = AnyContrastParameters(size=tuple(shape[1:]), resolution=resolution, tissues=len(TISSUES))
    method = AnyContrastRestoration.untrained(with_overrides(base, options.overrides()), options.seed)
    progress.stage("tissues of the training scans", 0.0, 0.05)
    scans = anatomies(data.train, data, progress)
    shares = mean_shares(scans, resolution, data.template.symmetric)
    method.network.healthy.copy_(torch.from_numpy(shares))
    source = ContrastSource.of(scans, scans, shares, data)
    held_out = ContrastSource.of(anatomies(data.validation, data, progress), scans, shares, data)
    progress.stage("restorer of any contrast", 0.05, 0.9)
    plan = options.plan(options.steps or STEPS, RATE)
    return method, fitted(method, source, held_out, plan, folder, options.device, progress, workers)


def anatomies(scans: list[Scan], data: HealthyData, progress: Progress) -> list[Anatomy]:
    """Find the tissues of prepared scans, some seconds each."""
    z, y, x = (float(step) for step in data.template.image.spacing[::-1])
    found = []
    for number, (image, mask) in enumerate(scans):
        progress.update(number / len(scans), f"tissues of scan {number + 1} of {len(scans)}")
        found.append(Anatomy.of(image, mask, (z, y, x), number))
    return found


def mean_shares(scans: list[Anatomy], resolution: tuple[int, ...], mirrored: bool) -> np.ndarray:
    """Return the mean shares of the tissues in healthy scans on a coarser grid, float32 (K, Z', Y', X')."""
    total = np.zeros((len(TISSUES), *resolution), np.float32)
    for scan in scans:
        shares = torch.from_numpy(scan.memberships[: len(TISSUES)].astype(np.float32) / FULL)
        total += adaptive_avg_pool3d(shares[None], resolution)[0].numpy()
    if mirrored:
        total = (total + total[..., ::-1]) / 2
    return total / len(scans)


@dataclass(frozen=True, eq=False)
class ContrastSource:
    """Healthy scans from which slabs of random contrast with synthetic anomalies are drawn.

    Attributes:
        scans: The scans.
        foreign: Scans that give foreign tissue, in the same contrast.
        shares: From `mean_shares`.
        mirrored: Whether mirror images of healthy slices are healthy too.
        varied: Whether to augment the slabs.
        rows: Rows of the plane with brain in some scan, and a margin.
        columns: Such columns, symmetric in the plane.
    """

    deep: ClassVar[bool] = False

    scans: list[Anatomy]
    foreign: list[Anatomy]
    shares: np.ndarray
    mirrored: bool
    varied: bool
    rows: slice
    columns: slice

    @classmethod
    def of(cls, scans: list[Anatomy], foreign: list[Anatomy], shares: np.ndarray, data: HealthyData) -> ContrastSource:
        """Collect scans.

        Raises:
            InputError: If there is only one scan, so that no foreign tissue exists.
        """
        if len(foreign) < 2:
            raise InputError("only_one_scan")
        plane = occupied_plane([scan.mask for scan in foreign])
        return cls(scans, foreign, shares, data.template.symmetric, data.varied, *plane)

    @property
    def shape(self) -> tuple[int, ...]:
        """Grid (Z, Y, X) of the scans."""
        return self.scans[0].mask.shape

    @cached_property
    def coordinates(self) -> np.ndarray:
        """Coordinates of the voxels, float32 (Z, 3, Y, X), in the used part of the plane."""
        return np.ascontiguousarray(coordinates(self.shape)[..., self.rows, self.columns])

    @cached_property
    def terms(self) -> np.ndarray:
        """Terms of the regression on the coarser grid, float32 (T, Z', Y', X')."""
        return terms_of(self.shares)

    @cached_property
    def designs(self) -> list[np.ndarray]:
        """Terms at the sampled voxels of each scan, (N, T)."""
        return [design_at(scan.places, self.shape, self.shares) for scan in self.scans]

    def batch(self, step: int, seed: int, multiple: int, mirror: bool, ease: float = 0.0) -> Learned:
        """Draw the batch of a step; see `SlabSource.batch`."""
        streams = [np.random.default_rng([seed, DRAWN, step, number]) for number in range(BATCH)]
        parts = [self.drawn(random, multiple, mirror, ease) for random in streams]
        return Learned(*(torch.cat(part) for part in zip(*parts)))

    def drawn(self, random: np.random.Generator, multiple: int, mirror: bool, ease: float = 0.0) -> Learned:
        """Draw one slab of a random contrast with anomalies, a batch of one."""
        number = int(random.integers(len(self.scans)))
        scan, contrast = self.scans[number], Contrast.draw(random)
        z = self._height(scan, contrast, random)
        clean, inside = self._varied(scan, contrast, z, random)
        others = [other for other in self.foreign if other is not scan]
        other = others[int(random.integers(len(others)))]
        near = int(np.clip(z + random.integers(-2, 3), 0, len(scan.mask) - 1))
        apart = random.spawn(1)[0]
        values = contrast.sampled(scan)
        edges = band_edges(torch.from_numpy(values[:: max(len(values) // BAND_SAMPLE, 1)]))
        slab = Slab(clean, inside, lambda: self._varied(other, contrast, near, apart), scan.spacing, edges)
        regression = TissueRegression.of(values, self.designs[number])
        positions = np.concatenate([self.coordinates[z], self._expected(regression, z)])
        return learned(slab, positions, random, multiple, mirror, ease)

    def _height(self, scan: Anatomy, contrast: Contrast, random: np.random.Generator) -> int:
        """Draw a slice with brain in the field of view."""
        used = examined_slices(scan.mask)
        below, above = contrast.acquisition.cropped
        count = len(scan.mask)
        seen = used[(used >= below * count) & (used < (1 - above) * count)]
        seen = seen if len(seen) else used
        return int(seen[int(random.integers(len(seen)))])

    def _varied(
        self, scan: Anatomy, contrast: Contrast, z: int, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the slab around a slice in a contrast: image, float32 (5, Y, X), and mask, bool."""
        image, mask = contrast.apply(scan, slab_indices(z, len(scan.mask)))
        slab, inside = (part[:, self.rows, self.columns] for part in (image, mask))
        if self.varied:
            slab, inside = moved(slab, inside, random)
            if self.mirrored and random.random() < 0.5:
                slab, inside = slab[..., ::-1], inside[..., ::-1]
        return np.ascontiguousarray(np.where(inside, slab, 0), np.float32), np.ascontiguousarray(inside)

    def _expected(self, regression: TissueRegression, z: int) -> np.ndarray:
        """Return mean and SD of the regression in a slice, float32 (2, Y, X), in the used part of the plane."""
        count, coarse = self.shape[0], self.shares.shape[1]
        place = float(np.clip((z + 0.5) * coarse / count - 0.5, 0, coarse - 1))
        low = min(int(place), coarse - 2)
        planes = regression.maps(self.terms[:, low : low + 2])
        plane = planes[:, 0] + np.float32(place - low) * (planes[:, 1] - planes[:, 0])
        whole = interpolate(torch.from_numpy(plane)[None], size=self.shape[1:], mode="bilinear", align_corners=False)
        return whole[0, :, self.rows, self.columns].numpy()
