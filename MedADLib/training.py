"""The one training loop: any network with a `loss`, any source of batches."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from .checkpoint import load_checkpoint, save_checkpoint
from .errors import MedADError
from .progress import Progress

Batch = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn.

    Attributes:
        steps: Optimizer steps in all.
        rate: Largest learning rate (AdamW); warmed up over the first 2 % and annealed by a cosine to 1 %.
        decay: Weight decay.
        clip: Largest gradient norm.
        every: Steps between validations and checkpoints.
        seed: Of weights, batches and augmentation.
        reduced: bfloat16 autocast.
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
            raise MedADError("a training plan needs positive steps, rate and clip")

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        warm = max(self.steps // 50, 1)
        part = min(max(step - warm, 0) / max(self.steps - warm, 1), 1.0)
        return self.rate * min((step + 1) / warm, 1.0) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))


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

    Args:
        network: Has a `loss(*batch)`; is left with the trained weights.
        batches: Gives the batch of a step; the same step must give the same batch.
        validate: Values on the validation scans; ``error`` among them.
        plan: Steps and rates.
        folder: Receives ``checkpoint.safetensors`` and ``log.csv``.
        device: Where to compute.
        progress: Told after each step; may cancel, which leaves the last checkpoint.

    Returns:
        One row a validation: step, learning rate, logged training means, validation values, seconds.

    Raises:
        MedADError: If loss or gradient is no longer a number, and the last good checkpoint stays; or if the
            checkpoint in `folder` is of another plan or network.
        Cancelled: If the user asked to stop.
    """
    progress = progress or Progress()
    torch.manual_seed(plan.seed)
    network.to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    checkpoint = Path(folder) / "checkpoint.safetensors"
    remedy = f"Lower the learning rate; {checkpoint} holds the last good state."
    fresh = {"step": 0, "history": [], "seconds": 0.0, "plan": asdict(plan)}
    state = load_checkpoint(checkpoint, network, optimizer) or fresh
    if state["plan"] != fresh["plan"]:
        raise MedADError(f"{checkpoint} was made with another plan", "Give another --work folder, or remove it.")
    started, logs = time.perf_counter() - state["seconds"], []
    for step in range(state["step"], plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate_at(step)
        torch.manual_seed(int(np.random.default_rng([plan.seed, step]).integers(2**62)))
        batch = tuple(part.to(device, non_blocking=True) for part in batches(step))
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=plan.reduced):
            loss, log = network.loss(*batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise MedADError(f"the loss became {value} at step {step}", remedy)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(network.parameters(), plan.clip))
        if not math.isfinite(norm):
            raise MedADError(f"the gradient became {norm} at step {step}", remedy)
        optimizer.step()
        logs.append({key: float(value) for key, value in log.items()})
        seconds = time.perf_counter() - started
        left = seconds / (step + 1) * (plan.steps - step - 1)
        progress.update(
            (step + 1) / plan.steps, f"step {step + 1} of {plan.steps}, loss {value:.4f}, {left / 60:.0f} min left"
        )
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps:
            network.eval()
            with torch.inference_mode():
                values = validate(network)
            network.train()
            row = {"step": step + 1, "rate": plan.rate_at(step)}
            row |= {f"train_{key}": float(np.mean([entry[key] for entry in logs])) for key in logs[0]}
            row |= {f"validation_{key}": value for key, value in values.items()}
            state["history"].append(row | {"seconds": round(seconds, 1)})
            state |= {"step": step + 1, "seconds": seconds}
            logs = []
            save_checkpoint(checkpoint, network, optimizer, state)
            _write_log(Path(folder) / "log.csv", state["history"])
    network.eval()
    return state["history"]


def _write_log(path: Path, history: list[dict[str, float]]) -> None:
    with open(path, "w", newline="") as handle:
        writer = csv.DictWriter(handle, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
