"""One process of several that train together: ``training_process.py FOLDER NAME…``, with the variables of torchrun."""

from __future__ import annotations

import sys
import weakref
from pathlib import Path

import torch
import torch.distributed as dist

from MedADLib.networks.alternating_optimisation import Objective
from MedADLib.training.distributed import process_group
from MedADLib.training.loop import Plan, fit

PLAN = Plan(8, 1e-2, every=4, seed=2)


class Pair(torch.nn.Module):
    """Two objectives without randomness, so that a share computes what the whole does; and a counting buffer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.first, self.second = torch.nn.Linear(3, 5), torch.nn.Linear(5, 1)
        self.register_buffer("largest", torch.zeros(()))

    def objectives(self):
        yield Objective("first", self.first.parameters(), self.loss, repeat=2)
        yield Objective("second", self.second.parameters(), self.loss, rate=3e-3)

    def loss(self, values, wanted, number):
        self.largest.fill_(float(values.max()))
        loss = (self.second(torch.tanh(self.first(values))) - wanted).square().mean()
        return loss, {"squared": loss.detach()}


def batches(number: int):
    values = torch.randn(7, 3, generator=torch.Generator().manual_seed(number))
    return values, values.sum(1, keepdim=True), torch.tensor(number)


def train(folder: Path, names: list[str]) -> None:
    """Train one network after the other, each in its own folder, and keep the weights that this process ends with."""
    joined = None
    with process_group("cpu") as (group, device):
        if group.count > 1:
            joined = weakref.ref(dist.group.WORLD)
        for name in names:
            network, seen = Pair(), []

            def validate(model, seen=seen):
                seen.append(1)
                return {"error": float(model.second.bias.detach())}

            if group.rank:
                # What a process starts with must not matter: rank 0 leads.
                with torch.no_grad():
                    network.first.weight.add_(1.0)
            history = fit(network, batches, validate, PLAN, folder / name, device)
            assert len(history) == 2 and history[-1]["validation_error"] == float(network.second.bias.detach())
            assert bool(seen) == (group.rank == 0)
            torch.save(dict(network.state_dict()), folder / f"{name}-{group.rank}.pt")
    # A group that outlives its block ends the process with SIGABRT now and then.
    assert joined is None or joined() is None


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2:])
