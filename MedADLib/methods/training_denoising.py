"""Trains the denoising autoencoder on healthy slices with coarse noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..augmentation import GENTLE
from ..corruption.coarse_noise import add_coarse_noise
from ..networks.corruption_learners import Denoiser
from ..progress import Progress
from ..slices import Slices, generator_of
from ..training import fit
from ..training_data import HealthyData
from .denoising import Denoising
from .wishes import with_wishes

if TYPE_CHECKING:
    from .trainers import Options

STEPS, RATE = 1400, 2e-3
BATCH = 8
VALIDATION_SLICES = 64
SPREAD = 0.2
# The numbers that keep the streams of randomness of one seed apart.
NOISE, HELD_OUT = 41, 42


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[Denoising, dict]:
    """Train on a folder's healthy slices: 1400 steps of 8 slices, about 13 minutes at 160 × 160 on two CPU cores.

    The noise is N(0, 0.2²) on a 16 × 16 grid, in standard intensities. The only further wish (``options.extra``) is
    ``channels``.

    Returns:
        The method, and the last row of its log.

    Raises:
        InputError: If a wish is unknown.
        MedADError: As `fit`.
    """
    train, validation = data.slices()
    base = Denoising.Parameters(size=tuple(train.images.shape[1:]))
    method = Denoising.untrained(with_wishes(base, options.wishes()), options.seed)
    progress.stage("denoising autoencoder", 0.0, 0.9)
    plan = options.plan(options.steps or STEPS, RATE)
    log = fit(
        method.network,
        lambda step: noisy_batch(train, step, plan.seed),
        Check(validation, plan.seed, options.device),
        plan,
        folder / "denoiser",
        options.device,
        progress,
    )
    method.network.to("cpu").requires_grad_(False)
    return method, {"last": log[-1]}


def noisy_batch(slices: Slices, step: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The batch of a step: augmented slices with noise, masks, positions, and the slices without it."""
    images, masks, positions = slices.batch(step, BATCH, seed, GENTLE)
    return _noisy(images, masks, generator_of([seed, NOISE, step])), masks, positions, images


def _noisy(images: torch.Tensor, masks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return add_coarse_noise(images, masks, torch.full((len(images),), SPREAD), generator)


class Check:
    """Errors on the validation scans: with the same noise each time, and without any.

    Args:
        validation: Slices of the validation subjects.
        seed: Of the noise.
        device: Where to compute.
    """

    def __init__(self, validation: Slices, seed: int, device: str):
        chosen = validation.spread(VALIDATION_SLICES)
        images, masks, positions = validation.select(chosen)
        noisy = _noisy(images, masks, generator_of([seed, HELD_OUT]))
        self._noisy, self._images, self._masks, self._positions = (
            part.to(device) for part in (noisy, images, masks, positions)
        )

    def __call__(self, network: Denoiser) -> dict[str, float]:
        """Mean absolute error over the brain: ``error`` of what the noise was taken from, ``plain_error`` without."""
        return {"error": self._error(network, self._noisy), "plain_error": self._error(network, self._images)}

    def _error(self, network: Denoiser, given: torch.Tensor) -> float:
        parts = zip(given.split(BATCH), self._positions.split(BATCH))
        found = torch.cat([network.predict(images, positions) for images, positions in parts])
        return float((found - self._images).abs()[self._masks > 0].mean())
