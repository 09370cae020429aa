from __future__ import annotations

import argparse
import json
import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.phantoms import METHODS, MODEL_SHAPE, ToyModels, one_alignment, one_thread, toy_models  # noqa: F401
from support.radiograph_phantoms import FULL_SCALE, radiograph, toy_plane_folder, train_plane
from support.raised import raises

from MedADLib import detect
from MedADLib.cli import main, train
from MedADLib.dataset.split import Split
from MedADLib.errors import InputError, OutputError
from MedADLib.io.images import read_raster
from MedADLib.modelfile.model import load_model
from MedADLib.training import model_training
from MedADLib.training.model_training import at_the_end, what_next


@pytest.fixture(scope="module")
def toy(one_thread) -> Iterator[ToyModels]:  # noqa: F811
    return toy_models()


@pytest.mark.parametrize("method", METHODS)
def test_training_leaves_a_calibrated_model_that_opens(toy, method):
    model = load_model(toy.models[method])
    assert model.method.name == method and model.name == f"toy-{method.replace('_', '-')}"
    assert model.template.image.array.shape == MODEL_SHAPE and model.method.fits(MODEL_SHAPE)
    reference = model.calibration.reference
    assert reference.count == 2 and str(reference.threshold) == "1ml"
    assert np.isfinite(reference.sample_scores).all() and (reference.maxima > 0).all()
    assert model.training["split"] == json.loads(toy.split.read_text())
    for text in ("toy heads", "head-4", "head-6", "2 held-out scans", "0.333", "Trained by: not named"):
        assert text in model.card
    assert ("Paper: " in model.card) == (method != "atlas") and "another brain extraction" in model.card


def test_the_methods_share_one_template_and_leave_their_logs_and_images(toy):
    templates = [load_model(path).template.image.array for path in toy.models.values()]
    assert np.array_equal(templates[0], templates[1]) and np.array_equal(templates[0], templates[2])
    for log in ("autoencoder/sweep-4", "autoencoder/sweep-128", "latent_restoration/vqvae", "latent_restoration/prior"):
        method, _, network = log.partition("/")
        (folder,) = toy.work.glob(f"{method}*/{network}")
        assert (folder / "log.csv").read_text().startswith("step,rate,")
        assert (folder / "curves.png").stat().st_size > 1000
    for method in METHODS:
        (figure,) = toy.work.glob(f"{method}*/toy-{method.replace('_', '-')}-reconstructions.png")
        assert figure.stat().st_size > 1000
    (figure,) = toy.work.glob("latent_restoration*/toy-latent-restoration-samples.png")
    assert figure.stat().st_size > 1000


def test_the_latent_size_is_chosen_from_the_sweep_and_recorded(toy):
    model = load_model(toy.models["autoencoder"])
    sweep = model.training["facts"]["latent_sweep"]
    assert set(sweep) == {str(2**n) for n in range(8)} and min(sweep.values()) > 0
    assert str(model.method.parameters.latent) in sweep
    assert (toy.work / "autoencoder" / f"latent-{model.method.parameters.latent}" / "log.csv").is_file()


def test_thresholds_of_latent_restoration_are_those_of_healthy_scans(toy):
    parameters = load_model(toy.models["latent_restoration"]).method.parameters
    assert 0 < parameters.restoration_nll < parameters.sample_nll < 20


