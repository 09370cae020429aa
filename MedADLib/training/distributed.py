"""Several processes that train one network, each on its share of every batch, as ``torchrun`` starts them."""

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
PATIENCE = timedelta(days=2)


@dataclass(frozen=True)
class Ranks:
    """This process among all.

    Attributes:
        rank: Its number; 0 validates, writes and speaks.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> Ranks:
        """Those that `joined` brought together; alone where it did not."""
        joined = dist.is_available() and dist.is_initialized()
        return cls(dist.get_rank(), dist.get_world_size()) if joined else cls()

    def share(self, batch: Sequence[torch.Tensor]) -> tuple[tuple[torch.Tensor, ...], float]:
        """This process's samples of a batch, and which fraction of all they are.

        Args:
            batch: Tensors whose first axis counts the samples; those without axes go to everybody.

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
        """Gradients in place, and the loss, as of the whole batch: the mean over all shares by their sizes."""
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
    def follow(self, tensors: Sequence[torch.Tensor]) -> None:
        """Take over the values of rank 0, in place."""
        if self.count > 1:
            for tensor in tensors:
                # A parameter may be laid out in memory in another order, which a broadcast does not take.
                plain = tensor.detach().contiguous()
                dist.broadcast(plain, 0)
                tensor.copy_(plain)

    def told(self, value: object) -> object:
        """What rank 0 gives, JSON-able; what the others give is not looked at."""
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
        """Rank 0 goes through the block before the others do."""
        if self.rank:
            dist.barrier()
        yield
        if self.count > 1 and not self.rank:
            dist.barrier()


@contextmanager
def joined(device: str) -> Iterator[tuple[Ranks, str]]:
    """The processes that ``torchrun`` started, together until the block ends.

    Args:
        device: Where to compute; of GPUs, each process takes its own.

    Yields:
        This process among all, and its device.

    Raises:
        InputError: If there are fewer GPUs than processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "RANK" not in os.environ:
        yield Ranks(), device
        return
    if device.startswith("cuda"):
        number = int(os.environ.get("LOCAL_RANK", "0"))
        if number >= torch.cuda.device_count():
            raise InputError("too_few_gpus", gpus=torch.cuda.device_count())
        device = f"cuda:{number}"
        torch.cuda.set_device(number)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device != "cpu" else "gloo", timeout=PATIENCE)
    try:
        yield Ranks.current(), device
    finally:
        dist.destroy_process_group()
