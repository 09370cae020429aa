"""An NPZ file as those of MedMNIST: toy radiographs with labels and a split of its own; abnormal ones have a spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from support.radiograph_phantoms import radiograph

COUNTS = {"train": 12, "val": 8, "test": 6}
LESION = (0.45, 0.2)
SIDE = (48, 48)


def write_toy_npz(path: Path, **counts: int) -> Path:
    """Write ``train_images``, ``train_labels`` and so on: half healthy (0), half abnormal (1), alternating.

    Args:
        path: Where to.
        counts: Of healthy images in each part; as many abnormal ones are added. None gives `COUNTS`.
    """
    arrays, seed = {}, 0
    for part, count in (counts or COUNTS).items():
        pictures = []
        for _ in range(count):
            # Rows of pictures run downwards.
            pictures += [radiograph(seed, SIDE).array[0, ::-1], radiograph(seed + 1000, SIDE, LESION).array[0, ::-1]]
            seed += 1
        arrays[f"{part}_images"] = np.stack(pictures).astype(np.uint16)
        arrays[f"{part}_labels"] = np.tile([[0], [1]], (count, 1)).astype(np.uint8)
    np.savez(path, **arrays)
    return path
