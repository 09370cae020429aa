"""How much goes through the networks at once: little on a CPU, what fits into the memory on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SLICES_ON_CPU = 4
PLACES_ON_CPU = 1 << 15
MOST_SLICES, MOST_PLACES = 1024, 1 << 22
# Of the free memory, for slices and for the codes of restorations; the rest is for what torch and others need besides.
SLICES_PART, PLACES_PART = 0.4, 0.3
# A slice of 160×160 with the features of one level and their copies; a place's keys and values in the prior, thrice.
BYTES_A_SLICE, BYTES_A_PLACE = 64e6, 24e3

_share: ContextVar[float] = ContextVar("share", default=1.0)


@contextmanager
def with_share(share: float) -> Iterator[None]:
    """Within this, only a part of what would fit goes through at once."""
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)


def slices_at_once(device: str) -> int:
    """Slices in a batch. On a CPU a fixed number, because matrix products of other sizes round differently.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """
    return SLICES_ON_CPU if device == "cpu" else _fitting(device, SLICES_PART, BYTES_A_SLICE, MOST_SLICES)


def places_at_once(device: str) -> int:
    """Codes of all restorations that are drawn together; their keys and values are kept until all are drawn.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """
    return PLACES_ON_CPU if device == "cpu" else _fitting(device, PLACES_PART, BYTES_A_PLACE, MOST_PLACES)


def _fitting(device: str, part: float, bytes_each: float, most: int) -> int:
    """How many fit into a part of a GPU's free memory; at least one."""
    return int(min(max(_share.get() * part * _free(device) / bytes_each, 1), most))


def _free(device: str) -> float:
    """Bytes that are free on a GPU, with those that torch holds and does not use."""
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
