"""Train autoencoders with a given latent size or one chosen without labels, and features for perceptual losses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...methods.autoencoder import Autoencoder, AutoencoderParameters
from ...methods.settings import with_overrides
from ...networks.autoencoder import AutoEncoder
from ...networks.features import FeatureLearner, FeatureNetwork
from ...runtime.progress import Progress
from ..augmentation import GENTLE
from ..data import HealthyData
from ..latent_sweep import SIZES, sweep
from ..loop import Plan, fit
from ..slices import Slices

if TYPE_CHECKING:
    from ..config import Options

FEATURE_BATCH = 8
FEATURE_SLICES = 32
FEATURE_STEPS, FEATURE_RATE = 200, 1e-3

BATCH, RATE = 32, 1e-3
# Steps of the final training, and of each latent size tried.
STEPS, SWEEP_STEPS = 2000, 250
VALIDATION_SLICES = 256


def train_features(
    train: Slices,
    validation: Slices,
    plan: Plan,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[FeatureNetwork, list[dict[str, float]]]:
    """Train a feature network; `FEATURE_STEPS` steps at the rate `FEATURE_RATE` are enough.

    Args:
        train: Slices of the training subjects.
        validation: Slices of the validation subjects.
        plan: Steps, learning rate and seed.
        folder: Folder for checkpoint and log.
        device: Device of the training.
        progress: Receives each step; may cancel.

    Returns:
        The network, on the CPU and in evaluation mode, and the log's rows; ``validation_error`` is the share of
        positions at the last level for which their own augmented copy is not the most similar one.
    """
    chosen = validation.spread(FEATURE_SLICES)

    def validate(model: FeatureLearner) -> dict[str, float]:
        # Use the same augmentation at every validation, and leave the random numbers of the training unchanged.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            parts = [
                validation.select(chosen[start : start + FEATURE_BATCH])
                for start in range(0, len(chosen), FEATURE_BATCH)
            ]
            logs = [model.loss(*(part.to(device) for part in batch))[1] for batch in parts]
        return {"error": 1 - float(np.mean([float(log["matched"]) for log in logs]))}

    torch.manual_seed(plan.seed)
    learner = FeatureLearner()
    log = fit(
        learner,
        lambda step: train.batch(step, FEATURE_BATCH, plan.seed, GENTLE),
        validate,
        plan,
        folder,
        device,
        progress,
    )
    return learner.features.to("cpu").eval().requires_grad_(False), log


def train_autoencoder(
    network: AutoEncoder,
    train: Slices,
    validation: Slices,
    plan: Plan,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Train an autoencoder of any variant on augmented slices; validation uses unchanged ones.

    Args:
        network: Receives the trained weights.
        train: Slices of the training subjects.
        validation: Slices of the validation subjects.
        plan: Steps and learning rate.
        folder: Folder for checkpoint and log.
        device: Device of the training.
        progress: Receives each step; may cancel.

    Returns:
        The log's rows; ``validation_squared_error`` is the mean over whole slices, ``validation_error`` the mean
        absolute error per brain pixel, ``validation_score`` the mean pixel score, which is the loss of a variant
        without further terms.
    """
    chosen = validation.spread(VALIDATION_SLICES)

    def validate(model: AutoEncoder) -> dict[str, float]:
        squared, score, absolute, pixels, brain = 0.0, 0.0, 0.0, 0, 0.0
        for start in range(0, len(chosen), BATCH):
            images, masks, _ = (part.to(device) for part in validation.select(chosen[start : start + BATCH]))
            made = model.reconstruct(images)
            difference = made.restored - images
            score += float(model.score(images, made).sum())
            squared, pixels = squared + float(difference.square().sum()), pixels + images.numel()
            absolute, brain = absolute + float((difference.abs() * masks).sum()), brain + float(masks.sum())
        return {"squared_error": squared / pixels, "error": absolute / max(brain, 1), "score": score / pixels}

    return fit(
        network, lambda step: train.batch(step, BATCH, plan.seed, GENTLE), validate, plan, folder, device, progress
    )


def slices_and_parameters(
    data: HealthyData, options: Options
) -> tuple[tuple[Slices, Slices], AutoencoderParameters, bool]:
    """Return training and validation slices, the parameters, and whether the options contain a latent size.

    Raises:
        InputError: If a setting of ``options.extra`` is unknown or refused.
    """
    train, validation = data.slices()
    overrides = options.overrides()
    base = AutoencoderParameters(size=tuple(train.images.shape[1:]))
    return (train, validation), with_overrides(base, overrides), "latent" in overrides


def features_for(
    parameters: AutoencoderParameters, slices: tuple[Slices, Slices], options: Options, folder: Path, progress: Progress
) -> FeatureNetwork | None:
    """Train the feature network of a perceptual loss on the training slices; None for another loss."""
    if parameters.loss != "perceptual":
        return None
    plan = options.plan(min(FEATURE_STEPS, options.steps or FEATURE_STEPS), FEATURE_RATE)
    return train_features(*slices, plan, folder / "features", options.device, progress)[0]


def fitted(
    parameters: AutoencoderParameters,
    features: FeatureNetwork | None,
    slices: tuple[Slices, Slices],
    plan: Plan,
    folder: Path,
    device: str,
    progress: Progress,
) -> tuple[Autoencoder, dict[str, float]]:
    """Train an autoencoder; return it on the CPU, with the last row of its log."""
    method = Autoencoder.untrained(parameters, plan.seed)
    if features is not None:
        method.network.features.load_state_dict(features.state_dict())
    log = train_autoencoder(method.network, *slices, plan, folder, device, progress)
    method.network.to("cpu").requires_grad_(False)
    return method, log[-1]


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[Autoencoder, dict]:
    """Train an autoencoder: 2000 steps of 32 slices, after 250 steps for each latent size tried if none is given.

    At 160 × 160 a step takes 0.4 s of one CPU core, 1.3 s with a perceptual and 1.6 s with an SSIM loss. Training of
    perceptual features comes first, with 200 steps of 8 slices.

    Args:
        data: Healthy scans.
        options: Steps and latent size; ``extra`` may set all `AutoencoderParameters` except the size.
        folder: Folder for checkpoints, logs, ``sweep.tsv`` and ``sweep.png``.
        progress: Receives the stages and steps; may cancel.

    Returns:
        The method, and facts of the training for the model file.

    Raises:
        InputError: If a setting is unknown or has a wrong value.
    """
    slices, parameters, given = slices_and_parameters(data, options)
    progress.stage("features", 0.1, 0.15)
    features = features_for(parameters, slices, options, folder, progress)
    facts: dict = {}
    if not given:

        def measured(size: int) -> dict[str, float]:
            begin = 0.15 + 0.45 * SIZES.index(size) / len(SIZES)
            progress.stage(f"latent size {size}", begin, begin + 0.45 / len(SIZES))
            plan = options.plan(options.sweep_steps or SWEEP_STEPS, RATE)
            tried = replace(parameters, latent=size)
            _, last = fitted(tried, features, slices, plan, folder / f"sweep-{size}", options.device, progress)
            return {"validation_error": last["validation_squared_error"]}

        latent, rows = sweep(SIZES, measured, folder)
        parameters = replace(parameters, latent=latent)
        facts["latent_sweep"] = {str(row["latent"]): row["validation_error"] for row in rows}
    progress.stage("autoencoder", 0.6, 0.9)
    plan = options.plan(options.steps or STEPS, RATE)
    where = folder / f"latent-{parameters.latent}"
    method, last = fitted(parameters, features, slices, plan, where, options.device, progress)
    return method, facts | {"last": last}
