"""Intensity normalisation: wrong voxels, zero point and unit, bias field, histogram landmarks, percentile scaling."""

from __future__ import annotations

import itertools
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
# A hot voxel is brighter than tissue and than its neighbours by more than this many ranges of tissue. In the scans at
# hand, single voxels of vessels are so by up to 1.2.
HOT = 1.5
# A dead voxel has no signal, and is darker than its neighbours by more than this many ranges. In the T1 scans at hand,
# single voxels of fluid without signal are so by up to 0.3.
DEAD = 0.5
# Neither is a wrong voxel that differs by less than this many median differences of neighbours, as noise does.
OVER_NOISE = 5.0
# Planes of a scan that show its noise.
NOISE_PLANES = 24
# No tissue is beyond the examined percentiles by more than this many of their ranges: in the T1 scans at hand, no voxel
# is so by more than 3.1. Clusters of such voxels of up to this many mL are metal or defects.
NO_TISSUE, MOST_NO_TISSUE_ML = 20.0, 5.0
# So many neighbours of similar intensity make a lesion, a vessel or fluid of a voxel.
FEWEST_SIMILAR = 3
# From a voxel to the 26 around it.
STEPS = np.array([step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)])
# At most this many voxels are compared with their neighbours at once.
COMPARED = 100_000
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


