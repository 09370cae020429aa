"""Train the one slice of `methods.mean_image`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...methods.mean_image import MeanImageDistance, MeanImageParameters
from ...methods.settings import with_overrides
from ...networks.mean_image import MeanImage
from ...runtime.progress import Progress
from ..augmentation import GENTLE
from ..data import HealthyData
from ..loop import fit

if TYPE_CHECKING:
    from ..config import Options

BATCH, STEPS, RATE = 8, 100, 0.2


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[MeanImageDistance, dict]:
    """Fit the slice to those of the training scans.

    Returns:
        The method, and the last row of its log.
    """
    train, validation = data.slices()
    parameters = with_overrides(MeanImageParameters(size=tuple(train.images.shape[1:])), options.overrides())
    method = MeanImageDistance.untrained(parameters, options.seed)
    held_out = validation.select(validation.spread(16))

    def validate(network: MeanImage) -> dict[str, float]:
        return {"error": float(network.loss(*(part.to(options.device) for part in held_out))[1]["error"])}

    progress.stage(method.name, 0.1, 0.9)
    plan = options.plan(options.steps or STEPS, RATE)
    log = fit(
        method.network,
        lambda step: train.batch(step, BATCH, plan.seed, GENTLE),
        validate,
        plan,
        folder,
        options.device,
        progress,
    )
    method.network.to("cpu").requires_grad_(False)
    return method, {"last": log[-1]}
