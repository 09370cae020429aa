"""Batch size, and what happens when a GPU has too little memory for it, fails, or cannot be used."""

from __future__ import annotations

import os

import pytest
import torch
from support.raised import raises

from MedADLib.detection import Settings
from MedADLib.errors import InputError
from MedADLib.runtime import device
from MedADLib.runtime.device import SLICES_ON_CPU, codes_at_once, full_precision, run_on, slices_at_once, with_share


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that is not there, with 8 GB free."""
    monkeypatch.setattr(device, "_failed", {})
    monkeypatch.setattr(device, "_free", lambda device: 8e9)
    monkeypatch.setattr(device, "resolve", lambda wanted: "cuda:0" if wanted == "auto" else wanted)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)


def test_a_cpu_always_takes_the_same_number(gpu):
    with with_share(0.25):
        assert (slices_at_once("cpu"), codes_at_once("cpu")) == (device.SLICES_ON_CPU, device.CODES_ON_CPU)


def test_a_gpu_takes_what_fits_into_its_free_memory(gpu, monkeypatch):
    assert slices_at_once("cuda:0") * device.BYTES_A_SLICE + codes_at_once("cuda:0") * device.BYTES_A_CODE < 8e9
    assert slices_at_once("cuda:0") == 50 and codes_at_once("cuda:0") == 100_000
    with with_share(0.25):
        assert slices_at_once("cuda:0") == 12 and codes_at_once("cuda:0") == 25_000
    assert slices_at_once("cuda:0") == 50
    monkeypatch.setattr(device, "_free", lambda device: 1e6)
    assert slices_at_once("cuda:0") == codes_at_once("cuda:0") // 12 == 1
    monkeypatch.setattr(device, "_free", lambda device: 1e15)
    assert (slices_at_once("cuda:0"), codes_at_once("cuda:0")) == (device.MOST_SLICES, device.MOST_CODES)


@pytest.mark.parametrize(
    ("fits", "ends_on", "note", "tries"),
    [
        (50, "cuda:0", (), [50]),
        (12, "cuda:0", (("smaller_batches", "1/4"),), [50, 12]),
        (3, "cuda:0", (("smaller_batches", "1/16"),), [50, 12, 3]),
        (0, "cpu", (("computed_on_cpu", "cuda:0"),), [50, 12, 3, SLICES_ON_CPU]),
    ],
)
def test_too_little_memory_means_smaller_batches_and_at_last_the_cpu(gpu, fits, ends_on, note, tries):
    tried = []

    def work(where: str) -> str:
        tried.append(slices_at_once(where))
        if where != "cpu" and tried[-1] > fits:
            raise torch.OutOfMemoryError("too much")
        return "done"

    result, where, notes = run_on("auto", work)
    assert (result, where, tried) == ("done", ends_on, tries)
    assert len(notes) == len(note)
    assert all(message.code == code and shown in message for message, (code, shown) in zip(notes, note))


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_libraries_without_memory_count_as_well(gpu, text):
    def work(where: str) -> str:
        if where != "cpu":
            raise RuntimeError(text)
        return "done"

    result, where, notes = run_on("auto", work)
    assert (result, where, [note.code for note in notes]) == ("done", "cpu", ["computed_on_cpu"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CUDA error: no kernel image is available for execution on the device", "gpu_no_kernel"),
        ("cuDNN error: CUDNN_STATUS_ARCH_MISMATCH", "gpu_no_kernel"),
        ("CUDA error: an illegal memory access was encountered", "gpu_illegal_access"),
        ("CUDA error: misaligned address", "gpu_illegal_access"),
        ("CUDA error: device-side assert triggered", "gpu_illegal_access"),
        ("CUDA error: unspecified launch failure", "gpu_lost"),
        ("CUDA error: no CUDA-capable device is detected", "gpu_lost"),
        ("CUDA error: all CUDA-capable devices are busy or unavailable", "gpu_lost"),
        ("CUDA error: uncorrectable ECC error encountered", "gpu_lost"),
        ("CUDA error: unknown error", "gpu_failed"),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "gpu_failed"),
    ],
)
def test_failures_of_a_gpu_are_distinguished_and_the_cpu_computes(gpu, text, code):
    """After most of them CUDA answers nothing in this process, so the GPU is not asked again."""
    tried = []

    def work(where: str) -> str:
        tried.append(where)
        if where != "cpu":
            raise RuntimeError(f"{text}\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.")
        return "done"

    for _ in range(2):
        result, where, notes = run_on("auto", work)
        assert (result, where, [note.code for note in notes]) == ("done", "cpu", [code])
        assert notes[0].parameters == {"device": "cuda:0"} and "on the CPU" in notes[0]
    assert tried == ["cuda:0", "cpu", "cpu"]


def test_errors_that_are_not_of_the_gpu_are_raised_at_once(gpu):
    tried = []

    def work(where: str) -> None:
        tried.append(where)
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        run_on("auto", work)
    assert tried == ["cuda:0"] and not device._failed


class LostGpu(torch.Tensor):
    """A tensor on a GPU that fails: every operation on it does, such as a copy to the CPU."""

    @staticmethod
    def __new__(cls, like: torch.Tensor):
        return torch.Tensor._make_wrapper_subclass(cls, like.size(), dtype=like.dtype, device="meta")

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.detach.default:
            return LostGpu(args[0])
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_the_weights_come_back_without_the_gpu(gpu):
    """A network that was moved to the GPU cannot be read from it after a failure."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).eval().requires_grad_(False)
    given = torch.ones(4, 3)
    wanted = network(given)

    def work(where: str) -> torch.Tensor:
        if where != "cpu":
            for module in network.modules():
                for store in (module._parameters, module._buffers):
                    for name, tensor in store.items():
                        lost = LostGpu(tensor)
                        store[name] = torch.nn.Parameter(lost, False) if store is module._parameters else lost
            return network.cpu()(given)
        return network.to(where)(given)

    found, where, notes = run_on("auto", work, [network])
    assert (where, notes[0].code) == ("cpu", "gpu_illegal_access") and torch.equal(found, wanted)
    assert isinstance(network[0].weight, torch.nn.Parameter) and not network[0].weight.requires_grad


