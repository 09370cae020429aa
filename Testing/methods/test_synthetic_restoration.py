"""Restoration by a network that learned to remove synthetic anomalies."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from support.phantoms import head, one_thread, toy_models, with_lesion  # noqa: F401
from support.toy_slices import even_scan, plain_scan, toy_data, with_cuboid

from MedADLib.corruption import multi_scale
from MedADLib.corruption.multi_scale import KINDS
from MedADLib.detection import detect
from MedADLib.methods.base import halved, rounded
from MedADLib.methods.registry import pooling_of
from MedADLib.methods.synthetic_restoration import SyntheticRestoration, SyntheticRestorationParameters, brain_box
from MedADLib.modelfile.model import load_model
from MedADLib.runtime.progress import Progress
from MedADLib.runtime.strict_json import from_json, plain
from MedADLib.scoring.calibration import Pooling
from MedADLib.training.config import Options
from MedADLib.training.recalibration import Recalibration
from MedADLib.training.recipes.synthetic_restoration import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A restorer after a short training on toy heads with one kind of anomaly, and the last row of its log."""
    options = Options(steps=240, seed=1, extra={"channels": [16, 16]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multi_scale, "KINDS", {"level": KINDS["level"]})
        folder = tmp_path_factory.mktemp("restorer")
        method, facts = train(toy_data(4, even_scan), options, folder, Progress(), workers=0)
    return method, facts["last"]


@pytest.mark.slow
def test_training_learns_to_find_and_to_remove_anomalies_of_unseen_heads(trained):
    _, last = trained
    assert last["validation_healing"] < 0.9 and last["validation_precision"] > 0.3
    assert last["validation_psnr"] > 30 and 0.8 < last["validation_sharpness"] < 1.2


@pytest.mark.slow
def test_a_lesion_scores_higher_than_its_surroundings_and_is_restored(trained):
    method, _ = trained
    image, mask = even_scan(51)
    sick, lesion = with_cuboid(image, 0.2)
    healthy, found = method.restore(image, mask), method.restore(sick, mask)
    # Scores are logarithms of degrees.
    assert found.score[lesion].mean() > np.log(4) + found.score[mask & ~lesion].mean()
    assert found.score[lesion].mean() > np.log(4) + healthy.score[lesion].mean()
    assert np.abs(found.restored - image)[lesion].mean() < 0.85 * np.abs(sick - image)[lesion].mean()
    assert found.sample_score > healthy.sample_score
    assert not found.score[~mask].any() and not found.restored[~mask].any()


@pytest.mark.slow
def test_a_second_pass_heals_more_and_leaves_score_and_surroundings(trained):
    method, _ = trained
    image, mask = even_scan(51)
    sick, lesion = with_cuboid(image, 0.2)
    once, twice = (
        SyntheticRestoration(replace(method.parameters, erase=erase), method.network).restore(sick, mask)
        for erase in (1.0, 0.3)
    )
    errors = [np.abs(found.restored - image)[lesion].mean() for found in (once, twice)]
    assert errors[1] < 0.8 * errors[0]
    assert np.array_equal(once.score, twice.score) and once.sample_score == twice.sample_score
    far = mask & ~binary_dilation(lesion, iterations=10)
    assert np.abs(once.restored - twice.restored)[far].max() < 0.02


def test_a_scan_that_looks_abnormal_everywhere_does_not_become_the_healthy_mean(monkeypatch):
    method = SyntheticRestoration.untrained(SyntheticRestorationParameters(size=(32, 32), channels=(8, 8)))
    image, mask = plain_scan(7)
    degree = np.broadcast_to(np.linspace(0.5, 1, image.shape[1], dtype=np.float32)[None, :, None], image.shape)
    monkeypatch.setattr(method, "_predicted", lambda image, *more: (np.zeros_like(image), degree))
    changed = np.abs(method.restore(image, mask).restored - image)[mask] > 1e-6
    assert 0.1 < changed.mean() < 0.5


@pytest.mark.slow
def test_healthy_tissue_is_copied(trained):
    method, _ = trained
    image, mask = even_scan(52)
    found = method.restore(image, mask)
    assert -10 * np.log10(np.square(found.restored - image)[mask].mean()) > 30


@pytest.mark.slow
def test_the_3d_form_learns_to_find_and_to_remove_an_anomaly(tmp_path):
    options = Options(steps=240, seed=1, extra={"channels": [16, 16], "dimensions": 3})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multi_scale, "KINDS", {"level": KINDS["level"]})
        method, _ = train(toy_data(4, even_scan), options, tmp_path, Progress(), workers=0)
    image, mask = even_scan(51)
    sick, lesion = with_cuboid(image, 0.2)
    healthy, found = method.restore(image, mask), method.restore(sick, mask)
    assert found.score[lesion].mean() > np.log(4) + found.score[mask & ~lesion].mean()
    assert found.score[lesion].mean() > np.log(4) + healthy.score[lesion].mean()
    assert -10 * np.log10(np.square(healthy.restored - image)[mask].mean()) > 30
    once = SyntheticRestoration(replace(method.parameters, erase=1.0), method.network).restore(sick, mask)
    errors = [np.abs(part.restored - image)[lesion].mean() for part in (once, found)]
    assert errors[0] < 0.85 * np.abs(sick - image)[lesion].mean() and errors[1] < 0.8 * errors[0]
    assert np.array_equal(once.score, found.score)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_an_untrained_network_copies_the_scan(dimensions):
    parameters = SyntheticRestorationParameters(size=(32, 32), channels=(8, 8), dimensions=dimensions)
    method = SyntheticRestoration.untrained(parameters)
    image, mask = plain_scan(3)
    assert np.array_equal(method.restore(image, mask).restored, np.where(mask, image, 0))


