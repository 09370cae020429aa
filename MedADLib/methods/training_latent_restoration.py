"""Trains the two networks of latent restoration, one after the other: VQ-VAE, then the prior over its codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from ..augmentation import Augmentation
from ..networks.prior import CodePrior
from ..networks.vqvae import VQVAE
from ..progress import Progress
from ..slices import Slices
from ..training import Plan, fit
from ..training_data import HealthyData
from .latent_restoration import LatentRestoration, LatentRestorationParameters
from .training_classes import with_classes
from .wishes import with_wishes

if TYPE_CHECKING:
    from .trainers import Options

BATCH = 16
STEPS, RATE = 4000, 3e-4
PRIOR_STEPS, PRIOR_RATE = 2500, 1e-3
FOUND = ("size", "restoration_nll", "sample_nll", "centres")
VALIDATION_SLICES = 128
RESTORATION_PERCENTILE, SAMPLE_PERCENTILE = 90, 98
GENTLE = Augmentation(rotation=2, shrink=0.04, grow=0.04, elastic=0.7, shift=2, contrast=0.04, blur=0.05, noise=0.01)


class Codes(NamedTuple):
    """Code grids in raster order, (N, length), and their slice coordinates, (N,)."""

    codes: torch.Tensor
    positions: torch.Tensor


def train_vqvae(
    network: VQVAE,
    train: Slices,
    validation: Slices,
    plan: Plan,
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
        folder: For checkpoint and log.
        device: Where to compute.
        progress: Told after each step.

    Returns:
        The log's rows; ``validation_error`` is the mean absolute error per brain pixel,
        ``validation_codes_used`` counts the codes that the validation slices use.
    """
    augmentation = Augmentation()
    chosen = validation.spread(VALIDATION_SLICES)

    def validate(model: VQVAE) -> dict[str, float]:
        error, brain, used = 0.0, 0.0, set()
        for start in range(0, len(chosen), BATCH):
            images, masks, positions = (part.to(device) for part in validation.select(chosen[start : start + BATCH]))
            indices = model.encode(images, positions)
            error += float((model.pictures(indices, positions) - images).abs().sum())
            brain += float(masks.sum())
            used |= set(indices.unique().tolist())
        return {"error": error / max(brain, 1), "codes_used": float(len(used))}

    return fit(
        network,
        lambda step: train.batch(step, BATCH, plan.seed, augmentation),
        validate,
        plan,
        folder,
        device,
        progress,
    )


def code_pool(network: VQVAE, train: Slices, rounds: int, seed: int, device: str, progress: Progress) -> Codes:
    """Codes of the training slices under gentle augmentation, several rounds of all slices.

    The prior must find healthy scans likely that are aligned and normalised, so the changes are smaller than
    those the VQ-VAE is made robust with.
    """
    per_round = max(len(train.images) // BATCH, 1)
    found, where = [], []
    with torch.inference_mode():
        for step in range(rounds * per_round):
            progress.update(
                step / (rounds * per_round), f"codes of training slices, {step + 1} of {rounds * per_round}"
            )
            images, _, positions = train.batch(step, BATCH, seed + 1, GENTLE)
            found.append(network.encode(images.to(device), positions.to(device)).flatten(1).to("cpu", torch.int16))
            where.append(positions)
    return Codes(torch.cat(found), torch.cat(where))


def train_prior(
    network: CodePrior,
    vqvae: VQVAE,
    train: Slices,
    validation: Slices,
    plan: Plan,
    folder: Path,
    rounds: int = 10,
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
        folder: For checkpoint and log.
        rounds: Augmented passes over the training slices that codes are taken from.
        device: Where to compute.
        progress: Told after each step.

    Returns:
        The log's rows; ``validation_nll`` is in nats per code.
    """
    progress = progress or Progress()
    vqvae.to(device).eval()
    # Only a training that has steps left needs the codes.
    pool = cache(lambda: code_pool(vqvae, train, rounds, plan.seed, device, progress))
    chosen = validation.spread(VALIDATION_SLICES)
    with torch.inference_mode():
        images, _, held_positions = (part.to(device) for part in validation.select(chosen))
        held = vqvae.encode(images, held_positions).flatten(1)

    def batches(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = np.random.default_rng([plan.seed, 11, step]).integers(0, len(pool().codes), BATCH)
        return pool().codes[rows].long(), pool().positions[rows]

    def validate(model: CodePrior) -> dict[str, float]:
        parts = [model.nll(held[s : s + BATCH], held_positions[s : s + BATCH]) for s in range(0, len(held), BATCH)]
        return {"nll": float(torch.cat(parts).mean())}

    return fit(network, batches, validate, plan, folder, device, progress)


def with_thresholds(method: LatentRestoration, scans: Sequence[tuple[np.ndarray, np.ndarray]]) -> LatentRestoration:
    """The method with λ for restoration and for the sample score from percentiles of healthy scans' codes.

    Args:
        method: Trained.
        scans: Prepared image and mask of healthy scans that were not trained on.
    """
    nll = np.concatenate([method.code_nll(image, mask) for image, mask in scans])
    parameters = replace(
        method.parameters,
        restoration_nll=round(float(np.percentile(nll, RESTORATION_PERCENTILE)), 4),
        sample_nll=round(float(np.percentile(nll, SAMPLE_PERCENTILE)), 4),
    )
    return LatentRestoration(parameters, method.vqvae, method.prior)


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[LatentRestoration, dict]:
    """Train the VQ-VAE, then the prior, and find the thresholds on the validation scans.

    By default 4000 and 2500 steps of 16 slices.

    Args:
        data: Healthy scans.
        options: Steps of the VQ-VAE and of the prior; ``extra`` may name the settings of `LatentRestorationParameters`,
            but for those that are found: size, thresholds and centres.
        folder: For checkpoints and logs.
        progress: Told throughout.

    Raises:
        InputError: If a setting is unknown or refused.
    """
    train, validation = data.slices()
    wishes = options.wishes()
    base = with_classes(LatentRestorationParameters(size=tuple(train.images.shape[1:])), wishes, train)
    method = LatentRestoration.untrained(with_wishes(base, wishes, FOUND), options.seed)
    progress.stage("VQ-VAE", 0.1, 0.5)
    plan = options.plan(options.steps or STEPS, RATE)
    first = train_vqvae(method.vqvae, train, validation, plan, folder / "vqvae", options.device, progress)
    method.vqvae.requires_grad_(False)
    progress.stage("prior", 0.5, 0.9)
    plan = options.plan(options.prior_steps or PRIOR_STEPS, PRIOR_RATE)
    second = train_prior(
        method.prior, method.vqvae, train, validation, plan, folder / "prior", device=options.device, progress=progress
    )
    for network in (method.vqvae, method.prior):
        network.to("cpu").requires_grad_(False)
    return with_thresholds(method, data.validation), {"vqvae": first[-1], "prior": second[-1]}
