from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.phantoms import ToyModels, head, one_thread, toy_models, with_lesion  # noqa: F401
from support.raised import raises

from MedADLib.cli import compare as cli_compare
from MedADLib.errors import InputError
from MedADLib.evaluation import lesion_cases
from MedADLib.evaluation.comparison import file_name
from MedADLib.evaluation.detectors import Detector, Kept, detectors
from MedADLib.evaluation.judgement import variants
from MedADLib.evaluation.lesion_cases import KINDS, Case, CaseImage, CaseName, case_names, cases, real_case
from MedADLib.evaluation.simulation.insertion import UNSEEN
from MedADLib.evaluation.stored_cases import StoredCase
from MedADLib.evaluation.tables import (
    Measured,
    Sampled,
    default_rows,
    difference_rows,
    healthy_rows,
    kind_rows,
    restoration_rows,
    rows_of,
    scan_rows,
    size_rows,
    unseen_rows,
)
from MedADLib.methods.atlas import Atlas
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.modelfile.model import load_model, save_model
from MedADLib.scoring.calibration import Pooling
from MedADLib.scoring.restoration import Restoration
from MedADLib.volume import Volume

SPACING = (2.0, 2.0, 2.0)
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
    "AP low",
    "AP high",
    "AP low (cases)",
    "AP high (cases)",
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
def test_the_tables_have_every_detector_in_its_variants(compared, names):
    rows = table(compared[0] / "comparison.tsv")
    assert list(rows[0]) == COLUMNS
    # A model is also judged as it ships; scores of networks that no calibration exists for are not.
    counts = [4 if name == names[0] or ":" in name else 5 for name in names]
    assert [row["detector"] for row in rows] == [name for name, count in zip(names, counts) for _ in range(count)]
    assert sum(row["pooling"] == row["per-place"] == "as shipped" for row in rows) == 3
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
    assert len(kinds) == (len(names) * 4 + 3) * len(groups)
    real = table(compared[0] / "real.tsv")
    assert len(real) == len(names) * 4 + 3 and len({row["scan"] for row in real}) == 1
    atlas = [row for row in real if row["detector"] == names[1]]
    assert max(float(row["AUROC"]) for row in atlas) > 0.9 and atlas[3]["lesions hit at 1%"] == "1/1"
    shares = [float(atlas[3][f"{part} at default"]) for part in ("lesion", "other tissue")]
    assert 0.1 < shares[0] <= 1 and 0 <= shares[1] < 0.1


@pytest.mark.slow
def test_further_tables_have_every_detector_and_the_summary_its_targets(compared, names):
    folder = compared[0]
    for name in ("scans", "sizes", "healthy", "contrasts", "cost"):
        assert {row["detector"] for row in table(folder / f"{name}.tsv")} == set(names)
    assert {row["detector"] for row in table(folder / "restorations.tsv")} == set(names[1:])
    assert all(float(row["median seconds"]) > 0 for row in table(folder / "cost.tsv")[1:])
    pairs = {(row["detector"], row["minus"]) for row in table(folder / "differences.tsv")}
    assert len(pairs) == len(names) * (len(names) - 1) / 2
    assert not (folder / "unseen.tsv").exists()
    summary = (folder / "comparison.md").read_text()
    assert "| AP, pooled | ≥ 0.65 |" in summary and all(name in summary for name in names)


