"""Train the one slice of `methods.mean_image`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...methods.mean_image import MeanImageDistance, MeanImageParameters
from ...methods.settings import with_overrides
from ...networks.mean_image import MeanImage
from ...runtime.progress import Progress
from ..data import HealthyData
from ..loop import Batch, fit_slices

if TYPE_CHECKING:
    from ..config import Options

BATCH, STEPS, RATE = 8, 100, 0.2


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[MeanImageDistance, dict]:
    """Fit the slice to those of the training scans.

    Returns:
        The method, and the last row of its log.
    """
    slices = data.slices()
    parameters = with_overrides(MeanImageParameters(size=slices[0].size), options.overrides())
    method = MeanImageDistance.untrained(parameters, options.seed)
    progress.stage(method.name, 0.1, 0.9)
    plan = options.plan(options.steps or STEPS, RATE)
    log = fit_slices(method.network, slices, plan, errors, folder, options.device, progress, size=BATCH, held=16)
    method.network.to("cpu").requires_grad_(False)
    return method, {"last": log[-1]}


def errors(network: MeanImage, batches: Iterable[Batch]) -> dict[str, float]:
    """Measure the mean absolute error of held-out slices."""
    return {"error": float(np.mean([float(network.loss(*batch)[1]["error"]) for batch in batches]))}
