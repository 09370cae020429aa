"""Trains VAE-GAN and the adversarial autoencoder: five turns of the critic, then one of the autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..augmentation import GENTLE
from ..networks.adversarial_reconstruction import AdversarialReconstruction
from ..progress import Progress
from ..slices import Slices
from ..training import Plan, fit
from ..training_data import HealthyData
from .adversarial_autoencoder import AdversarialAutoencoder
from .adversarial_reconstruction import Reconstruction
from .vae_gan import VAEGANReconstruction
from .wishes import with_wishes

if TYPE_CHECKING:
    from .trainers import Options

BATCH, RATE = 8, 5e-4
VALIDATION_SLICES = 256


def train_vae_gan(
    data: HealthyData, options: Options, folder: Path, progress: Progress
) -> tuple[VAEGANReconstruction, dict]:
    """Train VAE-GAN: 1200 steps by default, some 12 minutes on two CPU cores at 160 × 160; see `_train`."""
    return _train(VAEGANReconstruction, 1200, data, options, folder, progress)


def train_adversarial_autoencoder(
    data: HealthyData, options: Options, folder: Path, progress: Progress
) -> tuple[AdversarialAutoencoder, dict]:
    """Train the constrained adversarial autoencoder, or with ``constraint`` 0 the plain one: 2500 steps by default.

    Some 10 minutes on two CPU cores at 160 × 160; see `_train`.
    """
    return _train(AdversarialAutoencoder, 2500, data, options, folder, progress)


def _train(
    kind: type[Reconstruction], steps: int, data: HealthyData, options: Options, folder: Path, progress: Progress
) -> tuple[Reconstruction, dict]:
    """Train networks on slices.

    Args:
        kind: The method.
        steps: If the user names none.
        data: Healthy scans.
        options: ``latent`` and ``extra`` (the method's parameters, but for its size) are heeded.
        folder: For checkpoint and log.
        progress: Told throughout.

    Returns:
        The method, and the last row of its log.

    Raises:
        InputError: If a wish is unknown or makes no sense.
        MedADError: As `fit`.
    """
    train, validation = data.slices()
    wishes = options.wishes()
    parameters = with_wishes(kind.Parameters(size=tuple(train.images.shape[1:])), wishes)
    method = kind.untrained(parameters, options.seed)
    progress.stage(kind.name, 0.1, 0.9)
    plan = options.plan(options.steps or steps, RATE)
    log = train_networks(method.network, train, validation, plan, folder / kind.name, options.device, progress)
    method.network.to("cpu").requires_grad_(False)
    return method, {"last": log[-1]}


def train_networks(
    network: AdversarialReconstruction,
    train: Slices,
    validation: Slices,
    plan: Plan,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Play the game on augmented slices; validated on unchanged ones.

    Args:
        network: Left with the trained weights.
        train: Slices of the training subjects.
        validation: Slices of the validation subjects.
        plan: Steps and rates.
        folder: For checkpoint and log.
        device: Where to compute.
        progress: Told after each step.

    Returns:
        The log's rows; ``validation_error`` is the mean absolute error per brain pixel, ``validation_code_mean`` and
        ``validation_code_spread`` are root mean square of the codes' means and mean of their standard deviations over
        slices, which for N(0, I) would be 0 and 1.
    """
    chosen = validation.spread(VALIDATION_SLICES)

    def validate(model: AdversarialReconstruction) -> dict[str, float]:
        absolute, brain, codes = 0.0, 0.0, []
        for start in range(0, len(chosen), BATCH):
            images, masks, _ = (part.to(device) for part in validation.select(chosen[start : start + BATCH]))
            found = model.encode(images)
            absolute += float(((model.decode(found).float() - images).abs() * masks).sum())
            brain += float(masks.sum())
            codes.append(found.float().cpu().numpy())
        pool = np.concatenate(codes)
        return {
            "error": absolute / max(brain, 1),
            "code_mean": float(np.sqrt(np.square(pool.mean(axis=0)).mean())),
            "code_spread": float(pool.std(axis=0).mean()),
        }

    return fit(
        network, lambda number: train.batch(number, BATCH, plan.seed, GENTLE), validate, plan, folder, device, progress
    )
