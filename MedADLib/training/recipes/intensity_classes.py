"""Intensity classes of healthy scans, for networks that classify each voxel instead of predicting its intensity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import InputError
from ..slices import Slices

CLASSES = 10
CLIP = (2, 98)
BINS = 1024

BACKGROUND = 0.0
CATEGORICAL = "categorical"


def exact_k_means_1d(values: np.ndarray, count: int) -> np.ndarray:
    """Find the optimal centres of one-dimensional k-means, exact to the width of a histogram bin.

    In one dimension a class is an interval, so that dynamic programming over a histogram finds the best intervals
    (Wang and Song 2011). Unlike `runtime.numerics.k_means`, it needs no start and has no local minima.

    Args:
        values: Finite values of any shape.
        count: Number of centres.

    Returns:
        Increasing centres (count,), float64; each is the mean of its values.

    Raises:
        InputError: If there are fewer different values than centres.
    """
    values = np.asarray(values, np.float64).ravel()
    number, edges = np.histogram(values, BINS)
    inside = np.minimum(np.searchsorted(edges, values, "right") - 1, BINS - 1)
    sums = np.bincount(inside, values, BINS)[number > 0]
    squares = np.bincount(inside, values**2, BINS)[number > 0]
    number = number[number > 0]
    if len(number) < count:
        raise InputError("too_few_intensities", classes=count)
    number, sums, squares = (np.concatenate([[0], np.cumsum(part)]) for part in (number, sums, squares))
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = squares - squares[:, None] - (sums - sums[:, None]) ** 2 / (number - number[:, None])
    # cost[i, j] is the cost of one class with the bins i to j - 1.
    cost = np.where(np.triu(np.ones_like(cost, bool), 1), np.maximum(cost, 0), np.inf)
    best, starts = cost[0], []
    for _ in range(count - 1):
        total = best[:, None] + cost
        starts.append(total.argmin(axis=0))
        best = total.min(axis=0)
    cuts = [len(number) - 1]
    for start in reversed(starts):
        cuts.append(int(start[cuts[-1]]))
    cuts = np.array([0, *reversed(cuts)])
    return np.diff(sums[cuts]) / np.diff(number[cuts])


def class_centres(intensities: np.ndarray) -> tuple[float, ...]:
    """Find class centres of healthy brains (Naval Marimont and Tarroni 2021, implicit field learning).

    Args:
        intensities: Standard intensities of brain voxels, any shape. They are clipped to the 2nd and 98th percentile,
            so that no class represents outliers. Values of 0 are background and left out.

    Returns:
        Increasing positive centres, to six digits.

    Raises:
        InputError: If there are too few different intensities.
    """
    intensities = intensities[intensities > 0].astype(np.float32)
    if not intensities.size:
        raise InputError("scans_without_brain")
    centres = exact_k_means_1d(np.clip(intensities, *np.percentile(intensities, CLIP)), CLASSES)
    return tuple(float(f"{centre:.6g}") for centre in centres)


def with_classes(parameters: Any, overrides: Mapping[str, object], train: Slices) -> Any:
    """Add the intensity classes of the training scans to parameters with the categorical error.

    The background, which is 0 in prepared scans, has its own class besides those of the brain: the network then learns
    where there is no brain without masks in its loss, and missing tissue costs as much as bright tissue.

    Raises:
        InputError: If the scans have too few different intensities.
    """
    if overrides.get("error", parameters.error) != CATEGORICAL:
        return parameters
    return replace(parameters, error=CATEGORICAL, centres=(BACKGROUND, *class_centres(train.images[train.masks])))
