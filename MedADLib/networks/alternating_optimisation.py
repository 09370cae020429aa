"""Whose turn it is in a training step: what learns, from which loss, and how often."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

NAME = r"[a-z][a-z0-9_]*"


@dataclass(frozen=True, eq=False)
class Turn:
    """One player of a game: its parameters make their own optimizer steps on their own loss.

    A network with a game, such as generator against critic, has ``turns() -> Sequence[Turn]``. In each training step
    the turns come in that order, and each makes `repeat` optimizer steps. Every optimizer step draws a fresh batch:
    the n-th one of the whole training, counted from 0 over all turns, is made on ``batches(n)``.

    Attributes:
        name: Small letters, digits and underscores; its logged values are called ``NAME_KEY``. Empty for the only
            turn of a network with one loss.
        parameters: What learns; those that need no gradient are left out. Other parameters get no gradient from
            `loss`, so nothing has to be detached for their sake.
        loss: Called with the batch's parts; gives the loss and values to log.
        rate: Largest learning rate, scheduled as the plan's; None takes the plan's.
        repeat: Optimizer steps in each training step.
        betas: Of AdamW; None takes its own, (0.9, 0.999).

    Raises:
        ValueError: If any of this makes no sense.
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
        """Its optimizer, new."""
        return torch.optim.AdamW(self.parameters, lr=rate, weight_decay=decay, betas=self.betas or (0.9, 0.999))


def turns_of(network: torch.nn.Module) -> Sequence[Turn]:
    """The turns of a network: its `turns()`, or one for all of it with its `loss`.

    Raises:
        ValueError: If two turns have one name, or one of several has none.
    """
    if not hasattr(network, "turns"):
        return (Turn("", network.parameters(), network.loss),)
    turns = tuple(network.turns())
    names = [turn.name for turn in turns]
    if not names or len(set(names)) < len(names) or (len(names) > 1 and "" in names):
        raise ValueError(f"a game needs turns of different names, not {names}")
    return turns
