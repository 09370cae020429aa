"""Trains autoencoders of several latent sizes and chooses the size without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..augmentation import Augmentation
from ..networks.autoencoder import AutoEncoder
from ..progress import Progress
from ..slices import Slices
from ..training import Plan, fit

BATCH = 32
VALIDATION_SLICES = 256
GENTLE = Augmentation(rotation=3, shrink=0.05, grow=0.05, elastic=1.0, shift=2, contrast=0.05, blur=0.05, noise=0.01)


def train_autoencoder(
    network: AutoEncoder,
    train: Slices,
    validation: Slices,
    plan: Plan,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Fit an autoencoder to augmented slices; validated on unchanged ones.

    Returns:
        The log's rows; ``validation_squared_error`` is the mean over whole slices, ``validation_error`` the mean
        absolute error per brain pixel.
    """
    chosen = np.linspace(0, len(validation.images) - 1, min(VALIDATION_SLICES, len(validation.images))).astype(int)

    def validate(model: AutoEncoder) -> dict[str, float]:
        squared, absolute, pixels, brain = 0.0, 0.0, 0, 0.0
        for start in range(0, len(chosen), BATCH):
            images, masks, _ = (part.to(device) for part in validation.select(chosen[start : start + BATCH]))
            difference = model(images).float() - images
            squared, pixels = squared + float(difference.square().sum()), pixels + images.numel()
            absolute, brain = absolute + float((difference.abs() * masks).sum()), brain + float(masks.sum())
        return {"squared_error": squared / pixels, "error": absolute / max(brain, 1)}

    return fit(
        network, lambda step: train.batch(step, BATCH, plan.seed, GENTLE), validate, plan, folder, device, progress
    )


def elbow(sizes: Sequence[int], errors: Sequence[float]) -> int:
    """The latent size of largest curvature of healthy validation error against log size.

    AE4AD reports the size that is best on labelled test data; no labels are used here. The curve is scaled to the
    unit square, and the point farthest below the line between its ends is taken (the discrete largest curvature).

    Args:
        sizes: Increasing latent sizes, at least 3.
        errors: Validation errors.

    Raises:
        ValueError: If there are fewer than 3 sizes or they do not increase.
    """
    d, e = np.log(np.asarray(sizes, float)), np.asarray(errors, float)
    if len(d) < 3 or len(d) != len(e) or np.diff(d).min() <= 0:
        raise ValueError("the choice of a latent size needs at least 3 increasing sizes and their errors")
    d, e = (d - d[0]) / (d[-1] - d[0]), (e - e[-1]) / max(e[0] - e[-1], 1e-12)
    return int(sizes[int(np.argmax((1 - d) - e))])
