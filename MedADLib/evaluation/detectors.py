"""Detectors of a comparison: models, other scores of their networks, and plain intensity deviation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..modelfile.model import Model
    from ..preprocessing.brain_space import PreparedBrain
    from ..scoring.calibration import Pooling

HEALTHY_FALSE_POSITIVES = 0.01
# Random seed of lesions and bootstrap.
SEED = 20260


@dataclass(frozen=True, eq=False)
class Detector:
    """A function from a prepared scan to a raw score map and a sample score.

    Attributes:
        name: Name in the tables.
        key: Part of file names, unique for each model file.
        score: Maps a prepared scan to (score map (Z, Y, X), sample score).
        pooling: Pooling of its map where pooling is on.
    """

    name: str
    key: str
    score: Callable[[PreparedBrain], tuple[np.ndarray, float]]
    pooling: Pooling


@dataclass(frozen=True, eq=False)
class Kept:
    """The scores of a case, from which the rows of the tables are computed.

    Attributes:
        kind: Kind of lesion, "healthy", "calibration" or "real".
        contrast: Contrast of the lesion, or the name of a real scan.
        mask: Examined part, bool (Z, Y, X).
        truth: Lesion, bool (Z, Y, X).
        score: Raw score map, (Z, Y, X).
        sample: Sample score.
    """

    kind: str
    contrast: str
    mask: np.ndarray
    truth: np.ndarray
    score: np.ndarray
    sample: float


def detectors(models: Sequence[Model], device: str) -> list[Detector]:
    """Return plain intensity deviation, each model, and the other scores of its networks."""
    from ..scoring.calibration import Pooling

    template = hashlib.sha256(models[0].template.image.array.tobytes()).hexdigest()[:12]
    found = [Detector("intensity deviation", f"intensity-{template}", intensity_deviation, Pooling(0.0, 6.0))]
    methods, names = [model.method.name for model in models], [model.name for model in models]
    for model in models:
        name, key, pooling = model.method.name, model.sha256[:12], model.calibration.coarse.pooling
        if methods.count(name) > 1:
            name += f" ({model.name})" if names.count(model.name) == 1 else f" ({model.name} {key[:6]})"
        for reading, method in model.method.alternative_scores().items():
            file = f"{key}-{reading.replace(' ', '-').replace(',', '')}"
            found.append(Detector(f"{name}: {reading}", file, _scorer(method, device), pooling))
        found.append(Detector(name, key, _scorer(model.method, device), pooling))
    return found


def intensity_deviation(prepared: PreparedBrain) -> tuple[np.ndarray, float]:
    """Score a scan without a model: distance of each voxel from the median of the brain, in its SD."""
    inside = prepared.image[prepared.mask]
    deviation = np.abs(prepared.image - np.median(inside)) / inside.std()
    return np.where(prepared.mask, deviation, 0).astype(np.float32), float(deviation[prepared.mask].mean())


def pooled_map(detector: Detector, kept: Kept, pooled: bool, spacing: Sequence[float]) -> np.ndarray:
    """Return the score map of a case, pooled on request."""
    from ..scoring.pooling import pool

    if not pooled:
        return kept.score
    return pool(kept.score, kept.mask, spacing, detector.pooling.minimum_mm, detector.pooling.average_mm)


def _scorer(method, device: str) -> Callable[[PreparedBrain], tuple[np.ndarray, float]]:
    def score(prepared: PreparedBrain) -> tuple[np.ndarray, float]:
        result = method.restore(prepared.image, prepared.mask, seed=0, device=device)
        return result.score, result.sample_score

    return score
