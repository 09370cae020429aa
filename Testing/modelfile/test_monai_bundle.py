"""`medad models export --monai`: MONAI's own tools load and run the bundle, and it reconstructs as our network does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.model_files import model
from support.toy_codes import random_networks, toy_parameters

from MedADLib.cli import main
from MedADLib.errors import MedADError
from MedADLib.io.reading import read_image
from MedADLib.methods.atlas import Atlas
from MedADLib.methods.autoencoder import Autoencoder, AutoencoderParameters
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.methods.slicewise import slice_positions
from MedADLib.methods.vae import ContextVAE, ContextVAEParameters, VAEParameters, VariationalAutoencoder
from MedADLib.methods.volume_restoration import VolumeRestoration, VolumeRestorationParameters
from MedADLib.modelfile import monai_bundle
from MedADLib.modelfile.model import load_model, save_model
from MedADLib.modelfile.monai_bundle import export_bundle
from MedADLib.preprocessing.brain_space import BrainSpace
from MedADLib.volume import Volume

SIZE, CENTRES = (16, 24), (0.0, 0.3, 0.6, 0.9)
SMALL = {"size": SIZE, "channels": (4, 6), "latent": 3}
TOLERANCE = 1e-5
# Run by a Python in which MedAD cannot be imported.
MONAI_ALONE = """
import importlib.util
import json
import os
import sys

sys.modules["MedADLib"] = None
import torch
from monai.bundle import load, run, verify_metadata, verify_net_in_out
from monai.networks.nets import VQVAE

schema, *folders = sys.argv[1:]
for folder in folders:
    configs = {"meta_file": f"{folder}/configs/metadata.json", "config_file": f"{folder}/configs/inference.json"}
    if importlib.util.find_spec("jsonschema"):
        verify_metadata(meta_file=configs["meta_file"], filepath=schema)
        print("verified metadata")
    verify_net_in_out("network_def", **configs)
    run(**configs, bundle_root=folder)
    root, name = os.path.split(folder)
    weights = torch.load(f"{folder}/models/model.pt", weights_only=True)
    loaded = load(name, bundle_dir=root, workflow_type="inference", device="cpu").state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in loaded.items())
    with open(configs["config_file"]) as stream:
        network = json.load(stream)["network_def"]
    if isinstance(network, dict):
        del network["_target_"]
        VQVAE(**network).load_state_dict(weights)
        print("fits VQVAE")
"""
# What the specification of MONAI bundles demands of metadata.json, in the form that verify_metadata takes.
TENSOR = ("type", "format", "num_channels", "spatial_shape", "dtype", "value_range")
TYPES = {"num_channels": "integer", "spatial_shape": "array", "value_range": "array", "is_patch_data": "boolean"}
TENSORS = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "type": "object",
        "required": TENSOR,
        "properties": {key: {"type": TYPES.get(key, "string")} for key in (*TENSOR, "is_patch_data")},
    },
}
TEXTS = (
    *("schema", "version", "monai_version", "pytorch_version", "numpy_version"),
    *("task", "description", "authors", "copyright"),
)
SCHEMA = {
    "type": "object",
    "required": [*TEXTS, "required_packages_version", "network_data_format"],
    "properties": {key: {"type": "string"} for key in TEXTS}
    | {
        "required_packages_version": {"type": "object", "additionalProperties": {"type": "string"}},
        "network_data_format": {"type": "object", "properties": {"inputs": TENSORS, "outputs": TENSORS}},
    },
}


def used(method):
    """A slice-wise network with means and variances of its features."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        method.network.train()
        for _ in range(3):
            method.network(torch.rand(8, 1, *SIZE, generator=generator))
        method.network.eval()
    return method


def autoencoder(**settings):
    return used(Autoencoder.untrained(AutoencoderParameters(**SMALL, **settings)))


def restoration(**settings):
    return random_networks(LatentRestoration, toy_parameters(**settings))


