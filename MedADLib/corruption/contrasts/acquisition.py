"""What a scanner and a brain extraction do to an image: sampling, blur, noise, bias field, field of view, mask.

All fields and grids have coordinates of the whole scan, so that a slab gets the same as the scan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .anatomy import STEP_MM

# Share of scans with thick slices, their thickness in mm, and its frequency along z, y and x.
THICK, THICKNESS_MM, THICK_AXES = 0.45, (2.0, 6.5), (0.8, 0.1, 0.1)
# SD in mm of the Gaussian slice profile of 1 mm, times a factor between these.
PROFILE, PROFILE_FACTOR = math.log(5) / math.pi, (0.85, 1.15)
# Share of scans with another voxel size in the plane, and its size in mm.
RESAMPLED, PIXEL_MM = 0.6, (0.8, 2.0)
# SD in mm of the blur of the scanner along all axes; SD of the noise, relative to the range of the tissues.
# It is that of slices of up to 1.5 mm; thicker ones have less.
BLUR_MM, NOISE, THIN_MM = (0.0, 0.8), (0.006, 0.07), 1.5
# SD of the logarithm of the bias field, its nodes along an axis, and SD of the logarithm of gamma.
BIAS, BIAS_NODES, GAMMA = (0.01, 0.16), 4, 0.12
# Shares of scans with a cropped field of view, a mask that is too small, and one that is too large.
CROPPED, CROPPED_PART = 0.12, (0.05, 0.35)
ERODED, ERODED_MM = 0.15, (0.7, 3.5)
RIMMED, RIM_MM, RIM_NODES = 0.2, (1.0, 5.0), 9
# Fluid between brain and skull, in mm.
AROUND_MM = 2.0
FIELD, OUTLINE, TISSUE_OUTSIDE = 11, 12, 13


@lru_cache(maxsize=32)
def bases(size: int, nodes: int) -> np.ndarray:
    """Return weights (size, nodes) that turn independent random nodes into a smooth line of SD 1."""
    places = np.linspace(0, nodes - 1, size)[:, None]
    weights = np.exp(-0.5 * ((places - np.arange(nodes)) / 0.6) ** 2)
    return (weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))).astype(np.float32)


def smooth_field(shape: Sequence[int], nodes: int, key: Sequence[int], planes: np.ndarray) -> np.ndarray:
    """Compute some planes of a smooth random field over a whole scan, SD 1.

    Args:
        shape: Shape of the scan (Z, Y, X).
        nodes: Number of random nodes along each axis.
        key: Seed.
        planes: Numbers of the planes.

    Returns:
        Float32 (len(planes), Y, X).
    """
    z, y, x = (bases(size, nodes) for size in shape)
    values = np.random.default_rng(list(key)).standard_normal((nodes, nodes, nodes), np.float32)
    part = np.tensordot(z[planes], values, 1)
    return np.matmul(np.matmul(y, part), x.T)


class Sampling(NamedTuple):
    """Sampling along one axis.

    Attributes:
        down: Weights of the voxels in each acquired sample, (samples, voxels).
        up: Weights of the samples in each voxel, (voxels, samples); None for equal grids.
    """

    down: np.ndarray
    up: np.ndarray | None

    def restricted(self, voxels: np.ndarray) -> tuple[Rows, np.ndarray]:
        """Select what some voxels need: the weights, and the numbers of the voxels that they apply to."""
        up = np.eye(len(self.down), dtype=np.float32)[voxels] if self.up is None else self.up[voxels]
        samples = np.flatnonzero(up.any(axis=0))
        needed = np.flatnonzero(self.down[samples].any(axis=0))
        needed = np.arange(needed[0], needed[-1] + 1)
        return Rows(self.down[np.ix_(samples, needed)], up[:, samples], samples), needed


class Rows(NamedTuple):
    """Sampling along z for some slices: see `Sampling`, and the numbers of the samples."""

    down: np.ndarray
    up: np.ndarray
    samples: np.ndarray


@lru_cache(maxsize=64)
def _sampling(size: int, step: float, width: float, sample: float, phase: float) -> Sampling:
    """Return the sampling of an axis.

    Args:
        size: Number of voxels.
        step: Their spacing in mm.
        width: SD of the Gaussian profile of a sample in mm.
        sample: Distance of the samples in mm; 0 for one sample in each voxel.
        phase: Position of the first sample, 0 to 1 sample.
    """
    places = np.arange(size) * step
    centres = places if not sample else np.arange(-phase * sample, places[-1] + sample, sample)
    width = max(width, 0.05 * step if not sample else 0.4 * step)
    offsets = (centres[:, None] - places) / width
    down = np.exp(-0.5 * offsets**2) * (np.abs(offsets) <= max(2.6, 0.6 * step / width))
    # A sample beyond the ends repeats the nearest voxel.
    beyond = down.sum(axis=1) < 1e-6
    down[beyond, np.abs(offsets[beyond]).argmin(axis=1)] = 1
    down = (down / down.sum(axis=1, keepdims=True)).astype(np.float32)
    if not sample:
        return Sampling(down, None)
    up = np.clip(1 - np.abs(places[:, None] - centres) / sample, 0, 1)
    return Sampling(down, (up / up.sum(axis=1, keepdims=True)).astype(np.float32))


@dataclass(frozen=True)
class Acquisition:
    """Parameters of a scanner and a brain extraction.

    Attributes:
        thick_axis: Axis of thick slices, 0 to 2 for z, y and x.
        thickness_mm: Their thickness; 0 for none.
        distance_mm: Distance of their centres.
        profile_mm: SD of their Gaussian profile.
        pixel_mm: Voxel size along the other axes; 0 for that of the scan.
        phase: Position of the first sample, 0 to 1.
        blur_mm: SD of the blur along all axes.
        noise: SD of the Rician noise in both channels.
        bias: SD of the logarithm of the bias field.
        gamma: Exponent of the scaled intensities.
        cropped: Parts of the height outside the field of view, below and above.
        eroded_mm: Largest distance by which the mask is too small, in some places.
        rim_mm: Largest distance by which the mask is too large, in other places.
        outside: Intensity of the tissue outside the fluid around the brain.
    """

    thick_axis: int = 0
    thickness_mm: float = 0.0
    distance_mm: float = 0.0
    profile_mm: float = 0.0
    pixel_mm: float = 0.0
    phase: float = 0.0
    blur_mm: float = 0.0
    noise: float = 0.0
    bias: float = 0.0
    gamma: float = 1.0
    cropped: tuple[float, float] = (0.0, 0.0)
    eroded_mm: float = 0.0
    rim_mm: float = 0.0
    outside: float = 0.0

    @classmethod
    def draw(cls, random: np.random.Generator, contrast: float = 1.0) -> Acquisition:
        """Draw an acquisition.

        Args:
            random: Random generator.
            contrast: Difference between the brightest and the darkest tissue.
        """
        thick = random.random() < THICK
        thickness = float(random.uniform(*THICKNESS_MM)) * thick
        below = float(random.uniform(*CROPPED_PART)) if random.random() < 0.6 else 0.0
        above = float(random.uniform(*CROPPED_PART)) if not below else 0.0
        cropped = (below, above) if random.random() < CROPPED else (0.0, 0.0)
        outline = random.random()
        eroded, rimmed = outline < ERODED, outline > 1 - RIMMED
        return cls(
            int(random.choice(3, p=THICK_AXES)),
            thickness,
            thickness * float(random.uniform(1, 1.2)),
            thickness * PROFILE * float(random.uniform(*PROFILE_FACTOR)),
            float(random.uniform(*PIXEL_MM)) * (random.random() < RESAMPLED),
            float(random.random()),
            float(random.uniform(*BLUR_MM)) * (random.random() < 0.7),
            contrast * _logarithmic(*NOISE, random) * math.sqrt(THIN_MM / max(thickness, THIN_MM)),
            _logarithmic(*BIAS, random),
            math.exp(GAMMA * float(random.standard_normal())),
            cropped,
            float(random.uniform(*ERODED_MM)) * eroded,
            float(random.uniform(*RIM_MM)) * rimmed,
            float(random.uniform(0.0, 1.4) if random.random() < 0.6 else random.uniform(0.0, 0.3)),
        )

    def sampling(
        self, shape: Sequence[int], spacing: tuple[float, float, float]
    ) -> tuple[Sampling, Sampling, Sampling]:
        """Return the sampling along z, y and x."""
        found = []
        for axis, (size, step) in enumerate(zip(shape, spacing)):
            thick = self.thickness_mm and axis == self.thick_axis
            # Thick slices have another voxel size in their plane only.
            sample = self.distance_mm if thick else self.pixel_mm * (axis > 0 or not self.thickness_mm)
            found.append(_sampling(size, step, self._width(axis), sample, self.phase))
        return found[0], found[1], found[2]

    def _width(self, axis: int) -> float:
        """Return the SD of the profile of a sample along an axis in mm."""
        thick = self.thickness_mm and axis == self.thick_axis
        return math.hypot(self.blur_mm, self.profile_mm if thick else 0.3 * self.pixel_mm)

    def blurs(self) -> tuple[float, float]:
        """Return the SD of the blur across slices and within them in mm, of thick slices along any axis as along z."""
        widths = sorted(self._width(axis) for axis in range(3))
        return widths[2], 0.5 * (widths[0] + widths[1])

    def acquired(
        self, image: np.ndarray, axes: tuple[Sampling, Sampling, Sampling], rows: Rows, key: Sequence[int]
    ) -> np.ndarray:
        """Sample an image, add noise, and interpolate it to the voxels of the scan.

        Args:
            image: Planes of the image, (Z, Y, X).
            axes: From `sampling`.
            rows: Sampling along z from those planes to the wanted slices.
            key: Seed of the noise.

        Returns:
            The wanted slices, float32 (Z', Y, X).
        """
        part = np.tensordot(rows.down, image, 1)
        part = np.matmul(np.matmul(axes[1].down, part), axes[2].down.T)
        if self.noise:
            for plane, sample in zip(part, rows.samples):
                random = np.random.default_rng([*key, int(sample)])
                plane[:] = self.noisy(plane, random.standard_normal((2, *plane.shape), np.float32))
        if axes[1].up is not None:
            part = np.matmul(axes[1].up, part)
        if axes[2].up is not None:
            part = np.matmul(part, axes[2].up.T)
        return np.tensordot(rows.up, part, 1)

    def noisy(self, values: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Add Rician noise, from two standard normal numbers for each value."""
        real, imaginary = np.float32(self.noise) * normal
        return np.sqrt((values + real) ** 2 + imaginary**2)

    def bias_field(self, shape: Sequence[int], seed: int, planes: np.ndarray) -> np.ndarray:
        """Return some planes of the bias field, a factor."""
        return np.exp(np.float32(self.bias) * smooth_field(shape, BIAS_NODES, (seed, FIELD), planes))

    def bias_at(self, shape: Sequence[int], seed: int, places: np.ndarray) -> np.ndarray:
        """Return the bias field at voxels, (3, N) indices."""
        values = np.random.default_rng([seed, FIELD]).standard_normal((BIAS_NODES,) * 3, np.float32)
        z, y, x = (bases(size, BIAS_NODES)[index] for size, index in zip(shape, places))
        part = np.tensordot(z, values, 1)
        return np.exp(np.float32(self.bias) * ((part @ x[:, :, None])[..., 0] * y).sum(axis=1))

    def mask(self, distance: np.ndarray, planes: np.ndarray, shape: Sequence[int], seed: int) -> np.ndarray:
        """Return the mask of an imperfect brain extraction in the field of view.

        Args:
            distance: Distance to the surface of the brain in steps of `STEP_MM`, positive inside, (Z, Y, X).
            planes: Numbers of the planes.
            shape: Shape of the scan (Z, Y, X).
            seed: Seed of the outline.
        """
        if self.eroded_mm or self.rim_mm:
            field = smooth_field(shape, RIM_NODES, (seed, OUTLINE), planes)
            border = self.eroded_mm * np.clip(field, 0, 1) - self.rim_mm * np.clip(field - 0.3, 0, 1)
            mask = distance > border / STEP_MM
        else:
            mask = distance > 0
        mask[(planes < self.cropped[0] * shape[0]) | (planes >= (1 - self.cropped[1]) * shape[0])] = False
        return mask

    def surrounded(
        self, image: np.ndarray, distance: np.ndarray, fluid: float, planes: np.ndarray, shape: Sequence[int], seed: int
    ) -> np.ndarray:
        """Fill the surroundings of the brain with fluid and, beyond, with other tissue."""
        around = self.outside * (1 + np.float32(0.35) * smooth_field(shape, RIM_NODES, (seed, TISSUE_OUTSIDE), planes))
        outer = np.where(distance < -AROUND_MM / STEP_MM, np.maximum(around, 0), np.float32(fluid))
        return np.where(distance > 0, image, outer)


def _logarithmic(low: float, high: float, random: np.random.Generator) -> float:
    """Draw a number, uniform in the logarithm."""
    return float(low * (high / low) ** random.random())
