"""Trains variational autoencoders, context encoders and ceVAE on slices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..augmentation import GENTLE
from ..networks.vae import VAE
from ..progress import Progress
from ..slices import Slices
from ..training import Plan, fit
from ..training_data import HealthyData
from .context_encoding import ContextEncoder, ContextVAE
from .training_classes import with_classes
from .vae import VariationalAutoencoder
from .wishes import with_wishes

if TYPE_CHECKING:
    from .trainers import Options

BATCH, RATE = 32, 1e-3
STEPS = {"vae": 2000, "cevae": 1200, "context_encoder": 2000}
VALIDATION_SLICES = 256


def train_energy(
    network: VAE,
    train: Slices,
    validation: Slices,
    plan: Plan,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Fit a VAE of any kind to augmented slices; validated on unchanged ones, with z = μ.

    Args:
        network: Left with the trained weights.
        train: Slices of the training subjects.
        validation: Slices of the validation subjects.
        plan: Steps and rates.
        folder: For checkpoint and log.
        device: Where to compute.
        progress: Told after each step.

    Returns:
        The log's rows; ``validation_energy`` is per pixel, ``validation_divergence`` in nats a slice,
        ``validation_error`` the mean absolute error per brain pixel.
    """
    chosen = validation.spread(VALIDATION_SLICES)

    def validate(model: VAE) -> dict[str, float]:
        energy, divergence, absolute, brain = 0.0, 0.0, 0.0, 0.0
        for start in range(0, len(chosen), BATCH):
            images, masks, _ = (part.to(device) for part in validation.select(chosen[start : start + BATCH]))
            terms = model.terms(images)
            energy += float((terms.error + model.divergence_weight * terms.divergence).sum())
            divergence += float(terms.divergence.sum())
            absolute += float(((terms.restored - images).abs() * masks).sum())
            brain += float(masks.sum())
        energy /= len(chosen) * model.pixels
        return {"energy": energy, "divergence": divergence / len(chosen), "error": absolute / max(brain, 1)}

    return fit(
        network, lambda step: train.batch(step, BATCH, plan.seed, GENTLE), validate, plan, folder, device, progress
    )


def train_vae(
    data: HealthyData,
    options: Options,
    folder: Path,
    progress: Progress,
    kind: type[VariationalAutoencoder] = VariationalAutoencoder,
) -> tuple[VariationalAutoencoder, dict]:
    """Train a VAE, and find the KL-gradient's scale on the validation scans.

    By default 2000 steps of 32 slices; 1200 of ceVAE, whose steps look at each slice twice.

    Args:
        data: Healthy scans.
        options: Steps and latent size; ``extra`` may name the settings of `kind`, but for those that are found:
            size, gradient scale and centres.
        folder: For checkpoint and log.
        progress: Told throughout.
        kind: Which of the family.

    Raises:
        InputError: If a setting is unknown or refused.
    """
    train, validation = data.slices()
    wishes = options.wishes()
    base = with_classes(kind.Parameters(size=tuple(train.images.shape[1:])), wishes, train)
    parameters = with_wishes(base, wishes)
    method = kind.untrained(parameters, options.seed)
    progress.stage(kind.name, 0.1, 0.85)
    plan = options.plan(options.steps or STEPS[kind.name], RATE)
    log = train_energy(method.network, train, validation, plan, folder, options.device, progress)
    method.network.requires_grad_(False)
    if method.network.context < 1:
        progress.stage("scale of the gradient", 0.85, 0.9)
        method = method.with_gradient_scale(data.validation, options.device, progress)
    method.network.to("cpu")
    return method, {"last": log[-1]}


def train_cevae(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[ContextVAE, dict]:
    """Train ceVAE; see `train_vae`."""
    return train_vae(data, options, folder, progress, ContextVAE)


def train_context_encoder(
    data: HealthyData, options: Options, folder: Path, progress: Progress
) -> tuple[ContextEncoder, dict]:
    """Train a context encoder; see `train_vae`."""
    return train_vae(data, options, folder, progress, ContextEncoder)