# Of each, its method and how many slices its grid has.
TOYS = {
    "plain": (autoencoder, 3),
    "spatial": (lambda: autoencoder(variant="spatial", loss="l1"), 3),
    "uncertain": (lambda: autoencoder(variant="uncertain"), 3),
    "perceptual": (lambda: autoencoder(loss="perceptual"), 3),
    "vae": (lambda: used(VariationalAutoencoder.untrained(VAEParameters(**SMALL))), 3),
    "classes": (
        lambda: used(ContextVAE.untrained(ContextVAEParameters(**SMALL, error="categorical", centres=CENTRES))),
        3,
    ),
    "codes": (restoration, 5),
    "single": (restoration, 1),
    "codes-of-classes": (lambda: restoration(error="categorical", centres=CENTRES), 3),
}


def toy_file(folder: Path, name: str, method, shape: tuple[int, int, int]) -> Path:
    """A model file of a method on a grid (Z, Y, X)."""
    base = model().template
    image = Volume(np.full(shape, 0.5, np.float32), np.diag([1.2, 1.3, 1.5, 1.0]), "template")
    template = BrainSpace(image, image.array > 0, base.histogram, base.limits, base.landmarks)
    path = folder / f"{name}.medad"
    save_model(model(name=name, method=method, template=template, calibration=None), path)
    return path


def image_for(path_or_name: Path | str, step: int = 1) -> Volume:
    """A random prepared image in the space of a model, of every `step`-th of its slices."""
    image = load_model(path_or_name).template.image
    noise = np.random.default_rng(3).uniform(0.7, 1.3, image.array.shape)
    return Volume((image.array * noise)[::step].astype(np.float32), image.affine, "scan")


def reconstructed(method, image: Volume) -> np.ndarray:
    """What our network makes of the slices, (Z, Y, X)."""
    batch = torch.from_numpy(image.array)[:, None]
    with torch.inference_mode():
        if isinstance(method, LatentRestoration):
            where = torch.from_numpy(slice_positions(len(batch)))
            return method.vqvae.decode_images(method.vqvae.encode(batch, where), where)[:, 0].numpy()
        return method.network(batch)[:, 0].numpy()


def monai(*words) -> str:
    """What Python prints, with neither the checkout on its path nor a GPU."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, env=environment | {"CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Bundles of toy models and of one that ships, run by MONAI; of each the folder and the model, and what it said."""
    folder, made = tmp_path_factory.mktemp("bundles"), {}
    for name, (make, depth) in TOYS.items():
        made[name] = toy_file(folder, name, make(), (depth, *SIZE))
    made["shipped"] = "brain-t1-ae"
    for name, path in made.items():
        export_bundle(path, folder / name)
        (folder / name / "input").mkdir()
        image_for(path, 20 if name == "shipped" else 1).write(folder / name / "input" / "scan.nii.gz")
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    printed = monai("-c", MONAI_ALONE, folder / "schema.json", *(folder / name for name in made))
    return {name: (folder / name, path) for name, path in made.items()} | {"printed": printed.splitlines()}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TOYS, "shipped"])
def test_monai_reconstructs_what_our_network_reconstructs(bundles, name):
    folder, path = bundles[name]
    image = read_image(folder / "input" / "scan.nii.gz")
    found = read_image(folder / "eval" / "scan_reconstruction.nii.gz")
    wanted = reconstructed(load_model(path).method, image)
    assert np.ptp(wanted) > 1e-3
    assert found.array.shape == wanted.shape and np.abs(found.array - wanted).max() < TOLERANCE
    assert np.allclose(found.affine, image.affine, atol=1e-5)


@pytest.mark.slow
def test_the_shipped_codes_run_by_the_commands_of_the_readme(tmp_path, capsys):
    bundle = tmp_path / "new" / "bundle"
    assert main.main(["models", "export", "brain-t1-vqvae", "--monai", str(bundle), "--json-log"]) == 0
    assert json.loads(capsys.readouterr().out)["monai"] == str(bundle)
    image = image_for("brain-t1-vqvae", 20)
    (tmp_path / "input").mkdir()
    image.write(tmp_path / "input" / "scan.nii.gz")
    configs = ["--config_file", bundle / "configs" / "inference.json"]
    places = ["--bundle_root", bundle, "--dataset_dir", tmp_path / "input", "--output_dir", tmp_path / "output"]
    monai("-m", "monai.bundle", "run", *configs, *places)
    found = read_image(tmp_path / "output" / "scan_reconstruction.nii.gz")
    wanted = reconstructed(load_model("brain-t1-vqvae").method, image)
    assert np.ptp(wanted) > 0.5 and np.abs(found.array - wanted).max() < TOLERANCE


