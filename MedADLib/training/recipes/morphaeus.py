"""Train MorphAEus on healthy slices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from ...errors import InputError
from ...methods.morphaeus import MorphAEus, MorphAEusParameters, channels_for
from ...methods.settings import check_names, with_overrides
from ...networks.features import FeatureNetwork
from ...networks.morphaeus import Morphing, MorphLearner, Phase
from ...runtime.progress import Progress
from ..augmentation import GENTLE
from ..data import HealthyData
from ..loop import Batch, Plan, fit_slices
from ..slices import Slices
from .autoencoder import train_features

if TYPE_CHECKING:
    from ..config import Options

BATCH, RATE = 8, 1e-3
STEPS = 1500
VALIDATION_SLICES = 128
Schedule = Literal["morphaeus", "apart", "morphade"]
# The phases of each schedule with their shares of the steps.
PHASES: dict[Schedule, tuple[tuple[Phase, float], ...]] = {
    "morphaeus": (("rising", 1.0),),
    "apart": (("apart", 1.0),),
    "morphade": (("joint", 0.7), ("deformer", 0.3)),
}


def check_settings(options: Options) -> None:
    """Refuse settings with unknown names; ``schedule`` is one of the training, and ``latent`` is an option only.

    Raises:
        InputError: If a name is unknown.
    """
    check_names(MorphAEusParameters, options.extra, ("schedule",))


def train_phase(
    network: Morphing,
    features: FeatureNetwork,
    phase: Phase,
    slices: tuple[Slices, Slices],
    plan: Plan,
    folder: Path,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Train autoencoder and deformer in one phase.

    The paper trains up to 500 epochs at a rate of 5e-4 with early stopping and a warm-up of 10 epochs. Here the number
    of steps is fixed, the rate is annealed, and the warm-up is 30 % of the steps.

    Returns:
        The rows of the log; ``validation_*`` as in `deformation_errors`.
    """

    def sample(step: int) -> Batch:
        images, masks, positions = slices[0].batch(step, BATCH, plan.seed, GENTLE)
        return images, masks, positions, torch.full_like(positions, step / plan.steps)

    learner, sizes = MorphLearner(network, features, phase), {"size": BATCH, "held": VALIDATION_SLICES}
    return fit_slices(learner, slices, plan, deformation_errors, folder, device, progress, sample=sample, **sizes)


def deformation_errors(model: MorphLearner, batches: Iterable[Batch]) -> dict[str, float]:
    """Measure prior and deformation on held-out slices.

    Returns:
        ``error``, the mean absolute error of x_morph per brain pixel; ``prior_error``, that of x_prior;
        ``displacement`` in pixels over the brain, and ``smallest_jacobian``, the smallest determinant there.
    """
    morphed, prior, moved, brain, smallest = 0.0, 0.0, 0.0, 0.0, 1.0
    for images, masks, _ in batches:
        made, inside = model.network(images), masks > 0
        morphed += float((made.morphed - images).abs()[inside].sum())
        prior += float((made.prior - images).abs()[inside].sum())
        moved += float(made.displacement.norm(dim=1, keepdim=True)[inside].sum())
        smallest, brain = min(smallest, float(made.jacobian()[inside].min())), brain + float(masks.sum())
    values = {"error": morphed, "prior_error": prior, "displacement": moved}
    return {name: value / max(brain, 1) for name, value in values.items()} | {"smallest_jacobian": smallest}


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[MorphAEus, dict]:
    """Train MorphAEus on a folder's healthy slices.

    See `trainers.Trainer`. ``latent`` is the width of the deepest levels. ``extra`` may set ``channels``, ``score`` and
    ``schedule``: "morphaeus"; "apart" without gradients from the deformation to the autoencoder; or "morphade" for the
    two steps of the successor of MorphAEus.
    """
    slices, overrides = data.slices(), dict(options.extra)
    size, schedule = slices[0].size, overrides.pop("schedule", "morphaeus")
    if schedule not in tuple(PHASES):
        raise InputError("unknown_schedule", schedule=schedule, known=", ".join(PHASES))
    widest = channels_for(size) if options.latent is None else channels_for(size, options.latent)
    method = MorphAEus.untrained(with_overrides(MorphAEusParameters(size, widest), overrides), options.seed)
    steps = options.steps or STEPS
    progress.stage("features", 0.1, 0.2)
    features, _ = train_features(slices, replace(options, steps=steps), folder / "features", progress)
    begin, log = 0.2, []
    for phase, share in PHASES[schedule]:
        progress.stage(phase, begin, begin + 0.7 * share)
        plan = options.plan(max(round(steps * share), 1), RATE)
        log = train_phase(method.network, features, phase, slices, plan, folder / phase, options.device, progress)
        begin += 0.7 * share
    method.network.to("cpu").eval().requires_grad_(False)
    return method, {"schedule": schedule, "last": log[-1]}
