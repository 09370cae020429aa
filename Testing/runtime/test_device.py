"""Batch size, and what happens when a GPU has too little memory for it."""

from __future__ import annotations

import pytest
import torch

from MedADLib.runtime import device
from MedADLib.runtime.device import SLICES_ON_CPU, codes_at_once, full_precision, run_on, slices_at_once, with_share


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that is not there, with 8 GB free."""
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


def test_other_errors_of_a_gpu_are_raised_at_once(gpu):
    tried = []

    def work(where: str) -> None:
        tried.append(where)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        run_on("auto", work)
    assert tried == ["cuda:0"]


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
