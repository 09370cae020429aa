"""Anatomy of a T1 brain for simulated lesions: tissue by intensity, depth, and possible positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...masks import bounding_slices
from ...runtime.numerics import k_means
from ...scoring.pooling import pool, smooth
from ...volume import Volume
from .shapes import depth_mm

FINEST_MM = 2.0
# In half extents of the brain from its centre, (right, anterior, superior). Temporal base, brain stem and cerebellum
# lie below the base, the latter two also behind and below the two limits of the hindbrain. The deep grey nuclei,
# similar to white matter on T1, lie in the ellipsoid.
BASE, HINDBRAIN = -0.2, (-0.2, -0.25)
NUCLEI_MIDDLE, NUCLEI_RADII = (0.0, 0.12, -0.3), (0.52, 0.42, 0.55)


@dataclass(frozen=True)
class Tissue:
    """Typical intensities of a T1 brain.

    Attributes:
        fluid: Mean of cerebrospinal fluid, including partial volume with its surroundings.
        pure_fluid: Intensity of fluid without partial volume.
        grey: Mean of grey matter.
        white: Mean of white matter.
        spread: Standard deviation of all brain voxels.
        darkest: 0.5th percentile of all brain voxels.
    """

    fluid: float
    pure_fluid: float
    grey: float
    white: float
    spread: float
    darkest: float

    @classmethod
    def measure(cls, values: np.ndarray) -> Tissue:
        """Measure the voxels of the brain, shape (N,)."""
        fluid, grey, white = _three_means(values)
        return cls(
            fluid=fluid,
            pure_fluid=float(np.percentile(values[values <= (fluid + grey) / 2], 15)),
            grey=grey,
            white=white,
            spread=float(values.std(dtype=np.float64)),
            darkest=float(np.percentile(values, 0.5)),
        )

    def white_share(self, intensity: np.ndarray) -> np.ndarray:
        """Return the share of white matter for an intensity, 0 to 1; 0.5 half way between grey and white."""
        share = np.clip((intensity - self.grey) / (self.white - self.grey) * 1.5 - 0.25, 0, 1)
        return share * share * (3 - 2 * share)


def _three_means(values: np.ndarray) -> list[float]:
    """Return the centres of three classes of intensities by k-means on the histogram, ascending."""
    low, high = np.percentile(values, [0.5, 99.5])
    count, edges = np.histogram(values, 256, (low, high))
    centre = (edges[1:] + edges[:-1]) / 2
    means = low + (high - low) * np.array([0.2, 0.5, 0.8])
    return sorted(k_means(centre[:, None], means[:, None], 50, count)[0].ravel().tolist())


@dataclass(frozen=True, eq=False)
class Frame:
    """Frame of reference of a brain: its centre and half its extent along (right, anterior, superior).

    Attributes:
        affine: Affine of the grid, voxel (x, y, z) to RAS mm.
        middle: Centre in RAS mm, shape (3,).
        half: Half extent in mm, shape (3,).
    """

    affine: np.ndarray
    middle: np.ndarray
    half: np.ndarray

    @classmethod
    def measure(cls, affine: np.ndarray, voxels: np.ndarray) -> Frame:
        """Measure the voxel indices (z, y, x) of a brain, shape (N, 3)."""
        ras = voxels[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
        low, high = np.percentile(ras, [0.5, 99.5], axis=0)
        return cls(affine, (low + high) / 2, np.maximum((high - low) / 2, 1e-6))

    def position(self, indices: Sequence[np.ndarray]) -> np.ndarray:
        """Return the positions (3, Z', Y', X') of voxels (z, y, x), in half extents of the brain from its centre.

        The first axis is (right, anterior, superior).
        """
        z, y, x = np.ix_(*indices)
        ras = [row[3] + row[2] * z + row[1] * y + row[0] * x for row in self.affine[:3]]
        return np.stack([(part - low) / size for part, low, size in zip(ras, self.middle, self.half)])

    def outside_nuclei(self, position: np.ndarray) -> np.ndarray:
        """Return the approximate distance in mm of positions (see `position`) outside the deep grey nuclei."""
        squares = [((part - m) / r) ** 2 for part, m, r in zip(position, NUCLEI_MIDDLE, NUCLEI_RADII)]
        return (np.sqrt(sum(squares)) - 1) * float((self.half * NUCLEI_RADII).mean())

    def outside_hindbrain(self, position: np.ndarray) -> np.ndarray:
        """Return the approximate distance in mm of positions in front of or above cerebellum and brain stem."""
        front, above = ((position[row] - limit) * self.half[row] for row, limit in zip((1, 2), HINDBRAIN))
        return np.maximum(front, above)


@dataclass(frozen=True, eq=False)
class PositionMaps:
    """Maps of a brain for the choice of positions, on a coarse grid for speed.

    Attributes:
        brain: True in the brain, shape (Z', Y', X').
        depth: Distance to the brain's surface in mm.
        fluid: 1 where the intensity is nearer to fluid than to grey matter, otherwise 0, float32.
        white: Share of white matter, 0 to 1, float32.
        white_depth: Distance to the surface of the white matter in mm.
        cerebrum: True outside brain stem, cerebellum and deep grey nuclei, by position in the brain.
        aside: Distance from the plane between the hemispheres in mm.
        frame: Frame of reference of the brain.
        spacing: Voxel spacing of this grid along (z, y, x) in mm.
        first: Voxel index (z, y, x) of its first voxel on the full grid.
        step: Full voxels per voxel of this grid along (z, y, x).
    """

    brain: np.ndarray
    depth: np.ndarray
    fluid: np.ndarray
    white: np.ndarray
    white_depth: np.ndarray
    cerebrum: np.ndarray
    aside: np.ndarray
    frame: Frame
    spacing: np.ndarray
    first: np.ndarray
    step: np.ndarray

    @classmethod
    def survey(cls, volume: Volume, brain: np.ndarray, tissue: Tissue) -> PositionMaps:
        """Survey a volume within its non-empty brain mask of shape (Z, Y, X)."""
        box = bounding_slices(brain)
        fine = volume.spacing[::-1]
        step = np.maximum(1, np.floor(FINEST_MM / fine)).astype(int)
        pick = tuple(slice(part.start, part.stop, int(stride)) for part, stride in zip(box, step))
        brain, spacing = np.ascontiguousarray(brain[pick]), fine * step
        first = np.array([part.start for part in box])
        intensity = smooth(volume.array[pick], brain, spacing[::-1], 1.8)
        fluid = intensity < (tissue.fluid + tissue.grey) / 2
        white = np.where(brain, tissue.white_share(intensity), 0).astype(np.float32)
        index = [start + np.arange(size) * stride for start, size, stride in zip(first, brain.shape, step)]
        frame = Frame.measure(volume.affine, first + np.argwhere(brain) * step)
        position = frame.position(index)
        return cls(
            brain=brain,
            depth=_depth(brain, spacing),
            fluid=(fluid & brain).astype(np.float32),
            white=white,
            white_depth=_depth(white > 0.5, spacing),
            cerebrum=(position[2] > BASE) & (frame.outside_nuclei(position) > 0),
            aside=np.abs(position[0]) * frame.half[0],
            frame=frame,
            spacing=spacing,
            first=first,
            step=step,
        )

    def around(self, part: np.ndarray, radius_mm: float) -> np.ndarray:
        """Average a map over a cube with about the volume of a sphere of this radius, within the brain."""
        return pool(part, self.brain, self.spacing[::-1], 0.0, 1.6 * radius_mm)

    def choose(self, allowed: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Draw an allowed voxel index (z, y, x) on the full grid; None if there is none."""
        candidates = np.flatnonzero(allowed & self.brain)
        if not len(candidates):
            return None
        chosen = np.unravel_index(candidates[int(rng.random() * len(candidates))], self.brain.shape)
        return self.first + np.array(chosen) * self.step

    def distance_from(self, voxel: np.ndarray) -> np.ndarray:
        """Return the distance of every voxel of this grid from a voxel index (z, y, x) of the full grid, in mm."""
        here = (voxel - self.first) / self.step
        steps = [(np.arange(n) - c) * s for n, c, s in zip(self.brain.shape, here, self.spacing)]
        return np.sqrt(steps[0][:, None, None] ** 2 + steps[1][:, None] ** 2 + steps[2] ** 2)


def _depth(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Return the distance to the outside of the mask, which includes the edge of the array."""
    return depth_mm(np.pad(mask, 1), spacing)[1:-1, 1:-1, 1:-1]
