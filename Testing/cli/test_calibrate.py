"""``medad calibrate``: the same networks with other settings and healthy scans, none of them training scans."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.phantoms import ToyModels, head, one_alignment, one_thread, toy_models, with_lesion  # noqa: F401

from MedADLib import Volume, detect, load_model
from MedADLib.cli import main
from MedADLib.detection import Settings
from MedADLib.results.text import provenance_text


@pytest.fixture(scope="module")
def toy(one_thread) -> Iterator[ToyModels]:  # noqa: F811
    return toy_models()


@pytest.fixture(scope="module")
def own_scans(tmp_path_factory) -> Path:
    """Healthy scans with names that occur in no model."""
    folder = tmp_path_factory.mktemp("own")
    for number in range(4):
        head(80 + number)[0].write(folder / f"lab-{number}_T1w.nii.gz")
    return folder


def calibrated(toy: ToyModels, output: Path, healthy: Path, *more: str, method: str = "latent_restoration") -> int:
    # Of options given twice, argparse takes the last; models of an ensemble in `more` must follow the first one.
    device = ["--named-scans"] + ([] if "--device" in more else ["--device", "cpu"])
    words = ["calibrate", toy.models[method], *more, "--healthy", healthy, "-o", output, *device]
    return main.main([str(word) for word in words])


@pytest.fixture(scope="module")
def here(toy, own_scans, tmp_path_factory) -> Path:
    """The toy model, calibrated on the lab's scans."""
    output = tmp_path_factory.mktemp("models") / "here.medad"
    assert calibrated(toy, output, own_scans, "--data-note", "our scanner") == 0
    return output


def test_the_networks_stay_and_the_numbers_are_those_of_the_new_scans(toy, here):
    before, after = load_model(toy.models["latent_restoration"]), load_model(here)
    ours, theirs = before.method.tensors(), after.method.tensors()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert after.method.parameters == before.method.parameters and after.name == "here"
    assert after.calibration.reference.count == after.calibration.fast.reference.count == 4
    assert not np.array_equal(after.calibration.coarse.voxelwise.mean, before.calibration.coarse.voxelwise.mean)
    assert after.training["split"] == before.training["split"]
    assert after.training["calibrated_on"]["scans"] == [f"lab-{number}_T1w" for number in range(4)]
    assert "our scanner: lab-0_T1w" in after.card


def test_a_scan_of_the_new_scanner_is_judged_by_its_own_kind(here):
    scores = load_model(here).calibration.reference.sample_scores
    found = detect(head(90)[0], load_model(here))
    assert found.p_value == (1 + (np.asarray(scores) >= found.score).sum()) / (1 + len(scores))


def test_on_its_own_folder_a_model_uses_the_calibration_scans_only(toy, tmp_path, capsys):
    assert calibrated(toy, tmp_path / "again.medad", toy.healthy) == 0
    printed = capsys.readouterr()
    assert "calibrated on " in printed.out
    before, after = load_model(toy.models["latent_restoration"]), load_model(tmp_path / "again.medad")
    assert after.training["calibrated_on"]["scans"] == sorted(before.training["split"]["calibration"])
    assert "left out" in printed.err
    for ours, theirs in zip(before.calibration.tensors().values(), after.calibration.tensors().values()):
        assert np.allclose(ours, theirs, rtol=1e-3, atol=1e-5), "the same scans and settings give the same numbers"


def test_settings_threshold_pooling_and_words_can_be_changed(toy, own_scans, tmp_path, capsys):
    more = ["--set", "samples=2", "--set", "restoration_nll=1.5", "--threshold", "0.5ml", "--average-mm", "20"]
    more += ["--only", "lab-[01]*", "--json-log"]
    words = ["--description", "Brains of our lab", "--model-version", "2.0.0"]
    assert calibrated(toy, tmp_path / "other.medad", own_scans, *more, *words) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1] == {"event": "result", "output": str(tmp_path / "other.medad")}
    (few,) = [event for event in events if event.get("code") == "few_healthy_scans"]
    assert few["event"] == "warning" and few["parameters"]["count"] == 2 and "0.33" in few["message"]
    assert few["parameters"]["needed"] == 19 and "0.05 needs 19" in few["message"]
    model = load_model(tmp_path / "other.medad")
    assert (model.method.parameters.samples, model.method.parameters.restoration_nll) == (2, 1.5)
    assert str(model.calibration.reference.threshold) == "0.5ml" and model.calibration.coarse.pooling.average_mm == 20
    assert (model.description, model.version) == ("Brains of our lab", "2.0.0")
    assert "samples = 2" in model.card and "2.0.0" in model.card


