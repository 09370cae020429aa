"""Synthetic contrasts of healthy T1 scans, which stand for healthy scans of other contrasts in a calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..corruption.contrasts.anatomy import Anatomy
from ..corruption.contrasts.contrast import ANY, FAMILIES, Contrast
from ..preprocessing.brain_space import PreparedBrain

# Separates its random numbers from those of a training with the same seed.
CALIBRATED = 54
T1 = "t1"


def in_contrasts(scan: PreparedBrain, number: int, seed: int) -> Iterator[PreparedBrain]:
    """Yield a healthy T1 scan itself, and as a scan of each other named family of contrasts.

    Args:
        scan: The scan, in a space of any contrast.
        number: Number of the scan.
        seed: Random seed of the contrasts.
    """
    yield scan
    z, y, x = (float(step) for step in scan.template.image.spacing[::-1])
    anatomy = Anatomy.of(scan.image, scan.mask, (z, y, x), number)
    for position, family in enumerate(FAMILIES):
        if family not in (T1, ANY):
            contrast = Contrast.draw(np.random.default_rng([seed, CALIBRATED, number, position]), family)
            image, mask = contrast.apply(anatomy)
            yield replace(scan, image=image, mask=mask)
