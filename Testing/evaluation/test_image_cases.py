"""Which images are healthy, abnormal and unseen, and how well one score tells them."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.phantoms import one_thread  # noqa: F401
from support.radiograph_phantoms import radiograph, toy_plane_folder, toy_plane_model
from support.toy_npz import COUNTS, write_toy_npz

from MedADLib.cli import sweep as cli_sweep
from MedADLib.dataset.discovery import find_scans
from MedADLib.dataset.split import Split, split_of_arrays
from MedADLib.errors import InputError
from MedADLib.evaluation.image_cases import (
    LabelledImage,
    abnormal_scans,
    held_out,
    image_level,
    labelled_images,
    refuse_both,
)
from MedADLib.modelfile.model import Model, load_model
from MedADLib.runtime.progress import Progress
from MedADLib.scoring.restoration import Restoration


@pytest.fixture(scope="module")
def npz(tmp_path_factory) -> Path:
    return write_toy_npz(tmp_path_factory.mktemp("npz") / "toy.npz")


@pytest.fixture(scope="module")
def model(one_thread) -> Iterator[Model]:  # noqa: F811
    yield load_model(toy_plane_model())


def parts_of(names) -> set[str]:
    return {name.split("-")[1].removesuffix("_images") for name in names}


def test_one_npz_file_is_as_good_as_its_folder(npz):
    found = find_scans(npz, healthy_label=0)
    assert list(found) == list(find_scans(npz.parent, healthy_label=0)) and len(found) == sum(COUNTS.values())
    with pytest.raises(InputError) as refused:
        find_scans(npz)
    assert refused.value.code == "several_labels"


def test_the_file_s_own_split_is_kept(npz):
    split = split_of_arrays(find_scans(npz, healthy_label=0), 0, 3)
    assert parts_of(split.train) == {"train"} and parts_of(split.benchmark) == {"test"}
    assert parts_of(split.validation) == parts_of(split.calibration) == {"val"}
    assert [len(part) for part in (split.train, split.validation, split.calibration, split.benchmark)] == [12, 4, 4, 6]
    assert split_of_arrays(find_scans(npz, healthy_label=0), 1, 3) != split
    assert split_of_arrays(find_scans(npz, healthy_label=0), 0, 3) == split


def test_little_for_validation_is_pooled_but_the_test_images_stay_apart(tmp_path):
    scans = find_scans(write_toy_npz(tmp_path / "toy.npz", train=12, val=2, test=3), healthy_label=0)
    split = split_of_arrays(scans, 0, 3)
    assert parts_of(split.benchmark) == {"test"} and len(split.calibration) == 3 and len(split.names()) == 17
    assert "test" not in parts_of(split.train + split.validation + split.calibration)


@pytest.mark.parametrize("counts", [{"train": 9}, {"val": 4, "test": 9}, {"train": 9, "test": 9, "more": 1}])
def test_arrays_that_are_no_whole_split_are_divided_by_chance(tmp_path, counts):
    scans = find_scans(write_toy_npz(tmp_path / "toy.npz", **counts), healthy_label=0)
    assert split_of_arrays(scans, 0, 3) is None


def test_abnormal_images_are_the_other_labels_of_the_test_arrays(npz, tmp_path):
    found = abnormal_scans(npz, None, 0)
    assert parts_of(found) == {"test"} and [source.place.index % 2 for source in found.values()] == [1] * 6
    without_test = write_toy_npz(tmp_path / "toy.npz", train=3)
    assert len(abnormal_scans(without_test, None, 0)) == 3
    assert len(abnormal_scans(without_test, npz, 0)) == sum(COUNTS.values())
    assert len(abnormal_scans(toy_plane_folder() / "healthy", npz, None)) == 2 * sum(COUNTS.values())
    assert abnormal_scans(toy_plane_folder() / "healthy", None, None) == {}
    arrays = dict(np.load(without_test))
    np.savez(tmp_path / "toy.npz", **arrays | {"train_labels": arrays["train_labels"] * 0})
    with pytest.raises(InputError) as refused:
        abnormal_scans(tmp_path / "toy.npz", None, 0)
    assert refused.value.code == "no_other_label" and refused.value.parameters["label"] == 0


def test_healthy_images_to_judge_are_the_benchmark_or_else_those_for_calibration():
    split = Split(("a", "b", "c"), ("d",), ("e", "f"))
    assert held_out(split) == ("calibration", ("e", "f")) and held_out(split, "validation") == ("validation", ("d",))
    assert held_out(replace(split, benchmark=("g",))) == ("benchmark", ("g",))
    with pytest.raises(InputError) as caught:
        held_out(split, "benchmark")
    assert (caught.value.code, caught.value.parameters) == ("split_part_empty", {"part": "benchmark"})


def test_an_image_is_not_both(npz, model):
    healthy = find_scans(npz, healthy_label=0)
    with pytest.raises(InputError, match="toy-test_images-00") as caught:
        refuse_both(healthy, abnormal_scans(npz, npz, None))
    assert caught.value.code == "healthy_and_abnormal"
    refuse_both(healthy, abnormal_scans(npz, npz, 0))
    found = labelled_images(dict(list(healthy.items())[:2]), abnormal_scans(npz, None, 0), model.template, Progress())
    assert [image.abnormal for image in found] == [False] * 2 + [True] * 6
    assert all(image.image.shape == image.mask.shape == model.template.image.array.shape for image in found)


class Brightness:
    def restore(self, image, mask, *, seed=0, device="cpu", progress=None):
        return Restoration(image, image, float(image[mask].mean()))


def test_the_numbers_are_those_of_scikit_learn():
    from sklearn.metrics import average_precision_score, roc_auc_score

    random = np.random.default_rng(0)
    truth = np.arange(60) % 3 == 0
    # Rounded, so that some images have the same score.
    values = np.round(random.normal(truth * 0.8, 1.0), 1).astype(np.float32)
    mask = np.ones((1, 2, 2), bool)
    images = [LabelledImage("", np.full(mask.shape, value), mask, bool(sick)) for value, sick in zip(values, truth)]
    found = image_level(Brightness(), images)
    assert found["image_auroc"] == pytest.approx(roc_auc_score(truth, values), abs=1e-9)
    assert found["image_ap"] == pytest.approx(average_precision_score(truth, values), abs=1e-9)
    assert image_level(Brightness(), []) == {}


def sweep(output: Path, *more: object) -> list[list[str]]:
    parser = argparse.ArgumentParser()
    cli_sweep.add_arguments(parser)
    fixed = ["-o", output, "--device", "cpu", "--sizes", "1,2,4", "--steps", 2, "--set", "channels=[4,4,4]"]
    assert cli_sweep.run(parser.parse_args([str(word) for word in [*fixed, *more]])) == 0
    return [line.split("\t") for line in (output / "sweep.tsv").read_text().splitlines()]


def test_a_sweep_of_labelled_images_has_their_columns(npz, tmp_path, capsys, one_thread):  # noqa: F811
    table = sweep(tmp_path / "out", "--healthy", npz, "--healthy-label", 0)
    assert table[0] == ["latent", "validation_error", "image_auroc", "image_ap"] and len(table) == 4
    assert all(0 <= float(cell) <= 1 for row in table[1:] for cell in row[2:])
    said = capsys.readouterr().out
    assert "labelled images: 6 healthy (benchmark), 6 abnormal" in said and "best by image_auroc" in said
    assert (tmp_path / "out" / "sweep.png").stat().st_size > 5000
    kept = Split.read(tmp_path / "out" / "work" / "split.json")
    assert parts_of(kept.train) == {"train"} and parts_of(kept.benchmark) == {"test"}


def test_a_sweep_like_a_model_takes_abnormal_images_from_elsewhere(model, tmp_path, capsys):
    sick = tmp_path / "sick"
    sick.mkdir()
    for seed in range(200, 204):
        radiograph(seed, lesion=(0.45, 0.2)).write(sick / f"{seed}.nii.gz")
    places = ["--healthy", toy_plane_folder() / "healthy", "--like", model.path]
    table = sweep(tmp_path / "out", *places, "--abnormal", sick)
    assert table[0][2:] == ["image_auroc", "image_ap"]
    assert "4 healthy (calibration), 4 abnormal" in capsys.readouterr().out
    assert Split.read(tmp_path / "out" / "work" / "split.json").to_json() == model.training["split"]
    shutil.rmtree(tmp_path / "out")
    assert sweep(tmp_path / "out", *places)[0] == ["latent", "validation_error"]
    with pytest.raises(InputError, match="nowhere") as caught:
        sweep(tmp_path / "other", *places, "--abnormal", tmp_path / "nowhere")
    assert caught.value.code == "scan_folder_missing"
    assert not (tmp_path / "other").exists()
