"""Zero point, unit and single wrong voxels of a scan do not change its result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.phantoms import METHODS, ToyModels, head, one_thread, toy_models, with_lesion  # noqa: F401

from MedADLib.detection import Detection, Settings, detect
from MedADLib.evaluation.simulation.insertion import LesionSpec, insert_lesion
from MedADLib.io.reading import read_image
from MedADLib.modelfile.model import load_model
from MedADLib.volume import Volume

SHIPPED = ("brain-t1", "brain-t1-ae", "brain-t1-atlas", "brain-t1-vqvae")
# Largest difference of a map in its unit.
MOST = 0.05
# Gain and offset: unsigned storage of signed values, CT-like padding, sums of 1, SI units, and two of no meaning.
CHANGES = ((1.0, 32768.0), (1.0, -500.0), (1e-8, 0.0), (1e-6, 0.0), (0.37, -2.5), (41.0, 9000.0))


@pytest.fixture(scope="module")
def toy(one_thread) -> Iterator[ToyModels]:  # noqa: F811
    return toy_models()


@pytest.fixture(scope="module")
def sick() -> Volume:
    """A toy head with a lesion."""
    return with_lesion(head(30)[0], (25.0, -10.0, 20.0), 14.0)[0]


def changed(volume: Volume, gain: float, offset: float) -> Volume:
    return volume.with_array((volume.array.astype(np.float64) * gain + offset).astype(np.float32))


def assert_same(found: Detection, wanted: Detection, gain: float = 1.0, offset: float = 0.0) -> None:
    assert np.array_equal(found.mask.array, wanted.mask.array)
    assert np.abs(found.anomaly.array - wanted.anomaly.array).max() < MOST
    assert np.array_equal(found.labels.array, wanted.labels.array)
    assert found.p_value == wanted.p_value
    restored = wanted.restored.array.astype(np.float64)
    apart = np.abs(found.restored.array - (restored * gain + offset)).max()
    assert apart < 1e-2 * gain * np.ptp(restored) + 1e-6 * abs(offset)


@pytest.mark.parametrize("method", METHODS)
def test_an_affine_change_of_intensities_changes_nothing(toy, sick, method):
    model, random = load_model(toy.models[method]), np.random.default_rng(len(method))
    wanted = detect(sick, model)
    drawn = (float(10 ** random.uniform(-6, 4)), float(random.uniform(-3, 3)))
    for gain, offset in (CHANGES[len(method) % len(CHANGES)], (drawn[0], drawn[0] * drawn[1] * 300)):
        assert_same(detect(changed(sick, gain, offset), model), wanted, gain, offset)


@pytest.mark.parametrize(("gain", "offset"), CHANGES)
def test_usual_changes_of_intensities_change_nothing(toy, sick, gain, offset):
    model = load_model(toy.models["atlas"])
    assert_same(detect(changed(sick, gain, offset), model), detect(sick, model), gain, offset)


def test_a_brain_normalised_within_its_mask_is_examined_as_such(toy, sick):
    model = load_model(toy.models["atlas"])
    wanted = detect(sick, model)
    inside = wanted.mask.array > 0
    values = sick.array[inside]
    scored = np.where(inside, (sick.array - values.mean()) / values.std(), 0).astype(np.float32)
    found = detect(sick.with_array(scored), model, Settings(mask=wanted.mask))
    assert len(found.regions) == len(wanted.regions)
    # The background no longer shows the zero point, so the bias field differs a little.
    assert np.corrcoef(found.anomaly.array[inside], wanted.anomaly.array[inside])[0, 1] > 0.98


@pytest.mark.parametrize("value", [1e6, 0.0, -1e6], ids=["zinger", "dead", "negative"])
def test_one_wrong_voxel_changes_the_map_only_around_it(data_dir, value):
    scan, model = troubled(data_dir, "reference"), load_model("brain-t1-atlas")
    wanted, wrong = detect(scan, model), scan.array.astype(np.float32)
    inside = np.argwhere(wanted.mask.array > 0)
    place = tuple(inside[len(inside) // 3])
    wrong[place] = value * wrong[place]
    found = detect(scan.with_array(wrong), model)
    far = np.linalg.norm(np.indices(wrong.shape).reshape(3, -1).T - place, axis=1).reshape(wrong.shape) > 6
    apart = np.abs(found.anomaly.array - wanted.anomaly.array)[far & (wanted.mask.array > 0)]
    assert np.quantile(apart, 0.999) < MOST and apart.max() < 5 * MOST
    assert abs(found.score - wanted.score) < MOST and found.p_value == wanted.p_value
    # The wrong voxel itself may be a region.
    assert 0 <= len(found.regions) - len(wanted.regions) <= 1


@pytest.mark.parametrize("mode", ["hot and dead", "negative"])
def test_many_wrong_voxels_of_a_coarse_scan_add_no_region(data_dir, mode):
    scan, model = troubled(data_dir, "reference"), load_model("brain-t1-atlas")
    wanted, wrong = detect(scan, model), scan.array.astype(np.float32)
    inside = np.argwhere(wanted.mask.array > 0)
    places = inside[np.random.default_rng(len(mode)).choice(len(inside), 60, replace=False)]
    for number, place in enumerate(places):
        wrong[tuple(place)] = (5e4, 0.0)[number % 2] if mode == "hot and dead" else -1e5
    found = detect(scan.with_array(wrong), model)
    assert [warning.code for warning in found.warnings].count("wrong_voxels") == 1
    assert abs(found.score - wanted.score) < MOST and found.p_value == wanted.p_value
    for one, other in ((found, wanted), (wanted, found)):
        for region in one.regions:
            # A voxel that the sound scan has just below the threshold may be just above it.
            assert other.anomaly.array[one.labels.array == region.label].max() > other.threshold - 0.1
    apart = np.abs(found.anomaly.array - wanted.anomaly.array)[wanted.mask.array > 0]
    assert np.quantile(apart, 0.95) < MOST


@pytest.mark.parametrize("factor", [1e6, -1e6])
def test_a_block_of_metal_adds_no_region(data_dir, factor):
    scan, model = troubled(data_dir, "reference"), load_model("brain-t1-atlas")
    wanted, wrong = detect(scan, model), scan.array.astype(np.float32)
    inside = np.argwhere(wanted.mask.array > 0)
    block = tuple(slice(index, index + 2) for index in inside[len(inside) // 3])
    wrong[block] = factor * wrong.max()
    found = detect(scan.with_array(wrong), model)
    assert [warning.parameters["count"] for warning in found.warnings if warning.code == "wrong_voxels"] == [8]
    assert abs(found.score - wanted.score) < MOST and found.p_value == wanted.p_value
    for one, other in ((found, wanted), (wanted, found)):
        for region in one.regions:
            # As above.
            assert other.anomaly.array[one.labels.array == region.label].max() > other.threshold - 0.1


def troubled(data_dir: Path, name: str) -> Volume:
    folder = data_dir.parent / "troubled-inputs"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist")
    return read_image(folder / f"{name}.nii.gz")


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_an_affine_change_of_a_real_scan_changes_no_map_of_a_shipped_model(data_dir, name):
    model = load_model(name)
    scan = read_image(data_dir / "healthy_t1_ds002748" / "sub-60_T1w.nii.gz")
    scan = insert_lesion(scan, scan.array > 0, LesionSpec("tumour", "strong", radius_mm=14.0), seed=5).volume
    random = np.random.default_rng(SHIPPED.index(name))
    gain, offset = float(10 ** random.uniform(-3, 3)), float(random.uniform(-30, 30))
    settings = Settings(device="cpu", fast=name == "brain-t1-vqvae")
    found = detect(changed(scan, gain, gain * 100 * offset), model, settings)
    assert_same(found, detect(scan, model, settings), gain, gain * 100 * offset)


@pytest.mark.parametrize("name", ["minus_500", "scale_1e-6"])
def test_troubled_intensities_give_the_map_of_the_sound_scan(data_dir, name):
    model = load_model("brain-t1-atlas")
    found, wanted = (detect(troubled(data_dir, part), model) for part in (name, "reference"))
    assert wanted.regions and np.abs(found.anomaly.array - wanted.anomaly.array).max() < MOST
    assert np.array_equal(found.labels.array, wanted.labels.array) and found.p_value == wanted.p_value
