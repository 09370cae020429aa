"""The device of the networks, its fallback, and the batch size that fits it.

How much goes through the networks at once: little on a CPU, what fits into the memory on a GPU.

Where the networks run, and what to do when a GPU is missing or full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from ..errors import InputError
from ..messages import Message

SLICES_ON_CPU = 4
PLACES_ON_CPU = 1 << 15
MOST_SLICES, MOST_PLACES = 1024, 1 << 22
# Of the free memory, for slices and for the codes of restorations; the rest is for what torch and others need besides.
SLICES_PART, PLACES_PART = 0.4, 0.3
# A slice of 160×160 with the features of one level and their copies; a place's keys and values in the prior, thrice.
BYTES_A_SLICE, BYTES_A_PLACE = 64e6, 24e3

_share: ContextVar[float] = ContextVar("share", default=1.0)

Result = TypeVar("Result")
# Of what should have fitted, one after the other.
SHARES = (1.0, 1 / 4, 1 / 16)


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


def run_on(wanted: str, work: Callable[[str], Result]) -> tuple[Result, str, list[str]]:
    """Run on the wanted device; if a GPU has too little memory, in smaller batches, and at last on the CPU.

    Args:
        wanted: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        work: Called with the device.

    Returns:
        The result, the device that gave it, and notes for the reader.

    Raises:
        InputError: If the device is unknown or not there.
    """
    import torch

    device = resolve(wanted)
    if device == "cpu":
        return work(device), device, []
    for share in SHARES:
        try:
            with with_share(share):
                notes = [] if share == 1 else [Message("smaller_batches", device=device, divisor=round(1 / share))]
                return work(device), device, notes
        except torch.OutOfMemoryError:
            pass
        # Not before the error is gone, for its traceback holds on to the tensors.
        torch.cuda.empty_cache()
    return work("cpu"), "cpu", [Message("computed_on_cpu", device=device)]


def resolve(wanted: str) -> str:
    """The device that a wish means.

    Raises:
        InputError: If the device is unknown or not there.
    """
    import torch

    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    kind, _, number = wanted.partition(":")
    if kind == "cpu" and not number:
        return "cpu"
    if kind != "cuda" or (number and not number.isdigit()):
        raise InputError("unknown_device", device=wanted)
    if int(number or 0) >= torch.cuda.device_count():
        raise InputError("no_gpu", device=wanted)
    return f"cuda:{int(number or 0)}"


def wait_for(device: str) -> None:
    """Return when a GPU has done all that it was given, for whoever reads a clock; a CPU is never behind."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)
