"""Alternating optimisation: which parameters each optimizer step updates, on which loss, and how often."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

NAME = r"[a-z][a-z0-9_]*"


@dataclass(frozen=True, eq=False)
class Objective:
    """One group of parameters with its own loss and optimizer.

    A network with several losses, such as generator and critic, has ``objectives() -> Sequence[Objective]``. Each
    training step optimises them in that order, each with `repeat` optimizer steps. Every optimizer step has its own
    batch: the n-th of the whole training, counted from 0 over all objectives, uses ``batches(n)``.

    Attributes:
        name: Small letters, digits and underscores; its logged values are called ``NAME_KEY``. Empty for the only
            objective of a network with one loss.
        parameters: Parameters to update; those without requires_grad are left out. Other parameters get no gradient
            from `loss`, so the loss need not detach them.
        loss: Called with the parts of the batch; returns the loss and the values to log.
        rate: Largest learning rate, with the schedule of the plan; None uses that of the plan.
        repeat: Optimizer steps in each training step.
        betas: Betas of AdamW; None uses its defaults, (0.9, 0.999).

    Raises:
        ValueError: If the name is malformed, no parameter is trainable, or rate or repeat is not positive.
    """

    name: str
    parameters: Iterable[torch.nn.Parameter]
    loss: Callable[..., tuple[torch.Tensor, dict]]
    rate: float | None = None
    repeat: int = 1
    betas: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(p for p in self.parameters if p.requires_grad))
        if self.name and not re.fullmatch(NAME, self.name):
            raise ValueError(f"{self.name!r} cannot name an objective: use small letters, digits and underscores")
        if not self.parameters or self.repeat < 1 or (self.rate is not None and self.rate <= 0):
            raise ValueError(f"the objective {self.name!r} needs trainable parameters, a positive rate and repeat")

    def optimizer(self, rate: float, decay: float) -> torch.optim.AdamW:
        """Create the optimizer, with the largest learning rate of the plan unless the objective has its own."""
        betas = self.betas or (0.9, 0.999)
        return torch.optim.AdamW(self.parameters, lr=self.rate or rate, weight_decay=decay, betas=betas)


def objectives_of(network: torch.nn.Module) -> Sequence[Objective]:
    """Return the objectives of a network: its `objectives()`, or one for all its parameters with its `loss`.

    Raises:
        ValueError: If two objectives have the same name, or one of several has no name.
    """
    if not hasattr(network, "objectives"):
        return (Objective("", network.parameters(), network.loss),)
    objectives = tuple(network.objectives())
    names = [objective.name for objective in objectives]
    if not names or len(set(names)) < len(names) or (len(names) > 1 and "" in names):
        raise ValueError(f"alternating optimisation needs objectives with different names, not {names}")
    return objectives
