"""The training loop of all methods, for one process or several."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import Cancelled, MedADError
from ..networks.alternating_optimisation import objectives_of
from ..runtime.cancellation import finishing_first
from ..runtime.progress import Progress
from ..runtime.tables import write_table
from .augmentation import GENTLE
from .checkpoint import load_checkpoint, save_checkpoint
from .distributed import ProcessGroup
from .slices import Slices

Batch = tuple[torch.Tensor, ...]
Values = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """Steps, learning rate and seed of a training.

    Attributes:
        steps: Number of training steps; each step optimises every objective of the network.
        rate: Largest learning rate (AdamW), with warm-up over the first 2 % and cosine annealing to 1 %.
        decay: Weight decay.
        clip: Largest gradient norm.
        every: Steps between validations and checkpoints.
        seed: Random seed of weights, batches and augmentation.
        reduced: Whether to use bfloat16 autocast. Weights, gradients and moments stay in float32, and bfloat16 has the
            range of float32, so that no loss scaling is needed.

    Raises:
        MedADError: If a number is not positive.
    """

    steps: int
    rate: float = 3e-4
    decay: float = 0.0
    clip: float = 1.0
    every: int = 250
    seed: int = 0
    reduced: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1 or self.every < 1 or self.rate <= 0 or self.clip <= 0 or self.decay < 0:
            raise MedADError("bad_training_plan")

    def factor_at(self, step: int) -> float:
        """Compute the learning rate of a step as a fraction of the largest one, for torch's `LambdaLR`."""
        warm = max(self.steps // 50, 1)
        part = min(max(step - warm, 0) / max(self.steps - warm, 1), 1.0)
        return min((step + 1) / warm, 1.0) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))

    def schedule(self, optimizer: torch.optim.Optimizer, step: int = 0) -> torch.optim.lr_scheduler.LambdaLR:
        """Create the learning-rate schedule of an optimizer that has the largest rate, from a step on."""
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        return torch.optim.lr_scheduler.LambdaLR(optimizer, self.factor_at, last_epoch=step - 1)


