"""2-D models, from training on a folder of single slices to detection in another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from support.phantoms import head, one_thread  # noqa: F401
from support.radiograph_phantoms import METHODS, radiograph, toy_plane_folder, toy_plane_model, train_plane
from support.raised import raises
from support.synthetic import turned

from MedADLib import detect, load_model
from MedADLib.detection import Detection, Settings
from MedADLib.errors import InputError, ModelError
from MedADLib.io.reading import read_image
from MedADLib.methods.atlas import Atlas
from MedADLib.modelfile.model import save_model, verify_model
from MedADLib.results.writing import write_detection
from MedADLib.scoring.calibration import Pooling
from MedADLib.scoring.leave_one_out import calibrate
from MedADLib.scoring.restoration import Restoration
from MedADLib.scoring.voxelwise import VoxelStatistics
from MedADLib.training.augmentation import Augmentation
from MedADLib.training.slices import Slices
from MedADLib.volume import Volume

LESION = (0.45, 0.2)
# The autoencoder is trained until it finds something, which takes long.
SLOW_AUTOENCODER = [pytest.param(name, marks=pytest.mark.slow if name == "autoencoder" else ()) for name in METHODS]


@pytest.fixture(scope="module")
def model(one_thread) -> Iterator:  # noqa: F811
    return load_model(toy_plane_model())


def truth_of(seed: int, size=(72, 88)) -> np.ndarray:
    return np.abs(radiograph(seed, size, LESION).array - radiograph(seed, size).array) > 300


def overlap(detection: Detection, truth: np.ndarray) -> float:
    region = detection.labels.array == 1
    return 2 * (region & truth).sum() / (region.sum() + truth.sum())


def check_maps(detection: Detection, volume: Volume) -> None:
    for result in (detection.anomaly, detection.restored, detection.labels, detection.mask):
        assert result.same_grid(volume) and np.isfinite(result.array).all()
    assert detection.mask.array.all() and (detection.anomaly.array >= 0).all()
    assert (detection.anomaly.array[detection.labels.array > 0] >= detection.threshold).all()


@pytest.mark.parametrize("method", SLOW_AUTOENCODER[:2])
def test_a_lesion_is_found_and_healthy_images_are_not_flagged(one_thread, method):  # noqa: F811
    trained = load_model(toy_plane_model(method))
    quiet = [detect(radiograph(seed), trained) for seed in (100, 101, 103, 104)]
    assert sum(bool(found.regions) for found in quiet) <= 1
    for seed in (100, 101):
        found = detect(radiograph(seed, lesion=LESION), trained)
        check_maps(found, radiograph(seed))
        assert overlap(found, truth_of(seed)) > 0.6 and found.warnings == ()
        # The rarity is a logarithm: a healthy value is a hundred times as frequent.
        assert found.anomaly.array.max() > 2 + max(other.anomaly.array.max() for other in quiet)
        assert found.score > max(other.score for other in quiet) and found.p_value <= 2 / 5
        pixel_ml = 4.0 * 4.0 * 5.0 / 1000
        assert found.regions[0].volume_ml == pytest.approx((found.labels.array == 1).sum() * pixel_ml)


@pytest.mark.parametrize("method", SLOW_AUTOENCODER)
def test_every_method_repeats_bit_for_bit(one_thread, method):  # noqa: F811
    trained, volume = load_model(toy_plane_model(method)), radiograph(105, lesion=LESION)
    first, second = detect(volume, trained, Settings(seed=2)), detect(volume, trained, Settings(seed=2))
    check_maps(first, volume)
    for name in ("anomaly", "restored", "labels"):
        assert np.array_equal(getattr(first, name).array, getattr(second, name).array)
    assert first.score == second.score and first.regions == second.regions


def test_the_lesion_is_restored_and_its_place_is_reported(model):
    volume = radiograph(106, lesion=LESION)
    found, truth, healthy = detect(volume, model), truth_of(106), radiograph(106)
    lost = np.abs(volume.array - healthy.array)[truth].mean()
    assert np.abs(found.restored.array - healthy.array)[truth].mean() < 0.4 * lost
    wanted = volume.ras_from_voxels(np.argwhere(truth)).mean(axis=0)
    assert np.linalg.norm(np.array(found.regions[0].centroid_ras) - wanted) < 8
    assert found.provenance["brain_mask"] == "whole field of view" and "field of view" in found.provenance["seconds"]


@pytest.mark.parametrize("size", [(144, 44), (36, 176), (700, 800)])
def test_other_pixels_show_the_same_lesion(model, size):
    volume = radiograph(107, size, LESION)
    found = detect(volume, model)
    check_maps(found, volume)
    assert overlap(found, truth_of(107, size)) > 0.6


def test_a_sagittal_array_order_shows_the_same_lesion(model):
    volume = radiograph(108, lesion=LESION)
    plain = detect(volume, model)
    column = turned(volume, (1, 2, 0), ())
    assert column.array.shape == (72, 88, 1)
    found = detect(column, model)
    check_maps(found, column)
    assert np.array_equal(found.anomaly.array[:, :, 0], plain.anomaly.array[0])
    assert np.allclose(found.regions[0].centroid_ras, plain.regions[0].centroid_ras)


def test_results_of_a_slice_can_be_written_and_drawn(model, tmp_path):
    volume = radiograph(109, lesion=LESION)
    found = detect(volume, model)
    written = write_detection(found, tmp_path, "chest")
    assert {path.name for path in written} >= {"chest_anomaly.nii.gz", "chest_regions.seg.nrrd", "chest.png"}
    again = read_image(tmp_path / "chest_anomaly.nii.gz")
    assert again.same_grid(volume) and np.array_equal(again.array, found.anomaly.array)


def test_scans_and_models_of_another_kind_do_not_meet(model, tmp_path):
    with raises(InputError, "scan_several_slices"):
        detect(head(1)[0], model)
    with raises(InputError, "scan_single_slice_for_volumes"):
        detect(radiograph(1), load_model("brain-t1-atlas"))


def test_a_model_file_states_its_kind_and_survives_saving(model, tmp_path):
    assert verify_model(toy_plane_model()).kind == "2-D" and model.info()["preparation"]["kind"] == "plane"
    older = load_model("brain-t1-atlas")
    assert verify_model("brain-t1-atlas").kind == "3-D" and "kind" not in older.info()["preparation"]
    save_model(model, tmp_path / "again.medad")
    volume, again = radiograph(111, lesion=LESION), load_model(tmp_path / "again.medad")
    assert np.allclose(detect(volume, again).anomaly.array, detect(volume, model).anomaly.array, rtol=2e-3, atol=1e-3)
    assert again.template.parameters() == model.template.parameters()
    spiral = replace(model, template=replace(model.template))
    object.__setattr__(spiral.template, "parameters", lambda: model.template.parameters() | {"kind": "spiral"})
    with pytest.raises(ModelError) as caught:
        save_model(spiral, tmp_path / "spiral.medad")
    assert caught.value.code == "model_would_be_refused" and caught.value.parameters["reason"] == "template_unusable"


def test_training_states_what_it_chose(model, capsys, tmp_path):
    train_plane("atlas", toy_plane_folder() / "healthy", tmp_path / "m.medad", "--work", toy_plane_folder() / "work")
    assert "single slices of 64 x 64 pixels" in capsys.readouterr().out
    assert "single slices of 64 x 64 pixels" in model.card and model.modality == "2-D images"
    assert str(model.calibration.reference.threshold) == "0.1%" and model.calibration.reference.count == 4
    work = toy_plane_folder() / "work"
    with pytest.raises(InputError) as caught:
        train_plane("atlas", toy_plane_folder() / "healthy", tmp_path / "n.medad", "--work", work, "--size", "96")
    assert (caught.value.code, caught.value.parameters) == ("work_of_other_size", {"work": str(work)})


def test_slices_and_volumes_in_one_folder_are_refused(tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for seed in range(8):
        radiograph(seed).write(folder / f"s{seed}.nii.gz")
    head(1)[0].write(folder / "s3.nii.gz")
    with raises(InputError, "slices_and_volumes") as caught:
        train_plane("atlas", folder, tmp_path / "m.medad")
    assert caught.value.parameters == {"slices": 7, "slice": "s0", "volume": "s3"}
    assert not (tmp_path / "m.medad").exists()


def test_nothing_is_mirrored_where_left_is_not_right(model):
    """The toy heart is on one side; a heart on the other is anomalous."""
    volume = radiograph(110)
    mirrored = volume.with_array(np.ascontiguousarray(volume.array[:, :, ::-1]))
    assert detect(mirrored, model).anomaly.array.max() > 3 * detect(volume, model).anomaly.array.max()
    side = np.zeros((1, 8, 8), np.float32)
    side[..., :4] = 1
    whole = np.ones(side.shape, bool)
    voxelwise = VoxelStatistics.of([side, side + 0.01], [whole] * 2, (1, 1, 1), mirrored=False)
    assert voxelwise.mean[0, 4, 0] - voxelwise.mean[0, 4, 7] > 0.3
    atlas = Atlas.train([(side, whole)] * 3, (1, 1, 1), mirrored=False)
    assert np.array_equal(atlas.mean, side)
    slices = Slices.of([(side, whole)] * 4, mirrored=False)
    still = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
    assert all(np.array_equal(image[0], side[0]) for image in slices.batch(0, 4, 1, still)[0])


def test_calibration_needs_an_sd_without_each_slice(model):
    def scan(seed):
        prepared = model.template.prepared(volume := radiograph(seed), np.ones(volume.array.shape, bool))
        return prepared, Restoration(prepared.image, prepared.image, 0.0)

    with pytest.raises(InputError) as caught:
        calibrate([scan(1), scan(2)], [Pooling()], model.calibration.reference.threshold)
    assert caught.value.code == "calibration_few_scans" and caught.value.parameters["fewest"] == 3
    found = calibrate([scan(seed) for seed in (1, 2, 3)], [Pooling()], model.calibration.reference.threshold)
    assert found.reference.maxima.max() < 100


def test_images_of_training_show_each_validation_image(one_thread):  # noqa: F811
    toy_plane_model("latent_restoration")
    found = (toy_plane_folder() / "work").glob("latent_restoration*/*.png")
    assert sorted(path.name for path in found) == [
        "toy-plane-latent-restoration-reconstructions.png",
        "toy-plane-latent-restoration-samples.png",
    ]


def test_a_png_is_examined_as_it_was_learned_from(one_thread, tmp_path, capsys):  # noqa: F811
    import SimpleITK as sitk

    from MedADLib.cli.main import main

    array = radiograph(100, lesion=LESION).array[0]
    pixels = sitk.GetImageFromArray(np.clip(array / array.max() * 255, 0, 255).astype(np.uint8))
    sitk.WriteImage(pixels, str(tmp_path / "chest.png"))
    words = ["detect", tmp_path / "chest.png", "-o", tmp_path / "out", "--model", toy_plane_model(), "--no-picture"]
    assert main([str(word) for word in words]) == 0
    anomaly = read_image(tmp_path / "out" / "chest_anomaly.nii.gz")
    assert anomaly.array.shape == (1, *array.shape) and anomaly.array.max() > 0
