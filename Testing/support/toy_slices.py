"""Toy heads as prepared scans of slices of 32 × 32, for methods that work on slices."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from MedADLib.training.data import HealthyData, Scan
from support.phantoms import head


def toy_scan(seed: int) -> Scan:
    """A prepared toy head, 32 slices, and its brain."""
    volume, mask = head(seed, spacing=(6.0, 6.0, 10.0), size=32)
    return volume.array / 1100, mask


def plain_scan(seed: int) -> Scan:
    """A head of smoothly varying tissue, 16 slices, and its brain; each seed has its own brightness."""
    random = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in (16, 32, 32)], indexing="ij")
    mask = (z / 1.1) ** 2 + (y / 0.9) ** 2 + (x / 0.8) ** 2 < 1
    waves = np.sin(3 * x + random.uniform(0, 6)) * np.cos(3 * y + random.uniform(0, 6))
    return np.where(mask, random.uniform(0.4, 1.1) + 0.1 * waves, 0).astype(np.float32), mask


def even_scan(seed: int) -> Scan:
    """A plain scan with the same mean intensity for every seed."""
    image, mask = plain_scan(seed)
    return image * np.float32(0.75 / image[mask].mean()), mask


def with_cuboid(image: np.ndarray, value: float) -> tuple[np.ndarray, np.ndarray]:
    """The image with a cuboid of one intensity, and where that is."""
    lesion = np.zeros(image.shape, bool)
    middle = len(image) // 2
    lesion[middle - 2 : middle + 2, 8:13, 18:23] = True
    return np.where(lesion, value, image).astype(np.float32), lesion


def toy_data(training: int = 6, scan=toy_scan) -> HealthyData:
    """Toy scans to train on and one to validate on; the template has symmetric brains and a spacing of 2.5 mm."""
    template = SimpleNamespace(kind="brain", symmetric=True, image=SimpleNamespace(spacing=(2.5, 2.5, 2.5)))
    return HealthyData(template, [scan(number) for number in range(training)], [scan(50)])