@pytest.fixture
def card(monkeypatch):
    """An NVIDIA card, and PyTorch without it; the version of CUDA that PyTorch was built for can be set."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(device, "_nvidia_gpus", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.version, "cuda", None)
    return monkeypatch


@pytest.mark.parametrize(("built_for", "code"), [(None, "torch_without_cuda"), ("12.8", "gpu_driver_unusable")])
@pytest.mark.parametrize("wanted", ["auto", "cuda", "cuda:1"])
def test_a_card_that_torch_cannot_use_is_named_and_the_cpu_computes(card, built_for, code, wanted):
    card.setattr(torch.version, "cuda", built_for)
    result, where, notes = run_on(wanted, lambda where: f"on {where}")
    assert (result, where, [note.code for note in notes]) == ("on cpu", "cpu", [code])
    if wanted != "auto":  # a training of days must not begin on another device than the one asked for
        with raises(InputError, code):
            device.resolve(wanted)


def test_no_card_and_a_card_that_the_user_hides_need_no_note(card):
    assert run_on("cpu", str) == ("cpu", "cpu", [])
    card.setenv("CUDA_VISIBLE_DEVICES", "")
    assert run_on("auto", str) == ("cpu", "cpu", [])
    card.delenv("CUDA_VISIBLE_DEVICES")
    card.setattr(device, "_nvidia_gpus", lambda: False)
    assert run_on("auto", str) == ("cpu", "cpu", [])
    with raises(InputError, "no_gpu", device="cuda"):
        run_on("cuda", str)


@pytest.mark.parametrize(
    ("answer", "found"), [("GPU 0: NVIDIA H200 (UUID: x)", True), ("No devices were found", False)]
)
@pytest.mark.skipif(os.name == "nt", reason="a script stands for the tool")
def test_the_tool_of_the_driver_lists_the_cards(monkeypatch, tmp_path, answer, found):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho '{answer}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert device._nvidia_gpus.__wrapped__() is found


@pytest.mark.parametrize("name", ["mps", "mps:0"])
def test_gpus_of_apple_are_refused_with_the_reason(name):
    for asked in (device.check_device, lambda name: Settings(device=name)):
        with raises(InputError, "mps_not_supported", device=name):
            asked(name)


def test_factors_keep_their_digits_on_a_gpu_within_the_block_only():
    switches, before = (torch.backends.cudnn, torch.backends.cuda.matmul), torch.backends.cudnn.allow_tf32
    with full_precision("cuda:0"):
        assert [switch.allow_tf32 for switch in switches] == [False, False]
    assert torch.backends.cudnn.allow_tf32 == before
    with full_precision("cpu"):
        assert torch.backends.cudnn.allow_tf32 == before


def test_a_cpu_without_memory_is_an_error(gpu):
    def work(where: str) -> None:
        raise torch.OutOfMemoryError("too much")

    with pytest.raises(torch.OutOfMemoryError):
        run_on("cpu", work)
