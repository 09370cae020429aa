"""Comparing 2-D models on labelled images, from model files to tables and picture."""

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
from support.phantoms import one_thread  # noqa: F401
from support.radiograph_phantoms import radiograph, toy_plane_folder, toy_plane_model, train_plane
from support.toy_npz import write_toy_npz

from MedADLib.cli import compare as cli_compare
from MedADLib.errors import Cancelled, InputError
from MedADLib.evaluation import detectors
from MedADLib.modelfile.model import load_model, save_model
from MedADLib.runtime.progress import Progress

NAMES = ["intensity deviation", "atlas", "autoencoder"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, one_thread) -> Iterator[Path]:  # noqa: F811
    """A folder with an NPZ file of labelled images and two models of its healthy ones."""
    folder = tmp_path_factory.mktemp("compare")
    npz = write_toy_npz(folder / "toy.npz")
    train_plane("atlas", npz, folder / "a.medad", "--healthy-label", 0)
    quick = ("--steps", 2, "--set", "channels=[4,4,4]")
    train_plane("autoencoder", npz, folder / "b.medad", "--healthy-label", 0, "--like", folder / "a.medad", *quick)
    yield folder


def compare(output: Path, *words: object, progress: Progress | None = None) -> int:
    parser = argparse.ArgumentParser()
    cli_compare.add_arguments(parser)
    words = [*words, "-o", output, "--device", "cpu"]
    return cli_compare.run(parser.parse_args([str(word) for word in words]), progress)


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def both(folder: Path) -> list[object]:
    return [folder / "a.medad", folder / "b.medad", "--healthy", folder / "toy.npz", "--healthy-label", 0]


@pytest.fixture(scope="module")
def compared(trained, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("compared") / "out"
    assert compare(output, *both(trained)) == 0
    return output


def test_the_table_has_every_detector_with_its_intervals(compared):
    rows = table(compared / "comparison.tsv")
    assert [row["detector"] for row in rows] == NAMES
    for row in rows:
        assert (row["healthy"], row["abnormal"]) == ("6", "6")
        for name in ("AUROC", "AP"):
            assert 0 <= float(row[f"{name} low"]) <= float(row[name]) <= float(row[f"{name} high"]) <= 1
    atlas, plain = (next(float(row["AUROC"]) for row in rows if row["detector"] == name) for name in NAMES[1::-1])
    assert atlas > 0.8 and atlas > plain


def test_the_numbers_are_those_of_scikit_learn_on_the_written_scores(compared):
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores, rows = table(compared / "scores.tsv"), table(compared / "comparison.tsv")
    truth = [int(score["abnormal"]) for score in scores]
    assert sum(truth) == 6 and all("test_images" in score["image"] for score in scores)
    for row in rows:
        values = [float(score[row["detector"]]) for score in scores]
        assert float(row["AUROC"]) == pytest.approx(roc_auc_score(truth, values), abs=1e-4)
        assert float(row["AP"]) == pytest.approx(average_precision_score(truth, values), abs=1e-4)


def test_record_and_picture_are_there(compared, trained):
    record = json.loads((compared / "comparison.json").read_text())
    assert record["models"] == {name: load_model(trained / f"{name}.medad").sha256 for name in ("a", "b")}
    assert record["part"] == "benchmark" and [row["detector"] for row in record["rows"]] == NAMES
    assert (compared / "comparison.png").stat().st_size > 10000


def test_a_second_run_uses_the_kept_scores_and_another_seed_moves_only_the_intervals(compared, trained, monkeypatch):
    def never(*given):
        return lambda image: pytest.fail("scored again what was kept")

    before = {name: (compared / name).read_bytes() for name in ("comparison.tsv", "scores.tsv", "comparison.png")}
    monkeypatch.setattr(detectors, "_scorer", never)
    compare(compared, *both(trained))
    assert {name: (compared / name).read_bytes() for name in before} == before
    rows = table(compared / "comparison.tsv")
    compare(compared, *both(trained), "--seed", 3)
    again = table(compared / "comparison.tsv")
    assert [row["AUROC"] for row in again] == [row["AUROC"] for row in rows] and again != rows


def test_scores_of_other_images_with_the_same_names_are_not_taken(compared, trained, tmp_path):
    shutil.copytree(compared, tmp_path / "out")
    arrays = dict(np.load(trained / "toy.npz"))
    changed = arrays["test_images"].copy()
    changed[1::2] = changed[::2]
    np.savez(tmp_path / "same.npz", images=changed[1::2])
    compare(tmp_path / "out", *both(trained), "--abnormal", tmp_path / "same.npz")
    assert [float(row["AUROC"]) for row in table(tmp_path / "out" / "comparison.tsv")] == [0.5] * 3


def test_a_cancelled_comparison_keeps_what_was_scored(trained, tmp_path):
    steps = iter(range(10**6))
    progress = Progress(cancelled=lambda: next(steps) > 25)
    with pytest.raises(Cancelled):
        compare(tmp_path / "out", *both(trained), progress=progress)
    kept = [json.loads(file.read_text()) for file in (tmp_path / "out" / "scores").glob("*.json")]
    assert 0 < sum(map(len, kept)) < 36 and not (tmp_path / "out" / "comparison.tsv").exists()


def test_without_a_benchmark_calibration_images_are_compared_with_a_folder(one_thread, tmp_path):  # noqa: F811
    sick = tmp_path / "sick"
    sick.mkdir()
    for seed in range(300, 305):
        radiograph(seed, lesion=(0.45, 0.2)).write(sick / f"{seed}.nii.gz")
    healthy = toy_plane_folder() / "healthy"
    compare(tmp_path / "out", toy_plane_model(), "--healthy", healthy, "--abnormal", sick)
    rows = table(tmp_path / "out" / "comparison.tsv")
    assert (rows[1]["healthy"], rows[1]["abnormal"]) == ("4", "5")
    assert float(rows[1]["AUROC"]) > float(rows[0]["AUROC"])
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["part"] == "calibration"


def test_what_cannot_be_compared_is_refused_before_anything_is_written(trained, tmp_path):
    output, atlas, npz = tmp_path / "out", trained / "a.medad", trained / "toy.npz"
    sick, labelled = ("--abnormal", npz), ("--healthy", npz, "--healthy-label", 0)
    healthy = toy_plane_folder() / "healthy"
    model = load_model(atlas)
    save_model(replace(model, training={}), tmp_path / "old.medad")
    missing = {"count": 6, "example": "toy-test_images-00", "folder": str(healthy)}
    for words, code, told in (
        ((atlas, "--healthy", healthy), "no_abnormal_images", {}),
        ((atlas, *labelled, "--real", npz, npz), "options_for_brains", {}),
        ((atlas, "brain-t1-atlas", *labelled), "models_differ", {"model": "brain-t1-atlas", "first": "a"}),
        ((atlas, "--healthy", healthy, *sick), "healthy_images_missing", missing),
        ((tmp_path / "old.medad", *labelled), "model_without_split", {}),
        (("brain-t1-atlas", "--healthy", healthy, *sick), "image_options_for_volumes", {}),
    ):
        with pytest.raises(InputError) as caught:
            compare(output, *words)
        assert caught.value.code == code and told.items() <= caught.value.parameters.items()
    assert not output.exists()
