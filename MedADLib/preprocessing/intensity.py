"""Intensity normalisation: zero point and unit, bias field, histogram landmarks and percentile scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..runtime.threads import fixed_itk_threads
from ..volume import Volume

PERCENTILES = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
HISTOGRAM_EDGES = np.linspace(-0.25, 1.25, 61)
BIAS_SHRINK = 4
# Intensities closer together than this, as a share of the largest, count as one.
CONSTANT = 4 * float(np.finfo(np.float32).eps)
# Least intensity that N4 takes the logarithm of, in units of the brightest percentile of the brain.
DARK_FLOOR = 1e-3
# Standard intensities of a healthy scan's darkest and brightest percentile.
DARKEST, BRIGHTEST = 0.1, 0.9

SCALING_PERCENTILES = (1, 99)
# Values beyond the examined percentiles by more than this many of their ranges are no tissue: metal, dead pixels.
BEYOND = 3.0
# Where nothing around the brain gives a zero point, it lies this many ranges below the darkest tissue, as air does in
# T1 scans.
BELOW = 0.25
# At most about this many voxels around the brain decide about the zero point.
SURROUNDINGS = 1_000_000


@dataclass(frozen=True)
class IntensityUnit:
    """Zero point and unit of the intensities of a scan, so that an affine change of all intensities changes nothing.

    The zero point is that of the scanner as far as the scan shows it: the darkest percentile around the brain, where
    air or an empty background is. N4 takes logarithms, so its result depends on the zero point.

    Attributes:
        zero: Intensity that becomes 0.
        unit: Intensity above `zero` that becomes 1: the brightest percentile of the brain. Positive.
        lowest, highest: Range of intensities, `zero` and `unit` applied; what is beyond becomes the nearest of them.
    """

    zero: float
    unit: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, array: np.ndarray, mask: np.ndarray) -> IntensityUnit:
        """Measure a scan, (Z, Y, X), and the part to examine, bool (Z, Y, X); one of a single intensity has unit 1."""
        inside = array[mask]
        low, high = (float(value) for value in np.percentile(inside, SCALING_PERCENTILES))
        if low == high:
            low, high = float(inside.min()), float(inside.max())
        width = (high - low) or 1.0
        zero = low - BELOW * width
        if (around := _surroundings(array, mask)).size:
            darkest = float(np.percentile(around, SCALING_PERCENTILES[0]))
            # A scan normalised within the brain, or padded with a value of its own, does not show the zero point.
            if low - 2 * width <= darkest <= low:
                zero = darkest
        unit = low + width - zero
        return cls(zero, unit, (low - BEYOND * width - zero) / unit, (low + (1 + BEYOND) * width - zero) / unit)

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Convert intensities of the scan, float32; values that are no tissue become the nearest end of the range."""
        converted = np.empty(values.shape, np.float32)
        # Double precision: a large zero point would take the digits of the rest. Slice by slice: that saves its memory.
        for given, found in zip(values, converted):
            exact = np.subtract(given, self.zero, dtype=np.float64)
            found[...] = np.clip(exact / self.unit, self.lowest, self.highest)
        return converted

    def clipped(self, values: np.ndarray) -> np.ndarray:
        """Return intensities of the scan, those that are no tissue replaced by the nearest end of the range."""
        return np.clip(values, *(self.zero + self.unit * end for end in (self.lowest, self.highest)))

    def backward(self, values: np.ndarray) -> np.ndarray:
        """Convert to intensities of the scan, float32."""
        return (values.astype(np.float64) * self.unit + self.zero).astype(np.float32)


