"""Train VAE-GAN, the adversarial autoencoder and f-AnoGAN.

VAE-GAN and the adversarial autoencoder alternate five steps of the critic with one of the autoencoder. f-AnoGAN trains
generator against critic, and then an encoder for the frozen two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...methods.adversarial import (
    AdversarialAutoencoder,
    FAnoGAN,
    FAnoGANParameters,
    Reconstruction,
    VAEGANReconstruction,
    resampled,
)
from ...methods.settings import with_overrides
from ...networks.adversarial import AdversarialReconstruction, IziF, WassersteinGAN, distances
from ...runtime.progress import Progress
from ..augmentation import GENTLE
from ..data import HealthyData
from ..loop import Batch, Plan, fit_slices
from ..slices import Slices

if TYPE_CHECKING:
    from ..config import Options

BATCH, RATE = 8, 5e-4
STEPS = {"vae_gan": 1200, "adversarial_autoencoder": 2500}

GAN_BATCH, ENCODER_BATCH = 16, 32
GAN_STEPS, GAN_RATE = 1500, 2e-4
ENCODER_STEPS, ENCODER_RATE = 1500, 5e-4
LONGEST = 64


def train_reconstruction(
    data: HealthyData, options: Options, folder: Path, progress: Progress, kind: type[Reconstruction]
) -> tuple[Reconstruction, dict]:
    """Train autoencoder against critic on slices.

    By default 1200 steps of VAE-GAN, about 12 minutes on two CPU cores at 160 × 160, or 2500 steps of the constrained
    adversarial autoencoder, or with ``constraint`` 0 the plain one, about 10 minutes.

    See `trainers.Trainer`; `kind` is the class of the method.
    """
    slices = data.slices()
    parameters = with_overrides(kind.Parameters(size=slices[0].size), options.overrides())
    method = kind.untrained(parameters, options.seed)
    progress.stage(kind.name, 0.1, 0.9)
    plan, where = options.plan(options.steps or STEPS[kind.name], RATE), folder / kind.name
    log = fit_slices(method.network, slices, plan, code_statistics, where, options.device, progress, BATCH)
    method.network.to("cpu").requires_grad_(False)
    return method, {"last": log[-1]}


train_vae_gan = partial(train_reconstruction, kind=VAEGANReconstruction)
train_adversarial_autoencoder = partial(train_reconstruction, kind=AdversarialAutoencoder)


def code_statistics(model: AdversarialReconstruction, batches: Iterable[Batch]) -> dict[str, float]:
    """Measure reconstructions and codes of held-out slices.

    Returns:
        ``error``, the mean absolute error per brain pixel; ``code_mean`` and ``code_spread``, root mean square of the
        codes' means and mean of their standard deviations over slices, which for N(0, I) would be 0 and 1.
    """
    absolute, brain, codes = 0.0, 0.0, []
    for images, masks, _ in batches:
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


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[FAnoGAN, dict]:
    """Train f-AnoGAN: by default 1500 steps each of the GAN and of the encoder, about 12 minutes on two CPU cores.

    A step of the GAN is 5 steps of the critic and one of the generator, with 16 slices each; a step of the encoder has
    32 slices.

    See `trainers.Trainer`; ``steps`` are those of the GAN, ``prior_steps`` those of the encoder.
    """
    slices = data.slices()
    size = slices[0].size
    parameters = FAnoGANParameters(size=size, resolution=resolution_for(size))
    method = FAnoGAN.untrained(with_overrides(parameters, options.overrides()), options.seed)
    progress.stage("generator", 0.0, 0.7)
    plan = options.plan(options.steps or GAN_STEPS, GAN_RATE)
    generator = train_gan(method, slices, plan, folder / "generator", options.device, progress)
    progress.stage("encoder", 0.7, 0.9)
    plan = options.plan(options.prior_steps or ENCODER_STEPS, ENCODER_RATE)
    encoder = train_encoder(method, slices, plan, folder / "encoder", options.device, progress)
    for network in (method.gan, method.encoder):
        network.to("cpu").requires_grad_(False)
    return method, {"generator": generator[-1], "encoder": encoder[-1]}


def resolution_for(size: tuple[int, ...]) -> tuple[int, ...]:
    """Choose the grid of the networks for slices of a size: longer side `LONGEST`, both multiples of 16.

    The shorter side is rounded, which stretches all images by the same few percent.
    """
    return tuple(max(round(n * LONGEST / max(size) / 16), 1) * 16 for n in size)


def train_gan(
    method: FAnoGAN, slices: tuple[Slices, Slices], plan: Plan, folder: Path, device: str, progress: Progress
) -> list[dict[str, float]]:
    """Train generator against critic on resampled, augmented slices; arguments as in `loop.fit_slices`.

    Returns:
        The rows of the log; ``validation_error`` is the difference of generated and validation slices in mean and
        standard deviation, averaged over both and over pixels; ``validation_wasserstein`` is the critic's distance of
        the two.
    """

    def measure(gan: WassersteinGAN, batches: Iterable[Batch]) -> dict[str, float]:
        real = _resampled(method, batches)
        codes = np.random.default_rng([plan.seed, 3]).normal(size=(len(real), method.parameters.latent))
        codes = torch.from_numpy(codes).float().to(device)
        fake = torch.cat([gan.generator(part) for part in codes.split(GAN_BATCH)]).float()
        judged = [torch.cat([gan.critic(part) for part in pool.split(GAN_BATCH)]).mean() for pool in (real, fake)]
        mean_gap = (real.mean(dim=0) - fake.mean(dim=0)).abs().mean()
        spread_gap = (real.std(dim=0, correction=0) - fake.std(dim=0, correction=0)).abs().mean()
        return {"error": float(mean_gap + spread_gap) / 2, "wasserstein": float(judged[0] - judged[1])}

    sample = _sampler(method, slices[0], GAN_BATCH, plan)
    return fit_slices(method.gan, slices, plan, measure, folder, device, progress, sample=sample)


def train_encoder(
    method: FAnoGAN, slices: tuple[Slices, Slices], plan: Plan, folder: Path, device: str, progress: Progress
) -> list[dict[str, float]]:
    """Train the encoder (izi_f) on resampled, augmented slices; arguments as in `loop.fit_slices`.

    Generator and critic do not change.

    Returns:
        The rows of the log; ``validation_error`` is the sample score on healthy slices, MSE + κ·MSE of the features.
    """
    kappa = method.parameters.kappa

    def measure(izi: IziF, batches: Iterable[Batch]) -> dict[str, float]:
        squared, features = [], []
        for part in _resampled(method, batches).split(GAN_BATCH):
            both = distances(izi.gan.critic, part, izi.gan.generator(izi.encoder(part)))
            squared, features = squared + both[0].tolist(), features + both[1].tolist()
        values = {"squared_error": float(np.mean(squared)), "feature_error": float(np.mean(features))}
        return {"error": values["squared_error"] + kappa * values["feature_error"]} | values

    izi, sample = IziF(method.gan, method.encoder, kappa), _sampler(method, slices[0], ENCODER_BATCH, plan)
    return fit_slices(izi, slices, plan, measure, folder, device, progress, sample=sample)


def _resampled(method: FAnoGAN, batches: Iterable[Batch]) -> torch.Tensor:
    """Resample the images of all batches to the resolution of the networks."""
    return resampled(torch.cat([images for images, _, _ in batches]), method.parameters.resolution)


def _sampler(method: FAnoGAN, train: Slices, size: int, plan: Plan) -> Callable[[int], Batch]:
    """Return a sampler of resampled images by number; the networks use neither masks nor positions."""

    def sample(number: int) -> Batch:
        return (_resampled(method, [train.batch(number, size, plan.seed, GENTLE)]),)

    return sample
