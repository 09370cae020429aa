"""Train latent restoration: a VQ-VAE, and then the prior over its codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from ...methods.latent_restoration import LatentRestoration, LatentRestorationParameters
from ...methods.settings import with_overrides
from ...networks.code_prior import CodePrior
from ...networks.vqvae import VQVAE
from ...runtime.progress import Progress
from ..augmentation import Augmentation
from ..data import HealthyData
from ..loop import Batch, Plan, fit, fit_slices
from ..slices import Slices
from .intensity_classes import with_classes

if TYPE_CHECKING:
    from ..config import Options

VALIDATION_SLICES = 128
RESTORATION_PERCENTILE, SAMPLE_PERCENTILE = 97, 98
ALIGNED = Augmentation(rotation=2, shrink=0.04, grow=0.04, elastic=0.7, shift=2, contrast=0.04, blur=0.05, noise=0.01)


class Recipe(NamedTuple):
    """Hyperparameters of the training of both networks.

    Attributes:
        steps: Training steps of the VQ-VAE.
        rate: Largest learning rate of the VQ-VAE.
        prior_steps: Training steps of the prior.
        batch: Samples in a step of either network.
        rounds: Augmented passes over the training samples, for the codes of the prior.
        augmentation: Augmentation for the VQ-VAE.
        aligned: Weaker augmentation for the prior, because scans are aligned and normalised before detection.
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
    """Code grids in raster order (N, length), and their slice coordinates (N,)."""

    codes: torch.Tensor
    positions: torch.Tensor


def restoration_errors(model: VQVAE, batches: Iterable[Batch]) -> dict[str, float]:
    """Measure a VQ-VAE on held-out slices.

    Returns:
        ``error``, the mean absolute error per brain pixel, and ``codes_used``, the number of different codes.
    """
    error, brain, used = 0.0, 0.0, set()
    for images, masks, positions in batches:
        indices = model.encode(images, positions)
        error += float((model.decode_images(indices, positions) - images).abs().sum())
        brain += float(masks.sum())
        used |= set(indices.unique().tolist())
    return {"error": error / max(brain, 1), "codes_used": float(len(used))}


def code_pool(network: VQVAE, train: Slices, recipe: Recipe, seed: int, device: str, progress: Progress) -> Codes:
    """Encode the training samples in several rounds of weak augmentation."""
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
    method: LatentRestoration,
    slices: tuple[Slices, Slices],
    plan: Plan,
    recipe: Recipe,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Train the prior of a method on the codes of its trained VQ-VAE, which does not change.

    Returns:
        The rows of the log; ``validation_nll`` is in nats per code.
    """
    progress, vqvae, (train, validation) = progress or Progress(), method.vqvae.to(device).eval(), slices
    # A finished training does not need the codes.
    pool = cache(lambda: code_pool(vqvae, train, recipe, plan.seed, device, progress))
    with torch.inference_mode():
        parts = [validation.select([number]) for number in validation.spread(VALIDATION_SLICES)]
        held_positions = torch.cat([where for _, _, where in parts]).to(device)
        held = torch.cat([vqvae.encode(image.to(device), where.to(device)) for image, _, where in parts]).flatten(1)

    def batches(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = np.random.default_rng([plan.seed, 11, step]).integers(0, len(pool().codes), recipe.batch)
        return pool().codes[rows].long(), pool().positions[rows]

    def validate(model: CodePrior) -> dict[str, float]:
        parts = zip(held.split(recipe.batch), held_positions.split(recipe.batch))
        return {"nll": float(torch.cat([model.nll(codes, where) for codes, where in parts]).mean())}

    return fit(method.prior, batches, validate, plan, folder, device, progress)


def with_thresholds(
    method: LatentRestoration, scans: Sequence[tuple[np.ndarray, np.ndarray]], device: str = "cpu"
) -> LatentRestoration:
    """Set the thresholds λ for restoration and for the sample score to percentiles over codes of healthy scans.

    Args:
        method: Trained method.
        scans: Prepared image and mask, each (Z, Y, X), of healthy scans outside the training.
        device: Device of the training.
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
    slices: tuple[Slices, Slices],
    scans: Sequence[tuple[np.ndarray, np.ndarray]],
    recipe: Recipe,
    options: Options,
    folder: Path,
    progress: Progress,
) -> tuple[LatentRestoration, dict]:
    """Train both networks of a method, and set its thresholds from the validation scans.

    Returns:
        The trained method, and the last row of each log.
    """
    progress.stage("VQ-VAE", 0.1, 0.5)
    plan = options.plan(options.steps or recipe.steps, recipe.rate)

    def sample(step: int) -> Batch:
        return slices[0].batch(step, recipe.batch, plan.seed, recipe.augmentation)

    first = fit_slices(
        method.vqvae, slices, plan, restoration_errors, folder / "vqvae", options.device, progress, recipe.batch,
        VALIDATION_SLICES, sample,
    )  # fmt: skip
    method.vqvae.requires_grad_(False)
    progress.stage("prior", 0.5, 0.9)
    prior_plan = options.plan(options.prior_steps or recipe.prior_steps, 1e-3)
    second = train_prior(method, slices, prior_plan, recipe, folder / "prior", options.device, progress)
    progress.update(1.0, "finding the thresholds")
    method = with_thresholds(method, scans, options.device)
    for network in (method.vqvae, method.prior):
        network.to("cpu").requires_grad_(False)
    return method, {"vqvae": first[-1], "prior": second[-1]}


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[LatentRestoration, dict]:
    """Train latent restoration of slices.

    See `trainers.Trainer`; ``prior_steps`` are those of the prior. The training determines size, thresholds and class
    centres.
    """
    slices, overrides = data.slices(), options.overrides()
    base = with_classes(LatentRestorationParameters(size=slices[0].size), overrides, slices[0])
    method = LatentRestoration.untrained(with_overrides(base, overrides), options.seed)
    return train_networks(method, slices, data.validation, SLICES, options, folder, progress)
