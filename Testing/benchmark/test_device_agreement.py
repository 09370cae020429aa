"""A GPU gives the CPU's map, within the tolerance of `medad benchmark`; where there is none, the CPU gives its own."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.toy_codes import random_networks, toy_parameters

from MedADLib.benchmark import micro as module
from MedADLib.benchmark.micro import Agreement, agreement
from MedADLib.benchmark.report import Measured, write_report
from MedADLib.benchmark.samplers import coded, drawn_by
from MedADLib.benchmark.timing import Seconds
from MedADLib.methods.latent_restoration import LatentRestoration

pytestmark = pytest.mark.usefixtures("one_thread")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
DEVICES = ["cpu", pytest.param("cuda:0", marks=needs_gpu)]


@pytest.fixture()
def method() -> LatentRestoration:
    return random_networks(LatentRestoration, toy_parameters(samples=4, restoration_nll=2.0, sample_nll=2.0))


@pytest.fixture(scope="module")
def scan() -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).random((9, 16, 24)).astype(np.float32)
    return image, np.ones(image.shape, bool)


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_gives_the_maps_of_the_cpu(method, scan, device):
    found = agreement(method, *scan, device, runs=2)
    assert found.close and found.sample < 1e-3 and found.seconds.runs == 2
    if device == "cpu":
        assert found.largest == found.mean == found.sample == 0


@pytest.mark.parametrize("device", DEVICES)
def test_all_samplers_draw_the_codes_of_the_cpu(method, scan, device):
    with torch.inference_mode():
        expected = drawn_by(method, coded(method, scan[0], np.arange(9)), "segment")
        slices = coded(method, scan[0], np.arange(9), device)
        for sampler in ("jacobi", "segment", "sequential"):
            assert torch.equal(drawn_by(method, slices, sampler).cpu(), expected)


def test_a_map_that_is_far_off_is_told(method, scan, monkeypatch, tmp_path):
    true = LatentRestoration.restore

    def wrong(self, image, mask, *, device="cpu", **more):
        found = true(self, image, mask, device="cpu", **more)
        found.score[...] += 0.5 * (device != "cpu")
        return found

    monkeypatch.setattr(LatentRestoration, "restore", wrong)
    monkeypatch.setattr(module, "timed", lambda work, runs, device="cpu": work() or Seconds.of([1.0]))
    found = agreement(method, *scan, "cuda:0", runs=1)
    assert not found.close and found.largest == pytest.approx(0.5) and found.mean == pytest.approx(0.5)
    measured = Measured("a toy", "toy 1.0.0")
    measured.device = [found, Agreement("cuda:0", Seconds.of([0.5]), Seconds.of([4.0]), 0.01, 0.001, 0.0)]
    write_report(measured, tmp_path)
    with open(tmp_path / "devices.tsv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["agrees"] for row in rows] == ["NO", "yes"] and rows[1]["cpu_seconds"] == "4"
