"""The main job as a user runs it: a file in, files out, with a toy model made here and with the models that ship."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from support.phantoms import head, toy_models, with_lesion
from support.source_code import ROOT

from MedADLib.cli.main import main
from MedADLib.dataset.split import Split
from MedADLib.evaluation.simulation.insertion import LesionSpec, insert_lesion
from MedADLib.io.reading import read_image
from MedADLib.methods.registry import METHODS
from MedADLib.modelfile.model import load_model
from MedADLib.preprocessing.brain_extraction import brain_mask
from MedADLib.training.reference_model import kept_split

SHIPPED = {
    "brain-t1": "synthetic_restoration",
    "brain-t1-ae": "autoencoder",
    "brain-t1-atlas": "atlas",
    "brain-t1-vqvae": "latent_restoration",
}
SCAN_SCORES = dict(zip(SHIPPED, ("top_1ml", "method", "top_1pct", "top_1pct")))


@pytest.fixture(scope="module")
def toy_model() -> Path:
    """A calibrated atlas of toy heads in a model file."""
    return toy_models().models["atlas"]


def test_a_lesion_in_a_file_is_found_in_files(toy_model, tmp_path):
    volume, ball = with_lesion(head(50)[0], (30.0, 10.0, 12.0), 14.0)
    scan = tmp_path / "case one.nii.gz"
    volume.write(scan)
    assert main(["detect", str(scan), "-o", str(tmp_path / "out"), "--model", str(toy_model), "--quiet"]) == 0

    facts = json.loads((tmp_path / "out" / "case one.json").read_text())
    assert facts["p_value"] == pytest.approx(1 / (1 + load_model(toy_model).calibration.reference.count))
    maps = {name: read_image(tmp_path / "out" / f"case one_{name}.nii.gz") for name in ("anomaly", "restored")}
    for result in maps.values():
        assert result.same_grid(volume) and np.isfinite(result.array).all()
    assert maps["anomaly"].array[volume.array == 0].max() == 0
    assert maps["anomaly"].array[ball].mean() > 3 * maps["anomaly"].array[~ball & (volume.array > 0)].mean()
    healed = maps["restored"].array[ball].mean() - volume.array[ball].mean()
    assert healed > 0.4 * volume.array[volume.array > 0].mean()
    with open(tmp_path / "out" / "case one_regions.tsv", newline="") as handle:
        first = next(csv.DictReader(handle, delimiter="\t"))
    centre = np.array([float(first[f"centroid_{axis}"]) for axis in "ras"])
    assert np.linalg.norm(centre - (30.0, 10.0, 12.0)) < 8.0


def test_the_same_run_twice_gives_the_same_bits(toy_model, tmp_path):
    volume, _ = with_lesion(head(51)[0], (-25.0, 0.0, 5.0), 12.0)
    scan = tmp_path / "scan.nii.gz"
    volume.write(scan)
    maps = []
    for folder in ("first", "second"):
        assert main(["detect", str(scan), "-o", str(tmp_path / folder), "--model", str(toy_model), "--quiet"]) == 0
        maps.append(read_image(tmp_path / folder / "scan_anomaly.nii.gz").array)
    assert np.array_equal(*maps)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_models_that_ship_are_calibrated_and_state_where_they_come_from(name):
    model = load_model(name)
    assert model.method.name == SHIPPED[name] and SHIPPED[name] in METHODS
    reference = model.calibration.reference
    # The smallest possible p-value is below .05.
    assert reference.count == 20 and reference.scan_score == SCAN_SCORES[name] and len(model.calibration.scales) == 2
    assert Path(model.path).stat().st_size < 20e6
    split = Split(**{key: tuple(value) for key, value in model.training["split"].items()})
    assert (len(split.train), len(split.validation), len(split.benchmark)) == (26, 4, 6)
    calibrated_on = model.training["calibrated_on"]["scans"]
    assert len(set(calibrated_on)) == 20 and set(split.calibration) <= set(calibrated_on)
    assert set(calibrated_on).isdisjoint((*split.train, *split.validation, *split.benchmark))
    for text in ("ds002748", "CC0", "Not a medical device", *calibrated_on):
        assert text in model.card
    assert model.authors == "The MedAD contributors" and "Apache License" in model.licence


def test_the_models_that_ship_can_be_compared_and_trained_alike():
    models = [load_model(name) for name in SHIPPED]
    split = Split.read(ROOT / "Resources" / "models" / "brain-t1.split.json")
    assert [kept_split(model) == split for model in models] == [True] * 4, "the later calibration leaves it as it was"
    assert all(model.template.same_as(models[0].template) for model in models)


@pytest.fixture(scope="module")
def tumour(data_dir, tmp_path_factory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A real healthy scan that no model has seen, with a simulated tumour; the tumour, and the brain."""
    volume = read_image(data_dir / "healthy_t1_ds002748" / "sub-60_T1w.nii.gz")
    lesion = insert_lesion(volume, volume.array > 0, LesionSpec("tumour", "strong", radius_mm=14.0), seed=5)
    path = tmp_path_factory.mktemp("scan") / "tumour.nii.gz"
    lesion.volume.write(path)
    return path, lesion.mask.array > 0, brain_mask(read_image(path))[0]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "brain-t1-atlas" else pytest.mark.slow) for name in SHIPPED]
)
def test_a_tumour_in_a_real_brain_is_found_by_each_shipped_model(name, tumour, tmp_path):
    path, lesion, brain = tumour
    assert main(["detect", str(path), "-o", str(tmp_path), "--model", name, "--quiet", "--no-picture"]) == 0
    anomaly, labels = (read_image(tmp_path / f"tumour_{kind}.nii.gz") for kind in ("anomaly", "regions"))
    assert anomaly.array[~brain].max() == 0
    assert anomaly.array[lesion].mean() > 2 * anomaly.array[brain & ~lesion].mean()
    # The autoencoder is weak at a threshold that spares healthy scans: it marks a small part of the lesion.
    assert (labels.array[lesion] > 0).mean() > (0.01 if name == "brain-t1-ae" else 0.1)
    if name == "brain-t1":
        scan, restored = (read_image(p).array.astype(float) for p in (path, tmp_path / "tumour_restored.nii.gz"))
        outside = brain & (labels.array == 0) & ~lesion
        energy, psnr = sharpness(restored, scan, outside)
        assert all(0.9 <= value <= 1.1 for value in energy) and psnr >= 35, (energy, psnr)


def sharpness(restored: np.ndarray, scan: np.ndarray, inside: np.ndarray) -> tuple[list[float], float]:
    """Gradient energy of a restoration over that of the scan along each axis, and its PSNR to the scan in dB."""
    energy = []
    for axis in range(3):
        both = np.moveaxis(inside, axis, 0)
        both = both[1:] & both[:-1]
        steps = [np.diff(np.moveaxis(part, axis, 0), axis=0)[both] for part in (restored, scan)]
        energy.append(float((steps[0] ** 2).sum() / (steps[1] ** 2).sum()))
    error = (restored - scan)[inside] / np.percentile(scan[inside], 99.5)
    return energy, float(-10 * np.log10((error**2).mean()))
