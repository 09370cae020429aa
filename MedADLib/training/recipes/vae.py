"""Train variational autoencoders, context encoders and ceVAE."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...methods.settings import with_overrides
from ...methods.vae import ContextEncoder, ContextVAE, VariationalAutoencoder
from ...networks.vae import VAE
from ...runtime.progress import Progress
from ..data import HealthyData
from ..loop import Batch, fit_slices
from .intensity_classes import with_classes

if TYPE_CHECKING:
    from ..config import Options

RATE = 1e-3
STEPS = {"vae": 2000, "cevae": 1200, "context_encoder": 2000}


def energies(model: VAE, batches: Iterable[Batch]) -> dict[str, float]:
    """Measure a VAE of any kind on held-out slices, with z = μ.

    Returns:
        ``energy`` per pixel, ``divergence`` in nats per slice, and ``error``, the mean absolute error per brain pixel.
    """
    energy, divergence, absolute, brain, count = 0.0, 0.0, 0.0, 0.0, 0
    for images, masks, _ in batches:
        terms = model.terms(images)
        energy += float((terms.error + model.divergence_weight * terms.divergence).sum())
        divergence += float(terms.divergence.sum())
        absolute += float(((terms.restored - images).abs() * masks).sum())
        brain, count = brain + float(masks.sum()), count + len(images)
    return {
        "energy": energy / (count * model.pixels),
        "divergence": divergence / count,
        "error": absolute / max(brain, 1),
    }


def train_vae(
    data: HealthyData,
    options: Options,
    folder: Path,
    progress: Progress,
    kind: type[VariationalAutoencoder] = VariationalAutoencoder,
) -> tuple[VariationalAutoencoder, dict]:
    """Train a VAE, and measure the scale of the KL gradient on the validation scans.

    By default 2000 steps of 32 slices; 1200 for ceVAE, which uses each slice twice per step.

    See `trainers.Trainer`; `kind` is the class of the method. The training determines size, gradient scale and centres.
    """
    slices, overrides = data.slices(), options.overrides()
    base = with_classes(kind.Parameters(size=slices[0].size), overrides, slices[0])
    method = kind.untrained(with_overrides(base, overrides), options.seed)
    progress.stage(kind.name, 0.1, 0.85)
    plan = options.plan(options.steps or STEPS[kind.name], RATE)
    log = fit_slices(method.network, slices, plan, energies, folder, options.device, progress)
    method.network.requires_grad_(False)
    if method.network.context < 1:
        progress.stage("scale of the gradient", 0.85, 0.9)
        method = method.with_gradient_scale(data.validation, options.device, progress)
    method.network.to("cpu")
    return method, {"last": log[-1]}


train_cevae = partial(train_vae, kind=ContextVAE)
train_context_encoder = partial(train_vae, kind=ContextEncoder)