def refused(capsys, toy: ToyModels, *arguments, **more) -> tuple[str, dict]:
    """Code and parameters of the error with which a calibration ends."""
    capsys.readouterr()
    assert calibrated(toy, *arguments, "--json-log", **more) != 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["event"] == "error"
    return last["code"], last["parameters"]


@pytest.mark.parametrize(
    ("more", "code", "shown"),
    [
        (["--set", "prior_width=64"], "setting_not_adjustable", "prior_width"),
        (["--set", "size=[80,80]"], "setting_not_adjustable", "samples, restoration_nll"),
        (["--set", "sample=3"], "setting_not_adjustable", "latent_restoration"),
        (["--set", "samples=0"], "method_setting_invalid", "samples must be 1 to 1000"),
        (["--set", "samples=many"], "method_setting_invalid", "samples"),
        (["--set", "samples"], "not_name_value", "samples"),
        (["--threshold", "a lot"], "bad_threshold", "a lot"),
        (["--minimum-mm", "99"], "bad_pooling_size", ""),
        (["--model-version", "new"], "bad_model_version", "new"),
        (["--seed", "-1"], "bad_seed", "-1"),
        (["--device", "gpu"], "unknown_device", "gpu"),
    ],
)
def test_what_cannot_be_is_refused_before_scans_are_examined(toy, own_scans, tmp_path, capsys, more, code, shown):
    found, parameters = refused(capsys, toy, tmp_path / "no" / "model.medad", own_scans, *more)
    assert found == code and shown in " ".join(map(str, parameters.values())) and not (tmp_path / "no").exists()


def test_what_was_learned_with_other_settings_stays_as_it_was(toy, own_scans, tmp_path, capsys):
    for method, setting in (("atlas", "fwhm_mm=2"), ("autoencoder", "loss=l1")):
        code, parameters = refused(capsys, toy, tmp_path / "new.medad", own_scans, "--set", setting, method=method)
        assert code == "no_adjustable_settings"
        assert parameters == {"setting": setting.partition("=")[0], "method": method}


def test_images_are_not_scans_of_a_model_of_volumes(toy, tmp_path, capsys):
    (tmp_path / "flat").mkdir()
    for number in range(3):
        volume = head(number)[0]
        Volume(volume.array[20:21], volume.affine, f"flat-{number}").write(tmp_path / "flat" / f"flat-{number}.nii.gz")
    code, parameters = refused(capsys, toy, tmp_path / "new.medad", tmp_path / "flat")
    assert (code, parameters) == ("model_for_volumes", {"model": "toy-latent-restoration"})


def test_the_seed_decides_what_is_drawn(toy, own_scans, tmp_path):
    means = []
    for seed in "01":
        few = ["--only", "lab-[01]*", "--set", "samples=1", "--seed", seed]
        assert calibrated(toy, tmp_path / f"model-{seed}.medad", own_scans, *few) == 0
        means.append(load_model(tmp_path / f"model-{seed}.medad").calibration.coarse.voxelwise.mean)
    assert not np.array_equal(*means)


def test_too_few_scans_and_a_bad_name_are_refused(toy, own_scans, tmp_path, capsys):
    (tmp_path / "few").mkdir()
    shutil.copy(own_scans / "lab-0_T1w.nii.gz", tmp_path / "few")
    code, parameters = refused(capsys, toy, tmp_path / "model.medad", tmp_path / "few")
    assert code == "too_few_usable_scans" and parameters["count"] == 1
    code, parameters = refused(capsys, toy, tmp_path / "model.zip", own_scans)
    assert code == "bad_model_file_name" and parameters["path"].endswith("model.zip")
    assert not list(tmp_path.glob("*.medad"))


@pytest.fixture(scope="module")
def ensemble(toy, own_scans, tmp_path_factory) -> Path:
    """The toy atlas and latent restoration, joined on the lab's scans."""
    output = tmp_path_factory.mktemp("models") / "both.medad"
    assert calibrated(toy, output, own_scans, toy.models["latent_restoration"], method="atlas") == 0
    return output


