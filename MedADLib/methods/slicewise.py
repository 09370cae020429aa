"""Slices of a prepared scan: which are examined, their batches, and interpolation of skipped ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ..messages import Message
from ..runtime.device import slices_at_once, to_device
from ..runtime.progress import Progress

SMALLEST_BRAIN_FRACTION = 0.01


def every_nth(examined: np.ndarray, step: int) -> np.ndarray:
    """Return every `step`-th of some slice indices (n,), and the last one, so that no slice needs extrapolation."""
    return np.union1d(examined[::step], examined[-1:])


def interpolate_slices(values: np.ndarray, known: np.ndarray, examined: np.ndarray) -> None:
    """Interpolate skipped slices linearly between their neighbours, in place.

    Args:
        values: Values of all slices, (Z, …).
        known: Indices of the slices that have values, increasing.
        examined: Indices of all slices that need values, between the first and the last of `known`.
    """
    for index in np.setdiff1d(examined, known):
        above = int(np.searchsorted(known, index))
        low, high = known[above - 1], known[above]
        part = values.dtype.type((index - low) / (high - low))
        values[index] = (1 - part) * values[low] + part * values[high]


def slice_positions(count: int) -> np.ndarray:
    """Return the coordinates of `count` slices, evenly spaced from -0.5 (lowest) to 0.5 (highest)."""
    return np.linspace(-0.5, 0.5, count, dtype=np.float32) if count > 1 else np.zeros(1, np.float32)


def examined_slices(mask: np.ndarray) -> np.ndarray:
    """Return the indices of the slices of a mask (Z, Y, X) that contain enough brain to be examined."""
    return np.flatnonzero(mask.reshape(len(mask), -1).mean(axis=1) >= SMALLEST_BRAIN_FRACTION)


def generator_of(key: Sequence[int]) -> torch.Generator:
    """Return a random generator that depends on a few numbers only, such as seed and step."""
    return torch.Generator().manual_seed(int(np.random.default_rng(list(key)).integers(2**62)))


def slice_batches(
    image: np.ndarray, mask: np.ndarray, device: str, progress: Progress | None
) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
    """Yield the slices with brain of image and mask (Z, Y, X): indices (n,), images (n, 1, Y, X), positions (n,)."""
    groups = slice_groups(examined_slices(mask), device)
    total, before = sum(map(len, groups)), 0
    for chosen in groups:
        if progress is not None:
            message = Message("progress_slice", number=before + 1, count=total)
            progress.update(before / total, message)
        before += len(chosen)
        yield chosen, *slice_batch(image, chosen, device)


def slice_groups(used: np.ndarray, device: str) -> list[np.ndarray]:
    """Split slice indices (n,) into the batches that suit a device."""
    together = slices_at_once(device)
    return [used[first : first + together] for first in range(0, len(used), together)]


def slice_batch(image: np.ndarray, chosen: np.ndarray, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return slices (n, 1, Y, X) of a prepared scan (Z, Y, X) on a device, and their positions (n,)."""
    batch = torch.from_numpy(image[chosen].astype(np.float32))[:, None]
    return to_device(batch, device), to_device(torch.from_numpy(slice_positions(len(image))[chosen]), device)
