"""A GPU that is not there: tensors that claim to be on another device than the CPU, and compute on the CPU.

As on a real GPU, an operation on tensors of different devices fails, and so does ``numpy()`` without ``cpu()``. Their
device is called ``meta``, because torch without CUDA has no other device that needs no driver; ``cuda:0`` means it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

from MedADLib.runtime import device as device_module

DEVICE = torch.device("meta")
aten = torch.ops.aten
# The first argument may be on a GPU and the indices on the CPU.
INDEXED = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}
COPIED = {aten.copy_.default, aten._to_copy.default, aten._copy_from.default}


class SimulatedTensor(torch.Tensor):
    """A tensor on the simulated GPU; `kept` holds its values on the CPU."""

    @staticmethod
    def __new__(cls, kept: torch.Tensor):
        # Views of parameters need tensors that are no inference tensors.
        with torch.inference_mode(False):
            return torch.Tensor._make_wrapper_subclass(
                cls, kept.size(), strides=kept.stride(), storage_offset=kept.storage_offset(), dtype=kept.dtype,
                layout=kept.layout, device=DEVICE, requires_grad=kept.requires_grad,
            )  # fmt: skip

    def __init__(self, kept: torch.Tensor):
        self.kept = kept

    def __repr__(self) -> str:
        return f"SimulatedTensor({self.kept})"

    def tolist(self) -> list:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return computed(func, args, kwargs or {})


class SimulatedGpu(TorchDispatchMode):
    """Sends operations that name the GPU as device to the simulation."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: torch would import its compiler, which takes ten seconds."""
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return computed(func, args, kwargs or {})


def computed(func, args: tuple, kwargs: dict):
    """Compute an operation on the CPU; the result is on the device on which a real one would be.

    Raises:
        RuntimeError: If the tensors are on different devices.
    """
    wanted = kwargs.get("device")
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
    on_gpu = any(isinstance(tensor, SimulatedTensor) for tensor in tensors)
    if on_gpu:
        check(func, args, tensors)
    if wanted is not None:
        on_gpu, kwargs = torch.device(wanted).type != "cpu", kwargs | {"device": torch.device("cpu")}
    if func.name().startswith(("aten::_pin_memory", "aten::pin_memory")):
        return args[0].clone()
    found = func(*tree_map(real, args), **tree_map(real, kwargs))
    if not on_gpu:
        return found
    wrapped = tree_map(lambda value: SimulatedTensor(value) if type(value) is torch.Tensor else value, found)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if wanted is None else wrapped


def real(value):
    return value.kept if isinstance(value, SimulatedTensor) else value


def check(func, args: tuple, tensors: list[torch.Tensor]) -> None:
    if func in COPIED:
        return
    if func in INDEXED and isinstance(args[0], SimulatedTensor):
        tensors = [args[0], *(value for value in args[2:] if isinstance(value, torch.Tensor))]
    wrong = [tensor for tensor in tensors if not isinstance(tensor, SimulatedTensor) and tensor.ndim]
    if wrong:
        raise RuntimeError(f"{func} has tensors on the CPU and on the GPU: {[tuple(each.shape) for each in wrong]}")


@contextmanager
def simulated_gpu(free: float = 8e9) -> Iterator[None]:
    """Have one GPU with this many free bytes within the block; batches are as large as they would be there."""
    cuda = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "synchronize": lambda device=None: None,
        "empty_cache": lambda: None,
        "is_bf16_supported": lambda *_, **__: True,
    }
    autocast = torch.autocast

    def reduced(kind: str, dtype: torch.dtype | None = None, enabled: bool = True) -> torch.autocast:
        return autocast(kind if kind == "cpu" else "cuda", dtype, enabled=enabled and kind == "cpu")

    made = torch.tensor

    def tensor(data, *, device=None, **more) -> torch.Tensor:
        # torch moves the values to the device without an operation.
        return made(data, **more) if device is None else made(data, **more).to(device)

    patched = mock.patch.multiple(torch, autocast=reduced, tensor=tensor)
    with (
        patched,
        mock.patch.multiple(torch.cuda, **cuda),
        mock.patch.object(device_module, "_free", lambda device: free),
    ):
        # Modules get new parameters: the memory of a simulated tensor cannot replace that of another.
        before = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            with SimulatedGpu():
                yield
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(before)
