"""Train latent restoration of slices and volumes: a VQ-VAE, then the prior over its codes.

Trains the two networks of latent restoration, one after the other: VQ-VAE, then the prior over its codes.

Trains restoration of whole volumes: the networks and recipe of slices with one more dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from ...errors import InputError
from ...methods.latent_restoration import LatentRestoration, LatentRestorationParameters
from ...methods.settings import with_wishes
from ...methods.volume_restoration import VolumeRestoration, VolumeRestorationParameters
from ...networks.code_prior import CodePrior
from ...networks.vqvae import VQVAE
from ...runtime.progress import Progress
from ..augmentation import Augmentation
from ..data import HealthyData
from ..loop import Plan, fit
from ..slices import Slices, Volumes
from .intensity_classes import with_classes

if TYPE_CHECKING:
    from ..config import Options

VALIDATION_SLICES = 128
RESTORATION_PERCENTILE, SAMPLE_PERCENTILE = 97, 98
ALIGNED = Augmentation(rotation=2, shrink=0.04, grow=0.04, elastic=0.7, shift=2, contrast=0.04, blur=0.05, noise=0.01)

WORKING_MM, MOST_CODES = 2.0, 16


class Recipe(NamedTuple):
    """How the two networks are trained.

    Attributes:
        steps: Of the VQ-VAE.
        rate: Largest learning rate of the VQ-VAE.
        prior_steps: Of the prior.
        batch: Samples in a step of either.
        rounds: Augmented passes over the training samples that codes are taken from.
        augmentation: What the VQ-VAE is made robust with.
        aligned: Smaller changes, for the prior must find healthy scans likely that are aligned and normalised.
    """

    steps: int
    rate: float
    prior_steps: int
    batch: int
    rounds: int
    augmentation: Augmentation
    aligned: Augmentation


SLICES = Recipe(4000, 3e-4, 2500, 16, 10, Augmentation(), ALIGNED)


class Codes(NamedTuple):
    """Code grids in raster order, (N, length), and their slice coordinates, (N,)."""

    codes: torch.Tensor
    positions: torch.Tensor


def train_vqvae(
    network: VQVAE,
    train: Slices,
    validation: Slices,
    plan: Plan,
    recipe: Recipe,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Fit the VQ-VAE to augmented slices; validated on unchanged ones.

    Args:
        network: Left with the trained weights.
        train: Slices of the training subjects.
        validation: Slices of the validation subjects.
        plan: Steps and rates.
        recipe: Batch and augmentation.
        folder: For checkpoint and log.
        device: Where to compute.
        progress: Told after each step.

    Returns:
        The log's rows; ``validation_error`` is the mean absolute error per brain pixel,
        ``validation_codes_used`` counts the codes that the validation slices use.
    """
    chosen = validation.spread(VALIDATION_SLICES)

    def validate(model: VQVAE) -> dict[str, float]:
        error, brain, used = 0.0, 0.0, set()
        for rows in np.array_split(chosen, -(-len(chosen) // recipe.batch)):
            images, masks, positions = (part.to(device) for part in validation.select(rows))
            indices = model.encode(images, positions)
            error += float((model.pictures(indices, positions) - images).abs().sum())
            brain += float(masks.sum())
            used |= set(indices.unique().tolist())
        return {"error": error / max(brain, 1), "codes_used": float(len(used))}

    return fit(
        network,
        lambda step: train.batch(step, recipe.batch, plan.seed, recipe.augmentation),
        validate,
        plan,
        folder,
        device,
        progress,
    )


def code_pool(network: VQVAE, train: Slices, recipe: Recipe, seed: int, device: str, progress: Progress) -> Codes:
    """Codes of the training samples under gentle augmentation, several rounds of all."""
    per_round, rounds = max(len(train.images) // recipe.batch, 1), recipe.rounds
    found, where = [], []
    with torch.inference_mode():
        for step in range(rounds * per_round):
            progress.update(step / (rounds * per_round), f"codes of training scans, {step + 1} of {rounds * per_round}")
            images, _, positions = train.batch(step, recipe.batch, seed + 1, recipe.aligned)
            found.append(network.encode(images.to(device), positions.to(device)).flatten(1).to("cpu", torch.int16))
            where.append(positions)
    return Codes(torch.cat(found), torch.cat(where))


def train_prior(
    network: CodePrior,
    vqvae: VQVAE,
    train: Slices,
    validation: Slices,
    plan: Plan,
    recipe: Recipe,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Fit the prior to the codes of a trained VQ-VAE, which stays as it is.

    Args:
        network: Left with the weights of the last step.
        vqvae: Trained.
        train: Slices of the training subjects.
        validation: Slices of the validation subjects.
        plan: Steps and rates.
        recipe: Batch and augmentation.
        folder: For checkpoint and log.
        device: Where to compute.
        progress: Told after each step.

    Returns:
        The log's rows; ``validation_nll`` is in nats per code.
    """
    progress = progress or Progress()
    vqvae.to(device).eval()
    # Only a training that has steps left needs the codes.
    pool = cache(lambda: code_pool(vqvae, train, recipe, plan.seed, device, progress))
    chosen = validation.spread(VALIDATION_SLICES)
    with torch.inference_mode():
        parts = [validation.select([number]) for number in chosen]
        held_positions = torch.cat([where for _, _, where in parts]).to(device)
        held = torch.cat([vqvae.encode(image.to(device), where.to(device)) for image, _, where in parts]).flatten(1)

    def batches(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = np.random.default_rng([plan.seed, 11, step]).integers(0, len(pool().codes), recipe.batch)
        return pool().codes[rows].long(), pool().positions[rows]

    def validate(model: CodePrior) -> dict[str, float]:
        parts = zip(held.split(recipe.batch), held_positions.split(recipe.batch))
        return {"nll": float(torch.cat([model.nll(codes, where) for codes, where in parts]).mean())}

    return fit(network, batches, validate, plan, folder, device, progress)


def with_thresholds(
    method: LatentRestoration, scans: Sequence[tuple[np.ndarray, np.ndarray]], device: str = "cpu"
) -> LatentRestoration:
    """The method with λ for restoration and for the sample score from percentiles of healthy scans' codes.

    Args:
        method: Trained.
        scans: Prepared image and mask of healthy scans that were not trained on.
        device: Where to compute.
    """
    nll = np.concatenate([method.code_nll(image, mask, device) for image, mask in scans])
    parameters = replace(
        method.parameters,
        restoration_nll=round(float(np.percentile(nll, RESTORATION_PERCENTILE)), 4),
        sample_nll=round(float(np.percentile(nll, SAMPLE_PERCENTILE)), 4),
    )
    return type(method)(parameters, method.vqvae, method.prior)


def train_networks(
    method: LatentRestoration,
    train: Slices,
    validation: Slices,
    scans: Sequence[tuple[np.ndarray, np.ndarray]],
    recipe: Recipe,
    options: Options,
    folder: Path,
    progress: Progress,
) -> tuple[LatentRestoration, dict]:
    """Train both networks of a method, and find its thresholds on the validation scans.

    Args:
        method: Untrained.
        train: Samples of the training subjects.
        validation: Samples of the validation subjects.
        scans: Prepared image and mask of each validation scan.
        recipe: What the options leave open.
        options: Steps, seed, device.
        folder: For checkpoints and logs.
        progress: Told throughout.

    Returns:
        The trained method, and the last row of each log.
    """
    progress.stage("VQ-VAE", 0.1, 0.5)
    plan = options.plan(options.steps or recipe.steps, recipe.rate)
    first = train_vqvae(method.vqvae, train, validation, plan, recipe, folder / "vqvae", options.device, progress)
    method.vqvae.requires_grad_(False)
    progress.stage("prior", 0.5, 0.9)
    plan = options.plan(options.prior_steps or recipe.prior_steps, 1e-3)
    second = train_prior(
        method.prior, method.vqvae, train, validation, plan, recipe, folder / "prior", options.device, progress
    )
    progress.update(1.0, "finding the thresholds")
    method = with_thresholds(method, scans, options.device)
    for network in (method.vqvae, method.prior):
        network.to("cpu").requires_grad_(False)
    return method, {"vqvae": first[-1], "prior": second[-1]}


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[LatentRestoration, dict]:
    """Train latent restoration of slices.

    Args:
        data: Healthy scans.
        options: Steps of both networks; ``extra`` may name the method's settings, but for those that are found: size,
            thresholds and class centres.
        folder: For checkpoints and logs.
        progress: Told throughout.

    Raises:
        InputError: If a setting is unknown or refused.
    """
    (train_slices, validation), wishes = data.slices(), options.wishes()
    base = with_classes(LatentRestorationParameters(size=tuple(train_slices.images.shape[1:])), wishes, train_slices)
    method = LatentRestoration.untrained(with_wishes(base, wishes), options.seed)
    return train_networks(method, train_slices, validation, data.validation, SLICES, options, folder, progress)


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


def train_volumes(
    data: HealthyData, options: Options, folder: Path, progress: Progress
) -> tuple[VolumeRestoration, dict]:
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
        raise InputError("method_needs_volumes", method="volume_restoration", other="latent_restoration")
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