def without_wrong_voxels(volume: Volume, mask: np.ndarray) -> Volume:
    """Replace hot and dead voxels, zingers and metal inside a mask by the median of their neighbours inside it.

    Values that no tissue can have are replaced whatever the size of their cluster, up to some mL. A hot voxel is far
    brighter than tissue and than all but two of its neighbours; a dead voxel has no signal, and all but two of its
    neighbours have. Interpolation would make a lesion of several voxels of it. A lesion of two or more voxels in width
    stays, and so does a hot or dead voxel on a face of the scan.

    Args:
        volume: The scan, (Z, Y, X).
        mask: The part to examine, bool (Z, Y, X).

    Returns:
        The volume itself if no voxel is wrong.
    """
    if not mask.any():
        return volume
    unit = IntensityUnit.of(volume.array, mask)
    brightest = unit.zero + unit.unit
    width = (unit.highest - 1) * unit.unit / BEYOND
    volume = _without_metal(volume, mask, brightest - (1 + NO_TISSUE) * width, brightest + NO_TISSUE * width)
    array = volume.array
    found = []
    noise = OVER_NOISE * _difference_of_neighbours(array, mask)
    nothing = float(np.percentile(array.reshape(-1)[:: max(1, array.size // SURROUNDINGS)], SCALING_PERCENTILES[0]))
    kinds = ((1.0, brightest + HOT * width, HOT * width), (-1.0, nothing, DEAD * width))
    for sign, end, least in ((sign, end, max(least, noise)) for sign, end, least in kinds):
        candidates = _apart_in_plane(array, mask, sign, end, least)
        for start in range(0, len(candidates), COMPARED):
            part = candidates[start : start + COMPARED]
            values = sign * array[_neighbours(array.shape, part)].astype(np.float64)
            rank = values.shape[1] - FEWEST_SIMILAR
            similar = np.partition(values, rank, axis=1)[:, rank]
            found.append(part[sign * array[tuple(part.T)].astype(np.float64) - similar > least])
    wrong = np.concatenate(found) if found else np.empty((0, 3), int)
    if not len(wrong):
        return volume
    sound = mask.copy()
    sound[tuple(wrong.T)] = False
    mended = array.copy()
    around = _neighbours(array.shape, wrong)
    for place, values, usable in zip(map(tuple, wrong), array[around], sound[around]):
        if usable.any():
            mended[place] = np.median(values[usable])
    return volume.with_array(mended)


def _without_metal(volume: Volume, mask: np.ndarray, lowest: float, highest: float) -> Volume:
    """Replace clusters of up to some mL beyond two intensities, in or beside a mask, from their surface inwards."""
    array = volume.array
    beyond = (array < lowest) | (array > highest)
    if not beyond.any():
        return volume
    from scipy import ndimage

    whole = ndimage.generate_binary_structure(3, 3)
    labels, _ = ndimage.label(beyond, whole)
    sizes = np.bincount(labels.reshape(-1))
    small = sizes * float(np.prod(volume.spacing)) <= MOST_NO_TISSUE_ML * 1000
    # The brain found in such a scan may have a hole around metal.
    beside = np.unique(labels[ndimage.binary_dilation(mask, whole)])
    chosen = [label for label in beside if label and small[label]]
    if not chosen:
        return volume
    places, mended = ndimage.find_objects(labels), array.copy()
    for label in chosen:
        place = places[label - 1]
        # With the voxels around it; beyond the faces of the scan are none.
        box = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in place)
        inside = (mended[box], labels[box] == label, mask[box] & ~beyond[box])
        values, unknown, usable = (np.pad(one, 1) for one in inside)
        if not usable.any():
            continue
        while (left := np.argwhere(unknown)).size:
            around = tuple(np.moveaxis(left[:, None] + STEPS, -1, 0))
            known = np.where(usable[around], values[around], np.nan).astype(np.float64)
            found = ~np.isnan(known).all(axis=1)
            if not found.any():
                break
            filled = tuple(left[found].T)
            values[filled] = np.nanmedian(known[found], axis=1)
            unknown[filled], usable[filled] = False, True
        mended[box] = values[1:-1, 1:-1, 1:-1]
    return volume.with_array(mended)


def _difference_of_neighbours(array: np.ndarray, mask: np.ndarray) -> float:
    """Return the median difference of neighbours inside a mask, along that axis of some planes where it is smaller."""
    thin = int(np.argmin(array.shape))
    number = np.unique(np.linspace(0, array.shape[thin] - 1, NOISE_PLANES).round().astype(int))
    values, inside = np.moveaxis(array, thin, 0)[number].astype(np.float64), np.moveaxis(mask, thin, 0)[number]
    found = []
    for axis in (1, 2):
        both = np.logical_and(*(inside.take(range(start, inside.shape[axis] - 1 + start), axis) for start in (0, 1)))
        if both.any():
            found.append(float(np.median(np.abs(np.diff(values, axis=axis)[both]))))
    return min(found, default=0.0)


def _apart_in_plane(array: np.ndarray, mask: np.ndarray, sign: float, end: float, least: float) -> np.ndarray:
    """Return voxels (N, 3) of a mask at or beyond an intensity that differ from two of four neighbours in a plane.

    All others have too many similar neighbours. This test is quick: large parts of a scan may be background.

    Args:
        array: The scan, (Z, Y, X).
        mask: The part to examine, bool (Z, Y, X).
        sign: 1 for bright voxels, -1 for dark ones.
        end: The intensity.
        least: The least difference.
    """
    thin = int(np.argmin(array.shape))
    found = []
    # Voxels on the faces of the scan lack neighbours; a single slice has none across it.
    inner = (slice(1, -1), slice(1, -1))
    for number, (values, inside) in enumerate(zip(np.moveaxis(array, thin, 0), np.moveaxis(mask, thin, 0))):
        if not inside.any() or (array.shape[thin] > 1 and number in (0, array.shape[thin] - 1)):
            continue
        places = np.argwhere(inside[inner] & (sign * values[inner] >= sign * end)) + 1
        own = sign * values[tuple(places.T)].astype(np.float64) - least
        sides = ((0, 1), (0, -1), (1, 0), (-1, 0))
        apart = sum(sign * values[tuple((places + side).T)] < own for side in sides)
        found.append(np.insert(places[apart >= 2], thin, number, axis=1))
    return np.concatenate(found) if found else np.empty((0, 3), int)


def _neighbours(shape: tuple[int, ...], places: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the indices (z, y, x) of the 26 neighbours of inner voxels (N, 3), of the 8 in a slice: each (N, 26)."""
    steps = [(-1, 0, 1) if size > 1 else (0,) for size in shape]
    offsets = [step for step in itertools.product(*steps) if any(step)]
    return tuple(np.moveaxis(places[:, None] + np.array(offsets), -1, 0))


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
