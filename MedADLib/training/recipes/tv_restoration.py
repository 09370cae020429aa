"""Train the VAE or GMVAE of TV restoration, and choose the weight λ of its total variation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...errors import SettingError
from ...methods.settings import with_overrides
from ...methods.tv_restoration import GMVAETV, VAETV
from ...runtime.device import slices_at_once
from ...runtime.progress import Progress
from ..data import HealthyData
from ..loop import fit_slices
from ..slices import Slices
from .vae import RATE, energies

if TYPE_CHECKING:
    from ..config import Options

STEPS = 2000

# You et al. try 0 to 3.8 for brain intensities with a standard deviation of 1; here it is about 0.25, which scales λ.
GRID = tuple(round(0.1 * number, 1) for number in range(11))
CHOICE_SLICES = 16


def healthy_changes(
    method: VAETV,
    slices: Slices,
    grid: Sequence[float] = GRID,
    count: int = CHOICE_SLICES,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[float]:
    """Compute the mean |X̂ − Y| per brain pixel of `count` healthy slices, evenly spread over all, for each λ."""
    chosen = slices.spread(count)
    together = slices_at_once(device)
    starts = range(0, len(chosen), together)
    changes, progress = [], progress or Progress()
    for number, weight in enumerate(grid):
        change, brain = 0.0, 0.0
        for batch, start in enumerate(starts):
            part = chosen[start : start + together]
            images, masks, _ = (tensor.to(device) for tensor in slices.select(part))
            restored = method.restored(images, masks > 0, [(seed, int(index)) for index in part], weight)
            change += float((restored - images).abs().double().sum())
            brain += float(masks.sum())
            progress.update((number + (batch + 1) / len(starts)) / len(grid), f"trying a TV weight of {weight:g}")
        changes.append(change / max(brain, 1))
    return changes


def best_weight(grid: Sequence[float], changes: Sequence[float]) -> float:
    """Choose the λ of largest curvature; a larger λ reduces changes of healthy slices only slightly.

    You et al. take the λ of the smallest mean |X̂ − Y|. Their curve has a U shape, because with a fixed step size a
    large λ makes X oscillate about Y. Here there are no oscillations and the curve only falls, so its minimum is at the
    largest λ, which restores nothing. The curve is scaled to the unit square; the result is the point farthest below
    the line between its first and its least value, which approximates the largest curvature.

    Raises:
        ValueError: If there are fewer than 3 λ, or they do not increase.
    """
    x, y = np.asarray(grid, float), np.asarray(changes, float)
    if len(x) < 3 or len(x) != len(y) or np.diff(x).min() <= 0:
        raise SettingError("tv_choice")
    least = int(np.argmin(y))
    x, y = (
        (x[: least + 1] - x[0]) / max(x[least] - x[0], 1e-12),
        (y[: least + 1] - y[least]) / max(y[0] - y[least], 1e-12),
    )
    return float(grid[int(np.argmax((1 - x) - y))])


def train_vae_tv(
    data: HealthyData, options: Options, folder: Path, progress: Progress, kind: type[VAETV] = VAETV
) -> tuple[VAETV, dict]:
    """Train the network, by default 2000 steps of 32 slices, and choose λ on slices of the validation scans.

    See `trainers.Trainer`; `kind` is the class of the method, which sets the prior. A ``tv_weight`` among the settings
    replaces the choice of λ.
    """
    slices, overrides = data.slices(), options.overrides()
    parameters = with_overrides(kind.Parameters(size=slices[0].size), overrides)
    method = kind.untrained(parameters, options.seed)
    progress.stage(kind.name, 0.1, 0.6)
    plan = options.plan(options.steps or STEPS, RATE)
    log = fit_slices(method.network, slices, plan, energies, folder, options.device, progress)
    method.network.requires_grad_(False)
    facts: dict = {"last": log[-1]}
    if "tv_weight" not in overrides:
        progress.stage("choosing the TV weight", 0.6, 0.9)
        with torch.no_grad():
            changes = healthy_changes(method, slices[1], seed=options.seed, device=options.device, progress=progress)
        method = kind(replace(parameters, tv_weight=best_weight(GRID, changes)), method.network)
        facts["tv_weights"] = {f"{weight:g}": change for weight, change in zip(GRID, changes)}
    method.network.to("cpu")
    return method, facts


train_gmvae_tv = partial(train_vae_tv, kind=GMVAETV)
