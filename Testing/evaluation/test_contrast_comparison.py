"""``medad compare`` on simulated scans of another contrast, and on real scans alone."""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.phantoms import ToyModels, head, one_thread, toy_models, with_lesion  # noqa: F401
from support.raised import raises

from MedADLib.cli import compare as cli_compare
from MedADLib.errors import InputError
from MedADLib.evaluation.contrast_cases import ContrastCases
from MedADLib.evaluation.detectors import detectors, template_identity
from MedADLib.evaluation.lesion_cases import CaseImage, CaseName
from MedADLib.evaluation.simulation.contrast_signal import FINDINGS, SCAN_CONTRASTS, SEVERITIES
from MedADLib.modelfile.model import load_model, save_model
from MedADLib.preprocessing.brain_space import of_any_contrast

BASELINES = ["intensity deviation", "intensity", "smoothed intensity", "smoothed intensity deviation"]


@pytest.fixture(scope="module")
def toy(one_thread) -> ToyModels:  # noqa: F811
    return toy_models()


@pytest.fixture(scope="module")
def any_atlas(toy, tmp_path_factory) -> Path:
    """A toy model of any contrast."""
    path = tmp_path_factory.mktemp("any") / "any.medad"
    model = load_model(toy.models["atlas"])
    save_model(replace(model, template=of_any_contrast(model.template)), path)
    return path


def compare(output: Path, models: list[Path], *more) -> int:
    parser = argparse.ArgumentParser()
    cli_compare.add_arguments(parser)
    arguments = [*models, "-o", output, "--device", "cpu", *more]
    return cli_compare.run(parser.parse_args([str(argument) for argument in arguments]))


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


@pytest.mark.slow
def test_a_comparison_in_another_contrast_has_the_findings_the_baselines_and_the_alignment(toy, any_atlas, tmp_path):
    assert compare(tmp_path / "out", [any_atlas], "--healthy", toy.healthy, "--contrast", "flair") == 0
    kinds = table(tmp_path / "out" / "kinds.tsv")
    groups = list(dict.fromkeys(row["lesions"] for row in kinds))
    assert groups[: len(FINDINGS)] == sorted(FINDINGS, key=groups.index) and set(groups[: len(FINDINGS)]) == {*FINDINGS}
    assert set(groups[len(FINDINGS) :]) == {*SEVERITIES}
    assert list(dict.fromkeys(row["detector"] for row in kinds)) == [*BASELINES, "atlas"]
    (aligned,) = table(tmp_path / "out" / "alignment.tsv")
    assert aligned["acquisition"].startswith("flair, TR")
    assert 0 <= float(aligned["mean mm"]) <= float(aligned["95th percentile mm"]) <= float(aligned["largest mm"])
    healthy = {row["detector"] for row in table(tmp_path / "out" / "healthy.tsv")}
    assert healthy == {*BASELINES, "atlas"}
    assert json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))["contrast"] == "flair"


def test_real_scans_alone_need_no_healthy_scans(any_atlas, tmp_path):
    sick, ball = with_lesion(head(40)[0], (30.0, 20.0, 10.0), 13.0)
    # Brighter than all tissue.
    bright = sick.with_array(np.where(ball, sick.array.max() * 1.3, sick.array).astype(np.float32))
    bright.write(tmp_path / "scan.nii.gz")
    sick.with_array(ball.astype(np.uint8)).write(tmp_path / "truth.nii.gz")
    real = ("--real", tmp_path / "scan.nii.gz", tmp_path / "truth.nii.gz")
    assert compare(tmp_path / "out", [any_atlas], "--only-real", *real) == 0
    rows = table(tmp_path / "out" / "real.tsv")
    assert list(dict.fromkeys(row["detector"] for row in rows)) == [*BASELINES, "atlas"]
    found = {(row["detector"], row["pooling"]): float(row["AP"]) for row in rows}
    assert found["smoothed intensity", "no"] > 0.9 and ("atlas", "as shipped") in found
    assert all(float(row["prevalence"]) < 0.05 for row in rows)


def test_options_that_do_not_fit_are_refused(toy, any_atlas, tmp_path):
    healthy = ("--healthy", toy.healthy)
    for options, code in (
        ((), "healthy_scans_needed"),
        (("--only-real",), "only_real_scans"),
        ((*healthy, "--contrast", "t2", "--unseen"), "options_for_t1_lesions"),
        ((*healthy, "--contrast", "t2", "--brighten", "1"), "options_for_t1_lesions"),
    ):
        with raises(InputError, code):
            compare(tmp_path / "out", [any_atlas], *options)


def test_models_of_any_contrast_and_of_one_are_not_compared(toy, any_atlas, tmp_path):
    with raises(InputError, "models_differ"):
        compare(tmp_path / "out", [any_atlas, toy.models["atlas"]], "--healthy", toy.healthy)
    one, other = (load_model(path) for path in (any_atlas, toy.models["atlas"]))
    assert template_identity(one.template) != template_identity(other.template)


def test_baselines_find_bright_dark_and_small_lesions_as_they_should(any_atlas):
    found = {detector.name: detector for detector in detectors([load_model(any_atlas)], "cpu", True)}
    assert len({detector.key for detector in found.values()}) == len(found)
    image = np.full((12, 20, 20), 0.5, np.float32) + np.random.default_rng(0).normal(0, 0.01, (12, 20, 20))
    image[5, 5, 5], image[5, 15, 15] = 0.9, 0.1
    prepared = CaseImage(image.astype(np.float32), np.ones(image.shape, bool))
    score = {name: found[name].score(prepared).score for name in BASELINES}
    bright, dark = (5, 5, 5), (5, 15, 15)
    assert score["intensity"].argmax() == np.ravel_multi_index(bright, image.shape)
    assert score["intensity"].argmin() == np.ravel_multi_index(dark, image.shape)
    assert score["intensity deviation"][dark] == pytest.approx(score["intensity deviation"][bright], rel=0.05)
    assert score["smoothed intensity"][bright] < score["intensity"][bright]
    assert score["smoothed intensity deviation"][dark] == pytest.approx(-score["smoothed intensity"][dark], rel=0.01)


def test_cases_of_a_subject_differ_by_the_lesion_only(toy, any_atlas):
    template = load_model(any_atlas).template
    name = "scan"
    path = next(Path(toy.healthy).glob("*.nii.gz"))
    made = ContrastCases("t2", {name: path}, template, 1)
    healthy, sick = made.case(CaseName(name)), made.case(CaseName(name, "haemorrhage", "strong"))
    assert not healthy.truth.any() and sick.truth.any()
    inside = sick.truth & sick.prepared.mask
    assert np.median((sick.prepared.image - sick.healthy)[inside]) < -0.05
    far = sick.prepared.mask & ~sick.truth
    assert np.median(np.abs(sick.prepared.image - sick.healthy)[far]) < 1e-3
    again = ContrastCases("t2", {name: path}, template, 1).case(CaseName(name, "haemorrhage", "strong"))
    assert np.array_equal(again.prepared.image, sick.prepared.image)
    drawn = {ContrastCases(contrast, {}, template, 1).acquisition(name).describe() for contrast in SCAN_CONTRASTS}
    assert len(drawn) == len(SCAN_CONTRASTS)
