"""The model card: what a model is for, what it learned from, and what it does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .methods.papers import papers_of
from .plane import FIELD_MM, PlaneTemplate
from .postprocessing import reach_of
from .spaces import describe

if TYPE_CHECKING:
    from .modelfile import Model

# What a model file says of a later calibration, beside the split of its training.
CALIBRATED_ON = "calibrated_on"
PARTS = ("train", "validation", "calibration", "benchmark")
# What else a model of each space takes for unusual.
LOOKS_UNUSUAL = {
    "brain": " or another way of cutting out the brain",
    "plane": ", views or ways of cropping the picture",
    "field": " or another field of view",
}


def model_card(model: Model) -> str:
    """Markdown that says what a reader must know before trusting the model.

    Args:
        model: With method, template, calibration and the record of its training.
    """
    split, reference = model.training["split"], model.calibration.reference
    papers = papers_of(model.method, model.training["facts"])
    largest = ", ".join(f"{value:.2f}" for value in np.sort(reference.maxima))
    lines = [
        f"# {model.name} {model.version}",
        "",
        f"{model.description}. Learned from healthy scans only; it was never shown a lesion. **Not a medical device.**",
        "",
        "## Data",
        f"- Source: {model.training['data']}",
        f"- Trained by: {model.authors}.",
        *(f"- {part}: {len(split[part])} scans ({', '.join(split[part])})" for part in PARTS if split.get(part)),
        "- No scan is in two parts.",
        "",
        "## Calibration",
        *_calibrated_on(model),
        f"- {reference.count} held-out healthy scans; no p-value is below {reference.smallest_p:.3f}.",
        f"- Largest anomaly value in each, in healthy spreads: {largest}.",
        *_sizes(model),
        "",
        "## Method",
        f"- Knows {describe(model.template)}.",
        f"- {model.method.name}: "
        + ", ".join(f"{key} = {value}" for key, value in vars(model.method.parameters).items()),
        *(f"- Paper: {paper}" for paper in papers),
        f"- Training record: {model.training['facts']}",
        f"- Seed {model.training['seed']}.",
        "",
        "## Limits",
        f"- Other contrasts, ages, scanners{LOOKS_UNUSUAL[model.template.kind]} look unusual; runs warn of it.",
        "- With few calibration scans the p-values are coarse. For your own scanner, calibrate or train on your own "
        "healthy scans.",
    ]
    return "\n".join(lines) + "\n"


def _calibrated_on(model: Model) -> list[str]:
    """What `medad calibrate` used, if that made the file."""
    if (later := model.training.get(CALIBRATED_ON)) is None:
        return []
    return [f"- Scans of {later['data']}: {', '.join(later['scans'])}."]


def _sizes(model: Model) -> list[str]:
    """Threshold and pooling: in ml and mm of a patient, or, of pictures, in shares of them and pixels."""
    pooling, reference = model.calibration.pooling, model.calibration.reference
    budget = reference.value_of(reference.threshold)
    above = reference.expected_false_positive_ml(budget)
    flat = isinstance(model.template, PlaneTemplate)
    shown = f"{100 * above / reference.brain_ml:.2g} % of its pixels" if flat else f"{above:.2f} ml"
    lines = [
        f"- Default threshold {reference.threshold}: {budget:.2f} healthy spreads, where a healthy scan shows "
        f"{shown} on average.",
    ]
    if (fast := model.calibration.fast) is not None:
        lines.append(f"- In fast mode: {fast.reference.value_of(reference.threshold):.2f} healthy spreads.")
    if not flat:
        return [*lines, f"- Pooling: minimum over {pooling.minimum_mm:g} mm, mean over {pooling.average_mm:g} mm."]
    step = float(model.template.image.spacing[0])
    minimum, average = 2 * reach_of(pooling.minimum_mm, step) + 1, pooling.average_mm / step
    return [
        *lines,
        f"- Pooling, in pixels of the model's grid: minimum over {minimum}, mean over {average:.3g}.",
        "- Whatever spacing a picture has, its field of view is fitted into the model's grid, whose longer side counts "
        f"as {FIELD_MM:g} mm and a pixel as {step:.3g} mm: pooling sizes in mm mean a share of the picture.",
    ]
