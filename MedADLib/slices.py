"""Slices of prepared scans as training batches, drawn by step number so that a resumed run sees the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .augmentation import Augmentation
from .errors import InputError

SMALLEST_BRAIN_FRACTION = 0.01


def slice_positions(count: int) -> np.ndarray:
    """Coordinates of `count` slices, evenly from -0.5 (lowest) to 0.5 (highest)."""
    return np.linspace(-0.5, 0.5, count, dtype=np.float32) if count > 1 else np.zeros(1, np.float32)


def examined_slices(mask: np.ndarray) -> np.ndarray:
    """Indices of the slices of a mask (Z, Y, X) that hold enough brain to be looked at."""
    return np.flatnonzero(mask.reshape(len(mask), -1).mean(axis=1) >= SMALLEST_BRAIN_FRACTION)


def generator_of(key: Sequence[int]) -> torch.Generator:
    """Randomness that depends on a few numbers, such as seed and step, only."""
    return torch.Generator().manual_seed(int(np.random.default_rng(list(key)).integers(2**62)))


@dataclass(frozen=True, eq=False)
class Slices:
    """All usable slices of several scans.

    Attributes:
        images: (N, Y, X), standard intensities, float16 to save memory.
        masks: (N, Y, X), bool.
        positions: (N,), slice coordinates.
        scans: (N,), which scan each slice is of: 0, 1, ...
        mirrored: Whether mirror images of them are healthy too.
        varied: Whether batches may be changed at random; else augmentations are passed over.
    """

    images: np.ndarray
    masks: np.ndarray
    positions: np.ndarray
    scans: np.ndarray
    mirrored: bool = True
    varied: bool = True

    @classmethod
    def of(cls, scans: Sequence[tuple[np.ndarray, np.ndarray]], mirrored: bool = True) -> Slices:
        """The slices of pairs of image and mask, each (Z, Y, X)."""
        images, masks, positions, numbers = [], [], [], []
        for number, (image, mask) in enumerate(scans):
            used = examined_slices(mask)
            images.append(image[used].astype(np.float16))
            masks.append(mask[used])
            positions.append(slice_positions(len(mask))[used])
            numbers.append(np.full(len(used), number))
        return cls(*(np.concatenate(parts) for parts in (images, masks, positions, numbers)), mirrored)

    def batch(
        self, step: int, size: int, seed: int, augmentation: Augmentation | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The batch of a training step: every slice once an epoch, in an order that depends on seed and epoch only.

        Returns:
            Images (size, 1, Y, X), masks (size, 1, Y, X), positions (size,), float32.
        """
        return self.changed(self.chosen(step, size, seed), [seed, 7, step], augmentation)

    def chosen(self, step: int, size: int, seed: int) -> np.ndarray:
        """Indices of the slices in the batch of a training step."""
        per_epoch = max(len(self.images) // size, 1)
        order = np.random.default_rng([seed, step // per_epoch]).permutation(len(self.images))
        return order[(step % per_epoch) * size :][:size]

    def near(self, positions: np.ndarray, key: Sequence[int], without: np.ndarray | None = None) -> np.ndarray:
        """For each position, a slice of some scan at about that height.

        Args:
            positions: Slice coordinates (n,).
            key: Which scans are drawn depends on these numbers only.
            without: For each position, the scan that must not be drawn, (n,); None allows all.

        Returns:
            Indices (n,): the slice with the nearest position in a scan drawn at random.

        Raises:
            InputError: If there is no other scan.
        """
        numbers, random = np.unique(self.scans), np.random.default_rng(list(key))
        found = []
        for index, position in enumerate(positions):
            allowed = numbers if without is None else numbers[numbers != without[index]]
            if not len(allowed):
                raise InputError("slices of other scans are needed, and there is one scan", "Give more healthy scans.")
            theirs = np.flatnonzero(self.scans == random.choice(allowed))
            found.append(theirs[np.argmin(np.abs(self.positions[theirs] - position))])
        return np.array(found, dtype=np.int64)

    def changed(
        self, chosen: np.ndarray, key: Sequence[int], augmentation: Augmentation | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Slices by index, as in `batch`; how they are augmented depends on `key` only."""
        images, masks, positions = self.select(chosen)
        if augmentation is not None and self.varied:
            images, masks = augmentation(images, masks, generator_of(key), self.mirrored)
        return images, masks, positions

    def spread(self, count: int) -> np.ndarray:
        """Indices of at most `count` slices, evenly over all."""
        return np.linspace(0, len(self.images) - 1, min(count, len(self.images))).astype(int)

    def select(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Unchanged slices by index, as in `batch`."""
        return (
            torch.from_numpy(self.images[chosen].astype(np.float32))[:, None],
            torch.from_numpy(self.masks[chosen].astype(np.float32))[:, None],
            torch.from_numpy(self.positions[chosen]),
        )
