"""A head with a skull around the brain."""

from __future__ import annotations

import numpy as np

from MedADLib.volume import Volume


def head(air_noise=2.0, spacing=3.0, seed=0):
    """A round head: brain of 1.4 litres, dark bone with some signal, bright scalp, noisy air."""
    size = round(230 / spacing)
    z, y, x = np.meshgrid(*[(np.arange(size) - size / 2) * spacing] * 3, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    rng = np.random.default_rng(seed)
    array = np.select([radius < 70, radius < 78, radius < 90], [100 - radius / 3, 6.0, 140.0], 0.0)
    noise = np.abs(rng.normal(0, 2.0, array.shape))
    array += np.where(radius < 90, noise, noise * air_noise / 2)
    brain = radius < 70
    return Volume(array.astype(np.float32), np.diag([spacing, spacing, spacing, 1.0])), brain