def fit(
    network: torch.nn.Module,
    batches: Callable[[int], Batch],
    validate: Callable[[torch.nn.Module], Values],
    plan: Plan,
    folder: Path,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> list[Values]:
    """Train a network, or continue from the checkpoint in the folder.

    In a `distributed.process_group`, each process computes its share of every batch, gradients are averaged and then
    clipped, and process 0 validates and writes. Buffers, such as a codebook, are those of process 0; a loss that is not
    a mean over samples is averaged over the shares.

    Args:
        network: Module with `loss(*batch)`, or with `objectives()`, see `Objective`; it receives the trained weights.
        batches: Returns a batch by its number. The same number must give the same batch, without global random
            numbers. Batches are numbered over all optimizer steps of the training.
        validate: Returns values on the validation scans, with ``error`` among them.
        plan: Steps and learning rate.
        folder: Folder for ``checkpoint.safetensors`` and ``log.csv``.
        device: Device of the training.
        progress: Receives each step; may cancel, which leaves a checkpoint of that step. A signal waits for the step.

    Returns:
        One row per validation: step, learning rate, means of logged training values, validation values, seconds.

    Raises:
        MedADError: If loss or gradient is not finite, which leaves the last checkpoint; or if the checkpoint in
            `folder` belongs to another plan or network.
        Cancelled: If the user cancels; says after which step.
    """
    with finishing_first():
        return _fit(network, batches, validate, plan, Path(folder), device, progress or Progress())


def _fit(
    network: torch.nn.Module,
    batches: Callable[[int], Batch],
    validate: Callable[[torch.nn.Module], Values],
    plan: Plan,
    folder: Path,
    device: torch.device | str,
    progress: Progress,
) -> list[Values]:
    """Train as `fit` does, within the block in which a signal waits for the step."""
    group = ProcessGroup.current()
    torch.manual_seed(plan.seed)
    network.to(device).train()
    objectives = objectives_of(network)
    optimizers = {objective.name: objective.optimizer(plan.rate, plan.decay) for objective in objectives}
    order = [objective for objective in objectives for _ in range(objective.repeat)]
    checkpoint = folder / "checkpoint.safetensors"
    fresh = {"step": 0, "history": [], "seconds": 0.0, "plan": asdict(plan)}
    state = load_checkpoint(checkpoint, network, optimizers) or fresh
    if state["plan"] != fresh["plan"]:
        changed = [key for key, value in fresh["plan"].items() if state["plan"].get(key) != value]
        kept, asked = (_named(each["plan"], changed) for each in (state, fresh))
        raise MedADError("checkpoint_of_other_plan", path=checkpoint, kept=kept, asked=asked)
    if group.broadcast(state["step"]) != state["step"]:
        raise MedADError("checkpoint_not_shared", path=checkpoint)
    group.synchronise(list(network.state_dict().values()))
    schedules = [plan.schedule(optimizer, state["step"]) for optimizer in optimizers.values()]
    started, logs = time.perf_counter() - state["seconds"], state.pop("logs", {})
    for step in range(state["step"], plan.steps):
        seeds = [plan.seed, step] + [group.rank] * (group.rank > 0)
        torch.manual_seed(int(np.random.default_rng(seeds).integers(2**62)))
        for number, objective in enumerate(order, step * len(order)):
            batch, fraction = group.share(batches(number))
            batch = tuple(part.to(device, non_blocking=True) for part in batch)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=plan.reduced):
                loss, log = objective.loss(*batch)
            optimizer, name = optimizers[objective.name], objective.name or type(network).__name__
            optimizer.zero_grad(set_to_none=True)
            loss.backward(inputs=objective.parameters)
            value = group.average(objective.parameters, loss, fraction)
            if not math.isfinite(value):
                raise MedADError("loss_not_finite", network=name, value=value, step=step)
            norm = float(torch.nn.utils.clip_grad_norm_(objective.parameters, plan.clip))
            if not math.isfinite(norm):
                raise MedADError("gradient_not_finite", network=name, value=norm, step=step)
            optimizer.step()
            for key, logged in log.items():
                logs.setdefault(f"{objective.name}_{key}" if objective.name else key, []).append(float(logged))
        for schedule in schedules:
            schedule.step()
        group.synchronise(list(network.buffers()))
        seconds = time.perf_counter() - started
        left = _duration(seconds / (step + 1) * (plan.steps - step - 1))
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps:
            values = _validated(network, validate) if group.rank == 0 else {}
            row = {"step": step + 1, "rate": plan.rate * plan.factor_at(step)}
            row |= {f"train_{key}": float(np.mean(logged)) for key, logged in logs.items()}
            row |= {f"validation_{key}": value for key, value in values.items()}
            # All processes use the history of process 0, so that choices made from it are the same everywhere.
            state["history"].append(group.broadcast(row | {"seconds": round(seconds, 1)}))
            state |= {"step": step + 1, "seconds": seconds}
            logs = {}
            if group.rank == 0:
                save_checkpoint(checkpoint, network, optimizers, state)
                write_table(folder / "log.csv", state["history"], ",")
        try:
            progress.update((step + 1) / plan.steps, f"step {step + 1} of {plan.steps}, loss {value:.4f}, {left} left")
        except Cancelled as asked:
            if group.rank == 0:
                state |= {"step": step + 1, "seconds": seconds, "logs": logs}
                save_checkpoint(checkpoint, network, optimizers, state)
            raise Cancelled("cancelled_at_step", step=step + 1, steps=plan.steps) from asked
    network.eval()
    return state["history"]


def fit_slices(
    network: torch.nn.Module,
    slices: tuple[Slices, Slices],
    plan: Plan,
    measure: Callable[[torch.nn.Module, Iterable[Batch]], Values],
    folder: Path,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    size: int = 32,
    held: int = 256,
    sample: Callable[[int], Batch] | None = None,
) -> list[Values]:
    """Train a network on slices of the training subjects, and validate it on unchanged slices of others; see `fit`.

    `slices` are those of the training and of the validation subjects. `measure` computes the validation values from the
    network and batches of `size` held-out images, masks and positions on the device, see `Slices.batch`; at most `held`
    slices are held out, evenly spread over all. `sample` returns a training batch by its number; None takes `size`
    gently augmented slices. The other arguments and the result are those of `fit`.
    """
    train, validation = slices
    chosen = validation.spread(held)

    def batches() -> Iterator[Batch]:
        for start in range(0, len(chosen), size):
            yield tuple(part.to(device) for part in validation.select(chosen[start : start + size]))

    sample = sample or (lambda number: train.batch(number, size, plan.seed, GENTLE))
    return fit(network, sample, lambda model: measure(model, batches()), plan, folder, device, progress)


def _validated(network: torch.nn.Module, validate: Callable[[torch.nn.Module], Values]) -> Values:
    """Validate the network in evaluation mode."""
    network.eval()
    with torch.inference_mode():
        values = validate(network)
    network.train()
    return values


def _named(plan: dict[str, object], names: Iterable[str]) -> str:
    """Format values of a plan, such as ``steps = 400, seed = 3``."""
    return ", ".join(f"{name} = {plan.get(name, 'unknown')}" for name in names) or "other settings"


def _duration(seconds: float) -> str:
    """Format seconds, such as ``50 s``, ``12 min`` or ``3 h 20 min``."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
