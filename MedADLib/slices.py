"""Slices of prepared scans as training batches, drawn by step number so that a resumed run sees the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .augmentation import Augmentation

SMALLEST_BRAIN_FRACTION = 0.01


def slice_positions(count: int) -> np.ndarray:
    """Coordinates of `count` slices, evenly from -0.5 (lowest) to 0.5 (highest)."""
    return np.linspace(-0.5, 0.5, count, dtype=np.float32) if count > 1 else np.zeros(1, np.float32)


def examined_slices(mask: np.ndarray) -> np.ndarray:
    """Indices of the slices of a mask (Z, Y, X) that hold enough brain to be looked at."""
    return np.flatnonzero(mask.reshape(len(mask), -1).mean(axis=1) >= SMALLEST_BRAIN_FRACTION)


@dataclass(frozen=True, eq=False)
class Slices:
    """All usable slices of several scans.

    Attributes:
        images: (N, Y, X), standard intensities, float16 to save memory.
        masks: (N, Y, X), bool.
        positions: (N,), slice coordinates.
        mirrored: Whether mirror images of them are healthy too.
    """

    images: np.ndarray
    masks: np.ndarray
    positions: np.ndarray
    mirrored: bool = True

    @classmethod
    def of(cls, scans: Sequence[tuple[np.ndarray, np.ndarray]], mirrored: bool = True) -> Slices:
        """The slices of pairs of image and mask, each (Z, Y, X)."""
        images, masks, positions = [], [], []
        for image, mask in scans:
            used = examined_slices(mask)
            images.append(image[used].astype(np.float16))
            masks.append(mask[used])
            positions.append(slice_positions(len(mask))[used])
        return cls(np.concatenate(images), np.concatenate(masks), np.concatenate(positions), mirrored)

    def batch(
        self, step: int, size: int, seed: int, augmentation: Augmentation | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The batch of a training step: every slice once an epoch, in an order that depends on seed and epoch only.

        Returns:
            Images (size, 1, Y, X), masks (size, 1, Y, X), positions (size,), float32.
        """
        per_epoch = max(len(self.images) // size, 1)
        order = np.random.default_rng([seed, step // per_epoch]).permutation(len(self.images))
        chosen = order[(step % per_epoch) * size :][:size]
        images, masks, positions = self.select(chosen)
        if augmentation is not None:
            generator = torch.Generator().manual_seed(int(np.random.default_rng([seed, 7, step]).integers(2**62)))
            images, masks = augmentation(images, masks, generator, self.mirrored)
        return images, masks, positions

    def select(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Unchanged slices by index, as in `batch`."""
        return (
            torch.from_numpy(self.images[chosen].astype(np.float32))[:, None],
            torch.from_numpy(self.masks[chosen].astype(np.float32))[:, None],
            torch.from_numpy(self.positions[chosen]),
        )
