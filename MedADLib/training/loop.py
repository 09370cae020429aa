"""The training loop of all methods, for one process or several."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import Cancelled, MedADError
from ..networks.alternating_optimisation import Turn, turns_of
from ..runtime.progress import Progress
from ..runtime.tables import write_table
from .checkpoint import load_checkpoint, save_checkpoint
from .distributed import ProcessGroup

__all__ = ["Batch", "Plan", "Turn", "fit"]

Batch = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Plan:
    """Steps, learning rate and seed of a training.

    Attributes:
        steps: Number of training steps; each step runs every turn of the network.
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

    def rate_at(self, step: int, rate: float | None = None) -> float:
        """Compute the learning rate of a step, for the largest rate of a turn if given."""
        warm = max(self.steps // 50, 1)
        part = min(max(step - warm, 0) / max(self.steps - warm, 1), 1.0)
        factor = min((step + 1) / warm, 1.0) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))
        return (self.rate if rate is None else rate) * factor


def fit(
    network: torch.nn.Module,
    batches: Callable[[int], Batch],
    validate: Callable[[torch.nn.Module], dict[str, float]],
    plan: Plan,
    folder: Path,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> list[dict[str, float]]:
    """Train a network, or continue from the checkpoint in the folder.

    In a `distributed.process_group`, each process computes its share of every batch, gradients are averaged and then
    clipped, and process 0 validates and writes. Buffers, such as a codebook, are those of process 0; a loss that is not
    a mean over samples is averaged over the shares.

    Args:
        network: Module with `loss(*batch)` or `turns()`, see `Turn`; it receives the trained weights.
        batches: Returns a batch by its number. The same number must give the same batch, without global random
            numbers. Batches are numbered over all optimizer steps of the training.
        validate: Returns values on the validation scans, with ``error`` among them.
        plan: Steps and learning rate.
        folder: Folder for ``checkpoint.safetensors`` and ``log.csv``.
        device: Device of the training.
        progress: Receives each step; may cancel, which leaves a checkpoint of that step.

    Returns:
        One row per validation: step, learning rate, means of logged training values, validation values, seconds.

    Raises:
        MedADError: If loss or gradient is not finite, which leaves the last checkpoint; or if the checkpoint in
            `folder` belongs to another plan or network.
        Cancelled: If the user cancels.
    """
    progress, group = progress or Progress(), ProcessGroup.current()
    torch.manual_seed(plan.seed)
    network.to(device).train()
    turns = turns_of(network)
    optimizers = {turn.name: turn.optimizer(plan.rate, plan.decay) for turn in turns}
    order = [turn for turn in turns for _ in range(turn.repeat)]
    checkpoint = Path(folder) / "checkpoint.safetensors"
    fresh = {"step": 0, "history": [], "seconds": 0.0, "plan": asdict(plan)}
    state = load_checkpoint(checkpoint, network, optimizers) or fresh
    if state["plan"] != fresh["plan"]:
        raise MedADError("checkpoint_of_other_plan", path=checkpoint)
    if group.broadcast(state["step"]) != state["step"]:
        raise MedADError("checkpoint_not_shared", path=checkpoint)
    group.synchronise(list(network.state_dict().values()))
    started, logs = time.perf_counter() - state["seconds"], state.pop("logs", {})
    for step in range(state["step"], plan.steps):
        seeds = [plan.seed, step] + [group.rank] * (group.rank > 0)
        torch.manual_seed(int(np.random.default_rng(seeds).integers(2**62)))
        for number, turn in enumerate(order, step * len(order)):
            batch, fraction = group.share(batches(number))
            batch = tuple(part.to(device, non_blocking=True) for part in batch)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=plan.reduced):
                loss, log = turn.loss(*batch)
            optimizer, name = optimizers[turn.name], turn.name or type(network).__name__
            optimizer.zero_grad(set_to_none=True)
            loss.backward(inputs=turn.parameters)
            value = group.average(turn.parameters, loss, fraction)
            if not math.isfinite(value):
                raise MedADError("loss_not_finite", network=name, value=value, step=step)
            norm = float(torch.nn.utils.clip_grad_norm_(turn.parameters, plan.clip))
            if not math.isfinite(norm):
                raise MedADError("gradient_not_finite", network=name, value=norm, step=step)
            for part in optimizer.param_groups:
                part["lr"] = plan.rate_at(step, turn.rate)
            optimizer.step()
            for key, logged in log.items():
                logs.setdefault(f"{turn.name}_{key}" if turn.name else key, []).append(float(logged))
        group.synchronise(list(network.buffers()))
        seconds = time.perf_counter() - started
        left = _duration(seconds / (step + 1) * (plan.steps - step - 1))
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps:
            values = _validated(network, validate) if group.rank == 0 else {}
            row = {"step": step + 1, "rate": plan.rate_at(step)}
            row |= {f"train_{key}": float(np.mean(logged)) for key, logged in logs.items()}
            row |= {f"validation_{key}": value for key, value in values.items()}
            # All processes use the history of process 0, so that choices made from it are the same everywhere.
            state["history"].append(group.broadcast(row | {"seconds": round(seconds, 1)}))
            state |= {"step": step + 1, "seconds": seconds}
            logs = {}
            if group.rank == 0:
                save_checkpoint(checkpoint, network, optimizers, state)
                write_table(Path(folder) / "log.csv", state["history"], ",")
        try:
            progress.update((step + 1) / plan.steps, f"step {step + 1} of {plan.steps}, loss {value:.4f}, {left} left")
        except Cancelled:
            if group.rank == 0:
                state |= {"step": step + 1, "seconds": seconds, "logs": logs}
                save_checkpoint(checkpoint, network, optimizers, state)
            raise
    network.eval()
    return state["history"]


def _validated(network: torch.nn.Module, validate: Callable[[torch.nn.Module], dict[str, float]]) -> dict[str, float]:
    """Validate the network in evaluation mode."""
    network.eval()
    with torch.inference_mode():
        values = validate(network)
    network.train()
    return values


def _duration(seconds: float) -> str:
    """Format seconds, such as ``50 s``, ``12 min`` or ``3 h 20 min``."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
