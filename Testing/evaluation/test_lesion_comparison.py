from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.phantoms import ToyModels, head, one_thread, toy_models, with_lesion  # noqa: F401

from MedADLib.cli import compare as cli_compare
from MedADLib.errors import InputError
from MedADLib.evaluation import lesion_cases
from MedADLib.evaluation.comparison import file_name
from MedADLib.evaluation.detectors import Detector, Kept, detectors
from MedADLib.evaluation.lesion_cases import KINDS, Case, CaseName, case_names, cases, real_case
from MedADLib.evaluation.tables import kind_rows, rows_of, variants
from MedADLib.methods.atlas import Atlas
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.modelfile.model import load_model, save_model
from MedADLib.scoring.calibration import Pooling
from MedADLib.volume import Volume

SPACING, VOXEL_ML = (2.0, 2.0, 2.0), 0.008
COLUMNS = [
    "detector",
    "pooling",
    "per-place",
    "AP",
    "AUROC",
    "best Dice",
    "FPR95",
    "Dice at 1%",
    "lesions hit at 1%",
    "prevalence",
    "healthy flagged",
    "sample AUROC",
]


@pytest.fixture(scope="module")
def toy(one_thread) -> Iterator[ToyModels]:  # noqa: F811
    return toy_models()


def compare(toy: ToyModels, output: Path, models: list[Path], *more: str) -> int:
    parser = argparse.ArgumentParser()
    cli_compare.add_arguments(parser)
    arguments = [*models, "--healthy", toy.healthy, "-o", output, "--device", "cpu", *more]
    return cli_compare.run(parser.parse_args([str(argument) for argument in arguments]))


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


MADE: dict[str, Case] = {}


def cases_made_once(names, scans, template, seed) -> Iterator[Case]:
    """Cases, remembered for the tests that need them again."""
    for name in names:
        if str(name) not in MADE:
            MADE[str(name)] = next(cases([name], scans, template, seed))
        yield MADE[str(name)]


@pytest.fixture(scope="module")
def compared(toy, tmp_path_factory) -> tuple[Path, list[Path], list[str]]:
    """A comparison of three models and of one scan as a real case: its folder, the models, the other arguments."""
    folder = tmp_path_factory.mktemp("compared")
    sick, ball = with_lesion(head(40)[0], (30.0, 20.0, 10.0), 13.0)
    sick.write(folder / "scan.nii.gz")
    sick.with_array(ball.astype(np.uint8)).write(folder / "truth.nii.gz")
    more = ["--real", str(folder / "scan.nii.gz"), str(folder / "truth.nii.gz")]
    latent = load_model(toy.models["latent_restoration"])
    method = latent.method
    quick = LatentRestoration(replace(method.parameters, samples=2), method.vqvae, method.prior)
    save_model(replace(latent, method=quick), folder / "quick.medad")
    models = [toy.models["atlas"], toy.models["autoencoder"], folder / "quick.medad"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lesion_cases, "cases", cases_made_once)
        assert compare(toy, folder / "out", models, *more) == 0
    return folder / "out", models, more


@pytest.fixture(scope="module")
def names(compared) -> list[str]:
    """What the detectors are called: no model, atlas, autoencoder, plain VQ-VAE, latent restoration."""
    return [detector.name for detector in detectors([load_model(path) for path in compared[1]], "cpu")]


@pytest.mark.slow
def test_the_tables_have_every_detector_in_its_four_variants(compared, names):
    rows = table(compared[0] / "comparison.tsv")
    assert list(rows[0]) == COLUMNS
    assert [row["detector"] for row in rows] == [name for name in names for _ in range(4)]
    assert len(set(names)) == 5 and names[0] == "intensity deviation"
    both = ("no", "yes")
    assert {(row["pooling"], row["per-place"]) for row in rows[:4]} == {(a, b) for a in both for b in both}
    for row in rows:
        assert row["lesions hit at 1%"].endswith(f"/{rows[0]['lesions hit at 1%'].split('/')[1]}")
        for column in COLUMNS[3:]:
            if column != "lesions hit at 1%":
                assert 0 <= float(row[column]) <= 1


@pytest.mark.slow
def test_kinds_and_real_scans_have_their_own_tables(compared, names):
    kinds = table(compared[0] / "kinds.tsv")
    groups = list(dict.fromkeys(row["lesions"] for row in kinds))
    assert groups[:4] == list(KINDS) and set(groups[4:]) == {"weak", "medium", "strong"}
    assert len(kinds) == len(names) * 4 * len(groups)
    real = table(compared[0] / "real.tsv")
    assert len(real) == len(names) * 4 and len({row["scan"] for row in real}) == 1
    atlas = [row for row in real if row["detector"] == names[1]]
    assert max(float(row["AUROC"]) for row in atlas) > 0.9 and atlas[-1]["lesions hit at 1%"] == "1/1"


