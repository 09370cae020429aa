"""Train autoencoders with a given latent size or one chosen without labels, and features for perceptual losses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...methods.autoencoder import Autoencoder, AutoencoderParameters
from ...methods.settings import with_overrides
from ...networks.autoencoder import AutoEncoder
from ...networks.features import FeatureLearner, FeatureNetwork
from ...runtime.progress import Progress
from ..data import HealthyData
from ..latent_sweep import SIZES, sweep
from ..loop import Batch, Plan, fit_slices
from ..slices import Slices

if TYPE_CHECKING:
    from ..config import Options

FEATURE_BATCH, FEATURE_SLICES = 8, 32
FEATURE_STEPS, FEATURE_RATE = 200, 1e-3

RATE = 1e-3
# Steps of the final training, and of each latent size tried.
STEPS, SWEEP_STEPS = 2000, 250


def train_features(
    slices: tuple[Slices, Slices],
    options: Options,
    folder: Path,
    progress: Progress | None = None,
    rate: float = FEATURE_RATE,
) -> tuple[FeatureNetwork, list[dict[str, float]]]:
    """Train a feature network for perceptual losses; `FEATURE_STEPS` steps are enough, so there are no more.

    Returns:
        The network, on the CPU and in evaluation mode, and the rows of the log; ``validation_error`` is the share of
        positions at the last level for which their own augmented copy is not the most similar one.
    """
    plan = options.plan(min(FEATURE_STEPS, options.steps or FEATURE_STEPS), rate)

    def measure(model: FeatureLearner, batches: Iterable[Batch]) -> dict[str, float]:
        # Use the same augmentation at every validation, and leave the random numbers of the training unchanged.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            matched = [float(model.loss(*batch)[1]["matched"]) for batch in batches]
        return {"error": 1 - float(np.mean(matched))}

    torch.manual_seed(plan.seed)
    learner = FeatureLearner()
    sizes = {"size": FEATURE_BATCH, "held": FEATURE_SLICES}
    log = fit_slices(learner, slices, plan, measure, folder, options.device, progress, **sizes)
    return learner.features.to("cpu").eval().requires_grad_(False), log


def reconstruction_errors(model: AutoEncoder, batches: Iterable[Batch]) -> dict[str, float]:
    """Measure an autoencoder of any variant on held-out slices.

    Returns:
        ``squared_error``, the mean over whole slices; ``error``, the mean absolute error per brain pixel; ``score``,
        the mean pixel score, which is the loss of a variant without further terms.
    """
    squared, score, absolute, pixels, brain = 0.0, 0.0, 0.0, 0, 0.0
    for images, masks, _ in batches:
        made = model.reconstruct(images)
        difference = made.restored - images
        score += float(model.score(images, made).sum())
        squared, pixels = squared + float(difference.square().sum()), pixels + images.numel()
        absolute, brain = absolute + float((difference.abs() * masks).sum()), brain + float(masks.sum())
    return {"squared_error": squared / pixels, "error": absolute / max(brain, 1), "score": score / pixels}


def slices_and_parameters(
    data: HealthyData, options: Options
) -> tuple[tuple[Slices, Slices], AutoencoderParameters, bool]:
    """Return training and validation slices, the parameters, and whether the options contain a latent size.

    Raises:
        InputError: If a setting of ``options.extra`` is unknown or refused.
    """
    slices, overrides = data.slices(), options.overrides()
    parameters = with_overrides(AutoencoderParameters(size=slices[0].size), overrides)
    return slices, parameters, "latent" in overrides


def features_for(
    parameters: AutoencoderParameters, slices: tuple[Slices, Slices], options: Options, folder: Path, progress: Progress
) -> FeatureNetwork | None:
    """Train the feature network of a perceptual loss on the training slices; None for another loss."""
    if parameters.loss != "perceptual":
        return None
    return train_features(slices, options, folder / "features", progress)[0]


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
    log = fit_slices(method.network, slices, plan, reconstruction_errors, folder, device, progress)
    method.network.to("cpu").requires_grad_(False)
    return method, log[-1]


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[Autoencoder, dict]:
    """Train an autoencoder: 2000 steps of 32 slices, after 250 steps for each latent size tried if none is given.

    At 160 × 160 a step takes 0.4 s of one CPU core, 1.3 s with a perceptual and 0.5 s with an SSIM loss. Training of
    perceptual features comes first, with 200 steps of 8 slices.

    See `trainers.Trainer`; the folder receives ``sweep.tsv`` and ``sweep.png`` too.
    """
    slices, parameters, given = slices_and_parameters(data, options)
    progress.stage("features", 0.1, 0.15)
    features = features_for(parameters, slices, options, folder, progress)
    fit = partial(fitted, features=features, slices=slices, device=options.device, progress=progress)
    facts: dict = {}
    if not given:

        def measured(size: int) -> dict[str, float]:
            begin = 0.15 + 0.45 * SIZES.index(size) / len(SIZES)
            progress.stage(f"latent size {size}", begin, begin + 0.45 / len(SIZES))
            plan = options.plan(options.sweep_steps or SWEEP_STEPS, RATE)
            _, last = fit(replace(parameters, latent=size), plan=plan, folder=folder / f"sweep-{size}")
            return {"validation_error": last["validation_squared_error"]}

        latent, rows = sweep(SIZES, measured, folder)
        parameters = replace(parameters, latent=latent)
        facts["latent_sweep"] = {str(row["latent"]): row["validation_error"] for row in rows}
    progress.stage("autoencoder", 0.6, 0.9)
    plan = options.plan(options.steps or STEPS, RATE)
    method, last = fit(parameters, plan=plan, folder=folder / f"latent-{parameters.latent}")
    return method, facts | {"last": last}
