"""Where a lesion of a kind can lie in a T1 brain: tissue by intensity, depth, and a seeded choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...masks import bounding_slices
from ...scoring.pooling import pool, smooth
from ...volume import Volume
from .shapes import depth_mm

FINEST_MM = 2.0
# In halves of the brain's extent from its middle, (right, anterior, superior). Temporal base, brain stem and cerebellum
# lie below the base, the latter two also behind and below the two limits of the hindbrain. The deep grey nuclei, which
# on T1 look much like white matter, lie in the ellipsoid.
BASE, HINDBRAIN = -0.2, (-0.2, -0.25)
NUCLEI_MIDDLE, NUCLEI_RADII = (0.0, 0.12, -0.3), (0.52, 0.42, 0.55)


@dataclass(frozen=True)
class Tissue:
    """Typical intensities of a T1 brain.

    Attributes:
        fluid: Mean of cerebrospinal fluid, partial volume with its surroundings included.
        pure_fluid: What fluid alone looks like.
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
    def measure(cls, values: np.ndarray, labels: np.ndarray | None = None) -> Tissue:
        """From the brain's voxels, shape (N,), and their labels (1 fluid, 2 grey, 3 white) if these are known."""
        if labels is not None and all((labels == kind).any() for kind in (1, 2, 3)):
            fluid, grey, white = (float(values[labels == kind].mean()) for kind in (1, 2, 3))
        else:
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
        """How surely an intensity is white matter's, 0 to 1, half way between grey and white at 0.5."""
        share = np.clip((intensity - self.grey) / (self.white - self.grey) * 1.5 - 0.25, 0, 1)
        return share * share * (3 - 2 * share)


def _three_means(values: np.ndarray) -> list[float]:
    """Centres of three classes of intensities, ascending."""
    low, high = np.percentile(values, [0.5, 99.5])
    count, edges = np.histogram(values, 256, (low, high))
    centre = (edges[1:] + edges[:-1]) / 2
    means = low + (high - low) * np.array([0.2, 0.5, 0.8])
    for _ in range(50):
        nearest = np.abs(centre[:, None] - means).argmin(axis=1)
        total = np.bincount(nearest, count, minlength=3)
        means = np.where(total > 0, np.bincount(nearest, count * centre, minlength=3) / np.maximum(total, 1), means)
    return sorted(float(mean) for mean in means)


@dataclass(frozen=True, eq=False)
class Frame:
    """Position relative to the brain: its middle, and half its extent, along (right, anterior, superior).

    Attributes:
        affine: Of the grid, voxel (x, y, z) to RAS mm.
        middle: RAS mm, shape (3,).
        half: In mm, shape (3,).
    """

    affine: np.ndarray
    middle: np.ndarray
    half: np.ndarray

    @classmethod
    def measure(cls, affine: np.ndarray, voxels: np.ndarray) -> Frame:
        """From the brain's voxel indices (z, y, x), shape (N, 3)."""
        ras = voxels[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
        low, high = np.percentile(ras, [0.5, 99.5], axis=0)
        return cls(affine, (low + high) / 2, np.maximum((high - low) / 2, 1e-6))

    def position(self, indices: Sequence[np.ndarray]) -> np.ndarray:
        """Where the voxels of a box or coarser grid lie, in halves of the brain from its middle.

        Args:
            indices: Voxel indices along (z, y, x) of the full grid.

        Returns:
            Shape (3, Z', Y', X'), the first axis being (right, anterior, superior).
        """
        z, y, x = np.ix_(*indices)
        ras = [row[3] + row[2] * z + row[1] * y + row[0] * x for row in self.affine[:3]]
        return np.stack([(part - low) / size for part, low, size in zip(ras, self.middle, self.half)])

    def outside_nuclei(self, position: np.ndarray) -> np.ndarray:
        """Roughly how many mm places, as `position` gives them, lie outside the deep grey nuclei."""
        squares = [((part - m) / r) ** 2 for part, m, r in zip(position, NUCLEI_MIDDLE, NUCLEI_RADII)]
        return (np.sqrt(sum(squares)) - 1) * float((self.half * NUCLEI_RADII).mean())

    def outside_hindbrain(self, position: np.ndarray) -> np.ndarray:
        """Roughly how many mm places lie in front of or above cerebellum and brain stem."""
        front, above = ((position[row] - limit) * self.half[row] for row, limit in zip((1, 2), HINDBRAIN))
        return np.maximum(front, above)


@dataclass(frozen=True, eq=False)
class Places:
    """What is where in a brain, on a grid that is coarse enough to be quick.

    Attributes:
        brain: True in the brain, shape (Z', Y', X').
        depth: Distance to the brain's surface in mm.
        fluid: 1 where the intensity is nearer to fluid than to grey matter, else 0, float32.
        white: Share of white matter, 0 to 1, float32.
        white_depth: Distance to what is not white matter in mm.
        cerebrum: True away from brain stem, cerebellum and deep grey nuclei, by position in the brain.
        aside: Distance from the plane between the hemispheres in mm.
        frame: Position relative to the brain.
        spacing: Of this grid along (z, y, x) in mm.
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
    def survey(cls, volume: Volume, brain: np.ndarray, tissue: Tissue, labels: np.ndarray | None) -> Places:
        """Survey a volume within its non-empty brain mask of shape (Z, Y, X); `labels` overrule intensities."""
        box = bounding_slices(brain)
        fine = volume.spacing[::-1]
        step = np.maximum(1, np.floor(FINEST_MM / fine)).astype(int)
        pick = tuple(slice(part.start, part.stop, int(stride)) for part, stride in zip(box, step))
        brain, spacing = np.ascontiguousarray(brain[pick]), fine * step
        first = np.array([part.start for part in box])
        if labels is None:
            intensity = smooth(volume.array[pick], brain, spacing[::-1], 1.8)
            fluid, white = intensity < (tissue.fluid + tissue.grey) / 2, tissue.white_share(intensity)
        else:
            fluid, white = labels[pick] == 1, labels[pick] == 3
        white = np.where(brain, white, 0).astype(np.float32)
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
        """Mean of a map over a cube about as large as a sphere of this radius, within the brain."""
        return pool(part, self.brain, self.spacing[::-1], 0.0, 1.6 * radius_mm)

    def choose(self, allowed: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """One allowed place by chance, as voxel index (z, y, x) on the full grid; None if there is none."""
        places = np.flatnonzero(allowed & self.brain)
        if not len(places):
            return None
        place = np.unravel_index(places[int(rng.random() * len(places))], self.brain.shape)
        return self.first + np.array(place) * self.step

    def distance_from(self, voxel: np.ndarray) -> np.ndarray:
        """Distance of every voxel of this grid from a voxel index (z, y, x) of the full grid, in mm."""
        here = (voxel - self.first) / self.step
        steps = [(np.arange(n) - c) * s for n, c, s in zip(self.brain.shape, here, self.spacing)]
        return np.sqrt(steps[0][:, None, None] ** 2 + steps[1][:, None] ** 2 + steps[2] ** 2)


def _depth(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Distance to what is outside the mask, the edge of the array included."""
    return depth_mm(np.pad(mask, 1), spacing)[1:-1, 1:-1, 1:-1]
