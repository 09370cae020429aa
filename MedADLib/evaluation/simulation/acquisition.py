"""Simulated acquisition of a brain with given shares of tissues: a protocol, coils, noise and thick slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from ...volume import Volume, nearest_axes
from .contrast_signal import PROTOCOLS, RELAXATION, Finding, Relaxation, Sequence
from .painting import Layers
from .shapes import Patch, random_field
from .tissue_mixture import TISSUES

THICKNESS_MM, SNR = (1.0, 5.0), (15.0, 45.0)
# SD of the relaxation times and proton densities between subjects, of the signal within a tissue, and within a lesion
# beyond that; all as shares. Variation within tissues is smooth over this SD in mm.
BETWEEN, WITHIN, WITHIN_LESION, SMOOTH_MM = 0.03, 0.015, 0.05, 1.2
# Largest factor of the coils' field and its inverse are about the exponential of this; degree of its polynomials.
COILS, DEGREE = 0.25, 2


@dataclass(frozen=True, eq=False)
class Acquisition:
    """A protocol and all that is random about a scan.

    Attributes:
        contrast: One of `PROTOCOLS`.
        sequence: The sequence.
        field: Field strength in T.
        tissues: Properties of each of `TISSUES` in this subject.
        snr: Mean signal of the brain over the SD of the noise of a voxel.
        thickness_mm: Slice thickness along the axis nearest to superior; slices have no gap.
        coils: Chebyshev coefficients of the logarithm of the coils' field along (z, y, x), (3, 3, 3).
        seed: Random seed of noise and texture.
    """

    contrast: str
    sequence: Sequence
    field: float
    tissues: dict[str, Relaxation]
    snr: float
    thickness_mm: float
    coils: np.ndarray
    seed: int

    @classmethod
    def draw(cls, contrast: str, random: np.random.Generator) -> Acquisition:
        """Draw a scan of a contrast."""
        protocols, fields = PROTOCOLS[contrast], tuple(RELAXATION)
        sequence, field = protocols[random.integers(len(protocols))], fields[random.integers(len(fields))]
        tissues = {}
        for name in TISSUES:
            known = RELAXATION[field][name]
            t1, t2, density = np.exp(BETWEEN * np.clip(random.standard_normal(3), -2, 2))
            tissues[name] = Relaxation(known.t1 * t1, known.t2 * t2, known.density * density)
        coils = random.standard_normal((DEGREE + 1,) * 3)
        coils *= (np.indices(coils.shape).sum(axis=0) <= DEGREE) * COILS / np.sqrt((DEGREE + 1) * 3)
        snr, thickness = float(random.uniform(*SNR)), float(random.uniform(*THICKNESS_MM))
        return cls(contrast, sequence, field, tissues, snr, thickness, coils, int(random.integers(2**31)))

    def describe(self) -> str:
        """Describe the scan in one line."""
        times = f"TR {self.sequence.tr:g}, TE {self.sequence.te:g}"
        times += f", TI {self.sequence.ti:g}" if self.sequence.ti else ""
        return (
            f"{self.contrast}, {times} ms, {self.field:g} T, slices of {self.thickness_mm:.1f} mm, SNR {self.snr:.0f}"
        )

    def scan(
        self,
        grid: Volume,
        brain: np.ndarray,
        shares: np.ndarray,
        lesion: tuple[Finding, float, Layers] | None = None,
    ) -> tuple[Volume, np.ndarray]:
        """Simulate the scan of a brain, without its head.

        Args:
            grid: Volume on the grid of the brain.
            brain: True in the brain, bool (Z, Y, X).
            shares: Shares of `TISSUES`, (4, Z, Y, X); with a lesion those that it displaced are used instead.
            lesion: Finding, severity and layers of a lesion; None for a healthy brain.

        Returns:
            The scan, float32, with slices of `thickness_mm`, and its brain mask, bool. Noise and coils do not depend on
            the lesion.
        """
        random = np.random.default_rng(self.seed)
        patch = Patch.around(np.array(brain.shape) / 2, 1e4, brain.shape, grid.spacing[::-1])
        texture = random_field(patch, SMOOTH_MM, random)
        healthy = self._signal(shares, np.array([self.sequence.signal(self.tissues[name]) for name in TISSUES]))
        level = float(np.abs(healthy[brain]).mean())
        signal = healthy * (1 + WITHIN * texture)
        if lesion is not None:
            finding, severity, layers = lesion
            healthy = self._signal(
                layers.carried, np.array([self.sequence.signal(self.tissues[name]) for name in TISSUES])
            )
            signal = healthy * (1 + WITHIN * texture)
            changed = finding.signals(self.sequence, self.tissues, severity)
            for weight, values in zip((layers.rim, layers.core), changed[::-1]):
                inside = self._signal(layers.carried, values) * (1 + (WITHIN + WITHIN_LESION) * texture)
                signal += weight * (inside - signal)
        signal *= self._coils(brain.shape)
        signal[~brain] = 0
        axis = 2 - int(nearest_axes(grid)[2])
        thick, affine = _slices(signal, grid, axis, self.thickness_mm)
        mask = _slices(brain.astype(np.float32), grid, axis, self.thickness_mm)[0] >= 0.5
        noise = random.standard_normal((2, *thick.shape), dtype=np.float32) * (level / self.snr)
        # The magnitude of a complex signal (Rician noise).
        found = np.where(mask, np.hypot(thick + noise[0], noise[1]), 0).astype(np.float32)
        return Volume(found, affine, f"{grid.name}-{self.contrast}"), mask

    @staticmethod
    def _signal(shares: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the signal of mixtures of tissues (4, Z, Y, X) with these signals (4,), float32."""
        return np.tensordot(values.astype(np.float32), shares, 1)

    def _coils(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the coils' field, float32 (Z, Y, X)."""
        axes = [np.linspace(-1, 1, size, dtype=np.float32) for size in shape]
        return np.exp(chebyshev.chebgrid3d(*axes, self.coils)).astype(np.float32)


def _slices(array: np.ndarray, grid: Volume, axis: int, thickness_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Average an image over slices along an axis of its array, in slices of this thickness from its first voxel on.

    Returns:
        The averages, float32, and the 4×4 affine of their grid.
    """
    column = 2 - axis
    step = float(grid.spacing[column])
    size = array.shape[axis]
    count = max(1, int(size * step / thickness_mm + 1e-6))
    edges = np.arange(count + 1) * thickness_mm / step
    total = np.concatenate([np.zeros_like(array.take([0], axis)), array], axis).cumsum(axis, dtype=np.float64)
    whole = np.minimum(edges.astype(int), size - 1)
    part = (edges - whole).reshape([-1 if number == axis else 1 for number in range(3)])
    at_edges = (1 - part) * total.take(whole, axis) + part * total.take(whole + 1, axis)
    averages = np.diff(at_edges, axis=axis) * (step / thickness_mm)
    affine = grid.affine.copy()
    direction = affine[:3, column] / step
    affine[:3, column] = direction * thickness_mm
    affine[:3, 3] += direction * (thickness_mm - step) / 2
    return averages.astype(np.float32), affine
