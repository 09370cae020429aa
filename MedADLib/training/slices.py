"""Training batches of slices, or of whole volumes on a coarser grid.

The number of a step determines its batch, so that a resumed training uses the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import InputError
from ..methods.slicewise import examined_slices, generator_of, slice_positions
from ..methods.volume_restoration import coarse_scan
from ..runtime.numerics import evenly_spread
from .augmentation import Augmentation


@dataclass(frozen=True, eq=False)
class Slices:
    """All usable slices of several scans.

    Attributes:
        images: Standard intensities (N, Y, X), float16 to save memory.
        masks: Brain masks (N, Y, X), bool.
        positions: Slice coordinates (N,).
        scans: Number of the scan of each slice (N,): 0, 1, ...
        mirrored: Whether mirror images of healthy slices are healthy too.
        varied: Whether to augment batches; False ignores augmentations.
    """

    images: np.ndarray
    masks: np.ndarray
    positions: np.ndarray
    scans: np.ndarray
    mirrored: bool = True
    varied: bool = True

    @classmethod
    def of(cls, scans: Sequence[tuple[np.ndarray, np.ndarray]], mirrored: bool = True) -> Slices:
        """Collect the slices of pairs of image and mask, each (Z, Y, X)."""
        images, masks, positions, numbers = [], [], [], []
        for number, (image, mask) in enumerate(scans):
            used = examined_slices(mask)
            images.append(image[used].astype(np.float16))
            masks.append(mask[used])
            positions.append(slice_positions(len(mask))[used])
            numbers.append(np.full(len(used), number))
        return cls(*(np.concatenate(parts) for parts in (images, masks, positions, numbers)), mirrored)

    @property
    def size(self) -> tuple[int, ...]:
        """Size (Y, X) of a slice."""
        return tuple(self.images.shape[1:])

    def batch(
        self, step: int, size: int, seed: int, augmentation: Augmentation | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Create the batch of a training step; each epoch uses every slice once, in an order set by seed and epoch.

        Args:
            step: Number of the step.
            size: Number of slices.
            seed: Random seed.
            augmentation: Augmentation of the slices; None leaves them unchanged.

        Returns:
            Images (size, 1, Y, X), masks (size, 1, Y, X), positions (size,), float32.
        """
        return self.augmented(self.indices(step, size, seed), [seed, 7, step], augmentation)

    def indices(self, step: int, size: int, seed: int) -> np.ndarray:
        """Return the indices of the slices in the batch of a training step."""
        per_epoch = max(len(self.images) // size, 1)
        order = np.random.default_rng([seed, step // per_epoch]).permutation(len(self.images))
        return order[(step % per_epoch) * size :][:size]

    def near(self, positions: np.ndarray, key: Sequence[int], without: np.ndarray | None = None) -> np.ndarray:
        """Select, for each position, a slice at about that position from a random scan.

        Args:
            positions: Slice coordinates (n,).
            key: Numbers that determine the random scans.
            without: For each position, the scan to exclude (n,); None allows all.

        Returns:
            Indices (n,) of the slices with the nearest positions.

        Raises:
            InputError: If no other scan exists.
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

    def augmented(
        self, chosen: np.ndarray, key: Sequence[int], augmentation: Augmentation | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Select and augment slices by index, as in `batch`; only `key` determines the augmentation."""
        images, masks, positions = self.select(chosen)
        if augmentation is not None and self.varied:
            images, masks = augmentation(images, masks, generator_of(key), self.mirrored)
        return images, masks, positions

    def spread(self, count: int) -> np.ndarray:
        """Select indices of at most `count` slices, evenly spread over all."""
        return evenly_spread(len(self.images), count)

    def select(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Select slices by index without augmentation, as in `batch`."""
        return (
            torch.from_numpy(self.images[chosen].astype(np.float32))[:, None],
            torch.from_numpy(self.masks[chosen].astype(np.float32))[:, None],
            torch.from_numpy(self.positions[chosen]),
        )


class Volumes(Slices):
    """Whole scans in place of slices: images and masks (N, Z, Y, X), all at position 0."""

    @classmethod
    def of(cls, scans: Sequence[tuple[np.ndarray, np.ndarray]], shape: Sequence[int], mirrored: bool = True) -> Volumes:
        """Resample pairs of image and mask, each (Z, Y, X), to a grid of this shape."""
        images, masks = zip(*(coarse_scan(image, mask, shape) for image, mask in scans))
        count = len(scans)
        positions, numbers = np.zeros(count, np.float32), np.arange(count)
        return cls(np.stack(images).astype(np.float16), np.stack(masks), positions, numbers, mirrored)