def test_images_in_folders_of_subjects_train_with_a_configuration_file(tmp_path, capsys, one_thread):  # noqa: F811
    for subject in range(10):
        (tmp_path / "chests" / f"patient-{subject}").mkdir(parents=True)
        for view in range(2):
            array = radiograph(10 * subject + view).array[0] / FULL_SCALE * 60000
            image = sitk.GetImageFromArray(array.astype(np.uint16))
            sitk.WriteImage(image, str(tmp_path / "chests" / f"patient-{subject}" / f"{view}.png"))
    config = {"healthy": "chests", "work": "work", "size": 64, "modality": "toy radiographs", "seed": 9}
    (tmp_path / "config.json").write_text(json.dumps(config))
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    places = ["--config", str(tmp_path / "config.json"), "-o", str(tmp_path / "chest.medad")]
    assert train.run(parser.parse_args(["atlas", *places, "--seed", "5", "--named-scans"])) == 0
    model = load_model(tmp_path / "chest.medad")
    assert model.template.kind == "plane" and model.modality == "toy radiographs" and model.training["seed"] == 5
    assert "brain" not in model.card
    parts = {part: {name[:9] for name in names} for part, names in model.training["split"].items()}
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == 10
    assert json.loads((tmp_path / "work" / "split.json").read_text()) == model.training["split"]
    printed = capsys.readouterr().out
    assert "20 scans of 10 subjects" in printed and "64 x 64 pixels, examined in the whole field of view" in printed
    found = detect(read_raster(tmp_path / "chests" / "patient-3" / "1.png", "one"), model)
    assert np.isfinite(found.anomaly.array).all()


def test_a_full_disk_stops_the_training_before_it_begins(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("usage", "free")(10**8))
    with raises(InputError, "disk_too_small") as caught:
        toy.train("atlas", tmp_path / "m.medad", "--work", str(tmp_path / "work"))
    assert caught.value.parameters["folder"] == str(tmp_path / "work") and caught.value.parameters["free"] == 0.1
    assert {path.name for path in (tmp_path / "work").iterdir()} == {".lock", "checks.json", "space.json"}


def test_a_bad_scan_is_left_out_of_the_split_when_asked(tmp_path, one_thread):  # noqa: F811
    healthy = shutil.copytree(toy_plane_folder() / "healthy", tmp_path / "healthy")
    (healthy / "chest-1.nii.gz").write_bytes(b"half")
    names = [f"chest-{number}" for number in range(18)]
    split = {"train": names[:5], "validation": names[5:6], "calibration": names[6:]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    more = ("--work", tmp_path / "work", "--split", tmp_path / "split.json")
    with raises(InputError, "unusable_scans") as caught:
        train_plane("atlas", healthy, tmp_path / "m.medad", *more)
    assert (caught.value.parameters["count"], caught.value.parameters["total"]) == (1, 18)
    assert caught.value.parameters["scans"].startswith("chest-1: ")
    train_plane("atlas", healthy, tmp_path / "m.medad", *more, "--skip-bad")
    assert load_model(tmp_path / "m.medad").training["split"]["train"] == ["chest-0", "chest-2", "chest-3", "chest-4"]


@pytest.mark.slow
def test_the_same_command_makes_the_same_file(toy, tmp_path):
    again = tmp_path / toy.models["autoencoder"].name
    toy.train("autoencoder", again, "--pictures", str(tmp_path / "pictures"))
    assert again.read_bytes() == toy.models["autoencoder"].read_bytes()
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["toy-autoencoder-reconstructions.png"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--threshold", "lots"), "bad_threshold"),
        (("--steps", "0"), "steps_not_positive"),
        (("--device", "abacus"), "unknown_device"),
        (("--healthy", "nowhere"), "scan_folder_missing"),
        (("-o", "model.zip"), "bad_model_file_name"),
        (("-o", "a model.medad"), "bad_model_file_name"),
        (("--set", "foo=1"), "method_without_settings"),
        (("--minimum-mm", "99"), "bad_pooling_size"),
    ],
)
def test_what_cannot_be_done_is_reported_before_any_training(toy, tmp_path, monkeypatch, more, code):
    monkeypatch.chdir(tmp_path)
    with raises(InputError, code) as caught:
        toy.train("atlas", tmp_path / "m.medad", "--work", str(tmp_path / "work"), *more)
    wanted = more[1].partition("=")[0]
    assert code in ("steps_not_positive", "bad_pooling_size") or wanted in str(caught.value.parameters)
    assert list(tmp_path.iterdir()) == []