def test_several_models_become_an_ensemble_of_their_methods(toy, ensemble):
    model, members = load_model(ensemble), [load_model(toy.models[name]) for name in ("atlas", "latent_restoration")]
    assert (model.name, model.version) == ("both", "1.0.0")
    assert model.description == "Ensemble of toy-atlas and toy-latent-restoration"
    assert model.method.members == ("toy-atlas", "toy-latent-restoration")
    for method, member in zip(model.method.methods.values(), members):
        ours, theirs = method.tensors(), member.method.tensors()
        assert ours.keys() == theirs.keys() and all(np.array_equal(ours[key], theirs[key]) for key in ours)
    calibration = model.calibration
    assert [(p.member, p.minimum_mm, p.average_mm) for p in calibration.poolings] == [
        (number, p.minimum_mm, p.average_mm) for number, m in enumerate(members) for p in m.calibration.poolings
    ]
    assert calibration.reference.count == 4 and calibration.scan_score == "top_1ml" and calibration.combination == "max"
    assert model.training["split"] == members[0].training["split"]
    assert model.training["members"]["toy-atlas"]["sha256"] == members[0].sha256


def test_the_card_of_an_ensemble_describes_its_members(ensemble):
    card = load_model(ensemble).card
    assert "Ensemble: joins the calibrated maps of several methods" in card
    for member in ("toy-atlas 1.0.0: Atlas.", "toy-latent-restoration 1.0.0: Restoration."):
        assert f"- Member {member}\n" in card
    assert "samples = " in card and "Naval Marimont" in card and "recalibrated on 4 scans" in card
    assert main.main(["models", "card", str(ensemble)]) == 0


def test_an_ensemble_finds_a_lesion_and_tells_which_member_found_it(toy, ensemble):
    volume, mask = head(91)
    sick, _ = with_lesion(volume, (30.0, 20.0, 10.0), 10.0)
    model, atlas = load_model(ensemble), load_model(toy.models["atlas"])
    given = Settings(mask=volume.with_array(mask.astype(np.uint8)))
    found = detect(sick, model, given)
    assert found.regions and np.linalg.norm(np.subtract(found.regions[0].peak_ras, (30.0, 20.0, 10.0))) < 12
    by_region = found.provenance["found_by"]
    assert list(by_region) == [str(region.label) for region in found.regions]
    assert all(list(values) == list(model.method.members) for values in by_region.values())
    assert by_region["1"]["toy-atlas"] == max(by_region["1"].values()) > found.threshold
    assert "Largest rarity of each member" in provenance_text(found) and "toy-atlas" in provenance_text(found)
    np.testing.assert_array_equal(found.restored.array, detect(sick, atlas, given).restored.array)


def test_an_ensemble_has_the_fast_mode_of_its_members_and_can_be_recalibrated(toy, ensemble, own_scans, tmp_path):
    model = load_model(ensemble)
    quick = detect(head(92)[0], model, Settings(fast=True))
    assert [warning.code for warning in quick.warnings if hasattr(warning, "code")].count("fast_mode") == 1
    words = ["calibrate", ensemble, "--healthy", own_scans, "-o", tmp_path / "again.medad", "--device", "cpu"]
    more = ["--combine", "mean", "--average-mm", "9", "--scan-score", "volume", "--only", "lab-[012]*"]
    assert main.main([str(word) for word in words + more]) == 0
    again = load_model(tmp_path / "again.medad")
    assert again.calibration.combination == "mean" and again.calibration.scan_score == "volume"
    assert {p.average_mm for p in again.calibration.poolings if p.average_mm != 2.5} == {9.0}
    assert again.method.members == model.method.members and again.calibration.reference.count == 3


def test_models_that_cannot_be_joined_are_refused(toy, ensemble, own_scans, tmp_path, capsys):
    output, atlas = tmp_path / "no.medad", toy.models["atlas"]
    for other, code in (
        (ensemble, "ensemble_in_ensemble"),
        (atlas, "ensemble_same_name"),
        ("brain-t1-atlas", "ensemble_other_template"),
    ):
        assert refused(capsys, toy, output, own_scans, other, method="atlas")[0] == code
    many = [atlas] * 4
    assert refused(capsys, toy, output, own_scans, *many, method="atlas")[0] == "ensemble_too_large"
    assert not output.exists()