@pytest.mark.slow
def test_record_and_pictures_are_there(compared, names):
    models = [load_model(path) for path in compared[1]]
    record = json.loads((compared[0] / "comparison.json").read_text())
    assert record["models"] == {model.name: model.sha256 for model in models}
    assert record["part"] == "benchmark" and record["cases"] == 2 + 1 + len(KINDS)
    assert len(record["rows"]) == len(names) * 4
    for name in names:
        assert (compared[0] / f"{file_name(name)}.png").stat().st_size > 1000
    assert (compared[0] / "overview.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_second_run_uses_the_kept_scores_and_says_the_same(compared, toy, monkeypatch):
    def never(*given, **named):
        pytest.fail("scored again what was kept")

    folder, models, more = compared
    tables = {name: (folder / name).read_bytes() for name in ("comparison.tsv", "kinds.tsv", "real.tsv")}
    for name in ("cases", "real_case"):
        monkeypatch.setattr(lesion_cases, name, never)
    monkeypatch.setattr(Atlas, "restore", never)
    compare(toy, folder, models, *more)
    assert {name: (folder / name).read_bytes() for name in tables} == tables


def other_atlas(toy: ToyModels, path: Path) -> Path:
    """An atlas model of the same template and split that judges differently."""
    model = load_model(toy.models["atlas"])
    method = Atlas(replace(model.method.parameters, fwhm_mm=25.0), model.method.mean, model.method.spread)
    save_model(replace(model, method=method, name=path.stem), path)
    return path


@pytest.mark.slow
def test_a_retrained_model_is_scored_anew_in_the_same_folder(compared, toy, names, tmp_path, monkeypatch):
    monkeypatch.setattr(lesion_cases, "cases", cases_made_once)
    shutil.copytree(compared[0], tmp_path / "out")
    before = [row["AP"] for row in table(tmp_path / "out" / "comparison.tsv") if row["detector"] == names[1]]
    compare(toy, tmp_path / "out", [other_atlas(toy, tmp_path / "toy-atlas.medad")])
    after = [row["AP"] for row in table(tmp_path / "out" / "comparison.tsv")[4:]]
    assert len(after) == 4 and after != before


def test_two_models_of_one_method_are_told_apart(toy, tmp_path):
    models = [load_model(path) for path in (toy.models["atlas"], other_atlas(toy, tmp_path / "other.medad"))]
    names = [detector.name for detector in detectors(models, "cpu")]
    assert len(names) == len(set(names)) == 3


def test_models_that_do_not_belong_together_are_refused(toy, tmp_path):
    model = load_model(toy.models["atlas"])
    stranger = tmp_path / "stranger.medad"
    split = model.training["split"] | {"train": ["head-8"], "benchmark": ["head-0"]}
    save_model(replace(model, training=model.training | {"split": split}), stranger)
    with pytest.raises(InputError) as caught:
        compare(toy, tmp_path / "out", [toy.models["atlas"], stranger])
    assert caught.value.code == "models_differ"
    save_model(replace(model, training=model.training | {"split": split | {"benchmark": []}}), stranger)
    with pytest.raises(InputError) as caught:
        compare(toy, tmp_path / "out", [stranger])
    assert caught.value.code == "part_without_scans" and caught.value.parameters["part"] == "benchmark"


def test_cases_are_each_subject_untouched_and_with_every_kind():
    names = case_names(["a", "b", "c"])
    assert len(names) == 3 * (1 + len(KINDS)) and len(set(map(str, names))) == len(names)
    for kind in KINDS:
        assert {name.contrast for name in names if name.kind == kind} == {"weak", "medium", "strong"}
    assert len(case_names(["a"], every=True)) == 1 + 3 * len(KINDS)
    assert str(CaseName("a", "spots", "weak")) == "a_spots_weak" and str(CaseName("a")) == "a_healthy"


def test_a_case_has_its_lesion_where_the_scan_was_changed(toy):
    template = load_model(toy.models["atlas"]).template
    scans = {"head-8": toy.healthy / "head-8.nii.gz"}
    names = [CaseName("head-8"), CaseName("head-8", "tumour", "strong")]
    untouched, sick = cases(names, scans, template, seed=1)
    assert not untouched.truth.any() and sick.truth.sum() > 20
    assert (sick.truth <= sick.prepared.mask).all()
    change = np.abs(sick.prepared.image - untouched.prepared.image)
    assert change[sick.truth].mean() > 5 * change[sick.prepared.mask & ~sick.truth].mean()
    again = next(cases(names[1:], scans, template, seed=1))
    assert np.array_equal(again.truth, sick.truth) and np.array_equal(again.prepared.image, sick.prepared.image)


def test_a_brightened_lesion_is_brighter_there_and_nowhere_else(toy):
    template = load_model(toy.models["atlas"]).template
    scans = {"head-8": toy.healthy / "head-8.nii.gz"}
    case = next(cases([CaseName("head-8", "tumour", "strong")], scans, template, seed=1))
    brighter = case.brightened(0.75)
    change = brighter.prepared.image - case.prepared.image
    assert case.truth.any() and np.allclose(change[case.truth], 0.75, atol=1e-5) and not change[~case.truth].any()
    assert case.brightened(0.0) is case and brighter.prepared.image.dtype == np.float32


def test_a_real_mask_on_another_grid_is_refused(toy, tmp_path):
    template = load_model(toy.models["atlas"]).template
    volume, mask = head(8)
    Volume(mask[1:].astype(np.uint8), volume.affine).write(tmp_path / "truth.nii.gz")
    with pytest.raises(InputError, match=r"truth\.nii\.gz.*head-8\.nii\.gz") as caught:
        real_case(toy.healthy / "head-8.nii.gz", tmp_path / "truth.nii.gz", template)
    assert caught.value.code == "evaluation_mask_not_on_grid"


def kept(kind: str, score: np.ndarray, truth: np.ndarray, mask: np.ndarray, sample: float) -> Kept:
    return Kept(kind, "" if kind in ("healthy", "calibration") else "strong", mask, truth, score, sample)


def synthetic(of_lesion: float) -> list[Kept]:
    """Noise maps, with `of_lesion` more inside a cube in one case of each kind."""
    random = np.random.default_rng(0)
    mask, nothing = np.ones((16, 16, 16), bool), np.zeros((16, 16, 16), bool)
    truth = nothing.copy()
    truth[4:9, 4:9, 4:9] = True
    noise = lambda: random.random(mask.shape).astype(np.float32)  # noqa: E731
    found = [kept("calibration", noise(), nothing, mask, 0.0) for _ in range(3)]
    found += [kept("healthy", noise(), nothing, mask, sample) for sample in (1.0, 3.0)]
    return found + [kept(kind, noise() + of_lesion * truth, truth, mask, 2.0 + n) for n, kind in enumerate(KINDS)]


DETECTOR = Detector("test", "test", lambda prepared: (prepared.image, 0.0), Pooling(0.0, 4.0))


def test_a_perfect_detector_gets_full_marks_and_chance_gets_prevalence():
    for row in rows_of(list(variants(DETECTOR, synthetic(10.0), SPACING)), VOXEL_ML):
        if row["pooling"] == "no":
            assert row["AP"] == row["AUROC"] == row["best Dice"] == 1 and row["FPR95"] == 0
            # Places of two scans vary more than those of three, so the threshold errs on the quiet side.
            least = 0.007 if row["per-place"] == "no" else 0
            assert least <= row["healthy flagged"] < 0.013
        assert row["lesions hit at 1%"] == f"{len(KINDS)}/{len(KINDS)}"
        # Samples of 2 to 5 against 1 and 3: of eight pairs six are in order and one is tied.
        assert row["sample AUROC"] == pytest.approx(6.5 / 8)
        assert row["prevalence"] == pytest.approx(125 / 4096, abs=1e-4)
    for row in rows_of(list(variants(DETECTOR, synthetic(0.0), SPACING)), VOXEL_ML):
        assert row["AP"] == pytest.approx(row["prevalence"], abs=0.02) and row["AUROC"] == pytest.approx(0.5, abs=0.1)
        assert row["Dice at 1%"] < 0.1


def test_the_threshold_is_what_one_in_a_hundred_healthy_voxels_exceeds_without_flattery():
    scores = synthetic(0.0)
    healthy = [k.score for k in scores if k.kind == "calibration"]
    for variant in variants(DETECTOR, scores, SPACING):
        assert len(variant.judged) == len(scores) - 3
        if (variant.head["pooling"], variant.head["per-place"]) == ("no", "no"):
            assert (np.stack(healthy) > variant.threshold).mean() == pytest.approx(0.01, abs=1e-3)
    loud = [replace(k, score=k.score * 3) if n == 0 else k for n, k in enumerate(scores)]
    *_, usual = variants(DETECTOR, scores, SPACING)
    *_, raised = variants(DETECTOR, loud, SPACING)
    # A scan judged with its own score among the places would hide most of its excess.
    assert raised.threshold > 3 * usual.threshold


def test_each_kind_is_judged_by_its_own_cases():
    scores = synthetic(10.0)
    blind = [replace(k, score=k.score * ~k.truth) if k.kind == "spots" else k for k in scores]
    rows = kind_rows(list(variants(DETECTOR, blind, SPACING)), VOXEL_ML)
    plain = [row for row in rows if row["pooling"] == row["per-place"] == "no"]
    hits = {row["lesions"]: row["lesions hit at 1%"] for row in plain}
    assert hits == {"tumour": "1/1", "spots": "0/1", "cavity": "1/1", "texture": "1/1", "strong": "3/4"}