def varied(method: SyntheticRestoration) -> SyntheticRestoration:
    """The method with outputs that vary as those of a trained network do."""
    torch.manual_seed(0)
    with torch.no_grad():
        method.network.last.weight.normal_(std=0.5)
    return method


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("size", [(32, 32), (30, 27)])
def test_scores_come_from_degree_and_residual_on_any_grid(size, dimensions):
    parameters = SyntheticRestorationParameters(size=size, channels=(8, 8, 8), dimensions=dimensions)
    method = varied(SyntheticRestoration.untrained(parameters))
    image, mask = (part[:, : size[0], : size[1]] for part in plain_scan(4))
    both = method.restore(image, mask)
    found = {name: other.restore(image, mask) for name, other in method.alternative_scores().items()}
    assert set(found) == {"degree", "residual"} and np.array_equal(both.restored, found["degree"].restored)
    assert np.allclose(both.score, found["degree"].score + found["residual"].score, atol=1e-5)
    once = SyntheticRestoration(replace(method.parameters, erase=1.0), method.network).restore(image, mask)
    assert np.allclose(found["residual"].score, np.abs(image - once.restored) / 0.25 * mask, atol=1e-5)
    assert both.score.shape == image.shape and 0 < found["degree"].score.max() <= np.log(1001)


@pytest.mark.parametrize(("usual", "healed"), [(0.02, True), (0.1, False)])
def test_what_is_usual_in_a_scan_is_not_erased_and_what_is_not_is(usual, healed, monkeypatch):
    """Scans of another scanner have higher degrees everywhere; tissue with 0.4 is then as healthy as the rest."""
    method = SyntheticRestoration.untrained(SyntheticRestorationParameters(size=(32, 32), channels=(8, 8)))
    image, mask = plain_scan(3)
    image = np.random.default_rng(0).uniform(0.3, 0.7, image.shape).astype(np.float32)
    degree = np.where(mask, usual, 0).astype(np.float32)
    part, lesion = (slice(4, 6), slice(14, 18), slice(14, 18)), (slice(10, 12), slice(14, 18), slice(14, 18))
    assert mask[part].all() and mask[lesion].all()
    degree[part], degree[lesion] = 0.4, 0.95
    monkeypatch.setattr(method, "_predicted", lambda *_: (np.zeros_like(image), degree))
    changed = method.restore(image, mask).restored != np.where(mask, image, 0)
    assert changed[lesion].any() and changed[part].all() == healed and changed[part].any() == healed


def test_the_box_around_the_brain_changes_nothing():
    method = varied(SyntheticRestoration.untrained(SyntheticRestorationParameters(size=(64, 64), channels=(8,))))
    image, mask = plain_scan(5)
    wide = [np.pad(part, ((0, 0), (16, 16), (16, 16))) for part in (image, mask)]
    box = brain_box(wide[1], 4)
    assert box.cut(torch.zeros(1, 1, 64, 64)).shape[-1] < 40
    found = method.restore(*wide)
    with pytest.MonkeyPatch.context() as patch:
        whole = brain_box(np.ones_like(wide[1]), 4)
        patch.setattr("MedADLib.methods.synthetic_restoration.brain_box", lambda mask, multiple: whole)
        full = method.restore(*wide)
    # Zeros beyond the box stand for the background.
    inner = np.zeros_like(wide[1])
    inner[:, 20:44, 22:42] = wide[1][:, 20:44, 22:42]
    assert np.allclose(found.score[inner], full.score[inner], atol=1e-5)


