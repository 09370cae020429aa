"""The detectors of a comparison: models, other readings of them, and plain intensity deviation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..modelfile.model import Model
    from ..preprocessing.brain_space import Prepared
    from ..scoring.calibration import Pooling

HEALTHY_FALSE_POSITIVES = 0.01


@dataclass(frozen=True, eq=False)
class Detector:
    """Something that gives a prepared scan a raw score map and a sample score.

    Attributes:
        name: For the tables.
        key: For file names; another one for another model file.
        score: From a prepared scan to (score map (Z, Y, X), sample score).
        pooling: What its map is pooled with where pooling is on.
    """

    name: str
    key: str
    score: Callable[[Prepared], tuple[np.ndarray, float]]
    pooling: Pooling


@dataclass(frozen=True, eq=False)
class Kept:
    """The scores of a case: what a row of the table is computed from."""

    kind: str
    contrast: str
    mask: np.ndarray
    truth: np.ndarray
    score: np.ndarray
    sample: float


def detectors(models: Sequence[Model], device: str) -> list[Detector]:
    """The plain intensity deviation, each model, and the other readings of its networks."""
    from ..methods.base import readings
    from ..scoring.calibration import Pooling

    template = hashlib.sha256(models[0].template.image.array.tobytes()).hexdigest()[:12]
    found = [Detector("intensity deviation", f"intensity-{template}", intensity_deviation, Pooling(0.0, 6.0))]
    methods, names = [model.method.name for model in models], [model.name for model in models]
    for model in models:
        name, key, pooling = model.method.name, model.sha256[:12], model.calibration.pooling
        if methods.count(name) > 1:
            name += f" ({model.name})" if names.count(model.name) == 1 else f" ({model.name} {key[:6]})"
        for reading, method in readings(model.method).items():
            file = f"{key}-{reading.replace(' ', '-').replace(',', '')}"
            found.append(Detector(f"{name}: {reading}", file, _scorer(method, device), pooling))
        found.append(Detector(name, key, _scorer(model.method, device), pooling))
    return found


def intensity_deviation(prepared: Prepared) -> tuple[np.ndarray, float]:
    """No model at all: distance of each voxel from the brain's median, in its standard deviation."""
    inside = prepared.image[prepared.mask]
    deviation = np.abs(prepared.image - np.median(inside)) / inside.std()
    return np.where(prepared.mask, deviation, 0).astype(np.float32), float(deviation[prepared.mask].mean())


def pooled_map(detector: Detector, kept: Kept, pooled: bool, spacing: Sequence[float]) -> np.ndarray:
    """The case's score map, pooled or as it is."""
    from ..scoring.pooling import pool

    if not pooled:
        return kept.score
    return pool(kept.score, kept.mask, spacing, detector.pooling.minimum_mm, detector.pooling.average_mm)


def _scorer(method, device: str) -> Callable[[Prepared], tuple[np.ndarray, float]]:
    def score(prepared: Prepared) -> tuple[np.ndarray, float]:
        result = method.restore(prepared.image, prepared.mask, seed=0, device=device)
        return result.score, result.sample_score

    return score
