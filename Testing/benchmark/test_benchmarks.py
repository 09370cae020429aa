"""``medad benchmark``: its rivals do what they are said to do, and its tables say what was measured."""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from support.phantoms import head, one_thread, toy_models  # noqa: F401
from support.toy_codes import random_networks, toy_parameters

from MedADLib.benchmark import micro, samplers, suite
from MedADLib.benchmark.report import Measured, write_report
from MedADLib.benchmark.samplers import coded, drawn_by, monai_samples, race, reevaluated
from MedADLib.benchmark.scaling import Growth, some_slices
from MedADLib.benchmark.timing import Seconds
from MedADLib.benchmark.whole_runs import WholeRun
from MedADLib.cli import benchmark as cli_benchmark
from MedADLib.cli import main
from MedADLib.errors import InputError, ModelError, OutputError
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.modelfile.model import load_model, save_model

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def method() -> LatentRestoration:
    return random_networks(LatentRestoration, toy_parameters(samples=4, restoration_nll=2.0))


@pytest.fixture(scope="module")
def scan() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    image, mask = random.random((9, 16, 24)).astype(np.float32), np.ones((9, 16, 24), bool)
    lesion = np.zeros_like(mask)
    lesion[3:5, 2:9, 2:9] = True
    return image, mask, lesion


def test_a_plain_reevaluation_draws_what_our_dynamic_mask_draws(method, scan):
    with torch.inference_mode():
        slices = coded(method, scan[0], np.array([4]))
        p, key = method.parameters, (samplers.SEED, 4)
        plain = reevaluated(method.prior, slices.codes[0], slices.positions, p.restoration_nll, p.samples, key)
        ours = drawn_by(method, slices, "segment", dynamic=True)
    assert torch.equal(plain, ours) and (plain != slices.codes[0]).any()


def test_monai_samples_whole_slices_of_our_prior():
    method = random_networks(LatentRestoration, toy_parameters())
    with torch.no_grad():
        drawn = monai_samples(method.prior, torch.zeros(1), (4, 6), 3)
        assert drawn.shape == (3, 4, 6) and drawn.min() >= 0 and drawn.max() < 8
        # A prior that is sure of each code makes MONAI's sampling as certain as taking the likeliest one by one.
        method.prior.head.weight.mul_(300)
        certain = monai_samples(method.prior, torch.zeros(1), (4, 6), 2).flatten(1)
        codes = torch.zeros(1, 24, dtype=torch.long)
        for place in range(24):
            codes[0, place] = method.prior(codes, torch.zeros(1))[0, place].argmax()
    assert torch.equal(certain, codes.expand(2, 24))


def test_every_way_is_timed_on_both_kinds_of_slices(method, scan):
    rows = race(method, *scan, runs=2)
    assert {row.slices for row in rows} == {"lesion", "normal"} and len(rows) == 12
    for row in rows:
        assert row.codes > 0 and 0 < row.seconds.least <= row.seconds.median <= row.seconds.most
        assert row.ratio == 1 if row.way == "segment" else row.ratio > 0
    taken = {(row.slices, row.way): row.seconds.median for row in rows}
    for row in rows:
        like = "segment, dynamic mask" if row.way == "whole grid at every place" else "segment"
        assert row.ratio == pytest.approx(taken[row.slices, row.way] / taken[row.slices, like])
    assert taken["lesion", "MONAI's sampling"] == taken["normal", "MONAI's sampling"], "it is the same work"
    assert not any("MONAI" in row.way for row in race(method, *scan, runs=1, monai=False))


def test_a_sampler_that_draws_other_codes_is_found_out(method, scan, monkeypatch):
    true = samplers.drawn_by
    wrong = lambda method, slices, sampler, *more: true(method, slices, sampler, *more) + (sampler == "jacobi")  # noqa: E731
    monkeypatch.setattr(samplers, "drawn_by", wrong)
    with pytest.raises(AssertionError, match="jacobi"):
        race(method, *scan, runs=1, monai=False)


