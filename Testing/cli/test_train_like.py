"""Training in the space and with the split of an existing model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.phantoms import head, one_thread  # noqa: F401
from support.radiograph_phantoms import radiograph, toy_plane_folder, toy_plane_model
from support.raised import raises

from MedADLib.cli import train as cli_train
from MedADLib.errors import InputError, ModelError
from MedADLib.modelfile.model import Model, load_model, save_model


@pytest.fixture(scope="module")
def first(one_thread) -> Iterator[Model]:  # noqa: F811
    yield load_model(toy_plane_model())


def train(output: Path, *more: object, healthy: Path | None = None) -> Model:
    parser = argparse.ArgumentParser()
    cli_train.add_arguments(parser)
    healthy = healthy or toy_plane_folder() / "healthy"
    words = ["atlas", "--healthy", healthy, "-o", output, "--device", "cpu", "--named-scans", *more]
    cli_train.run(parser.parse_args([str(word) for word in words]))
    return load_model(output)


def a_split(*counts: int) -> dict[str, list[str]]:
    names = iter(range(28))
    parts = ("train", "validation", "calibration", "benchmark")
    return {part: [f"chest-{next(names)}" for _ in range(count)] for part, count in zip(parts, counts)}


def test_the_new_model_has_the_template_and_the_split_of_the_other(first, tmp_path):
    # Another seed would give another split, and the split another mean image.
    made = train(tmp_path / "new.medad", "--like", first.path, "--seed", 7)
    assert made.training["split"] == first.training["split"]
    assert np.array_equal(made.template.image.array, first.template.image.array)
    assert made.template.limits == first.template.limits
    alone = train(tmp_path / "alone.medad", "--seed", 7, "--size", 64)
    assert alone.training["split"] != first.training["split"]
    assert not np.array_equal(alone.template.image.array, first.template.image.array)


def test_a_split_of_ones_own_goes_before_that_of_the_model(first, tmp_path):
    (tmp_path / "split.json").write_text(json.dumps(a_split(5, 1, 4, 2)))
    made = train(tmp_path / "new.medad", "--like", first.path, "--split", tmp_path / "split.json")
    assert made.training["split"] == a_split(5, 1, 4, 2)
    assert np.array_equal(made.template.image.array, first.template.image.array)


def test_a_work_folder_with_another_template_is_refused_and_its_own_goes_on(first, tmp_path):
    (tmp_path / "split.json").write_text(json.dumps(a_split(5, 1, 4)))
    more = ("--work", tmp_path / "work", "--split", tmp_path / "split.json")
    train(tmp_path / "own.medad", *more, "--size", 64)
    with raises(InputError, "work_of_other_template") as caught:
        train(tmp_path / "new.medad", *more, "--like", first.path)
    assert caught.value.parameters == {"work": str(tmp_path / "work"), "model": "toy-plane-atlas"}
    made = train(tmp_path / "new.medad", *more, "--like", tmp_path / "own.medad")
    assert made.training["split"] == a_split(5, 1, 4, 0)


def test_models_of_the_other_kind_are_refused_whatever_their_split(first, tmp_path):
    with pytest.raises(InputError) as caught:
        train(tmp_path / "new.medad", "--like", "brain-t1-atlas")
    assert (caught.value.code, caught.value.parameters) == ("model_for_volumes", {"model": "brain-t1-atlas"})
    heads = tmp_path / "heads"
    heads.mkdir()
    for number in range(8):
        head(number, spacing=(6.0, 6.0, 10.0), size=32)[0].write(heads / f"chest-{number}.nii.gz")
    with pytest.raises(InputError) as caught:
        train(tmp_path / "new.medad", "--like", first.path, healthy=heads)
    assert (caught.value.code, caught.value.parameters) == ("model_for_slices", {"model": "toy-plane-atlas"})


def test_scans_that_the_model_knew_and_are_missing_are_reported(first, tmp_path):
    healthy = tmp_path / "healthy"
    healthy.mkdir()
    for seed in range(10):
        radiograph(seed).write(healthy / f"chest-{seed}.nii.gz")
    with raises(InputError, "reference_scans_missing") as caught:
        train(tmp_path / "new.medad", "--like", first.path, healthy=healthy)
    assert (caught.value.parameters["count"], caught.value.parameters["missing"]) == (28, 18)
    assert caught.value.parameters["example"] == "chest-10"
    (healthy / "chest-0.nii.gz").write_bytes(b"")
    (tmp_path / "split.json").write_text(json.dumps(a_split(5, 1, 4)))
    with pytest.raises(InputError) as caught:
        train(tmp_path / "new.medad", "--like", first.path, "--split", tmp_path / "split.json", healthy=healthy)
    assert caught.value.code == "unusable_scans" and caught.value.parameters["scans"].startswith("chest-0: ")


@pytest.mark.parametrize("split", [None, {}, {"train": ["a"]}, {"train": 5}, {"who": []}, [1]])
def test_a_model_without_a_sound_split_is_reported(first, tmp_path, split):
    save_model(replace(first, name="odd", training={"split": split}), tmp_path / "odd.medad")
    with pytest.raises(InputError) as caught:
        train(tmp_path / "new.medad", "--like", tmp_path / "odd.medad")
    assert (caught.value.code, caught.value.parameters) == ("model_without_split", {"model": "odd"})


def test_another_size_and_a_model_that_is_not_there_are_refused(first, tmp_path):
    with raises(InputError, "model_of_other_size") as caught:
        train(tmp_path / "new.medad", "--like", first.path, "--size", 96)
    assert (caught.value.parameters["own"], caught.value.parameters["asked"]) == (64, 96)
    with pytest.raises(ModelError) as caught:
        train(tmp_path / "new.medad", "--like", "nobody")
    assert (caught.value.code, caught.value.parameters["name"]) == ("model_unknown", "nobody")
