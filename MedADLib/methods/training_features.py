"""Learns the features of perceptual losses from healthy slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..augmentation import GENTLE
from ..networks.features import FeatureLearner, FeatureNetwork
from ..progress import Progress
from ..slices import Slices
from ..training import Plan, fit

BATCH = 8
VALIDATION_SLICES = 32
STEPS, RATE = 200, 1e-3


def train_features(
    train: Slices,
    validation: Slices,
    plan: Plan,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[FeatureNetwork, list[dict[str, float]]]:
    """Fit a feature network; `STEPS` steps at the rate `RATE` are enough.

    Args:
        train: Slices of the training subjects.
        validation: Slices of the validation subjects.
        plan: Steps, rate and seed.
        folder: For checkpoint and log.
        device: Where to compute.
        progress: Told after each step.

    Returns:
        The network, on the CPU and ready to use, and the log's rows; ``validation_error`` is the share of places whose
        own changed copy is not the most similar one, at the last level.
    """
    chosen = validation.spread(VALIDATION_SLICES)

    def validate(model: FeatureLearner) -> dict[str, float]:
        # The same changes at every validation, without taking from the training's random numbers.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            parts = [validation.select(chosen[start : start + BATCH]) for start in range(0, len(chosen), BATCH)]
            logs = [model.loss(*(part.to(device) for part in batch))[1] for batch in parts]
        return {"error": 1 - float(np.mean([float(log["matched"]) for log in logs]))}

    torch.manual_seed(plan.seed)
    learner = FeatureLearner()
    log = fit(
        learner, lambda step: train.batch(step, BATCH, plan.seed, GENTLE), validate, plan, folder, device, progress
    )
    return learner.features.to("cpu").eval().requires_grad_(False), log
