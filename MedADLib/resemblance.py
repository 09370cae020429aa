"""How far a scan, in a model's space, is like the scans that the model was trained on, and when to warn."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .errors import ModelError
from .intensity import histogram_distance, standard_histogram
from .volume import Volume

# The histogram of another scanner differs about this much from those of the training scans; of another contrast, more.
FAR = 2.5


class Resembled(Protocol):
    """What a space knows of the training scans.

    Attributes:
        image: Their mean.
        mask: What of it is examined, bool (Z, Y, X).
        histogram: Their mean standard histogram.
    """

    image: Volume
    mask: np.ndarray
    histogram: np.ndarray


def resemblance(corrected: np.ndarray, standard: np.ndarray, mask: np.ndarray, template: Resembled) -> dict[str, float]:
    """How far a scan in model space is like the training scans.

    Args:
        corrected: Intensities after the bias correction, before the landmarks, (Z, Y, X).
        standard: Standard intensities.
        mask: Brain.
        template: The space.

    Returns:
        ``histogram`` (Wasserstein-1), ``correlation`` (Pearson, inside both masks), ``overlap`` (Dice).
    """
    both = mask & template.mask
    overlap = 2.0 * both.sum() / (mask.sum() + template.mask.sum())
    # Of a constant image, such as a template that has no mean yet, there is no correlation.
    with np.errstate(invalid="ignore"):
        correlation = np.corrcoef(standard[both], template.image.array[both])[0, 1] if both.sum() > 1 else 0.0
    return {
        "histogram": histogram_distance(standard_histogram(corrected[mask]), template.histogram),
        "correlation": float(np.nan_to_num(correlation)),
        "overlap": float(overlap),
    }


def unlike_warnings(limits: dict[str, float], seen: dict[str, float]) -> list[str]:
    """A warning, in words, if a scan's intensities are not those of the training scans; else nothing."""
    if seen["histogram"] <= FAR * limits["histogram"] and seen["correlation"] >= limits["correlation"]:
        return []
    return [
        "this scan is unlike the model's training data: intensity histogram distance "
        f"{seen['histogram']:.3f} (training scans up to {limits['histogram']:.3f}), correlation with the "
        f"healthy mean {seen['correlation']:.2f} (at least {limits['correlation']:.2f}). Is it another "
        "contrast or modality? Do not rely on the result"
    ]


def check_limits(limits: dict[str, float]) -> None:
    """Refuse limits that are not those of a template; raises ModelError."""
    if set(limits) != {"histogram", "correlation", "overlap"}:
        raise ModelError("the template's limits are incomplete")
