"""Where the networks run, and what to do when a GPU is missing or full."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .errors import InputError
from .room import with_share

Result = TypeVar("Result")
# Of what should have fitted, one after the other.
SHARES = (1.0, 1 / 4, 1 / 16)


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
                notes = [] if share == 1 else [f"{device} had little memory; computed in batches of 1/{1 / share:.0f}"]
                return work(device), device, notes
        except torch.OutOfMemoryError:
            pass
        # Not before the error is gone, for its traceback holds on to the tensors.
        torch.cuda.empty_cache()
    return work("cpu"), "cpu", [f"{device} had too little memory; computed on the CPU"]


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
        raise InputError(f"the device {wanted!r} is unknown", "Use auto, cpu, cuda or cuda:N.")
    if int(number or 0) >= torch.cuda.device_count():
        raise InputError(f"there is no GPU {wanted}", "Use --device cpu, or auto to take what is there.")
    return f"cuda:{int(number or 0)}"


def wait_for(device: str) -> None:
    """Return when a GPU has done all that it was given, for whoever reads a clock; a CPU is never behind."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)