@pytest.mark.slow
def test_monai_verifies_the_metadata(bundles):
    pytest.importorskip("jsonschema", reason="MONAI verifies metadata with jsonschema")
    assert bundles["printed"].count("verified metadata") == len(TOYS) + 1


@pytest.mark.slow
def test_weights_of_codes_fit_the_class_of_monai_itself(bundles):
    assert bundles["printed"].count("fits VQVAE") == 2


@pytest.mark.slow
def test_the_bundle_holds_card_licence_and_weights_that_need_no_pickled_code(bundles):
    folder, path = bundles["codes"]
    original = load_model(path)
    assert (folder / "LICENSE").read_text("utf-8") == original.licence
    text = (folder / "docs" / "README.md").read_text("utf-8")
    assert text.startswith(original.card) and "python -m monai.bundle run" in text
    weights = torch.load(folder / "models" / "model.pt", weights_only=True)
    assert torch.equal(
        weights["decoder.blocks.0.conv.weight"], original.method.vqvae.decoder.blocks[0].conv.weight.detach()
    )


@pytest.mark.slow
def test_equal_models_give_equal_bundles_also_in_an_empty_folder(bundles, tmp_path):
    folder, path = bundles["codes"]
    again = tmp_path / "again"
    again.mkdir()
    export_bundle(path, again)
    files = sorted(file.relative_to(again) for file in again.rglob("*") if file.is_file())
    assert len(files) == 5
    assert all((again / file).read_bytes() == (folder / file).read_bytes() for file in files)
    assert [entry.name for entry in tmp_path.iterdir()] == ["again"]


def refused(path, folder: Path) -> MedADError:
    """The error of an export, which leaves everything as it was."""
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(MedADError) as caught:
        export_bundle(path, folder)
    assert sorted(folder.parent.rglob("*")) == before
    return caught.value


def test_methods_that_monai_cannot_build_are_refused(tmp_path):
    sizes = {"channels": (4, 8), "residual_layers": 1, "codes": 8, "width": 4}
    prior = {"prior_width": 8, "prior_layers": 1, "prior_heads": 1}
    whole = VolumeRestorationParameters(size=(8, *SIZE), working=(8, *SIZE), **sizes, **prior)
    scans = [(np.full((8, *SIZE), value, np.float32), np.ones((8, *SIZE), bool)) for value in (0.2, 0.5, 0.6)]
    methods = {
        "atlas": Atlas.train(scans, (1.2, 1.3, 1.5)),
        "autoencoder": autoencoder(variant="memory"),
        "volume_restoration": VolumeRestoration.untrained(whole),
    }
    for name, method in methods.items():
        path = toy_file(tmp_path, "toy", method, (8, *SIZE))
        error = refused(path, tmp_path / "bundle")
        assert (error.code, error.parameters) == ("not_for_monai", {"model": "toy", "method": name})


def test_what_is_in_the_folder_is_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert refused("brain-t1-ae", tmp_path).code == "bundle_folder_taken"
    assert refused("brain-t1-ae", tmp_path / "notes.txt").code == "bundle_folder_taken"
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_nothing_is_left_of_an_export_that_fails(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(monai_bundle.os, "rename", full)
    error = refused("brain-t1-ae", tmp_path / "bundle")
    assert error.code == "bundle_not_written" and "No space left" in error.parameters["reason"]


@pytest.mark.parametrize(
    "words",
    [
        ["export", "brain-t1-ae"],
        ["export", "brain-t1-ae", "brain-t1", "--monai", "bundle"],
        ["export", "--monai", "bundle"],
        ["card", "brain-t1-ae", "--monai", "bundle"],
    ],
)
def test_wrong_usage_is_reported_with_the_right_one(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.main(["models", *words]) == 1
    assert capsys.readouterr().err.endswith("Run: medad models export NAME --monai DIR\n")
    assert list(tmp_path.iterdir()) == []
