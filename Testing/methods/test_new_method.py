"""A new method takes three files of one name and one entry of the registry; nothing else in MedAD changes.

The files are in `new_method`. The test adds their folders to the packages of the library and one entry to the registry.
"""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
from support.phantoms import ToyModels, head, toy_models, with_lesion
from support.source_code import ROOT

import MedADLib.methods
import MedADLib.networks
import MedADLib.training.recipes
from MedADLib.cli.main import main
from MedADLib.detection import detect
from MedADLib.errors import InputError
from MedADLib.methods.registry import ENTRIES, Entry
from MedADLib.modelfile.model import load_model, verify_model

NAME, SOURCE = "mean_image", ROOT / "Testing" / "new_method"
PACKAGES = {MedADLib.methods: "methods", MedADLib.networks: "networks", MedADLib.training.recipes: "recipes"}
PAPER = "Doe, Roe 2020, arXiv:2001.00001"
ENTRY = Entry(
    "mean_image:MeanImageDistance",
    "mean_image:train",
    "Mean image",
    "compares each slice with one learned slice",
    (1, PAPER),
    options=("steps",),
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module", autouse=True)
def added():
    """The four parts of the method, for this module only."""
    with pytest.MonkeyPatch.context() as patch:
        for package, folder in PACKAGES.items():
            patch.setattr(package, "__path__", [*package.__path__, str(SOURCE / folder)])
        patch.setitem(ENTRIES, NAME, ENTRY)
        yield
    for package in PACKAGES:
        sys.modules.pop(f"{package.__name__}.{NAME}", None)
        vars(package).pop(NAME, None)


@pytest.fixture(scope="module")
def toy() -> ToyModels:
    return toy_models()


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory):
    """Model file and figures of a short training by the command."""
    folder = tmp_path_factory.mktemp("mean-image")
    # The heads are prepared already, for other tests.
    shutil.copytree(toy.work / "prepared", folder / "work" / "prepared")
    model = folder / "mean.medad"
    more = ("--steps", "30", "--pictures", folder / "figures", "--set", "gain=2", "--work", folder / "work")
    assert toy.train(NAME, model, *more) == 0
    return model


def test_it_is_trained_by_the_command_with_its_own_settings(toy, trained, tmp_path):
    method = load_model(trained).method
    assert method.name == NAME and method.parameters.gain == 2.0
    assert 0.4 < method.network.image[0, 0, 32, 32] < 1.0, "it starts at 0 and learns the brightness of the heads"
    with pytest.raises(InputError) as caught:
        toy.train(NAME, tmp_path / "m.medad", "--set", "size=[8,8]")
    assert caught.value.code == "method_setting_unknown" and caught.value.parameters["known"] == "gain"


def test_it_draws_the_figures_of_its_training(trained):
    figures = {path.name for path in (trained.parent / "figures").iterdir()}
    assert figures >= {"mean-reconstructions.png", "mean-samples.png"}
    assert list((trained.parent / "work").rglob("curves.png"))


def test_its_card_and_its_line_in_the_list_describe_it(trained):
    model, summary = load_model(trained), verify_model(trained)
    assert "- Settings: gain = 2, size = 64 x 64." in model.card
    assert "- Paper: Cai, Chen, Cheng 2024" in model.card and f"- Paper: {PAPER}" in model.card
    assert ENTRY.title in summary.title
    assert ENTRY.purpose in summary.purpose


def test_it_runs_on_a_scan_and_writes_its_result(trained, tmp_path):
    healthy, _ = head(40)
    scan, lesion = with_lesion(healthy, (25.0, 20.0, 10.0), 16.0)
    detection = detect(scan, load_model(trained))
    inside, anomaly = detection.mask.array > 0, detection.anomaly.array
    # Values are logarithms: twice as rare.
    assert anomaly[lesion & inside].mean() > anomaly[~lesion & inside].mean() + np.log10(2)
    scan.write(tmp_path / "scan.nii.gz")
    assert main(["detect", str(tmp_path / "scan.nii.gz"), "-o", str(tmp_path / "out"), "--model", str(trained)]) == 0
    written = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert ".png" in written and ".json" in written
    document = json.loads((tmp_path / "out" / "scan.json").read_text())
    assert document["method"] == NAME and np.isfinite(document["score"])
