"""Train the autoencoder of ImageNet features on slices of healthy scans."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import adaptive_max_pool2d

from ...methods.feature_autoencoder import (
    FeatureAutoencoder,
    FeatureAutoencoderParameters,
    check_installed,
    imagenet_features,
)
from ...methods.settings import check_names, with_overrides
from ...networks.efficientnet import ImageNetFeatures
from ...networks.feature_autoencoder import TRAINING_WINDOW, FeatureMapAutoencoder
from ...networks.losses import brain_mean
from ...runtime.progress import Progress
from ..augmentation import GENTLE
from ..data import HealthyData
from ..loop import Batch, fit_slices
from ..slices import Slices
from .synthetic_restoration import COARSER, mean_and_spread

if TYPE_CHECKING:
    from ..config import Options

STEPS, RATE, BATCH = 4000, 1e-3, 32
VALIDATION_SLICES = 128
# Slices from which the range of each feature is taken, and its quantiles.
RANGE_SLICES, LOWEST, HIGHEST = 64, 0.01, 0.99
LEAST_SPAN = 1e-3


def check_settings(options: Options) -> None:
    """Refuse unknown settings, and a training without the weights of the features, before any scan is read.

    Raises:
        InputError: If a setting is unknown, or the package with the weights is missing.
    """
    check_names(FeatureAutoencoderParameters, options.overrides())
    check_installed()


def train(
    data: HealthyData, options: Options, folder: Path, progress: Progress, features: ImageNetFeatures | None = None
) -> tuple[FeatureAutoencoder, dict]:
    """Train the autoencoder: 4,000 steps of 32 slices.

    The paper has 20,000 steps of 128 slices of 224 × 224 pixels and a constant rate of 1e-4, which is for a GPU; here
    the rate falls from 1e-3. The loss is the mean over the feature maps of the brain, not of the whole slice.

    See `trainers.Trainer`. ``options.extra`` may set ``levels``, ``channels`` and ``dropout``. `features` replaces the
    features of the package.

    Raises:
        InputError: If the package with the weights of the features is missing.
    """
    shape = data.train[0][0].shape
    resolution = tuple(-(-size // COARSER) for size in shape)
    base = FeatureAutoencoderParameters(size=tuple(shape[1:]), resolution=resolution)
    method = FeatureAutoencoder.untrained(with_overrides(base, options.overrides()), options.seed)
    features = (features or imagenet_features(method.parameters.levels)).to(options.device)
    network, slices, plan = method.network, data.slices(), options.plan(options.steps or STEPS, RATE)
    network.healthy.copy_(mean_and_spread(data.train, resolution, data.template.symmetric)[0])
    low, high = feature_ranges(features, slices[0], options.device)
    network.low.copy_(low)
    network.span.copy_((high - low).clamp_min(LEAST_SPAN))
    progress.stage("autoencoder of features", 0.0, 0.9)

    def sample(step: int) -> Batch:
        images, masks, _ = slices[0].batch(step, BATCH, plan.seed, GENTLE)
        return features_of(features, images.to(options.device), masks.to(options.device))

    log = fit_slices(
        network, slices, plan, partial(reconstruction_errors, features=features), folder / "autoencoder",
        options.device, progress, BATCH, VALIDATION_SLICES, sample,
    )  # fmt: skip
    network.to("cpu").requires_grad_(False)
    method.features = features.to("cpu")
    return method, {"last": log[-1]}


@torch.no_grad()
def features_of(
    features: ImageNetFeatures, images: torch.Tensor, masks: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the features (N, C, h, w) of slices (N, 1, Y, X), and where they show brain, (N, 1, h, w)."""
    found = features(images)
    return found, adaptive_max_pool2d(masks, found.shape[2:])


def feature_ranges(features: ImageNetFeatures, slices: Slices, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the 1st and the 99th percentile of each feature in the brain, each (C,)."""
    values = []
    for part in slices.spread(RANGE_SLICES):
        images, masks, _ = slices.select([part])
        found, inside = features_of(features, images.to(device), masks.to(device))
        values.append(found.movedim(1, -1)[inside[:, 0] > 0].cpu())
    quantiles = torch.tensor([LOWEST, HIGHEST])
    # One feature after the other: torch's quantiles are limited in size.
    low, high = torch.stack([torch.quantile(column, quantiles) for column in torch.cat(values).T], dim=1)
    return low, high


def reconstruction_errors(
    network: FeatureMapAutoencoder, batches: Iterable[Batch], features: ImageNetFeatures
) -> dict[str, float]:
    """Measure held-out slices: ``error``, the loss, and ``score``, the mean of the score, both over the brain."""
    error, score, brain = 0.0, 0.0, 0.0
    for images, masks, _ in batches:
        found, inside = features_of(features, images, masks)
        count = float(inside.sum())
        error += float(brain_mean(network.error(found, TRAINING_WINDOW), inside)) * count
        score += float(brain_mean(network.error(found), inside)) * count
        brain += count
    return {"error": error / max(brain, 1), "score": score / max(brain, 1)}
