"""Trains restoration of whole volumes: the networks and recipe of slices with one more dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..augmentation import Augmentation
from ..errors import InputError
from ..progress import Progress
from ..training_data import HealthyData
from ..whole_volumes import Volumes
from .training_classes import with_classes
from .training_latent_restoration import Recipe, train_networks
from .volume_restoration import VolumeRestoration, VolumeRestorationParameters
from .wishes import with_wishes

if TYPE_CHECKING:
    from .trainers import Options

WORKING_MM, MOST_CODES = 2.0, 16
# Voxels are larger than a slice's pixels, so displacements count fewer of them.
VOLUMES = Recipe(
    steps=1800,
    rate=1e-3,
    prior_steps=500,
    batch=2,
    rounds=6,
    augmentation=Augmentation(rotation=5, shrink=0.1, grow=0.1, elastic=1.0, shift=2, contrast=0.15),
    aligned=Augmentation(
        rotation=2, shrink=0.04, grow=0.04, elastic=0.5, shift=1, contrast=0.04, blur=0.05, noise=0.01
    ),
)


def working_shape(shape: Sequence[int], spacing: Sequence[float], levels: int) -> tuple[int, ...]:
    """Shape (Z, Y, X) of about 2 mm, no finer than the scans', that can be halved and has at most 16 codes an axis.

    Args:
        shape: Of prepared scans, (Z, Y, X).
        spacing: Theirs along (x, y, z) in mm.
        levels: How often the VQ-VAE halves it.
    """
    halved = 1 << levels
    wanted = (n * min(step / WORKING_MM, 1.0) / halved for n, step in zip(shape, reversed(spacing)))
    return tuple(halved * min(max(round(codes), 1), MOST_CODES) for codes in wanted)


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[VolumeRestoration, dict]:
    """Train restoration of whole volumes.

    Args:
        data: Healthy scans.
        options: Steps of both networks; ``extra`` may name the method's settings, but for those that are
            found: size, thresholds and class centres.
        folder: For checkpoints and logs.
        progress: Told throughout.

    Raises:
        InputError: If the scans are single slices, or a setting is unknown or refused.
    """
    if data.template.kind == "plane":
        problem = "volume_restoration looks at whole volumes, and these scans are single slices"
        raise InputError(problem, "Train latent_restoration on them.")
    # On the CPU, gradients of 3-D convolutions in bfloat16 come out infinite.
    options = replace(options, reduced=options.reduced and options.device != "cpu")
    image, wishes = data.template.image, options.wishes()
    shape = tuple(image.array.shape)
    channels = wishes.get("channels", VolumeRestorationParameters.channels)
    levels = len(channels) if isinstance(channels, (list, tuple)) else 1
    base = with_classes(VolumeRestorationParameters(size=shape), wishes, data.slices()[0])
    found = {"working": list(working_shape(shape, image.spacing, levels))} | wishes
    method = VolumeRestoration.untrained(with_wishes(base, found), options.seed)
    train_volumes, validation = (
        Volumes.of(scans, method.parameters.working, data.template.symmetric) for scans in (data.train, data.validation)
    )
    train_volumes = replace(train_volumes, varied=data.varied)
    return train_networks(method, train_volumes, validation, data.validation, VOLUMES, options, folder, progress)
