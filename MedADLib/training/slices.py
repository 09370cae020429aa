"""Training batches of slices, or of whole volumes on a coarser grid.

Slices of prepared scans as training batches, drawn by step number so that a resumed run sees the same ones.

Whole scans on a coarser grid as training batches, and the way to that grid and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import InputError
from ..methods.slicewise import examined_slices, generator_of, slice_positions
from ..methods.volume_restoration import coarse_scan
from .augmentation import Augmentation


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
                raise InputError("only_one_scan")
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


class Volumes(Slices):
    """Whole scans in the place of slices: images and masks (N, Z, Y, X), all at position 0."""

    @classmethod
    def of(cls, scans: Sequence[tuple[np.ndarray, np.ndarray]], shape: Sequence[int], mirrored: bool = True) -> Volumes:
        """Pairs of image and mask, each (Z, Y, X), on a grid of this shape."""
        images, masks = zip(*(coarse_scan(image, mask, shape) for image, mask in scans))
        count = len(scans)
        positions, numbers = np.zeros(count, np.float32), np.arange(count)
        return cls(np.stack(images).astype(np.float16), np.stack(masks), positions, numbers, mirrored)
