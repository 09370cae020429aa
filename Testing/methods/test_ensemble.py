"""Ensembles: the maps of their members, fast forms, progress, saving, and hostile files."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from support.model_files import forge, model
from support.raised import raises
from support.toy_slices import plain_scan

from MedADLib.errors import Cancelled, ModelError, SettingError
from MedADLib.methods.atlas import Atlas
from MedADLib.methods.autoencoder import Autoencoder, AutoencoderParameters
from MedADLib.methods.base import Method
from MedADLib.methods.ensemble import Ensemble, EnsembleParameters, Member
from MedADLib.methods.mahalanobis import Mahalanobis
from MedADLib.modelfile.model import load_model, save_model
from MedADLib.runtime.progress import Progress
from MedADLib.scoring.restoration import Restoration

SPACING = (2.0, 2.0, 3.0)


@pytest.fixture(scope="module")
def scans():
    return [plain_scan(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def both(scans) -> Ensemble:
    return Ensemble({"plain": Atlas.train(scans, SPACING), "features": Mahalanobis.train(scans, SPACING)})


@dataclass(frozen=True)
class Noisy(Method):
    """A method that scores noise, and in its fast form zeros."""

    quick: bool = False
    name = "atlas"

    @property
    def parameters(self):
        return Atlas.Parameters((2, 2, 2), (1.0, 1.0, 1.0))

    def _restore(self, image, mask, seed, device, progress):
        for step in range(4):
            progress.update(step / 4, "working")
        score = np.zeros(image.shape) if self.quick else np.random.default_rng(seed).random(image.shape)
        return Restoration(score, image, float(seed), {"seed": seed, "quick": self.quick})

    def faster(self):
        return None if self.quick else Noisy(True)


def test_each_member_has_its_own_map_and_the_first_restores(both, scans):
    image, mask = scans[0]
    found = both.restore(image, mask)
    atlas, features = (method.restore(image, mask) for method in both.methods.values())
    assert both.members == ("plain", "features") and found.score.shape == (2, *image.shape)
    np.testing.assert_array_equal(found.score, [atlas.score, features.score])
    np.testing.assert_array_equal(found.restored, atlas.restored)
    assert found.sample_score == atlas.sample_score
    assert both.fits(image.shape) and not both.fits((1, 2, 3)) and both.faster() is None


def test_members_share_the_seed_and_the_progress_and_have_fast_forms(scans):
    image, mask = scans[0]
    ensemble, reports = Ensemble({"a": Noisy(), "b": Noisy(True), "c": Noisy()}), []
    progress = Progress(lambda stage, fraction, message: reports.append(round(fraction, 3)))
    progress.stage("restoration", 0.3, 0.9)
    found = ensemble.restore(image, mask, seed=7, progress=progress)
    assert found.facts == {name: {"seed": 7, "quick": name == "b"} for name in "abc"}
    assert np.array_equal(found.score[0], found.score[2]) and not found.score[1].any()
    assert reports == [0.3, *(round(0.3 + 0.05 * step, 3) for step in range(12))]
    progress.update(1.0)
    assert reports[-1] == 0.9
    assert [part["quick"] for part in ensemble.faster().restore(image, mask).facts.values()] == [True, True, True]
    stops = iter([False] * 6)
    with pytest.raises(Cancelled):
        ensemble.restore(image, mask, progress=Progress(cancelled=lambda: next(stops, True)))


@pytest.fixture
def path(tmp_path):
    """A model file with the ensemble, without a calibration."""
    image = model().template.image.array
    scans = [(image + np.float32(0.1 * number), image > -1) for number in range(3)]
    members = {"plain": Atlas.train(scans, SPACING), "features": Mahalanobis.train(scans, SPACING)}
    file = tmp_path / "both.medad"
    save_model(model(method=Ensemble(members), calibration=None), file)
    return file


def test_an_ensemble_comes_back_from_its_file(path):
    found = load_model(path).method
    assert found.members == ("plain", "features")
    assert [type(method) for method in found.methods.values()] == [Atlas, Mahalanobis]
    again = path.with_name("again.medad")
    save_model(load_model(path), again)
    assert again.read_bytes() == path.read_bytes()


def forged(path, change):
    """A file with other members in its manifest."""
    parameters = json.loads(json.dumps(load_model(path).info()["method"]["parameters"]))
    change(parameters["members"])
    return forge(path, method={"name": "ensemble", "parameters": parameters})


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members[1].update(name="plain"),
        lambda members: members[1].update(name="a/b"),
        lambda members: members[1].update(method="ensemble"),
        lambda members: members[1].update(method="no_such_method"),
        lambda members: members.pop(),
        lambda members: members.extend(dict(members[0], name=f"more-{n}") for n in range(9)),
        lambda members: members[0].pop("parameters"),
    ],
)
def test_members_that_cannot_be_are_refused(path, change):
    with pytest.raises(ModelError):
        load_model(forged(path, change))


def test_the_networks_of_all_members_are_those_of_the_ensemble():
    """After a failure of a GPU, the weights of each come back to the CPU."""
    settings = AutoencoderParameters(size=(16, 24), channels=(8, 8))
    members = {name: Autoencoder.untrained(settings, seed) for seed, name in enumerate(("one", "two"))}
    joint = Ensemble(members)
    assert set(joint.networks().values()) == {member.network for member in members.values()}
    weights = {p + key for p, network in joint.networks().items() for key in network.state_dict()}
    assert weights == set(joint.tensors())


def test_an_ensemble_within_an_ensemble_is_refused(both):
    with raises(SettingError, "member_method"):
        Ensemble({"both": both, "plain": both.methods["plain"]})


def test_tensors_of_no_member_or_of_another_method_are_refused(both):
    tensors, parameters = both.tensors(), both.parameters
    for bad in ({**tensors, "other/mean": tensors["plain/mean"]}, {**tensors, "mean": tensors["plain/mean"]}):
        with raises(ModelError, "tensor_unknown"):
            Ensemble.from_tensors(parameters, bad)
    with raises(ModelError, "tensor_missing"):
        Ensemble.from_tensors(parameters, {key: t for key, t in tensors.items() if key != "features/mean"})
    wrong = replace(parameters.members[0], parameters=parameters.members[1].parameters)
    with pytest.raises(ModelError):
        Ensemble.from_tensors(EnsembleParameters((wrong, parameters.members[1])), tensors)


def test_a_calibration_for_one_map_does_not_fit_an_ensemble(path):
    method = load_model(path).method
    with pytest.raises(ModelError) as caught:
        save_model(model(method=method), path.with_name("other.medad"))
    assert caught.value.parameters["reason"] == "calibration_of_other_members"


def test_a_member_has_a_plain_name_and_a_method_of_the_registry():
    for name, method in (("", "atlas"), ("a b", "atlas"), ("../a", "atlas"), ("a", "os")):
        with pytest.raises(ValueError):
            Member(name, method, {})
