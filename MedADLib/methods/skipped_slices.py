"""Slices that a quick look leaves out: what lies between two examined slices is interpolated."""

from __future__ import annotations

import numpy as np


def looked_at(examined: np.ndarray, step: int) -> np.ndarray:
    """Every `step`-th of some slice indices (n,), and the last, so that nothing lies beyond them."""
    return np.union1d(examined[::step], examined[-1:])


def fill_in(values: np.ndarray, looked_at: np.ndarray, examined: np.ndarray) -> None:
    """Put into slices that were left out what lies between their neighbours, linearly.

    Args:
        values: Of all slices, (Z, …); changed in place.
        looked_at: Indices of slices whose values are there, in order.
        examined: Indices of all slices whose values are wanted, between the first and the last of them.
    """
    for index in np.setdiff1d(examined, looked_at):
        above = int(np.searchsorted(looked_at, index))
        low, high = looked_at[above - 1], looked_at[above]
        part = values.dtype.type((index - low) / (high - low))
        values[index] = (1 - part) * values[low] + part * values[high]