def _surroundings(array: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return voxels outside a mask, all or every n-th."""
    step = max(1, array.size // SURROUNDINGS)
    return array.reshape(-1)[::step][~mask.reshape(-1)[::step]]


@dataclass(frozen=True)
class Landmarks:
    """A monotone, invertible map of intensities by percentile landmarks (Nyúl and Udupa 1999).

    Attributes:
        source: The scan's own intensities at `PERCENTILES` inside the brain, strictly increasing.
        target: The standard intensities that they become, strictly increasing.
    """

    source: np.ndarray
    target: np.ndarray

    def __post_init__(self) -> None:
        if np.diff(self.source).min() <= 0 or np.diff(self.target).min() <= 0:
            raise InputError("brain_few_intensities")

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Convert scan intensities to standard intensities, linear between landmarks and beyond them."""
        return _piecewise(values, self.source, self.target)

    def backward(self, values: np.ndarray) -> np.ndarray:
        """Convert standard intensities to scan intensities."""
        return _piecewise(values, self.target, self.source)


def landmark_values(values: np.ndarray) -> np.ndarray:
    """Return intensities at `PERCENTILES`, float64, strictly increasing even where grey levels are few.

    Raises:
        InputError: If all intensities are the same.
    """
    marks = np.percentile(values, PERCENTILES).astype(np.float64)
    width = marks[-1] - marks[0]
    if width <= CONSTANT * np.abs(marks).max():
        raise InputError("brain_one_intensity")
    return marks + np.arange(len(marks)) * width * 1e-6


def standard_histogram(values: np.ndarray) -> np.ndarray:
    """Return the intensity histogram after scaling the 1st and 99th percentile to 0 and 1.

    Returns:
        float64 array of ``len(HISTOGRAM_EDGES) - 1`` fractions that sum to 1.
    """
    low, high = np.percentile(values, (1, 99))
    scaled = np.clip((values - low) / ((high - low) or 1.0), HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
    counts = np.histogram(scaled, HISTOGRAM_EDGES)[0].astype(np.float64)
    return counts / counts.sum()


def histogram_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Wasserstein-1 distance of two standard histograms, in units of the 1st to 99th percentile range."""
    # By hand, because every detection would wait for the import of scipy.stats.
    width = float(HISTOGRAM_EDGES[1] - HISTOGRAM_EDGES[0])
    return float(np.abs(np.cumsum(first) - np.cumsum(second)).sum() * width)


def bias_field(volume: Volume, mask: np.ndarray) -> np.ndarray:
    """Estimate the bias field of coils (N4, Tustison et al. 2010) on a coarse grid.

    Args:
        volume: The image, in units of `IntensityUnit`; values below a small positive floor are raised to it, because
            N4 takes logarithms.
        mask: Brain, bool (Z, Y, X).

    Returns:
        float32 (Z, Y, X), positive, geometric mean 1 inside the mask: divide the image by it.
    """
    import SimpleITK as sitk

    floor = max(float(np.percentile(volume.array[mask], 1)), DARK_FLOOR)
    image = volume.with_array(np.maximum(volume.array, floor).astype(np.float32)).to_sitk()
    region = volume.with_array(mask.astype(np.uint8)).to_sitk()
    shrink = [BIAS_SHRINK, BIAS_SHRINK, max(1, BIAS_SHRINK - 1)]
    # Its threads add in a fixed order, so results repeat bit for bit with a fixed number of them.
    with fixed_itk_threads():
        n4 = sitk.N4BiasFieldCorrectionImageFilter()
        n4.SetMaximumNumberOfIterations([20, 20, 20])
        n4.Execute(sitk.Shrink(image, shrink), sitk.Shrink(region, shrink))
        log_field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).astype(np.float32)
    return np.exp(log_field - log_field[mask].mean())


def _piecewise(values: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Map piecewise linearly; beyond the ends with the slope of the whole range."""
    slope = (target[-1] - target[0]) / (source[-1] - source[0])
    mapped = np.interp(values, source, target)
    for end, beyond in ((source[0], values < source[0]), (source[-1], values > source[-1])):
        mapped[beyond] += (values[beyond] - end) * slope
    return mapped.astype(np.float32)


@dataclass(frozen=True)
class PercentileScaling:
    """Linear map of intensities, for images of unknown content: `low` becomes `DARKEST` and `high` `BRIGHTEST`."""

    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray, name: str) -> PercentileScaling:
        """Scale an image by `SCALING_PERCENTILES`, or by its extremes where these percentiles are equal.

        Raises:
            InputError: If all values are the same.
        """
        low, high = (float(value) for value in np.percentile(values, SCALING_PERCENTILES))
        if low == high:
            low, high = float(values.min()), float(values.max())
        if low == high:
            raise InputError("scan_one_intensity", name=name)
        return cls(low, high)

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Convert intensities of the image to standard intensities."""
        return DARKEST + (BRIGHTEST - DARKEST) * ((values - self.low) / (self.high - self.low))

    def backward(self, values: np.ndarray) -> np.ndarray:
        """Convert standard intensities to intensities of the image."""
        return self.low + (self.high - self.low) * ((values - DARKEST) / (BRIGHTEST - DARKEST))
