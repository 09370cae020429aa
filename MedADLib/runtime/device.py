"""Choose the device of the networks and the batch size that fits it, with a fallback from a full GPU to the CPU."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from ..errors import InputError
from ..messages import Message

if TYPE_CHECKING:
    import torch

SLICES_ON_CPU = 4
CODES_ON_CPU = 1 << 15
MOST_SLICES, MOST_CODES = 1024, 1 << 22
# Fractions of the free memory for slices and for the codes of restorations; torch and others need the rest.
SLICES_PART, CODES_PART = 0.4, 0.3
# A slice of 160×160 with the features of one level and their copies; keys and values of one code in the prior, times 3.
BYTES_A_SLICE, BYTES_A_CODE = 64e6, 24e3

_share: ContextVar[float] = ContextVar("share", default=1.0)

Result = TypeVar("Result")
# Fractions of the estimated batch size to try in turn.
SHARES = (1.0, 1 / 4, 1 / 16)


@contextmanager
def with_share(share: float) -> Iterator[None]:
    """Reduce the batch size on a GPU to this fraction within the block."""
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)


def slices_at_once(device: str) -> int:
    """Compute the batch size in slices; fixed on a CPU, because matrix products of other sizes round differently."""
    return SLICES_ON_CPU if device == "cpu" else _fitting(device, SLICES_PART, BYTES_A_SLICE, MOST_SLICES)


def codes_at_once(device: str) -> int:
    """Compute how many codes of all restorations are sampled together; their keys and values stay in memory."""
    return CODES_ON_CPU if device == "cpu" else _fitting(device, CODES_PART, BYTES_A_CODE, MOST_CODES)


def _fitting(device: str, part: float, bytes_each: float, most: int) -> int:
    """Compute how many fit into a fraction of the free memory of a GPU; at least one."""
    return int(min(max(_share.get() * part * _free(device) / bytes_each, 1), most))


def _free(device: str) -> float:
    """Return the free bytes of a GPU, including those that torch has reserved and does not use."""
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def run_on(wanted: str, work: Callable[[str], Result]) -> tuple[Result, str, list[Message]]:
    """Run on a device; if a GPU has too little memory, in smaller batches, and finally on the CPU.

    Args:
        wanted: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        work: Called with the device.

    Returns:
        The result, the device that computed it, and notes for the user.

    Raises:
        InputError: If the device is unknown or does not exist.
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
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        # After the except block: until then the traceback keeps the tensors in memory.
        torch.cuda.empty_cache()
    return work("cpu"), "cpu", [Message("computed_on_cpu", device=device)]


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error means that a GPU has too little memory.

    Its allocator has an error of its own; the driver, cuBLAS and cuDNN, which take memory beside it, only have texts.
    """
    import torch

    # `torch.OutOfMemoryError` came with torch 2.5.
    return isinstance(error, torch.cuda.OutOfMemoryError) or bool(
        re.search(r"CUDA error: out of memory|CUDA out of memory|STATUS_ALLOC_FAILED", str(error))
    )


@contextmanager
def full_precision(device: str) -> Iterator[None]:
    """Compute float32 convolutions and products of a GPU in float32 within the block.

    By default cuDNN rounds the factors of convolutions to 10 bits (TF32), which can change the code of a patch and so
    its restoration. bfloat16 where a method asks for it stays.
    """
    if device == "cpu":
        yield
        return
    import torch

    switches = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = False
        yield
    finally:
        for switch, value in zip(switches, before):
            switch.allow_tf32 = value


def resolve(wanted: str) -> str:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` to ``cpu`` or ``cuda:N``.

    Raises:
        InputError: If the device is unknown or does not exist.
    """
    import torch

    check_device(wanted)
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wanted == "cpu":
        return "cpu"
    number = int(wanted.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        raise InputError("no_gpu", device=wanted)
    return f"cuda:{number}"


def check_device(name: str) -> None:
    """Check the name of a device, which need not exist.

    Raises:
        InputError: If it is none of ``auto``, ``cpu``, ``cuda`` and ``cuda:N``.
    """
    if not isinstance(name, str) or not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise InputError("unknown_device", device=name)


def to_device(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """Copy a tensor to a device; to a GPU from pinned memory, without waiting for the copy."""
    return tensor if device == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def wait_for(device: str) -> None:
    """Wait until a GPU has finished all its work, before a time is measured; return at once on a CPU."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)