def deep_method(size: tuple[int, int]) -> SyntheticRestoration:
    """A 3-D form with outputs that vary as those of a trained network do."""
    return varied(
        SyntheticRestoration.untrained(SyntheticRestorationParameters(size=size, channels=(4, 4), dimensions=3))
    )


def test_passes_of_the_3d_form_over_parts_of_a_large_volume_equal_one_pass(monkeypatch):
    method = deep_method((32, 32))
    image, mask = (np.concatenate([part] * 4) for part in plain_scan(5))
    passes = []
    forward = method.network.forward
    monkeypatch.setattr(method.network, "forward", lambda *parts: passes.append(parts[0].shape[1]) or forward(*parts))
    one = method.restore(image, mask)
    count = len(passes)
    monkeypatch.setattr("MedADLib.methods.synthetic_restoration.PASS_VOXELS", 1)
    several = method.restore(image, mask)
    assert len(passes) > 3 * count and max(passes[count:]) < 48 < passes[0]
    assert np.allclose(one.score, several.score, atol=1e-4) and np.allclose(one.restored, several.restored, atol=1e-5)


def test_the_3d_form_sees_slices_beyond_the_five_of_a_slab():
    image, mask = plain_scan(5)
    changed = image.copy()
    changed[12] = 0.1 * mask[12]
    for dimensions in (2, 3):
        parameters = SyntheticRestorationParameters(size=(32, 32), channels=(8, 8, 8), dimensions=dimensions)
        method = varied(SyntheticRestoration.untrained(replace(parameters, erase=1.0)))
        before, after = (method.restore(part, mask).score[7] for part in (image, changed))
        assert np.array_equal(before, after) == (dimensions == 2)


def test_an_empty_mask_and_the_mirror_image_in_the_3d_form():
    method = deep_method((32, 32))
    image, mask = plain_scan(5)
    found = method.restore(image, np.zeros_like(mask))
    assert not found.score.any() and not found.restored.any()
    blind = SyntheticRestoration(replace(method.parameters, mirror=False), method.network)
    assert not np.array_equal(blind.restore(image, mask).score, method.restore(image, mask).score)


def test_model_files_of_earlier_versions_have_slabs():
    parameters = SyntheticRestorationParameters(size=(32, 32), channels=(8, 8))
    document = {key: value for key, value in plain(parameters).items() if key != "dimensions"}
    assert from_json(SyntheticRestorationParameters, document, "model.json") == parameters
    assert parameters.dimensions == 2


@pytest.mark.slow
def test_the_command_trains_a_model_with_fine_maps_that_examines_a_scan(tmp_path):
    toy = toy_models()
    # The heads are prepared already, for other tests.
    shutil.copytree(toy.work / "prepared", tmp_path / "work" / "prepared")
    more = ("--set", "channels=[8,8]", "--work", tmp_path / "work", "--pictures", tmp_path / "figures")
    assert toy.train("synthetic_restoration", tmp_path / "toy.medad", *more) == 0
    model = load_model(tmp_path / "toy.medad")
    assert model.calibration.poolings == (Pooling(0.0, 1.0), pooling_of("synthetic_restoration"))
    healthy = model.method.network.healthy[0]
    assert 0.4 < healthy[tuple(size // 2 for size in healthy.shape)] < 1.2, "the mean of the heads is in the file"
    scan, _ = with_lesion(head(40)[0], (25.0, 20.0, 10.0), 16.0)
    detection = detect(scan, model)
    assert np.isfinite(detection.anomaly.array).all() and detection.anomaly.array.any()
    assert any((tmp_path / "figures").iterdir())
    chosen = {"score": "residual"}
    other = Recalibration(toy.healthy, tmp_path / "other.medad", settings=chosen).write([model], Progress())
    assert other.method.parameters.score == "residual"
    assert not np.array_equal(detect(scan, other).anomaly.array, detection.anomaly.array)


def test_rounded_weights_halve_a_file_and_come_back_as_they_were_calibrated():
    method = rounded(
        varied(SyntheticRestoration.untrained(SyntheticRestorationParameters(size=(32, 32), channels=(8, 8))))
    )
    kept = halved(method.tensors())
    assert kept["last.weight"].dtype == np.float16 and kept["last.bias"].dtype == np.float32
    assert kept["down.0.1.running_var"].dtype == np.float32
    image, mask = plain_scan(6)
    back = SyntheticRestoration.from_tensors(method.parameters, kept)
    assert np.array_equal(back.restore(image, mask).score, method.restore(image, mask).score)


def test_weights_that_half_precision_would_change_stay():
    weights = {"fine": np.full((2, 2), 0.1, np.float32), "large": np.full((2, 2), 1e6, np.float32)}
    assert all(kept.dtype == np.float32 for kept in halved(weights).values())
