"""The model card: purpose, scope, limits, method, calibration and training data of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..preprocessing.slice_space import LONGER_SIDE_MM
from ..scoring.pooling import reach_of
from .disclosure import CALIBRATED_ON, CALIBRATION, DATA, LIMITS, METHOD, PARTS, SCANS, About, composed, disclosure
from .manifest import KINDS

if TYPE_CHECKING:
    from .model import Model

# Further causes of false positives for each kind of space, besides other contrasts, ages and scanners.
ALSO_MARKED = {
    "brain": " or another brain extraction",
    "plane": ", views or ways of cropping the image",
    "field": " or another field of view",
}


def model_card(model: Model) -> str:
    """Write the card of a model: purpose, scope and limits first, method, calibration and data next, long lists last.

    Args:
        model: With method, template, calibration and the record of its training.

    Returns:
        Markdown. `store.card` adds the results of a shipped model when it shows the card.
    """
    split, reference = model.training["split"], model.calibration.reference
    largest = ", ".join(f"{value:.2f}" for value in np.sort(reference.maxima))
    sections = {
        LIMITS: [
            f"- Other contrasts, ages, scanners{ALSO_MARKED[model.template.kind]} give high values without a lesion. "
            "A run warns when a scan differs from the training data.",
            f"- {reference.count} scans were used for the calibration, so no p-value is below "
            f"{reference.smallest_p:.3f}. For your own scanner, calibrate or train on your own healthy scans.",
        ],
        METHOD: [f"- Input: {model.template.describe()}."],
        CALIBRATION: [
            f"- {reference.count} held-out scans.",
            f"- Largest anomaly value in each, in SD above the healthy mean: {largest}.",
            *_sizes(model),
        ],
        DATA: [
            *disclosure(model.training),
            f"- Source: {model.training['data']}",
            f"- Trained by: {model.authors}.",
            "- No scan is in two parts.",
        ],
        SCANS: [
            *(f"- {part}: {len(split[part])} scans ({', '.join(split[part])})" for part in PARTS if split.get(part)),
            *_calibrated_on(model),
        ],
    }
    return composed(about(model), sections)


def about(model: Model) -> About:
    """Return the facts of a model that its card describes."""
    return About(
        model.name,
        model.version,
        model.description,
        model.modality,
        KINDS[model.template.kind],
        model.method.name,
        vars(model.method.parameters),
        model.training,
    )


def _calibrated_on(model: Model) -> list[str]:
    """List the scans that `medad calibrate` used, if it wrote the file."""
    if (later := model.training.get(CALIBRATED_ON)) is None:
        return []
    return [f"- recalibrated on {len(later['scans'])} scans of {later['data']}: {', '.join(later['scans'])}"]


def _sizes(model: Model) -> list[str]:
    """Describe threshold and pooling, of volumes in mL and mm, of 2-D images in shares of the image and pixels."""
    pooling, reference = model.calibration.pooling, model.calibration.reference
    budget = reference.value_of(reference.threshold)
    above = reference.expected_false_positive_ml(budget)
    flat = model.template.flat
    shown = f"{100 * above / reference.brain_ml:.2g} % of its pixels" if flat else f"{above:.2f} mL"
    lines = [
        f"- Default threshold {reference.threshold}: {budget:.2f} SD above the healthy mean. Expected false positives: "
        f"{shown} per healthy scan."
    ]
    if (fast := model.calibration.fast) is not None:
        lines.append(f"- In fast mode: {fast.reference.value_of(reference.threshold):.2f} SD above the healthy mean.")
    if not flat:
        return [*lines, f"- Pooling: minimum over {pooling.minimum_mm:g} mm, mean over {pooling.average_mm:g} mm."]
    step = float(model.template.image.spacing[0])
    minimum, average = 2 * reach_of(pooling.minimum_mm, step) + 1, pooling.average_mm / step
    return [
        *lines,
        f"- Pooling, in pixels of the model's grid: minimum over {minimum}, mean over {average:.3g}.",
        "- The field of view of an image is fitted into the model's grid whatever its spacing. The longer side counts "
        f"as {LONGER_SIDE_MM:g} mm and a pixel as {step:.3g} mm, so pooling sizes in mm mean a share of the image.",
    ]
