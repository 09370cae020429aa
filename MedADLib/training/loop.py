"""The one training loop: any network with a `loss` or with `turns`, any source of batches, one process or many."""

from __future__ import annotations

import csv
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
from .checkpoint import load_checkpoint, save_checkpoint
from .distributed import Ranks

__all__ = ["Batch", "Plan", "Turn", "fit"]

Batch = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn.

    Attributes:
        steps: Training steps in all; in each, every turn of the network comes once.
        rate: Largest learning rate (AdamW); warmed up over the first 2 % and annealed by a cosine to 1 %.
        decay: Weight decay.
        clip: Largest gradient norm.
        every: Steps between validations and checkpoints.
        seed: Of weights, batches and augmentation.
        reduced: bfloat16 autocast. Weights, gradients and moments stay in float32, and bfloat16 reaches as far as
            float32 does, so that no loss scaling is needed.
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
        """Learning rate of a step; of a turn with a largest rate of its own, if given."""
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
    """Train, or go on where a former run of the same folder stopped.

    Where `distributed.joined` brought several processes together, each computes its share of every batch, gradients are
    averaged before they are clipped, and rank 0 validates and writes. Buffers, such as a codebook, are those that
    rank 0 finds in its share; a loss that is no mean over samples is averaged over shares.

    Args:
        network: Has a `loss(*batch)`, or `turns()`, see `Turn`; is left with the trained weights.
        batches: Gives a batch by its number; the same number must give the same batch, and no global random numbers
            are to be drawn. The number is the step's, times the optimizer steps in a step where there are several.
        validate: Values on the validation scans; ``error`` among them.
        plan: Steps and rates.
        folder: Receives ``checkpoint.safetensors`` and ``log.csv``.
        device: Where to compute.
        progress: Told after each step; may cancel, which leaves a checkpoint of that step.

    Returns:
        One row a validation: step, learning rate, logged training means, validation values, seconds.

    Raises:
        MedADError: If loss or gradient is no longer a number, and the last good checkpoint stays; or if the
            checkpoint in `folder` is of another plan or network.
        Cancelled: If the user asked to stop.
    """
    progress, ranks = progress or Progress(), Ranks.current()
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
    if ranks.told(state["step"]) != state["step"]:
        raise MedADError("checkpoint_not_shared", path=checkpoint)
    ranks.follow(list(network.state_dict().values()))
    started, logs = time.perf_counter() - state["seconds"], state.pop("logs", {})
    for step in range(state["step"], plan.steps):
        seeds = [plan.seed, step] + [ranks.rank] * (ranks.rank > 0)
        torch.manual_seed(int(np.random.default_rng(seeds).integers(2**62)))
        for number, turn in enumerate(order, step * len(order)):
            batch, fraction = ranks.share(batches(number))
            batch = tuple(part.to(device, non_blocking=True) for part in batch)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=plan.reduced):
                loss, log = turn.loss(*batch)
            optimizer, name = optimizers[turn.name], turn.name or type(network).__name__
            optimizer.zero_grad(set_to_none=True)
            loss.backward(inputs=turn.parameters)
            value = ranks.average(turn.parameters, loss, fraction)
            if not math.isfinite(value):
                raise MedADError("loss_not_finite", network=name, value=value, step=step)
            norm = float(torch.nn.utils.clip_grad_norm_(turn.parameters, plan.clip))
            if not math.isfinite(norm):
                raise MedADError("gradient_not_finite", network=name, value=norm, step=step)
            for group in optimizer.param_groups:
                group["lr"] = plan.rate_at(step, turn.rate)
            optimizer.step()
            for key, logged in log.items():
                logs.setdefault(f"{turn.name}_{key}" if turn.name else key, []).append(float(logged))
        ranks.follow(list(network.buffers()))
        seconds = time.perf_counter() - started
        left = _duration(seconds / (step + 1) * (plan.steps - step - 1))
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps:
            values = _validated(network, validate) if ranks.rank == 0 else {}
            row = {"step": step + 1, "rate": plan.rate_at(step)}
            row |= {f"train_{key}": float(np.mean(logged)) for key, logged in logs.items()}
            row |= {f"validation_{key}": value for key, value in values.items()}
            # Rank 0 speaks for all: a choice made from the history must be the same everywhere.
            state["history"].append(ranks.told(row | {"seconds": round(seconds, 1)}))
            state |= {"step": step + 1, "seconds": seconds}
            logs = {}
            if ranks.rank == 0:
                save_checkpoint(checkpoint, network, optimizers, state)
                _write_log(Path(folder) / "log.csv", state["history"])
        try:
            progress.update((step + 1) / plan.steps, f"step {step + 1} of {plan.steps}, loss {value:.4f}, {left} left")
        except Cancelled:
            if ranks.rank == 0:
                state |= {"step": step + 1, "seconds": seconds, "logs": logs}
                save_checkpoint(checkpoint, network, optimizers, state)
            raise
    network.eval()
    return state["history"]


def _validated(network: torch.nn.Module, validate: Callable[[torch.nn.Module], dict[str, float]]) -> dict[str, float]:
    """Values of the network as it is used, not as it is trained."""
    network.eval()
    with torch.inference_mode():
        values = validate(network)
    network.train()
    return values


def _duration(seconds: float) -> str:
    """Such as ``50 s``, ``12 min`` or ``3 h 20 min``."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _write_log(path: Path, history: list[dict[str, float]]) -> None:
    with open(path, "w", newline="") as handle:
        # A value that is logged now and then has its column all the same.
        writer = csv.DictWriter(handle, list(dict.fromkeys(key for row in history for key in row)))
        writer.writeheader()
        writer.writerows(history)
