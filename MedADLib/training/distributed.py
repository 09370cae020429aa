"""Distributed training: several processes of ``torchrun`` train one network, each on its share of every batch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from ..errors import InputError, MedADError

# One process prepares and validates while the others wait, which may take hours.
TIMEOUT = timedelta(days=2)


@dataclass(frozen=True)
class ProcessGroup:
    """This process and the number of all processes.

    Attributes:
        rank: Number of this process; process 0 validates, and writes files and messages.
        count: Number of processes.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> ProcessGroup:
        """Return the group that `process_group` started, or a group of this process alone."""
        started = dist.is_available() and dist.is_initialized()
        return cls(dist.get_rank(), dist.get_world_size()) if started else cls()

    def share(self, batch: Sequence[torch.Tensor]) -> tuple[tuple[torch.Tensor, ...], float]:
        """Select the samples of this process from a batch.

        Args:
            batch: Tensors with samples along the first axis; tensors without axes go to every process.

        Returns:
            The samples of this process, and their fraction of all.

        Raises:
            MedADError: If there are fewer samples than processes.
        """
        if self.count == 1:
            return tuple(batch), 1.0
        samples = next(len(part) for part in batch if part.ndim)
        if samples < self.count:
            raise MedADError("batch_below_processes", samples=samples, processes=self.count)
        start, stop = (samples * n // self.count for n in (self.rank, self.rank + 1))
        return tuple(part[start:stop] if part.ndim else part for part in batch), (stop - start) / samples

    @torch.no_grad()
    def average(self, parameters: Sequence[torch.nn.Parameter], loss: torch.Tensor, fraction: float) -> float:
        """Average gradients, in place, and the loss over all processes, weighted by their fractions of the batch."""
        value = loss.detach().float().reshape(1)
        if self.count > 1:
            given = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
            flat = torch.cat([part.float().reshape(-1) for part in (*given, value)]) * fraction
            dist.all_reduce(flat)
            *means, value = flat.split([*(p.numel() for p in parameters), 1])
            for parameter, mean in zip(parameters, means):
                parameter.grad = mean.view_as(parameter).to(parameter.dtype)
        return float(value)

    @torch.no_grad()
    def synchronise(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors by those of process 0, in place."""
        if self.count > 1:
            for tensor in tensors:
                # A broadcast needs contiguous tensors, and parameters may have another memory format.
                plain = tensor.detach().contiguous()
                dist.broadcast(plain, 0)
                tensor.copy_(plain)

    def broadcast(self, value: object) -> object:
        """Return the value of process 0, which JSON can represent; values of other processes are ignored."""
        if self.count == 1:
            return value
        text = json.dumps(value if self.rank == 0 else None).encode()
        length = torch.tensor(len(text))
        dist.broadcast(length, 0)
        letters = torch.zeros(int(length), dtype=torch.uint8)
        if self.rank == 0:
            letters.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        dist.broadcast(letters, 0)
        return json.loads(bytes(letters.tolist()))

    @contextmanager
    def first(self) -> Iterator[None]:
        """Run a block in process 0 before the other processes run it."""
        if self.rank:
            dist.barrier()
        yield
        if self.count > 1 and not self.rank:
            dist.barrier()


@contextmanager
def process_group(device: str) -> Iterator[tuple[ProcessGroup, str]]:
    """Join the processes that ``torchrun`` started until the block ends.

    Yields:
        The group, and the device of this process, which has its own GPU.

    Raises:
        InputError: If there are fewer GPUs than processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "RANK" not in os.environ:
        yield ProcessGroup(), device
        return
    if device.startswith("cuda"):
        number = int(os.environ.get("LOCAL_RANK", "0"))
        if number >= torch.cuda.device_count():
            raise InputError("too_few_gpus", gpus=torch.cuda.device_count())
        device = f"cuda:{number}"
        torch.cuda.set_device(number)
    # The optimizer imports this module, and its functions keep the group of the time of import as a default argument. A
    # group that lives on at exit ends the process with SIGABRT: its threads need Python to drop their last tensor.
    from torch.distributed import nn as nn

    dist.init_process_group("cpu:gloo,cuda:nccl" if device != "cpu" else "gloo", timeout=TIMEOUT)
    try:
        yield ProcessGroup.current(), device
    finally:
        dist.destroy_process_group()
