"""Training scans that calibrate too, out of fold: who scores them, what the model file says, and what is refused."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from support.phantoms import one_thread  # noqa: F401
from support.radiograph_phantoms import radiograph
from support.raised import raises

from MedADLib.cli import main
from MedADLib.cli import train as cli_train
from MedADLib.dataset.discovery import find_scans
from MedADLib.errors import Cancelled, InputError
from MedADLib.methods.atlas import Atlas
from MedADLib.methods.base import rounded
from MedADLib.modelfile.card import about
from MedADLib.modelfile.disclosure import disclosed
from MedADLib.modelfile.model import Model, load_model
from MedADLib.runtime.progress import Progress
from MedADLib.training import model_training
from MedADLib.training.data import prepared_scan
from MedADLib.training.folds import folds_of

SUBJECTS, OUTLIER = 13, 2
# Two scans of each subject.
PARTS = {"train": range(8), "validation": range(8, 10), "calibration": range(10, SUBJECTS)}
TRAINED, HELD_OUT = 16, 6


def names_of(subjects) -> list[str]:
    return [f"sub-{subject:02}_{view}" for subject in subjects for view in "ab"]


def subject_of(name: str) -> str:
    return name.partition("_")[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, one_thread) -> Path:  # noqa: F811
    """Healthy radiographs, those of one training subject with the same bright spot, and their split."""
    folder = tmp_path_factory.mktemp("folds")
    (folder / "healthy").mkdir()
    for number, name in enumerate(names_of(range(SUBJECTS))):
        lesion = (0.42, 0.1) if number // 2 == OUTLIER else None
        radiograph(number, lesion=lesion).write(folder / "healthy" / f"{name}.nii.gz")
    (folder / "split.json").write_text(json.dumps({part: names_of(own) for part, own in PARTS.items()}))
    return folder


def train(folder: Path, output: Path, *more: object, method: str = "atlas", progress: Progress | None = None) -> Model:
    parser = argparse.ArgumentParser()
    cli_train.add_arguments(parser)
    places = ["--healthy", folder / "healthy", "--split", folder / "split.json", "--work", folder / "work"]
    words = [method, *places, "-o", output, "--size", 64, "--device", "cpu", "--named-scans", *more]
    cli_train.run(parser.parse_args([str(word) for word in words]), progress)
    return load_model(output)


@pytest.fixture(scope="module")
def folded(folder) -> Model:
    return train(folder, folder / "folded.medad", "--folds", 4)


def test_the_training_scans_calibrate_too(folder, folded, tmp_path, capsys):
    plain = train(folder, tmp_path / "plain.medad")
    assert "calibrated on 6 scans" in capsys.readouterr().out
    assert plain.calibration.reference.count == HELD_OUT
    assert folded.calibration.reference.count == HELD_OUT + TRAINED
    assert folded.calibration.reference.smallest_p == 1 / 23
    # The method itself is trained on all training scans.
    assert all(np.array_equal(value, plain.method.tensors()[key]) for key, value in folded.method.tensors().items())
    train(folder, tmp_path / "again.medad", "--folds", 4)
    printed = capsys.readouterr().out
    assert "those to train also calibrate, in 4 folds" in printed
    assert "trained on 16, calibrated on 22 scans, 16 of them out of fold" in printed


def test_each_training_scan_is_scored_without_the_scans_of_its_subject(folder, folded):
    folds, scans = folded.training["folds"], find_scans(folder / "healthy")
    kept = folded.training["split"]["train"]
    assert sorted(name for fold in folds for name in fold) == sorted(kept)
    prepared = {name: prepared_scan(scans[name], folded.template) for name in kept}
    own, wanted, flattered = iter(folded.calibration.reference.sample_scores[HELD_OUT:]), {}, {}
    for fold in folds:
        assert {subject_of(name) for name in fold}.isdisjoint(subject_of(name) for name in kept if name not in fold)
        others = [(prepared[name].image, prepared[name].mask) for name in kept if name not in fold]
        atlas = rounded(Atlas.train(others, tuple(folded.template.image.spacing), folded.template.symmetric))
        for name in fold:
            image, mask = prepared[name].image, prepared[name].mask
            wanted[name] = atlas.restore(image, mask).sample_score
            flattered[name] = folded.method.restore(image, mask).sample_score
            assert next(own) == pytest.approx(wanted[name], rel=1e-3)
    # An atlas that saw both scans with the spot has a larger SD there.
    for name in names_of([OUTLIER]):
        assert wanted[name] > 1.2 * flattered[name]


def test_the_card_says_how_many_scans_are_out_of_fold(folded):
    text = "22 scans: 6 held-out scans, and out of fold the 16 training scans"
    assert text in folded.card and "4 folds by subject, Vovk 2015" in folded.card
    # Also where the author of a model wrote its card.
    stored = disclosed("# Our own card\n", about(folded))
    for card in (folded.card, stored):
        assert "- The training scans are also in the calibration, out of fold." in card.splitlines()
    assert "P-values are approximately valid" in folded.card and "no p-value is below 0.043" in folded.card


def test_a_calibration_on_other_scans_leaves_no_folds(folder, folded, tmp_path):
    words = ["calibrate", folded.path, "--healthy", folder / "healthy", "-o", tmp_path / "here.medad"]
    assert main.main([str(word) for word in (*words, "--device", "cpu", "--named-scans")]) == 0
    model = load_model(tmp_path / "here.medad")
    assert "folds" not in model.training and model.calibration.reference.count == HELD_OUT
    assert model.training["calibrated_on"]["scans"] == names_of(PARTS["calibration"])
    assert "6 held-out scans." in model.card and "fold" not in model.card


def test_folds_have_about_as_many_subjects_and_depend_on_the_seed():
    names = names_of(range(10))
    subjects = {name: subject_of(name) for name in names}
    folds = folds_of(names, subjects, 4, seed=3)
    assert sorted(name for fold in folds for name in fold) == names
    assert sorted(len(fold) for fold in folds) == [4, 4, 6, 6]
    assert all(names_of([int(name[4:6])])[0] in fold for fold in folds for name in fold)
    assert folds == folds_of(names[::-1], subjects, 4, seed=3) != folds_of(names, subjects, 4, seed=4)
    assert folds_of(names, subjects, 0, seed=3) == folds_of(names, subjects, 1, seed=3) == ()


def test_too_few_subjects_for_the_folds_are_refused(folder, tmp_path):
    with raises(InputError, "folds_too_many", folds=9, subjects=8):
        train(folder, tmp_path / "m.medad", "--folds", 9)
    # Without one of two folds, 2 of 4 scans are left.
    with raises(InputError, "folds_too_many", folds=2, subjects=4, least=3):
        folds_of("abcd", dict(zip("abcd", "abcd")), 2, seed=0)
    assert len(folds_of("abcd", dict(zip("abcd", "abcd")), 4, seed=0)) == 4


@pytest.mark.parametrize(
    ("method", "folds", "code"), [("autoencoder", 5, "folds_of_network"), ("atlas", -1, "folds_negative")]
)
def test_networks_and_negative_numbers_are_refused_before_any_scan_is_read(
    folder, tmp_path, monkeypatch, method, folds, code
):
    monkeypatch.setattr(model_training, "find_scans", lambda *words, **more: pytest.fail("scans were looked for"))
    with raises(InputError, code) as caught:
        train(folder, tmp_path / "m.medad", "--folds", folds, method=method)
    if code == "folds_of_network":
        assert "autoencoder trains a network" in str(caught.value)
        assert caught.value.parameters["suited"] == "atlas, mahalanobis"
    assert not (tmp_path / "m.medad").exists()


def test_the_trainings_of_folds_report_their_progress_and_can_be_cancelled(folder, tmp_path):
    found = []
    progress = Progress(lambda stage, fraction, message: found.append((stage, fraction, str(message))))
    train(folder, tmp_path / "whole.medad", "--folds", 2, method="mahalanobis", progress=progress)
    begun = next(number for number, (stage, *_) in enumerate(found) if stage == "calibration")
    during = [(fraction, message) for stage, fraction, message in found[begun:] if stage == "calibration"]
    assert {stage for stage, *_ in found[begun:]} == {"calibration", "writing"}
    assert all(0.9 <= fraction <= 0.98 for fraction, _ in during)
    # Each fold is trained on half of the scans.
    count = next(number for number, (_, message) in enumerate(during) if "8 of 8" in message)

    seen = []

    def in_the_first_fold() -> bool:
        return len(seen) > begun + count

    stopped = Progress(lambda *report: seen.append(report), in_the_first_fold)
    with pytest.raises(Cancelled):
        train(folder, tmp_path / "stopped.medad", "--folds", 2, method="mahalanobis", progress=stopped)
    assert seen[-1][0] == "calibration" and not (tmp_path / "stopped.medad").exists()
