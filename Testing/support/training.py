"""Trainings that are stopped, and networks to compare."""

from __future__ import annotations

import torch

from MedADLib.runtime.progress import Progress
from support.phantoms import one_thread  # noqa: F401


def stopping_after(steps: int) -> Progress:
    asked = []
    return Progress(cancelled=lambda: asked.append(1) or len(asked) >= steps)


def same_weights(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
