"""Intensity classes of healthy scans, for networks that classify each voxel.

Classes of healthy intensities, for networks that classify each voxel instead of guessing its intensity.

Finds the intensity classes of a network that is to learn with the categorical error.
"""

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


def k_means(values: np.ndarray, count: int) -> np.ndarray:
    """The centres with the least sum of squared distances to the nearest, exact but for the width of a bin.

    In one dimension a class is an interval, so that dynamic programming over a histogram finds the best intervals
    (Wang and Song 2011): no start is drawn, and there is nothing to get stuck in.

    Args:
        values: Any shape, finite.
        count: How many centres.

    Returns:
        float64 (count,), increasing; each is the mean of its values.

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
    # cost[i, j] is what one class of the bins i to j - 1 costs.
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


def class_centres(intensities: np.ndarray, count: int = CLASSES) -> tuple[float, ...]:
    """Class centres of healthy brains (Naval Marimont and Tarroni 2021, implicit field learning).

    Args:
        intensities: Standard intensities of brain voxels, any shape; those beyond the 2nd and 98th percentile count as
            the percentile, so that no class is spent on outliers. Voxels of 0 are background and left out.
        count: How many.

    Returns:
        Increasing positive centres, to six digits.

    Raises:
        InputError: If there are too few different intensities.
    """
    intensities = intensities[intensities > 0].astype(np.float32)
    if not intensities.size:
        raise InputError("scans_without_brain")
    centres = k_means(np.clip(intensities, *np.percentile(intensities, CLIP)), count)
    return tuple(float(f"{centre:.6g}") for centre in centres)


def with_classes(parameters: Any, wishes: Mapping[str, object], train: Slices) -> Any:
    """Parameters with the classes of the training scans if the categorical error is asked for.

    The background, which is 0 in prepared scans, gets a class of its own besides those of the brain: the network is
    then told where there is no brain, without masks in its loss, and what it finds missing in a brain costs as much as
    what is too bright.

    Args:
        parameters: A frozen dataclass with `error` and `centres`.
        wishes: What the user asks for.
        train: Slices of the training subjects.

    Raises:
        InputError: If the scans have too few different intensities.
    """
    if wishes.get("error", parameters.error) != CATEGORICAL:
        return parameters
    return replace(parameters, error=CATEGORICAL, centres=(BACKGROUND, *class_centres(train.images[train.masks])))
