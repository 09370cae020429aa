"""Quality of a restoration: healing of a simulated lesion, and sharpness outside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# Tissue nearer than this many voxels to a lesion is not outside it: the lesion displaces it and fades into it.
MARGIN = 3


@dataclass(frozen=True)
class RestorationSums:
    """Sums over the voxels of one or more cases; `+` adds cases.

    Attributes:
        healing_error: Sum of |restoration − healthy tissue| inside lesions.
        lesion_error: Sum of |scan − healthy tissue| inside lesions.
        restored_energy: Sums of squared differences between neighbours of the restoration along (z, y, x), outside
            lesions.
        scan_energy: The same of the scan.
        squared_error: Sum of (restoration − scan)² outside lesions, in standard intensities.
        voxels: Number of voxels outside lesions.
    """

    healing_error: float = 0.0
    lesion_error: float = 0.0
    restored_energy: tuple[float, ...] = (0.0, 0.0, 0.0)
    scan_energy: tuple[float, ...] = (0.0, 0.0, 0.0)
    squared_error: float = 0.0
    voxels: float = 0.0

    @classmethod
    def of(
        cls, restored: np.ndarray, image: np.ndarray, mask: np.ndarray, truth: np.ndarray, healthy: np.ndarray | None
    ) -> RestorationSums:
        """Measure a restoration; all arrays (Z, Y, X), `healthy` is the tissue without the lesion, None if unknown."""
        healing = lesion = 0.0
        if healthy is not None and truth.any():
            known = healthy[truth].astype(np.float64)
            healing, lesion = (float(np.abs(part[truth] - known).sum()) for part in (restored, image))
        outside = mask & ~_near(truth)
        error = (restored[outside] - image[outside]).astype(np.float64)
        energies = (_energy(part, outside) for part in (restored, image))
        return cls(healing, lesion, *energies, float((error**2).sum()), float(len(error)))

    def __add__(self, other: RestorationSums) -> RestorationSums:
        return RestorationSums.from_array(self.as_array() + other.as_array())

    @classmethod
    def total(cls, parts: Iterable[RestorationSums]) -> RestorationSums:
        """Add several."""
        return sum(parts, cls())

    def as_array(self) -> np.ndarray:
        """Return all sums, float64 (10,)."""
        first = self.healing_error, self.lesion_error
        return np.array([*first, *self.restored_energy, *self.scan_energy, self.squared_error, self.voxels])

    @classmethod
    def from_array(cls, values: np.ndarray) -> RestorationSums:
        """Build the sums from `as_array`."""
        healing, lesion, *rest = map(float, values)
        return cls(healing, lesion, tuple(rest[:3]), tuple(rest[3:6]), *rest[6:])

    @property
    def healing(self) -> float:
        """Error of the restoration over that of the scan: 0 if all tissue is restored, 1 if nothing changed."""
        return self.healing_error / self.lesion_error if self.lesion_error else float("nan")

    @property
    def sharpness(self) -> tuple[float, float, float]:
        """Gradient energy of the restoration over that of the scan along (z, y, x): below 1 if blurred."""
        return tuple(r / s if s else float("nan") for r, s in zip(self.restored_energy, self.scan_energy))

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio of the restoration to the scan in dB, for a peak of 1 in standard intensities."""
        if not self.voxels:
            return float("nan")
        return float(-10 * np.log10(self.squared_error / self.voxels)) if self.squared_error else float("inf")


def _near(truth: np.ndarray) -> np.ndarray:
    """Return the lesion and all voxels within `MARGIN` of it, bool (Z, Y, X)."""
    from scipy.ndimage import binary_dilation

    from ..masks import bounding_slices

    box = bounding_slices(truth)
    if box is None:
        return truth
    wide = tuple(slice(max(part.start - MARGIN, 0), part.stop + MARGIN) for part in box)
    near = truth.copy()
    near[wide] = binary_dilation(truth[wide], iterations=MARGIN)
    return near


def _energy(image: np.ndarray, inside: np.ndarray) -> tuple[float, ...]:
    """Return the sum of squared differences between neighbours that are both inside, along (z, y, x)."""
    found = []
    for axis in range(3):
        values, here = np.moveaxis(image, axis, 0), np.moveaxis(inside, axis, 0)
        steps = (values[1:] - values[:-1])[here[1:] & here[:-1]].astype(np.float64)
        found.append(float((steps**2).sum()))
    return tuple(found)
