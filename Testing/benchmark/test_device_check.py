"""A GPU gives the CPU's map, with all of its memory, with some and with none; without a GPU, a simulated one does."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.simulated_gpu import simulated_gpu
from support.toy_codes import random_networks, toy_parameters

from MedADLib.benchmark import device_check, suite
from MedADLib.benchmark.device_check import LIMITS, Case, DeviceCheck, GpuMemory, restored
from MedADLib.benchmark.report import Measured, write_report
from MedADLib.benchmark.samplers import coded, drawn_by
from MedADLib.cli import main
from MedADLib.methods.atlas import Atlas
from MedADLib.methods.autoencoder import Autoencoder, AutoencoderParameters
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.methods.synthetic_restoration import SyntheticRestoration, SyntheticRestorationParameters
from MedADLib.runtime import device as device_module

pytestmark = pytest.mark.usefixtures("one_thread")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
MASK = np.ones((4, 16, 24), bool)
IMAGE = np.random.default_rng(0).random(MASK.shape).astype(np.float32)


def latent_restoration() -> LatentRestoration:
    method = random_networks(LatentRestoration, toy_parameters(samples=3, restoration_nll=2.5, sample_nll=2.0))
    method.reduced = False
    return method


def autoencoder() -> Autoencoder:
    return Autoencoder.untrained(AutoencoderParameters(size=(16, 24), channels=(8, 8)))


def atlas() -> Atlas:
    return Atlas.train([(IMAGE + shift, MASK) for shift in (0.0, 0.1, 0.3)], (1.2, 1.2, 1.2))


def synthetic_restoration() -> SyntheticRestoration:
    method = SyntheticRestoration.untrained(SyntheticRestorationParameters(size=(16, 24), channels=(8, 8)))
    torch.nn.init.normal_(method.network.last.weight, std=0.5)
    return method


SHIPPED = (latent_restoration, autoencoder, atlas, synthetic_restoration)


def case(method) -> Case:
    return Case("toy", method, IMAGE, MASK, lambda score: 10 * score, 2.0)


class LittleMemory:
    """Memory of a GPU of 1000 bytes, of which a restoration takes some for each slice of a batch."""

    def __init__(self):
        self.most, self.largest = 1000, 0

    def start(self) -> None:
        self.largest = 0

    def peak(self) -> int:
        return self.largest

    @contextmanager
    def limited(self, most):
        self.most, before = most, self.most
        yield
        self.most = before

    def restore(self, method, image, mask, device):
        if device != "cpu":
            wanted = 10 * device_module.slices_at_once(device)
            if wanted > self.most:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            self.largest = wanted
        return restored(method, image, mask, "cpu")


@pytest.fixture
def gpu(monkeypatch):
    """A GPU in name only: 8 GB free, so that a batch has 50 slices."""
    monkeypatch.setattr(device_module, "_free", lambda device: 8e9)
    monkeypatch.setattr(device_module, "resolve", lambda wanted: wanted)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)


@pytest.mark.parametrize("build", SHIPPED)
def test_on_the_cpu_the_check_runs_whole_and_finds_no_difference(build):
    (row,) = DeviceCheck("cpu", runs=2).check(case(build()))
    assert (row.memory, row.computed_on, row.seconds.runs) == ("all", "cpu", 2) and row.agrees
    assert row.largest == row.mean == row.share == row.sample == row.peak_bytes == 0 and not row.notes


@pytest.mark.parametrize("build", SHIPPED)
def test_every_shipped_method_keeps_its_tensors_on_one_device(build):
    """The simulated GPU refuses operations on tensors of different devices, and arrays of its tensors."""
    with simulated_gpu():
        method = build()
        found = DeviceCheck("cuda:0", runs=1, memory=device_check.CpuMemory()).check(case(method))
        assert [row.computed_on for row in found] == ["cuda:0"] * 3
        assert all(row.mean < 1e-5 and row.share == 0 for row in found)
        # What follows a restoration on a GPU, such as figures after a training, gets plain arrays too.
        method.restore(IMAGE, MASK, device="cuda:0")
        assert all(isinstance(part, np.ndarray) for part in (*method.tensors().values(), *method.prior_slices(1, 1, 0)))


def test_the_simulated_gpu_refuses_what_a_gpu_refuses():
    here = torch.ones(3)
    with simulated_gpu():
        there = here.to("cuda:0")
        assert torch.equal((2 * there + torch.tensor(1.0)).cpu(), torch.full((3,), 3.0))
        for wrong in (lambda: there + here, lambda: here[there.long()], there.numpy):
            with pytest.raises((RuntimeError, TypeError)):
                wrong()


def test_with_too_little_memory_batches_are_smaller_and_at_last_the_cpu_computes(gpu):
    memory = LittleMemory()
    found = DeviceCheck("cuda:0", 2, memory, memory.restore).check(case(autoencoder()))
    assert [row.memory for row in found] == list(LIMITS) and all(row.agrees for row in found)
    assert [row.computed_on for row in found] == ["cuda:0", "cuda:0", "cpu"]
    assert [row.peak_bytes for row in found] == [500, 120, 0]
    codes = [[note.code for note in row.notes] for row in found]
    assert codes == [[], ["smaller_batches"], ["computed_on_cpu"]]


def test_a_failure_of_a_gpu_is_not_taken_for_too_little_memory(gpu, monkeypatch):
    monkeypatch.setattr(device_module, "_failed", {})

    def broken(method, image, mask, device):
        if device != "cpu":
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return restored(method, image, mask, device)

    found = DeviceCheck("cuda:0", 1, LittleMemory(), broken).check(case(autoencoder()))
    assert {row.computed_on for row in found} == {"cpu"}
    assert {note.code for row in found for note in row.notes} == {"gpu_illegal_access"}


def test_a_map_that_is_far_off_is_reported(gpu, tmp_path, monkeypatch):
    def wrong(apart, method, image, mask, device):
        found = restored(method, image, mask, "cpu")
        return found if device == "cpu" else replace(found, score=found.score + np.float32(apart))

    rows = []
    for apart in (0.0, 0.004, 0.1):
        restore = partial(wrong, apart)
        rows.append(DeviceCheck("cuda:0", 1, LittleMemory(), restore).check(case(autoencoder()))[0])
    assert [row.agrees for row in rows] == [True, False, False]
    assert rows[2].largest == pytest.approx(1.0, rel=1e-3) and rows[2].mean == pytest.approx(1.0, rel=1e-3)
    here, there = (10 * (restored(autoencoder(), IMAGE, MASK, "cpu").score + apart) > 2.0 for apart in (0.0, 0.1))
    assert rows[2].share == (here != there).mean() > 0
    write_report(Measured("a toy", "toy 1.0.0", gpu=rows), tmp_path)
    with open(tmp_path / "gpu.tsv", newline="", encoding="utf-8") as file:
        written = list(csv.DictReader(file, delimiter="\t"))
    assert [row["agrees"] for row in written] == ["yes", "NO", "NO"] and written[0]["computed_on"] == "cuda:0"


@needs_gpu
@pytest.mark.parametrize("build", SHIPPED)
def test_a_gpu_gives_the_maps_of_the_cpu_with_any_memory(build):
    found = DeviceCheck("cuda:0", 2).check(case(build()))
    assert len(found) == 3 and all(row.agrees for row in found)
    assert found[0].computed_on == "cuda:0" and not found[0].notes


@needs_gpu
def test_a_limit_of_the_memory_of_a_gpu_holds_within_its_block():
    with GpuMemory("cuda:0").limited(0), pytest.raises(torch.cuda.OutOfMemoryError):
        torch.empty(1 << 26, device="cuda:0")
    assert len(torch.empty(1 << 26, device="cuda:0")) == 1 << 26


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda:0", marks=needs_gpu)])
def test_all_samplers_draw_the_codes_of_the_cpu(device):
    method = latent_restoration()
    with torch.inference_mode():
        expected = drawn_by(method, coded(method, IMAGE, np.arange(4)), "segment")
        slices = coded(method, IMAGE, np.arange(4), device)
        for sampler in ("jacobi", "segment", "sequential"):
            assert torch.equal(drawn_by(method, slices, sampler).cpu(), expected)


@pytest.mark.slow
def test_the_command_checks_the_shipped_models_and_writes_the_table(tmp_path, monkeypatch, capsys):
    shipped = [model for model in suite.shipped_models() if model.name == "brain-t1-atlas"]
    assert shipped, "it is among the shipped models"
    monkeypatch.setattr(suite, "shipped_models", lambda: shipped)
    words = ("benchmark", "gpu", "--device", "cpu", "--model", "brain-t1-atlas", "--also", "brain-t1-ae")
    assert main.main([*words, "--runs", "1", "-o", str(tmp_path / "out")]) == 0
    with open(tmp_path / "out" / "gpu.tsv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["model"], row["memory"], row["agrees"]) for row in rows] == [
        ("brain-t1-atlas", "all", "yes"),
        ("brain-t1-ae", "all", "yes"),
    ]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"gpu.tsv", "report.md"}
    assert "brain-t1-ae" in capsys.readouterr().out
