"""What slice-wise methods share: which slices are examined, their batches, and skipped slices.

Slices that a quick look leaves out: what lies between two examined slices is interpolated.

What the slice-wise networks share: weights to and from numpy, and batches of a volume's slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ..runtime.device import slices_at_once
from ..runtime.progress import Progress

SMALLEST_BRAIN_FRACTION = 0.01


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


def slice_positions(count: int) -> np.ndarray:
    """Coordinates of `count` slices, evenly from -0.5 (lowest) to 0.5 (highest)."""
    return np.linspace(-0.5, 0.5, count, dtype=np.float32) if count > 1 else np.zeros(1, np.float32)


def examined_slices(mask: np.ndarray) -> np.ndarray:
    """Indices of the slices of a mask (Z, Y, X) that hold enough brain to be looked at."""
    return np.flatnonzero(mask.reshape(len(mask), -1).mean(axis=1) >= SMALLEST_BRAIN_FRACTION)


def generator_of(key: Sequence[int]) -> torch.Generator:
    """Randomness that depends on a few numbers, such as seed and step, only."""
    return torch.Generator().manual_seed(int(np.random.default_rng(list(key)).integers(2**62)))


def slice_batches(
    image: np.ndarray,
    mask: np.ndarray,
    device: str,
    progress: Progress | None,
    start: float = 0.0,
    stop: float = 1.0,
    unit: str = "slice",
) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
    """The slices of a prepared scan that hold brain, a few at a time.

    Args:
        image: Standard intensities, (Z, Y, X).
        mask: Brain, (Z, Y, X).
        device: Where the tensors go.
        progress: Told before each batch.
        start: Progress fraction at the first batch.
        stop: Progress fraction after the last.
        unit: What a slice is called in messages.

    Yields:
        Slice indices (n,), images (n, 1, Y, X), positions (n,).
    """
    groups = slice_groups(examined_slices(mask), device)
    total, before = sum(map(len, groups)), 0
    for chosen in groups:
        if progress is not None:
            progress.update(start + (stop - start) * before / total, f"{unit} {before + 1} of {total}")
        before += len(chosen)
        yield chosen, *slice_batch(image, chosen, device)


def slice_groups(used: np.ndarray, device: str) -> list[np.ndarray]:
    """Slice indices (n,) a few at a time, as many as go through a device together."""
    together = slices_at_once(device)
    return [used[first : first + together] for first in range(0, len(used), together)]


def slice_batch(image: np.ndarray, chosen: np.ndarray, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Slices (n, 1, Y, X) of a prepared scan (Z, Y, X) on a device, and their positions (n,)."""
    batch = torch.from_numpy(image[chosen].astype(np.float32))[:, None]
    return brought(batch, device), brought(torch.from_numpy(slice_positions(len(image))[chosen]), device)


def brought(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """A tensor on a device; to a GPU through pinned memory, so that nobody waits for the copy."""
    return tensor if device == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
