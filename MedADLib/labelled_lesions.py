"""Simulated lesions in scans that took no part in training, and how well a method's map tells them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .benchmark_cases import Case, case_names, cases
from .calibration import Pooling
from .errors import InputError
from .metrics import Curve
from .postprocessing import pool

if TYPE_CHECKING:
    from .methods.method import Method
    from .preparation import Template
    from .scan_folder import Source

log = logging.getLogger(__name__)

SEED = 20260
# A slice shows a lesion where it covers as many pixels; a sliver at its edge is neither healthy nor ill.
LESION_PIXELS = 20


def lesion_cases(subjects: Sequence[str], scans: Mapping[str, Source], template: Template) -> list[Case]:
    """Each subject's scan untouched, and with one lesion of each kind; none where they cannot be made."""
    try:
        return list(cases(case_names(subjects), scans, template, SEED))
    except InputError as error:
        log.warning("no lesions are simulated: %s", error)
        return []


def lesion_level(
    method: Method, made: Sequence[Case], pooling: Pooling, spacing: Sequence[float], device: str = "cpu"
) -> dict[str, float]:
    """How well a method's map, pooled as for detection, tells lesions: voxels from voxels, and slices from slices.

    A slice with a lesion is compared with the same slice of the same subject without it, since a reconstruction is
    worse at the base of the brain than in its middle, with or without a lesion.

    Args:
        method: Trained.
        made: What `lesion_cases` gives.
        pooling: The method's.
        spacing: Voxel spacing of the model's grid along (x, y, z) in mm.
        device: Where to compute.

    Returns:
        Nothing without lesions; else ``slice_auroc`` and ``slice_ap`` of the mean of a slice, and ``pixel_auroc`` and
        ``pixel_ap`` of all brain voxels of the scans with a lesion together.
    """
    untouched = {case.name.subject: case for case in made if not case.truth.any()}
    maps = {}
    for case in made:
        score = method.restore(case.prepared.image, case.prepared.mask, device=device).score
        maps[case.name] = pool(score, case.prepared.mask, spacing, pooling.minimum_mm, pooling.average_mm)
    pixels, truths, slices, ill = [], [], [], []
    for case in made:
        mask, own = case.prepared.mask, untouched[case.name.subject]
        if case is own:
            continue
        pixels.append(maps[case.name][mask])
        truths.append(case.truth[mask])
        for z in np.flatnonzero(case.truth.sum(axis=(1, 2)) >= LESION_PIXELS):
            if own.prepared.mask[z].any():
                for one in (case, own):
                    slices.append(float(maps[one.name][z][one.prepared.mask[z]].mean()))
                    ill.append(one is case)
    if not ill:
        return {}
    by_slice = Curve.of(np.array(slices), np.array(ill))
    by_pixel = Curve.of(np.concatenate(pixels), np.concatenate(truths))
    return {
        "slice_auroc": by_slice.auroc(),
        "slice_ap": by_slice.average_precision(),
        "pixel_auroc": by_pixel.auroc(),
        "pixel_ap": by_pixel.average_precision(),
    }
