"""Choose the device of the networks and the batch size that fits it, with a fallback from a GPU to the CPU.

The CPU computes where a GPU has too little memory or fails, and where PyTorch cannot use the GPU of the computer. A
note for the user names the case.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
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
# Failures of a GPU by code, with the texts of CUDA and its libraries; the first that matches counts. PyTorch has one
# class for all of them, and to each text it adds a hint that names "device-side assertions".
FAILURES = {
    "gpu_no_kernel": r"no kernel image|ARCH_MISMATCH|invalid device function|unsupported toolchain|invalid PTX",
    "gpu_illegal_access": r"illegal (memory access|address|instruction)|misaligned address|device-side assert triggered"
    r"|invalid (program counter|address space)",
    "gpu_lost": r"device (is |was )?lost|GPU is lost|fallen off|no CUDA-capable device|busy or unavailable"
    r"|unspecified launch failure|uncorrectable ECC|launch timed out|stack error|driver shutting down"
    r"|context is destroyed",
    "gpu_failed": r"CUDA error|CUDNN_STATUS|CUBLAS_STATUS|CUSPARSE_STATUS|CUSOLVER_STATUS|CUFFT_",
}
# Devices that failed in this process, by name, with the code: CUDA does not recover from most failures.
_failed: dict[str, str] = {}
SECONDS_FOR_GPU_LIST = 5.0


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


def run_on(
    wanted: str, work: Callable[[str], Result], networks: Iterable[torch.nn.Module] = ()
) -> tuple[Result, str, list[Message]]:
    """Run on a device; if a GPU has too little memory, in smaller batches, and finally on the CPU.

    The CPU computes as well if the GPU fails, and at once for the rest of the process, and if PyTorch cannot use it.

    Args:
        wanted: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        work: Called with the device.
        networks: Those that `work` moves to the device. After a failure their weights cannot be read from the GPU.

    Returns:
        The result, the device that computed it, and notes for the user.

    Raises:
        InputError: If the device is unknown or does not exist.
    """
    import torch

    try:
        device = resolve(wanted)
    except InputError as error:
        if error.code not in ("torch_without_cuda", "gpu_driver_unusable"):
            raise
        return work("cpu"), "cpu", [Message(error.code)]
    if device == "cpu":
        unused = unusable_gpu() if wanted == "auto" else ""
        return work(device), device, [Message(unused)] if unused else []
    if device in _failed:
        return work("cpu"), "cpu", [Message(_failed[device], device=device)]
    weights = _on_cpu(networks)
    for share in SHARES:
        try:
            with with_share(share):
                notes = [] if share == 1 else [Message("smaller_batches", device=device, divisor=round(1 / share))]
                return work(device), device, notes
        except RuntimeError as error:
            if not is_out_of_memory(error):
                if not (code := failure_of(error)):
                    raise
                _failed[device] = code
                break
        # After the except block: until then the traceback keeps the tensors in memory.
        torch.cuda.empty_cache()
    code = _failed.get(device, "computed_on_cpu")
    if code != "computed_on_cpu":
        _restore(weights)
    return work("cpu"), "cpu", [Message(code, device=device)]


def _on_cpu(networks: Iterable[torch.nn.Module]) -> list[tuple[dict, str, torch.Tensor, torch.Tensor]]:
    """Return parameters and buffers of networks: where each is kept, its name, itself, and its values on the CPU."""
    modules = [module for network in networks for module in network.modules()]
    stores = [store for module in modules for store in (module._parameters, module._buffers)]
    tensors = [(store, name, tensor) for store in stores for name, tensor in store.items() if tensor is not None]
    return [(store, name, tensor, tensor.detach().cpu()) for store, name, tensor in tensors]


def _restore(weights: list[tuple[dict, str, torch.Tensor, torch.Tensor]]) -> None:
    """Put the values of `_on_cpu` back, without an access to the GPU."""
    import torch

    for store, name, tensor, values in weights:
        is_parameter = isinstance(tensor, torch.nn.Parameter)
        store[name] = torch.nn.Parameter(values, tensor.requires_grad) if is_parameter else values


def failure_of(error: RuntimeError) -> str:
    """Return the code of a failure of the GPU; empty for any other error."""
    return next((code for code, texts in FAILURES.items() if re.search(texts, str(error), re.IGNORECASE)), "")


def unusable_gpu() -> str:
    """Return the code of the reason why PyTorch cannot use the NVIDIA GPU of this computer; empty without such one."""
    import torch

    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if hidden or torch.version.hip or torch.cuda.is_available() or not _nvidia_gpus():
        return ""
    return "torch_without_cuda" if torch.version.cuda is None else "gpu_driver_unusable"


@cache
def _nvidia_gpus() -> bool:
    """Return whether the tool of the driver lists an NVIDIA GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    no_window = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        listed = subprocess.run(
            [tool, "-L"], capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS_FOR_GPU_LIST,
            creationflags=no_window, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return listed.returncode == 0 and b"GPU " in listed.stdout


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
        InputError: If the device is unknown or does not exist, or PyTorch cannot use it.
    """
    import torch

    check_device(wanted)
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wanted == "cpu":
        return "cpu"
    number = int(wanted.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        if code := unusable_gpu():
            raise InputError(code)
        raise InputError("no_gpu", device=wanted)
    return f"cuda:{number}"


def check_device(name: str) -> None:
    """Check the name of a device, which need not exist.

    Raises:
        InputError: If it is none of ``auto``, ``cpu``, ``cuda`` and ``cuda:N``; ``mps`` has a reason of its own.
    """
    if isinstance(name, str) and re.fullmatch(r"mps(:\d+)?", name):
        raise InputError("mps_not_supported", device=name)
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
