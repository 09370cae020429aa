"""Detectors of a comparison: models, other scores of their networks, and plain intensity deviation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..scoring.restoration import Restoration
from .restoration_quality import RestorationSums

if TYPE_CHECKING:
    from ..modelfile.model import Model
    from ..preprocessing.brain_space import PreparedBrain
    from ..scoring.calibration import Calibration, Pooling

HEALTHY_FALSE_POSITIVES = 0.01
# Random seed of lesions and bootstrap.
SEED = 20260


@dataclass(frozen=True, eq=False)
class Detector:
    """A function from a prepared scan to its restoration.

    Attributes:
        name: Name in the tables.
        key: Part of file names, unique for networks, settings and template: another calibration keeps the raw scores.
        score: Maps a prepared scan, of which it reads `image` and `mask`, to raw score map, restoration and sample
            score.
        pooling: Pooling of its map where pooling is on.
        calibration: Calibration of the model as it ships; None for a score that no model file is calibrated for.
        restores: Whether it restores the scan.
        model: Name of the model; empty without one.
    """

    name: str
    key: str
    score: Callable[[PreparedBrain], Restoration]
    pooling: Pooling
    calibration: Calibration | None = None
    restores: bool = True
    model: str = ""

    @property
    def title(self) -> str:
        """Name in figures: the model, then the method or the other score of its network."""
        *_, score = self.name.split(": ")
        return f"{self.model}, {score.split(' (')[0]}" if self.model else self.name


@dataclass(frozen=True, eq=False)
class Kept:
    """The scores of a case, from which the rows of the tables are computed.

    Attributes:
        kind: Kind of lesion, "healthy", "calibration" or "real".
        contrast: Contrast of the lesion, or the name of a real scan.
        mask: Examined part, bool (Z, Y, X).
        truth: Lesion, bool (Z, Y, X).
        score: Raw score map, (Z, Y, X), or those of the members of an ensemble, (M, Z, Y, X).
        sample: Sample score.
        subject: Name of the scan.
        label: Name of the case.
        sums: Quality of the restoration; None without one.
        seconds: Time of the detector.
        peak_mb: Peak memory of the process during it in MB; NaN where the system does not tell it.
        slices: Slices of the restoration by index z, uint8 (Y, X): standard intensities from 0 to 1.5.
    """

    kind: str
    contrast: str
    mask: np.ndarray
    truth: np.ndarray
    score: np.ndarray
    sample: float
    subject: str = ""
    label: str = ""
    sums: RestorationSums | None = None
    seconds: float = float("nan")
    peak_mb: float = float("nan")
    slices: Mapping[int, np.ndarray] = field(default_factory=dict)


def detectors(models: Sequence[Model], device: str) -> list[Detector]:
    """Return plain intensity deviation, each model, and the other scores of its networks."""
    from ..scoring.calibration import Pooling

    template = hashlib.sha256(models[0].template.image.array.tobytes()).hexdigest()[:12]
    plain, size = f"intensity-{template}", Pooling(0.0, 6.0)
    found = [Detector("intensity deviation", plain, intensity_deviation, size, restores=False)]
    methods, names = [model.method.name for model in models], [model.name for model in models]
    for model in models:
        name, key, pooling = model.method.name, _key(model, template), model.calibration.coarse.pooling
        if methods.count(name) > 1:
            name += f" ({model.name})" if names.count(model.name) == 1 else f" ({model.name} {model.sha256[:6]})"
        for reading, method in model.method.alternative_scores().items():
            file = f"{key}-{reading.replace(' ', '-').replace(',', '')}"
            found.append(Detector(f"{name}: {reading}", file, _scorer(method, device), pooling, model=model.name))
        found.append(Detector(name, key, _scorer(model.method, device), pooling, model.calibration, model=model.name))
    return found


def _key(model: Model, template: str) -> str:
    """Return a key of what raw scores depend on: the method, its settings and tensors, and the template."""
    digest = hashlib.sha256(f"{template} {model.method.name} {model.method.parameters}".encode())
    for name, tensor in sorted(model.method.tensors().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()[:12]


def intensity_deviation(prepared: PreparedBrain) -> Restoration:
    """Score a scan without a model: distance of each voxel from the median of the brain, in its SD."""
    inside = prepared.image[prepared.mask]
    deviation = np.abs(prepared.image - np.median(inside)) / inside.std()
    score = np.where(prepared.mask, deviation, 0).astype(np.float32)
    return Restoration(score, prepared.image, float(deviation[prepared.mask].mean()))


def pooled_map(detector: Detector, kept: Kept, pooled: bool, spacing: Sequence[float]) -> np.ndarray:
    """Return the score map of a case, pooled on request."""
    return detector.pooling.applied(kept.score, kept.mask, spacing) if pooled else kept.score


def _scorer(method, device: str) -> Callable[[PreparedBrain], Restoration]:
    def score(prepared: PreparedBrain) -> Restoration:
        return method.restore(prepared.image, prepared.mask, seed=0, device=device)

    return score