@pytest.mark.slow
def test_record_and_images_are_there(compared, names):
    models = [load_model(path) for path in compared[1]]
    record = json.loads((compared[0] / "comparison.json").read_text())
    assert record["models"] == {model.name: model.sha256 for model in models}
    assert record["part"] == "benchmark" and record["cases"] == 2 + 1 + len(KINDS)
    assert len(record["rows"]) == len(names) * 4 + 3
    for name in names:
        for figure in (f"{file_name(name)}.png", f"{file_name(name)}-misses.png"):
            assert (compared[0] / figure).stat().st_size > 1000
    assert (compared[0] / "overview.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_second_run_uses_the_kept_scores_and_gives_the_same(compared, toy, monkeypatch):
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
def test_a_retrained_model_is_scored_again_in_the_same_folder(compared, toy, names, tmp_path, monkeypatch):
    monkeypatch.setattr(lesion_cases, "cases", cases_made_once)
    shutil.copytree(compared[0], tmp_path / "out")
    before = [row["AP"] for row in table(tmp_path / "out" / "comparison.tsv") if row["detector"] == names[1]]
    compare(toy, tmp_path / "out", [other_atlas(toy, tmp_path / "toy-atlas.medad")])
    after = [row["AP"] for row in table(tmp_path / "out" / "comparison.tsv")[4:]]
    assert len(after) == 5 and after != before


def test_two_models_of_one_method_are_distinguished(toy, tmp_path):
    models = [load_model(path) for path in (toy.models["atlas"], other_atlas(toy, tmp_path / "other.medad"))]
    names = [detector.name for detector in detectors(models, "cpu")]
    assert len(names) == len(set(names)) == 3


def test_figures_name_the_model_and_its_method(toy):
    found = detectors([load_model(toy.models[name]) for name in ("atlas", "latent_restoration")], "cpu")
    named = [load_model(toy.models[name]).name for name in ("atlas", "latent_restoration")]
    assert [detector.title for detector in found] == [
        "intensity deviation", f"{named[0]}, atlas", f"{named[1]}, plain reconstruction",
        f"{named[1]}, latent_restoration",
    ]  # fmt: skip


def test_models_that_do_not_belong_together_are_refused(toy, tmp_path):
    model = load_model(toy.models["atlas"])
    stranger = tmp_path / "stranger.medad"
    split = model.training["split"] | {"train": ["head-8"], "benchmark": ["head-0"]}
    save_model(replace(model, training=model.training | {"split": split}), stranger)
    with raises(InputError, "models_differ"):
        compare(toy, tmp_path / "out", [toy.models["atlas"], stranger])
    save_model(replace(model, training=model.training | {"split": split | {"benchmark": []}}), stranger)
    with pytest.raises(InputError) as caught:
        compare(toy, tmp_path / "out", [stranger])
    assert caught.value.code == "part_without_scans" and caught.value.parameters["part"] == "benchmark"


@pytest.mark.slow
def test_lesions_are_inserted_into_scans_of_another_folder(toy, tmp_path):
    others = tmp_path / "others"
    others.mkdir()
    head(41)[0].write(others / "stranger.nii.gz")
    # A scan of the split in the same folder does not count.
    shutil.copy(toy.healthy / "head-8.nii.gz", others)
    assert compare(toy, tmp_path / "out", [toy.models["atlas"]], "--into", str(others)) == 0
    made = {path.name.split("_")[0] for path in (tmp_path / "out" / "cases").iterdir() if "_tumour" in path.name}
    assert made == {"stranger"}
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert record["part"] == "other scans"
    rows = table(tmp_path / "out" / "default.tsv")
    assert {row["lesions"] for row in rows} >= {"all", *KINDS}


def test_a_folder_without_other_scans_and_a_part_beside_it_are_refused(toy, tmp_path):
    with raises(InputError, "no_other_scans", folder=str(toy.healthy)):
        compare(toy, tmp_path / "out", [toy.models["atlas"]], "--into", str(toy.healthy))
    with raises(InputError, "into_and_part"):
        compare(toy, tmp_path / "out", [toy.models["atlas"]], "--into", str(tmp_path), "--part", "validation")


def test_cases_are_each_subject_untouched_and_with_every_kind():
    names = case_names(["a", "b", "c"])
    assert len(names) == 3 * (1 + len(KINDS)) and len(set(map(str, names))) == len(names)
    for kind in KINDS:
        assert {name.contrast for name in names if name.kind == kind} == {"weak", "medium", "strong"}
    assert len(case_names(["a"], every=True)) == 1 + 3 * len(KINDS)
    assert str(CaseName("a", "spots", "weak")) == "a_spots_weak" and str(CaseName("a")) == "a_healthy"


@pytest.mark.slow
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


DETECTOR = Detector("test", "test", lambda prepared: None, Pooling(0.0, 4.0))


def measured(cases: list[Kept], detector: Detector = DETECTOR) -> list[Measured]:
    return [Measured.of(variant, 0) for variant in variants(detector, cases, SPACING)]


def test_a_perfect_detector_gets_full_marks_and_chance_gets_prevalence():
    for row in rows_of(measured(synthetic(10.0))):
        if row["pooling"] == "no":
            assert row["AP"] == row["AUROC"] == row["best Dice"] == row["AP low"] == row["AP high (cases)"] == 1
            assert row["FPR95"] == 0
            # Places of two scans vary more than those of three, so the threshold errs on the quiet side.
            least = 0.007 if row["per-place"] == "no" else 0
            assert least <= row["healthy flagged"] < 0.013
        assert row["lesions hit at 1%"] == f"{len(KINDS)}/{len(KINDS)}"
        # Samples of 2 to 5 against 1 and 3: of eight pairs six are in order and one is tied.
        assert row["sample AUROC"] == pytest.approx(6.5 / 8)
        assert row["prevalence"] == pytest.approx(125 / 4096, abs=1e-4)
    for row in rows_of(measured(synthetic(0.0))):
        assert row["AP"] == pytest.approx(row["prevalence"], abs=0.02) and row["AUROC"] == pytest.approx(0.5, abs=0.1)
        assert row["Dice at 1%"] < 0.1 and row["AP low (cases)"] <= row["AP"] <= row["AP high (cases)"]


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
    rows = kind_rows(measured(blind))
    plain = [row for row in rows if row["pooling"] == row["per-place"] == "no"]
    hits = {row["lesions"]: row["lesions hit at 1%"] for row in plain}
    assert hits == {"tumour": "1/1", "spots": "0/1", "cavity": "1/1", "texture": "1/1", "strong": "3/4"}


def test_unseen_families_are_in_their_own_table_only_and_each_case_is_one_lesion():
    scores = synthetic(10.0)
    torn = scores[-1].truth.copy()
    torn[6], torn[12:14, 12:14, 12:14] = False, True
    tube = replace(scores[-1], kind="tubes", score=scores[0].score, truth=torn)
    without, found = rows_of(measured(scores)), measured([*scores, tube])
    assert rows_of(found)[:4] == without
    assert {row["lesions"] for row in kind_rows(found)} == {*KINDS, "strong"}
    rows = unseen_rows(found)
    assert {(row["lesions"], row["contrast"]) for row in rows} == {("tubes", "all"), ("tubes", "strong")}
    assert {row["lesions hit at 1%"] for row in rows} == {"0/1"}


def test_lesions_are_sorted_by_size_and_other_sizes_do_not_count():
    scores = synthetic(0.0)
    mixed = np.zeros_like(scores[-1].truth)
    mixed[2:4, 2, 2], mixed[6:14, 6:14, 6:14] = True, True
    score = scores[-1].score.copy()
    score[2:4, 2, 2] += 50
    rows = size_rows(measured([*scores[:5], replace(scores[-1], truth=mixed, score=score)]))
    hits = {row["lesions"]: (row["hit at 1%"], row["AP"]) for row in rows}
    # Two voxels of 8 mm³ have the volume of a sphere of 3.1 mm; 8³ voxels that of one of 19.8 mm.
    assert hits["up to 4 mm"] == ("1/1", pytest.approx(1, abs=0.3))
    assert hits["4 to 8 mm"][0] == hits["8 to 16 mm"][0] == "0/0" and np.isnan(hits["4 to 8 mm"][1])
    assert hits["above 16 mm"][0].endswith("/1") and hits["above 16 mm"][1] < 0.3


def by_subject(scores: list[Kept]) -> list[Kept]:
    """The cases of two subjects, each with all kinds."""
    healthy = [k for k in scores if k.kind in ("calibration", "healthy")]
    lesions = [k for k in scores if k.kind in KINDS]
    found = [replace(k, subject=f"s{n % 2}", label=str(n)) for n, k in enumerate(healthy)]
    return found + [replace(k, subject=s, label=s + k.kind) for s in ("s0", "s1") for k in lesions]


def test_scan_scores_are_compared_over_all_pairs_and_within_each_head():
    rows = {row["scan score"]: row for row in scan_rows(measured(by_subject(synthetic(10.0))))}
    # Untouched scans have the sample scores 1 (s1) and 3 (s0), those with lesions 2, 3, 4 and 5 in both subjects.
    method = rows["method"]
    assert method["AUROC"] == pytest.approx(6.5 / 8) and method["shown"] == "yes" and method["cases"] == 8
    assert method["paired order"] == pytest.approx((4 + 2.5) / 8)
    assert method["order low"] == pytest.approx(2.5 / 4) and method["order high"] == 1
    assert rows["top_1ml"]["AUROC"] == rows["top_1ml"]["paired order"] == rows["volume"]["AUROC"] == 1
    assert {rows[name]["shown"] for name in rows if name != "method"} == {"no"}


def test_false_positives_of_untouched_scans_are_counted_at_the_default_threshold():
    scores = synthetic(0.0)
    loud = scores[3].score.copy()
    loud[2:6, 2:6, 2:6] += 30
    rows = healthy_rows(measured([replace(k, score=loud) if n == 3 else k for n, k in enumerate(scores)]))
    first, second, mean = rows
    # The loud cube has 64 voxels of 8 mm³; at 1 mL of noise in 32 mL, small regions surround it.
    assert first["false regions"] >= 1 and first["largest mL"] >= 64 * 0.008 > second["largest mL"]
    assert 0 < second["false mL"] < 3
    assert mean["scan"] == "mean" and mean["false mL"] == pytest.approx((first["false mL"] + second["false mL"]) / 2)


def test_lesions_hit_at_the_default_threshold_are_counted_by_kind_and_contrast():
    scores = synthetic(10.0)
    blind = [replace(k, score=k.score * ~k.truth) if k.kind == "spots" else k for k in scores]
    rows = [row for row in default_rows(measured(blind)) if row["pooling"] == row["per-place"] == "yes"]
    hits = {row["lesions"]: (row["lesions hit"], row["share hit"]) for row in rows}
    found = {kind: ("1/1", 1) for kind in KINDS if kind != "spots"}
    assert hits == {"all": ("3/4", 0.75), "spots": ("0/1", 0), "strong": ("3/4", 0.75)} | found
    marked = {row["lesions"]: row["voxels marked"] for row in rows}
    assert marked["tumour"] > 0.5 > marked["spots"] and marked["spots"] < marked["all"] < marked["tumour"]


def test_equal_detectors_differ_by_nothing_and_a_better_one_by_its_gain():
    good, bad = (
        Sampled.of(measured(by_subject(synthetic(of_lesion)), replace_name(name))[-1])
        for name, of_lesion in (("good", 10.0), ("bad", 0.2))
    )
    for row in difference_rows([good, replace(good, detector="copy")]):
        assert row["AP difference"] == row["low"] == row["high"] == row["low (cases)"] == row["high (cases)"] == 0
    first = difference_rows([good, bad])[0]
    assert (first["detector"], first["minus"], first["lesions"]) == ("good", "bad", "all")
    gain = good.values["all"][0] - bad.values["all"][0]
    assert first["AP difference"] == pytest.approx(gain, abs=1e-4) and first["low (cases)"] > 0
    assert first["low (cases)"] <= first["AP difference"] <= first["high (cases)"]


def replace_name(name: str) -> Detector:
    return replace(DETECTOR, name=name)


class Model:
    """A restorer with a known answer, as a detector."""

    def __init__(self, restored):
        self.restored = restored

    def __call__(self, prepared):
        return Restoration(np.abs(prepared.image - self.restored), self.restored, 1.0)


def test_a_stored_case_is_made_once_and_gives_healing_of_0_for_the_truth_and_1_for_the_scan(tmp_path):
    random = np.random.default_rng(0)
    mask, truth = np.ones((12, 16, 16), bool), np.zeros((12, 16, 16), bool)
    mask[:, 0] = False
    truth[3:6, 4:8, 4:8] = True
    healthy = np.where(mask, random.uniform(0.4, 0.8, mask.shape), 0).astype(np.float32)
    image, name = np.where(truth, healthy - 0.3, healthy).astype(np.float32), CaseName("a", "tumour", "strong")
    made = []

    def make() -> Case:
        made.append(1)
        return Case(name, CaseImage(image, mask), truth, healthy)

    case = StoredCase(str(name), name, make, tmp_path, "1", "t")
    kinds = {"perfect": healthy, "identity": image}
    found = [Detector(key, key, Model(restored), Pooling()) for key, restored in kinds.items()]
    case.score(found)
    assert made == [1]
    again = case.case()
    assert made == [1] and np.array_equal(again.prepared.image, image) and np.array_equal(again.truth, truth)
    assert np.array_equal(again.healthy, healthy)
    perfect, identity = (case.kept(detector) for detector in found)
    assert perfect.sums.healing == pytest.approx(0, abs=1e-6) and identity.sums.healing == pytest.approx(1)
    assert identity.sums.sharpness == (1, 1, 1) and perfect.subject == "a"
    assert np.array_equal(perfect.score, np.abs(image - healthy)) and np.array_equal(perfect.mask, mask)
    assert np.array_equal(perfect.truth, truth) and perfect.seconds >= 0
    shown = perfect.slices[int(truth.sum(axis=(1, 2)).argmax())] * (1.5 / 255)
    assert np.abs(shown - healthy[3]).max() < 0.01 and len(perfect.slices) == 1
    judged = [SimpleNamespace(kind="tumour", contrast=c, kept=k) for c, k in (("weak", perfect), ("strong", identity))]
    found = {row["scans"]: row["healing"] for row in restoration_rows("either", judged)}
    assert found == {"all": 0.5, "tumour": 0.5, "tumour, weak": 0, "tumour, strong": 1}


def test_the_healthy_tissue_of_a_case_is_in_its_own_alignment_and_scaling(toy):
    template = load_model(toy.models["atlas"]).template
    scans = {"head-8": toy.healthy / "head-8.nii.gz"}
    case = next(cases([CaseName("head-8", "spots", "strong")], scans, template, seed=1))
    change = np.abs(case.prepared.image - case.healthy)
    assert change[case.truth].mean() > 0.05
    untouched = next(cases([CaseName("head-8")], scans, template, seed=1))
    elsewhere = np.abs(case.prepared.image - untouched.prepared.image)
    # Spots displace nothing. The untouched scan's own alignment and scaling are slightly different everywhere.
    counts = [np.count_nonzero(part > 1e-6) for part in (change, elsewhere)]
    assert counts[0] < 0.02 * case.prepared.mask.sum() < 0.5 * counts[1]
    assert untouched.healthy is untouched.prepared.image


def test_places_have_other_seeds_and_the_first_is_that_of_before():
    names = case_names(["a", "b"], every=True, places=2, unseen=True)
    lesions = [name for name in names if name.kind in KINDS]
    assert len(lesions) == 2 * 4 * 3 * 2 and len(names) == len(lesions) + 2 + 2 * 2 * 3
    assert len(set(map(str, names))) == len(names) and str(lesions[3]) == "a_tumour_weak_place2"
    assert {name.place for name in names if name.kind in UNSEEN} == {1}
    first, second = CaseName("a", "spots", "weak"), CaseName("a", "spots", "weak", 2)
    # As before there were places: subject and number of the kind.
    expected = np.random.default_rng([7, ord("a"), 1]).integers(2**31)
    assert first.lesion_seed(7) == expected != second.lesion_seed(7)
    assert CaseName("a", "spots", "strong", 2).lesion_seed(7) == second.lesion_seed(7)
    assert [str(name) for name in case_names(["a"], places=2)][1:4] == [
        "a_tumour_weak",
        "a_tumour_medium_place2",
        "a_spots_medium",
    ]


def test_the_default_set_has_the_cases_of_before():
    names = [str(name) for name in case_names([f"s{n}" for n in range(6)])]
    assert len(names) == 30 and names[6:10] == ["s0_tumour_weak", "s0_spots_medium", "s0_cavity_strong",
                                                "s0_texture_weak"]  # fmt: skip
    assert names[26:] == ["s5_tumour_strong", "s5_spots_weak", "s5_cavity_medium", "s5_texture_strong"]