def refuse_to_read(monkeypatch):
    monkeypatch.setattr(model_training, "find_scans", lambda *words: pytest.fail("scans were looked for"))


@pytest.mark.parametrize(
    ("method", "more", "words"),
    [
        ("autoencoder", ("--set", "foo=1"), "foo: loss, variant"),
        ("vae", ("--set", "gradient_scale=2"), "gradient_scale: kl_weight"),
        ("latent_restoration", ("--set", "sample_nll=2"), "sample_nll: samples"),
        ("implicit_field", ("--set", "centres=[0.5]"), "centres: bands"),
        ("morphaeus", ("--set", "size=[64,64]"), "size: channels, score, schedule"),
        ("vae", ("--set", "schedule=apart"), "schedule: kl_weight"),
        ("fpi", ("--latent", "8"), "latent: blending"),
    ],
)
def test_settings_that_a_method_does_not_have_are_refused_before_any_scan_is_read(
    toy, tmp_path, monkeypatch, method, more, words
):
    refuse_to_read(monkeypatch)
    with raises(InputError, "method_setting_unknown") as caught:
        toy.train(method, tmp_path / "m.medad", *more)
    setting, known = words.split(": ")
    assert setting in caught.value.parameters["setting"] and known in caught.value.parameters["known"]


def test_a_model_that_could_not_be_written_is_refused_before_any_scan_is_read(toy, tmp_path, monkeypatch):
    refuse_to_read(monkeypatch)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.medad").mkdir()
    for output, code in (("file/m.medad", "folder_is_file"), ("folder.medad", "file_is_folder")):
        with pytest.raises(OutputError) as refused:
            toy.train("atlas", tmp_path / output)
        assert refused.value.code == code and str(tmp_path / output.split("/")[0]) in refused.value.problem
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("usage", "free")(10**6))
    with raises(OutputError, "no_space_for_model") as refused:
        toy.train("atlas", tmp_path / "new" / "m.medad")
    assert (refused.value.parameters["free"], refused.value.parameters["needed"]) == (1, 20)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder.medad"}


def test_each_network_states_how_it_did_at_the_end(toy):
    printed = at_the_end(load_model(toy.models["latent_restoration"]).training["facts"])
    measured = {part.partition(" = ")[0] for part in printed}
    assert measured == {"vqvae validation_error", "vqvae validation_codes_used", "prior validation_nll"}
    rows = {"latent_sweep": {"4": 0.1}, "schedule": "apart", "last": {"step": 9, "validation_error": 0.123456}}
    assert at_the_end(rows) == ["validation_error = 0.1235"]
    assert at_the_end({}) == []


def test_the_end_of_a_training_says_what_to_do_next(toy):
    split = Split.of(load_model(toy.models["atlas"]).training["split"])
    lines = what_next(Path("our.medad"), split)
    assert "  medad detect SCAN -o results --model our.medad" in lines
    commands = [line.split(",")[0].split()[1:] for line in lines if line.startswith("  medad ")]
    assert {words[0] for words in commands} == {"detect", "models", "compare", "calibrate"}
    assert all(main.build_parser(words).parse_args(words).command == words[0] for words in commands)
    assert not any("compare" in line for line in what_next(Path("our.medad"), replace(split, benchmark=())))


def test_every_entry_of_the_registry_names_a_method_and_its_training():
    from MedADLib.methods.registry import ENTRIES, METHODS, trainable
    from MedADLib.training.trainers import TRAINERS

    assert {name: METHODS[name].name for name in METHODS} == {name: name for name in ENTRIES}
    assert all(callable(TRAINERS[name]) for name in trainable()) and set(ENTRIES) - set(trainable()) == {"ensemble"}
    assert all(entry.title and entry.purpose for entry in ENTRIES.values())
