"""Regions of one anomaly map at many thresholds, each within milliseconds, for a slider that is dragged.

Each voxel belongs to the hill (the catchment) of the peak that its steepest ascent leads to. Two neighbouring hills
merge into one region at the height of the pass between them. Peaks and passes are computed once; they determine for
any threshold which hills form one region, and only the voxels above the threshold remain to be labelled.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from ..volume import Volume
from .regions import Region, find_regions, number_regions

MOST_VOXELS = 2_000_000
# One of each pair of opposite steps (z, y, x) to a voxel that shares a face, an edge or a corner.
STEPS = [step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]


class RegionForest:
    """Component tree of a map: results of `find_regions`, much faster from the second threshold on.

    Args:
        anomaly: Map of shape (Z, Y, X); larger is more anomalous. It must not change.
        lowest: Smallest expected threshold; smaller ones work too, but slowly. It is raised where more than
            `MOST_VOXELS` voxels reach it.
    """

    def __init__(self, anomaly: Volume, lowest: float):
        self.anomaly = anomaly
        flat = anomaly.array.ravel()
        self._inside = np.flatnonzero((flat >= lowest) & (flat > 0))
        self._values = flat[self._inside]
        self.lowest = float(lowest)
        if len(self._inside) > MOST_VOXELS:
            self.lowest = float(np.partition(self._values, -MOST_VOXELS)[-MOST_VOXELS])
            kept = self._values >= self.lowest
            self._inside, self._values = self._inside[kept], self._values[kept]
        count = len(self._inside)
        # Number 0 is the highest voxel; of equal voxels the first in the array.
        descending = np.argsort(-self._values, kind="stable")
        number = np.empty(count, dtype=np.int32)
        number[descending] = np.arange(count, dtype=np.int32)
        lookup, place, strides = self._lookup(number)
        uphill = number.copy()
        for step in STEPS:
            jump = int(np.dot(step, strides))
            np.minimum(uphill, lookup[place + jump], out=uphill)
            np.minimum(uphill, lookup[place - jump], out=uphill)
        peak_of = np.empty(count, dtype=np.int32)
        peak_of[number] = uphill
        peak_of = _ends(peak_of)
        peaks = np.flatnonzero(peak_of == np.arange(count))
        hill_of = np.empty(count, dtype=np.int32)
        hill_of[peaks] = np.arange(len(peaks), dtype=np.int32)
        hill_of = hill_of[peak_of]
        self._hill, self._hills = hill_of[number], len(peaks)
        self._passes, self._heights = self._spanning_passes(number, lookup, place, strides, hill_of)

    def find(
        self, threshold: float, p_value: Callable[[float], float], min_ml: float = 0.05, midline: float | None = None
    ) -> tuple[np.ndarray, tuple[Region, ...]]:
        """Find the regions of the map as `find_regions` does; the labels are a new array each time."""
        if not threshold >= self.lowest:
            return find_regions(self.anomaly, threshold, p_value, min_ml, midline)
        # Parts of a zero array that are never written take no time and no memory.
        labels = np.zeros(self.anomaly.array.shape, dtype=np.int16)
        above = np.flatnonzero(self._values >= threshold)
        if not len(above):
            return labels, ()
        component, inside = self._components(above), self._inside[above]
        return labels, number_regions(self.anomaly, inside, component, p_value, min_ml, labels, midline)

    def count(self, threshold: float, min_ml: float) -> int:
        """Return the number of regions of a volume (mL) or more, without their measures."""
        if not threshold >= self.lowest:
            return len(find_regions(self.anomaly, threshold, lambda peak: 1.0, min_ml)[1])
        above = np.flatnonzero(self._values >= threshold)
        if not len(above):
            return 0
        voxels = np.bincount(self._components(above))
        return int(((voxels > 0) & (voxels * self.anomaly.voxel_ml >= min_ml * (1 - 1e-9))).sum())

    def _components(self, above: np.ndarray) -> np.ndarray:
        """Return the region of each voxel above a threshold: hills are one where all passes between are above it."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        hills, passes = self._hills, self._passes[:, : np.searchsorted(self._heights, len(above))]
        graph = coo_array((np.ones(passes.shape[1], np.int8), tuple(passes)), shape=(hills, hills))
        return connected_components(graph, directed=False)[1][self._hill[above]]

    def _lookup(self, number: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int]]:
        """Return the numbers as a flat image with a border, their positions in it, and its strides.

        Positions without a number hold the count of numbers.
        """
        if not len(number):
            return np.zeros(1, dtype=np.int32), np.zeros(0, dtype=np.int64), (0, 0, 0)
        zyx = np.stack(np.unravel_index(self._inside, self.anomaly.array.shape))
        zyx -= zyx.min(axis=1, keepdims=True) - 1
        depth, height, width = (zyx.max(axis=1) + 2).tolist()
        strides = (height * width, width, 1)
        place = np.array(strides) @ zyx
        lookup = np.full(depth * height * width, len(number), dtype=np.int32)
        lookup[place] = number
        return lookup, place, strides

    def _spanning_passes(
        self,
        number: np.ndarray,
        lookup: np.ndarray,
        place: np.ndarray,
        strides: tuple[int, int, int],
        hill_of: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the passes that decide which hills are one region, highest first.

        They are a minimum spanning forest of the hills under the number of the lower voxel of each pass.

        Returns:
            Both hills of each pass, (2, K), and the number of its lower voxel, increasing, (K,).
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import minimum_spanning_tree

        hills = self._hills
        pairs, heights = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int32)]
        for step in STEPS:
            other = lookup[place + int(np.dot(step, strides))]
            here = np.flatnonzero(other < len(number))
            other = other[here]
            first, second = self._hill[here], hill_of[other]
            apart = first != second
            first, second = first[apart].astype(np.int64), second[apart]
            pairs.append(np.minimum(first, second) * hills + np.maximum(first, second))
            heights.append(np.maximum(number[here[apart]], other[apart]))
        pair, height = np.concatenate(pairs), np.concatenate(heights)
        order = np.argsort(height, kind="stable")
        pair, highest = np.unique(pair[order], return_index=True)
        height = height[order][highest]
        ends = pair // max(hills, 1), pair % max(hills, 1)
        forest = minimum_spanning_tree(coo_array((height, ends), shape=(hills, hills))).tocoo()
        order = np.argsort(forest.data, kind="stable")
        return np.stack([forest.row, forest.col])[:, order], forest.data[order]


def _ends(pointer: np.ndarray) -> np.ndarray:
    """Follow pointers from each entry until one points to itself."""
    while True:
        further = pointer[pointer]
        if np.array_equal(further, pointer):
            return pointer
        pointer = further
