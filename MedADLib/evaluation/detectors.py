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
    from ..preprocessing.space import ReferenceSpace
    from ..scoring.calibration import Calibration, Pooling

HEALTHY_FALSE_POSITIVES = 0.01
# Random seed of lesions and bootstrap.
SEED = 20260
# Full width at half maximum of the Gaussian of smoothed intensities.
SMOOTH_MM = 4.5


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


def template_identity(template: ReferenceSpace) -> str:
    """Return a key of a template and of how it scales intensities, for file names."""
    digest = hashlib.sha256(template.image.array.tobytes())
    digest.update(b"any contrast" if is_any_contrast(template) else b"")
    return digest.hexdigest()[:12]


def is_any_contrast(template: ReferenceSpace) -> bool:
    """Return whether a template takes scans of every contrast."""
    return getattr(template, "any_contrast", False)


def detectors(models: Sequence[Model], device: str, every_intensity: bool = False) -> list[Detector]:
    """Return plain intensity deviation, each model, and the other scores of its networks.

    Args:
        models: The models.
        device: Device of their networks.
        every_intensity: Whether to add the other baselines that need no model, see `intensity_baselines`.
    """
    from ..scoring.calibration import Pooling

    template = template_identity(models[0].template)
    plain, size = f"intensity-{template}", Pooling(0.0, 6.0)
    found = [Detector("intensity deviation", plain, intensity_deviation, size, restores=False)]
    if every_intensity:
        found += intensity_baselines(template, models[0].template.image.spacing, size)
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


def intensity_baselines(template: str, spacing: Sequence[float], pooling: Pooling) -> list[Detector]:
    """Return the baselines of bright lesions, and of smoothed intensities in both directions.

    Args:
        template: Key of the template.
        spacing: Voxel spacing along (x, y, z) in mm.
        pooling: Pooling of their maps where pooling is on.
    """
    from ..scoring.pooling import smooth

    def smoothed(prepared: PreparedBrain) -> np.ndarray:
        return smooth(prepared.image, prepared.mask, spacing, SMOOTH_MM)

    def as_it_is(prepared: PreparedBrain) -> np.ndarray:
        return prepared.image

    def detector(name: str, image: Callable[[PreparedBrain], np.ndarray], both: bool) -> Detector:
        def score(prepared: PreparedBrain) -> Restoration:
            shown, mask = image(prepared), prepared.mask
            inside = shown[mask]
            values = shown - np.median(inside)
            values = np.where(mask, np.abs(values) if both else values, 0).astype(np.float32)
            return Restoration(values, prepared.image, float(values[mask].mean()))

        # `intensity_deviation` has the key of plain intensity.
        return Detector(name, f"baseline-{name.replace(' ', '-')}-{template}", score, pooling, restores=False)

    return [
        detector("intensity", as_it_is, False),
        detector("smoothed intensity", smoothed, False),
        detector("smoothed intensity deviation", smoothed, True),
    ]


def _scorer(method, device: str) -> Callable[[PreparedBrain], Restoration]:
    def score(prepared: PreparedBrain) -> Restoration:
        return method.restore(prepared.image, prepared.mask, seed=0, device=device)

    return score
