"""The model card: purpose, scope, limits, method, calibration and training data of a model."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..io.reading_options import READING, ReadingOptions
from ..preprocessing.slice_space import LONGER_SIDE_MM
from ..scoring.healthy_reference import NEEDED, WANTED_P
from ..scoring.pooling import reach_of
from ..scoring.scan_score import TITLES
from .disclosure import (
    CALIBRATED_ON,
    CALIBRATION,
    DATA,
    FOLDS,
    LIMITS,
    METHOD,
    PARTS,
    SCANS,
    About,
    composed,
    disclosure,
)
from .manifest import KINDS
from .numbering import listed

if TYPE_CHECKING:
    from .model import Model

# Further causes of false positives for each kind of space, besides other contrasts, ages and scanners.
ALSO_MARKED = {
    "brain": " or another brain extraction",
    "plane": ", views or ways of cropping the image",
    "field": " or another field of view",
}
UNIT = "rarity, -log10 of the share of healthy voxels with such a value (3 = 1 healthy voxel in 1,000)"


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
            f"{reference.smallest_p:.3f}{_more_scans(reference.count)}. For your own scanner, calibrate or train on "
            "your own healthy scans.",
        ],
        METHOD: [f"- Input: {model.template.describe()}."],
        CALIBRATION: [
            *_calibration_scans(model),
            f"- Unit of the anomaly map: {UNIT}. Above {reference.largest:.2f}, the largest value in these scans, it "
            "only ranks voxels.",
            f"- Largest rarity in each: {largest}.",
            *_sizes(model),
            f"- Score of a scan: {TITLES[reference.scan_score]}.",
        ],
        DATA: [
            *disclosure(model.training),
            f"- Source: {model.training['data']}",
            *_reading(model),
            f"- Trained by: {model.authors}.",
            "- No scan is in two parts.",
        ],
        SCANS: [
            *(f"- {part}: {len(split[part])} scans ({listed(split[part])})" for part in PARTS if split.get(part)),
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
        asdict(model.method.parameters),
        model.training,
    )


def _calibration_scans(model: Model) -> list[str]:
    """Count the scans of the calibration, and those that are out of fold."""
    count, folds = model.calibration.reference.count, model.training.get(FOLDS)
    if not folds:
        return [f"- {count} held-out scans."]
    trained = sum(map(len, folds))
    return [
        f"- {count} scans: {count - trained} held-out scans, and out of fold the {trained} training scans, each scored "
        f"by a method trained without the scans of its fold ({len(folds)} folds by subject, Vovk 2015).",
        "- P-values are approximately valid: a scan is scored by the model, which was trained on more scans than those "
        "methods.",
    ]


def _calibrated_on(model: Model) -> list[str]:
    """List the scans that `medad calibrate` used, if it wrote the file."""
    if (later := model.training.get(CALIBRATED_ON)) is None:
        return []
    return [f"- recalibrated on {len(later['scans'])} scans of {later['data']}: {listed(later['scans'])}"]


def _reading(model: Model) -> list[str]:
    """Say what the author gave in place of the headers of the scans."""
    later = model.training.get(CALIBRATED_ON) or {}
    records = {"Scans": model.training.get(READING), "Scans of the recalibration": later.get(READING)}
    given = []
    for of, record in records.items():
        # The record of a model that is recalibrated is not trusted.
        with suppress(InputError):
            if text := ReadingOptions.from_json(record).described():
                given.append(f"- {of} read with {text}, which their headers lack or say otherwise.")
    return given


def _more_scans(count: int) -> str:
    """Return how many scans the wanted p-value needs, if there are fewer."""
    return f" ({WANTED_P} needs {NEEDED} scans)" if count < NEEDED else ""


def _sizes(model: Model) -> list[str]:
    """Describe threshold and pooling, of volumes in mL and mm, of 2-D images in shares of the image and pixels."""
    poolings, reference = model.calibration.poolings, model.calibration.reference
    budget = reference.value_of(reference.threshold)
    above = reference.expected_false_positive_ml(budget)
    flat = model.template.flat
    shown = f"{100 * above / reference.brain_ml:.2g} % of its pixels" if flat else f"{above:.2f} mL"
    lines = [
        f"- Default threshold {reference.threshold}: a rarity of {budget:.2f}. Expected false positives: {shown} per "
        "healthy scan."
    ]
    if (fast := model.calibration.fast) is not None:
        lines.append(f"- In fast mode: a rarity of {fast.reference.value_of(reference.threshold):.2f}.")
    if not flat:
        sizes = [f"minimum over {each.minimum_mm:g} mm, mean over {each.average_mm:g} mm" for each in poolings]
        return [*lines, f"- Pooling: {_of_scales(sizes)}."]
    step = float(model.template.image.spacing[0])
    sizes = [
        f"minimum over {2 * reach_of(each.minimum_mm, step) + 1}, mean over {each.average_mm / step:.3g}"
        for each in poolings
    ]
    return [
        *lines,
        f"- Pooling, in pixels of the model's grid: {_of_scales(sizes)}.",
        "- The field of view of an image is fitted into the model's grid whatever its spacing. The longer side counts "
        f"as {LONGER_SIDE_MM:g} mm and a pixel as {step:.3g} mm, so pooling sizes in mm mean a share of the image.",
    ]


def _of_scales(sizes: list[str]) -> str:
    """Join the sizes of the scales, from fine to coarse."""
    if len(sizes) == 1:
        return sizes[0]
    return f"{len(sizes)} scales, of which the map takes the rarest: {'; '.join(sizes)}"