@pytest.mark.parametrize("count", [1, 5, 9, 20])
def test_slices_for_a_curve_stay_where_they_are_in_the_brain(scan, count):
    image, mask = scan[0], np.ones_like(scan[1])
    stack, only = some_slices(image, mask, count)
    chosen = np.flatnonzero(only.any((1, 2)))
    assert len(chosen) == count
    times = len(stack) // len(image)
    assert all(np.array_equal(stack[number], image[number // times]) for number in chosen)


def test_the_report_has_the_numbers_and_an_image(tmp_path):
    seconds = Seconds.of([3.0, 1.0, 2.0])
    assert (seconds.median, seconds.least, seconds.most, seconds.runs) == (2, 1, 3, 3)
    measured = Measured("a toy", "toy 1.0.0")
    measured.race = [samplers.Race("lesion", "segment", 12.5, seconds.times(0.5), 1.0, "8 slices")]
    measured.runs = [WholeRun("cold command", "toy", seconds, {"read": 0.25, "write": 1.0}, 512_000_000)]
    measured.growth = [Growth("slices", n, "all", seconds.times(n / 10), 3.0) for n in (10, 50)]
    names = [path.name for path in write_report(measured, tmp_path / "new")]
    assert names == ["samplers.tsv", "runs.tsv", "scaling.tsv", "scaling.png", "report.md"]
    with open(tmp_path / "new" / "samplers.tsv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file, delimiter="\t")
    assert (row["way"], row["codes_drawn"], row["seconds_a_slice"], row["most"]) == ("segment", "12.5", "1", "1.5")
    page = (tmp_path / "new" / "report.md").read_text(encoding="utf-8")
    assert "| cold command | toy | 2.00 | 1.00 | 3.00 | 3 | 512 | read 0.25, write 1.00 |" in page and "torch" in page
    assert (tmp_path / "new" / "scaling.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("--model", "brain-t1-atlas"), "slice_restoration_needed", "brain-t1-atlas"),
        (("samplers", "--scan", "nowhere.nii.gz"), "not_found", "nowhere"),
        (("runs", "--also", "nomodel"), "model_unknown", "nomodel"),
    ],
)
def test_what_cannot_be_measured_is_stated(tmp_path, words, code, named):
    with pytest.raises((InputError, ModelError), match=named) as caught:
        benchmark(tmp_path, *words)
    assert caught.value.code == code


@pytest.mark.parametrize("words", [("sampler",), ("--runs", "0"), ("--runs", "000000500"), ("--runs", "many")])
def test_wrong_words_are_wrong_usage(words, capsys):
    assert main.main(["benchmark", *words]) == 2
    assert "medad: error" in capsys.readouterr().err


def test_a_head_with_its_skull_is_refused(tmp_path):
    volume, mask = head(3)
    noise = np.random.default_rng(0).normal(300, 60, volume.array.shape)
    around = ndimage.binary_dilation(mask, iterations=4)
    full = np.where(mask, volume.array, np.where(around, np.abs(noise), np.abs(noise) / 10)).astype(np.float32)
    volume.with_array(full).write(tmp_path / "head.nii.gz")
    with pytest.raises(InputError, match="head") as caught:
        benchmark(tmp_path, "samplers", "--scan", tmp_path / "head.nii.gz")
    assert caught.value.code == "not_skull_stripped"


def test_a_place_that_cannot_be_written_is_reported_before_anything_is_measured(tmp_path, monkeypatch):
    (tmp_path / "out").write_text("a file")
    monkeypatch.setattr(suite, "products", lambda *_: pytest.fail("it began"))
    with pytest.raises(OutputError):
        benchmark(tmp_path, "products")


@pytest.mark.slow
def test_a_whole_benchmark_of_a_toy(tmp_path, monkeypatch, capsys):
    from MedADLib.benchmark import scaling

    few = {"SLICES": (2, 4), "SAMPLES": (1, 2), "LIMITS": (1.0,), "THREADS": (1,), "SIDES": (32,), "FEW": 2}
    for name, values in few.items():
        monkeypatch.setattr(scaling, name, values)
    for name, value in {"GRID": (2, 4, 4), "WIDTH": 8, "LAYERS": 1, "HEADS": 2, "RESAMPLED": (3,)}.items():
        monkeypatch.setattr(micro, name, value)
    monkeypatch.setattr(samplers, "SMALLEST_LESION", 5)
    for module in (samplers, suite):
        monkeypatch.setattr(module, "PUBLISHED_SAMPLES", 2)
    volume, mask = head(3)
    path = tmp_path / "head.nii.gz"
    volume.with_array(np.where(mask, volume.array, 0).astype(np.float32)).write(path)
    toy, model = load_model(toy_models().models["latent_restoration"]), tmp_path / "toy.medad"
    quick = replace(toy.method.parameters, samples=2)
    save_model(replace(toy, method=LatentRestoration(quick, toy.method.vqvae, toy.method.prior)), model)
    benchmark(tmp_path, "--scan", path, "--model", model, "--runs", "1", "--no-monai")
    with open(tmp_path / "out" / "runs.tsv", newline="", encoding="utf-8") as file:
        runs = {row["way"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert set(runs) == {"cold command", "warm worker", "cold command, fast", "warm worker, fast"}
    assert "import " in runs["cold command"]["parts"] and "import " not in runs["warm worker"]["parts"]
    for part in ("reading", "encode", "nll", "restore", "decode", "write", "picture"):
        assert f"{part} " in runs["cold command"]["parts"]
    with open(tmp_path / "out" / "scaling.tsv", newline="", encoding="utf-8") as file:
        what = {(row["what"], row["part"]) for row in csv.DictReader(file, delimiter="\t")}
    assert {("slices", "decode"), ("λ", "all"), ("threads", "restore"), ("voxels along a side", "all")} <= what
    assert "sequential with cache" in capsys.readouterr().out
    with open(tmp_path / "out" / "volumes.tsv", newline="", encoding="utf-8") as file:
        volumes = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["codes"], row["drawn"], row["way"]) for row in volumes] == [
        ("32", "3", "segment"),
        ("32", "3", "jacobi"),
    ]
    with open(tmp_path / "out" / "products.tsv", newline="", encoding="utf-8") as file:
        layers = list(csv.DictReader(file, delimiter="\t"))
    assert len(layers) == 16 and all(float(row["linear_ms"]) > 0 < float(row["times_linear"]) for row in layers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("darker", "codes", "least"), [(0.3, 8, 15.0), pytest.param(0.6, 6, 22.0, marks=pytest.mark.slow)]
)
def test_the_engine_is_many_times_faster_than_the_sampler_that_it_equals(darker, codes, least):
    """Of processor time on the shipped model, so that a busy machine does not change the ratio; measured: 22 to 28
    times, and 34 to 36. Twice the work in each step would not pass. Of one slice alone, which is less of a contest than
    the benchmark's, where the reference too has several slices to compute at once."""
    model = load_model("brain-t1-vqvae")
    image = model.template.image.array.copy()
    image[48, 50:80, 60:90] *= darker
    with torch.inference_mode():
        method = samplers.as_published(model.method)
        slices = coded(method, image, np.array([48]))
        assert codes - 2 <= slices.resampled <= codes + 2, "the ratio depends on it"
        taken = {}
        for sampler in ("segment", "segment", "sequential"):
            begin = time.process_time()
            drawn_by(method, slices, sampler)
            taken[sampler] = time.process_time() - begin
    assert taken["sequential"] > least * taken["segment"]


def benchmark(folder, *words) -> int:
    parser = argparse.ArgumentParser()
    cli_benchmark.add_arguments(parser)
    parser.set_defaults(quiet=False)
    return cli_benchmark.run(parser.parse_args([str(word) for word in (*words, "-o", folder / "out")]))
