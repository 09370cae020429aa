"""Alternating optimisation: which parameters each optimizer step updates, on which loss, and how often."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

NAME = r"[a-z][a-z0-9_]*"


@dataclass(frozen=True, eq=False)
class Turn:
    """One group of parameters with its own loss and optimizer.

    A network with several losses, such as generator and critic, has ``turns() -> Sequence[Turn]``. Each training step
    runs the turns in that order, and each turn runs `repeat` optimizer steps. Every optimizer step has its own batch:
    the n-th of the whole training, counted from 0 over all turns, uses ``batches(n)``.

    Attributes:
        name: Small letters, digits and underscores; its logged values are called ``NAME_KEY``. Empty for the only
            turn of a network with one loss.
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
            raise ValueError(f"{self.name!r} cannot be a turn's name: use small letters, digits and underscores")
        if not self.parameters or self.repeat < 1 or (self.rate is not None and self.rate <= 0):
            raise ValueError(f"the turn {self.name!r} needs parameters that learn, a positive rate and repeat")

    def optimizer(self, rate: float, decay: float) -> torch.optim.AdamW:
        """Create the optimizer."""
        return torch.optim.AdamW(self.parameters, lr=rate, weight_decay=decay, betas=self.betas or (0.9, 0.999))


def turns_of(network: torch.nn.Module) -> Sequence[Turn]:
    """Return the turns of a network: its `turns()`, or one for all its parameters with its `loss`.

    Raises:
        ValueError: If two turns have the same name, or one of several has no name.
    """
    if not hasattr(network, "turns"):
        return (Turn("", network.parameters(), network.loss),)
    turns = tuple(network.turns())
    names = [turn.name for turn in turns]
    if not names or len(set(names)) < len(names) or (len(names) > 1 and "" in names):
        raise ValueError(f"a game needs turns of different names, not {names}")
    return turns
