"""Trains f-AnoGAN: generator against critic, then an encoder for the frozen two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..augmentation import GENTLE
from ..networks.adversarial_generation import IziF, WassersteinGAN, distances
from ..progress import Progress
from ..slices import Slices
from ..training import Plan, fit
from ..training_data import HealthyData
from .f_anogan import FAnoGAN, FAnoGANParameters, resampled
from .wishes import with_wishes

if TYPE_CHECKING:
    from .trainers import Options

BATCH, ENCODER_BATCH = 16, 32
GAN_STEPS, GAN_RATE = 1500, 2e-4
ENCODER_STEPS, ENCODER_RATE = 1500, 5e-4
LONGEST = 64
VALIDATION_SLICES = 256


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[FAnoGAN, dict]:
    """Train f-AnoGAN: by default 1500 steps each of the game and of the encoder, some 12 minutes on two CPU cores.

    A step of the game is 5 of the critic and one of the generator, of 16 slices each; one of the encoder has 32 slices.

    Args:
        data: Healthy scans.
        options: ``steps`` are those of the game, ``prior_steps`` those of the encoder; ``latent`` and ``extra`` (the
            method's parameters, but for its size) are heeded.
        folder: For checkpoints and logs.
        progress: Told throughout.

    Returns:
        The method, and the last rows of both logs.

    Raises:
        InputError: If a wish is unknown or makes no sense.
        MedADError: As `fit`.
    """
    train, validation = data.slices()
    size = tuple(train.images.shape[1:])
    wishes = options.wishes()
    parameters = with_wishes(FAnoGANParameters(size=size, resolution=resolution_for(size)), wishes)
    method = FAnoGAN.untrained(parameters, options.seed)
    progress.stage("generator", 0.0, 0.7)
    plan = options.plan(options.steps or GAN_STEPS, GAN_RATE)
    game = train_gan(method, train, validation, plan, folder / "generator", options.device, progress)
    progress.stage("encoder", 0.7, 0.9)
    plan = options.plan(options.prior_steps or ENCODER_STEPS, ENCODER_RATE)
    encoder = train_encoder(method, train, validation, plan, folder / "encoder", options.device, progress)
    for network in (method.gan, method.encoder):
        network.to("cpu").requires_grad_(False)
    return method, {"generator": game[-1], "encoder": encoder[-1]}


def resolution_for(size: tuple[int, ...], longest: int = LONGEST, multiple: int = 16) -> tuple[int, ...]:
    """The networks' grid for slices of a size: the longer side `longest`, both divisible by `multiple`.

    The other side is rounded, so that pictures may be stretched by a few percent, all by the same.
    """
    return tuple(max(round(n * longest / max(size) / multiple), 1) * multiple for n in size)


def train_gan(
    method: FAnoGAN,
    train: Slices,
    validation: Slices,
    plan: Plan,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Play generator against critic on resampled, augmented slices.

    Args:
        method: Its generator and critic are trained.
        train: Slices of the training subjects.
        validation: Slices of the validation subjects.
        plan: Steps and rates.
        folder: For checkpoint and log.
        device: Where to compute.
        progress: Told after each step.

    Returns:
        The log's rows; ``validation_error`` is how far mean and standard deviation of the generated slices are from
        those of the validation slices, a pixel's mean of the two; ``validation_wasserstein`` is the distance of the two
        as the critic sees it.
    """
    real = _held_out(method, validation, device)
    codes = torch.from_numpy(np.random.default_rng([plan.seed, 3]).normal(size=(len(real), method.parameters.latent)))
    codes = codes.float().to(device)

    def validate(gan: WassersteinGAN) -> dict[str, float]:
        fake = torch.cat([gan.generator(part) for part in codes.split(BATCH)]).float()
        judged = [torch.cat([gan.critic(part) for part in pool.split(BATCH)]).mean() for pool in (real, fake)]
        mean_gap = (real.mean(dim=0) - fake.mean(dim=0)).abs().mean()
        spread_gap = (real.std(dim=0, correction=0) - fake.std(dim=0, correction=0)).abs().mean()
        return {"error": float(mean_gap + spread_gap) / 2, "wasserstein": float(judged[0] - judged[1])}

    return fit(method.gan, _batches(method, train, BATCH, plan), validate, plan, folder, device, progress)


def train_encoder(
    method: FAnoGAN,
    train: Slices,
    validation: Slices,
    plan: Plan,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Fit the encoder (izi_f) to resampled, augmented slices; generator and critic stay as they are.

    Args:
        method: Its generator and critic are trained; its encoder will be.
        train: Slices of the training subjects.
        validation: Slices of the validation subjects.
        plan: Steps and rates.
        folder: For checkpoint and log.
        device: Where to compute.
        progress: Told after each step.

    Returns:
        The log's rows; ``validation_error`` is the sample score on healthy slices, MSE + κ·MSE of the features.
    """
    real, kappa = _held_out(method, validation, device), method.parameters.kappa

    def validate(izi: IziF) -> dict[str, float]:
        squared, features = [], []
        for part in real.split(BATCH):
            both = distances(izi.gan.critic, part, izi.gan.generator(izi.encoder(part)))
            squared, features = squared + both[0].tolist(), features + both[1].tolist()
        values = {"squared_error": float(np.mean(squared)), "feature_error": float(np.mean(features))}
        return {"error": values["squared_error"] + kappa * values["feature_error"]} | values

    izi = IziF(method.gan, method.encoder, kappa)
    return fit(izi, _batches(method, train, ENCODER_BATCH, plan), validate, plan, folder, device, progress)


def _held_out(method: FAnoGAN, validation: Slices, device: str) -> torch.Tensor:
    """Unchanged validation slices at the networks' resolution."""
    chosen = validation.spread(VALIDATION_SLICES)
    return resampled(validation.select(chosen)[0], method.parameters.resolution).to(device)


def _batches(method: FAnoGAN, train: Slices, size: int, plan: Plan) -> Callable[[int], tuple[torch.Tensor]]:
    """Batches by number: resampled images only, for the networks ask for nothing else."""

    def batch(number: int) -> tuple[torch.Tensor]:
        images, _, _ = train.batch(number, size, plan.seed, GENTLE)
        return (resampled(images, method.parameters.resolution),)

    return batch
