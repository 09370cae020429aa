"""Train restoration of whole volumes, as latent restoration of slices but with networks in 3-D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ...methods.settings import with_overrides
from ...methods.volume_restoration import VolumeRestoration, VolumeRestorationParameters
from ...runtime.progress import Progress
from ..augmentation import Augmentation
from ..data import HealthyData
from ..slices import Volumes
from .intensity_classes import with_classes
from .latent_restoration import Recipe, train_networks

if TYPE_CHECKING:
    from ..config import Options

WORKING_MM, MOST_CODES = 2.0, 16

# Voxels are larger than the pixels of slices, so displacements are smaller in voxels.
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
    """Choose the grid of the networks: about 2 mm, not finer than the scans, and at most 16 codes along each axis.

    Shapes are (Z, Y, X), and `spacing` is (x, y, z) in mm. The VQ-VAE halves the result `levels` times.
    """
    halved = 1 << levels
    wanted = (n * min(step / WORKING_MM, 1.0) / halved for n, step in zip(shape, reversed(spacing)))
    return tuple(halved * min(max(round(codes), 1), MOST_CODES) for codes in wanted)


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[VolumeRestoration, dict]:
    """Train restoration of whole volumes.

    See `trainers.Trainer`; ``prior_steps`` are those of the prior. The training determines size, thresholds and class
    centres, and refuses single slices.
    """
    if data.template.kind == "plane":
        raise InputError("method_needs_volumes", method="volume_restoration", other="latent_restoration")
    # On the CPU, gradients of 3-D convolutions in bfloat16 become infinite.
    options = replace(options, reduced=options.reduced and options.device != "cpu")
    image, overrides = data.template.image, options.overrides()
    shape = tuple(image.array.shape)
    channels = overrides.get("channels", VolumeRestorationParameters.channels)
    levels = len(channels) if isinstance(channels, (list, tuple)) else 1
    base = with_classes(VolumeRestorationParameters(size=shape), overrides, data.slices()[0])
    found = {"working": list(working_shape(shape, image.spacing, levels))} | overrides
    method = VolumeRestoration.untrained(with_overrides(base, found), options.seed)
    volumes, held = (
        Volumes.of(scans, method.parameters.working, data.template.symmetric) for scans in (data.train, data.validation)
    )
    volumes = replace(volumes, varied=data.varied)
    return train_networks(method, (volumes, held), data.validation, VOLUMES, options, folder, progress)
