"""Models of volumes other than brains, from training on a folder to detection in another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.joint_phantoms import SHAPE, folder_of_joints, joint, train
from support.phantoms import head, one_thread  # noqa: F401
from support.raised import raises

from MedADLib import detect, load_model
from MedADLib.cli import main
from MedADLib.detection import Settings
from MedADLib.errors import InputError, UnfitError
from MedADLib.evaluation.comparison import Comparison
from MedADLib.io.reading import read_image
from MedADLib.masks import bounding_slices
from MedADLib.messages import Message
from MedADLib.methods.registry import pooling_of
from MedADLib.modelfile.model import verify_model
from MedADLib.modelfile.store import summary_of
from MedADLib.preprocessing.input_check import inspect
from MedADLib.runtime.progress import Progress
from MedADLib.scoring.calibration import Pooling
from MedADLib.volume import Volume


@pytest.fixture(scope="module")
def joints(tmp_path_factory) -> Path:
    """A folder with the folder ``healthy`` of twelve joints."""
    folder = tmp_path_factory.mktemp("joints")
    folder_of_joints(folder / "healthy", 12)
    return folder


@pytest.fixture(scope="module")
def model(joints, one_thread):  # noqa: F811
    more = ("--work", joints / "work", "--latent", "8", "--steps", "20")
    assert train("autoencoder", joints / "healthy", joints / "joint-ae.medad", *more) == 0
    return load_model(joints / "joint-ae.medad")


@pytest.fixture(scope="module")
def atlas(joints, model):
    assert train("atlas", joints / "healthy", joints / "joint-atlas.medad", "--work", joints / "work") == 0
    return load_model(joints / "joint-atlas.medad")


def test_medad_states_what_it_chose_and_why(joints, tmp_path, capsys):
    assert train("atlas", joints / "healthy", tmp_path / "a.medad", "--work", joints / "work") == 0
    printed = capsys.readouterr().out
    assert (
        "prepared as volumes of 32 x 32 x 22 voxels of 2 x 2 x 2.5 mm, examined in the whole field of view" in printed
    )
    assert Message("space_without_brains", count=3, examined=3) in printed


def test_the_model_states_what_it_knows(model, joints):
    assert model.template.kind == "field" and model.modality == "3-D scans"
    assert str(model.calibration.reference.threshold) == "0.1%" and model.calibration.reference.count == 3
    assert "Input: volumes of 32 x 32 x 22 voxels" in model.card
    summary = verify_model(joints / "joint-ae.medad")
    assert summary.kind == "3-D field" and "3-D scans, whole field of view (reconstructs" in summary.purpose


def test_pooling_is_as_small_as_the_field_of_view(model, joints, tmp_path):
    usual, pooling = pooling_of("autoencoder"), model.calibration.coarse.pooling
    assert pooling == Pooling(2.0, round(usual.average_mm * 64 / 192, 2))
    more = ("--work", joints / "work", "--average-mm", "3")
    assert train("atlas", joints / "healthy", tmp_path / "a.medad", *more) == 0
    assert load_model(tmp_path / "a.medad").calibration.coarse.pooling.average_mm == 3
    wide = Volume(np.zeros((2, 160, 160), np.float32), np.diag([2.5, 2.5, 5, 1]))
    assert usual.shrunk(wide) == usual


@pytest.mark.slow
def test_a_scan_is_examined_on_the_command_line(model, joints, tmp_path):
    volume = joint(1, lesion=True)
    volume.write(tmp_path / "scan.nii.gz")
    fixed = ["--model", str(joints / "joint-ae.medad"), "-o", str(tmp_path / "out")]
    assert main.main(["detect", str(tmp_path / "scan.nii.gz"), *fixed]) == 0
    found = read_image(tmp_path / "out" / "scan_anomaly.nii.gz")
    assert found.same_grid(volume) and np.isfinite(found.array).all() and found.array.min() >= 0
    assert (tmp_path / "out" / "scan.png").stat().st_size > 1000


def test_a_given_mask_is_all_that_is_examined(model):
    volume, mask = joint(1), np.zeros(SHAPE, np.uint8)
    mask[4:16, 4:18, 4:14] = 1
    found = detect(volume, model, Settings(mask=volume.with_array(mask)))
    assert (found.anomaly.array[mask == 0] == 0).all() and (found.anomaly.array > 0).any()
    assert np.array_equal(found.restored.array[mask == 0], volume.array[mask == 0])


@pytest.mark.parametrize("flip", [False, True])
def test_a_lesion_is_found_where_it_is(atlas, flip):
    volume, healthy = joint(40, lesion=True), joint(40)
    truth = np.abs(volume.array - healthy.array) > 600
    if flip:
        # Stored from left to right instead, as LAS.
        affine = volume.affine @ np.diag([-1.0, 1, 1, 1])
        affine[:3, 3] = volume.affine[:3, 3] + volume.affine[:3, 0] * (SHAPE[2] - 1)
        volume, truth = Volume(volume.array[:, :, ::-1].copy(), affine), truth[:, :, ::-1]
    found = detect(volume, atlas)
    region = found.labels.array == 1
    assert region[truth].mean() > 0.9 and region.sum() < 4 * truth.sum()
    wanted = volume.ras_from_voxels(np.argwhere(truth)).mean(axis=0)
    assert np.linalg.norm(np.array(found.regions[0].centroid_ras) - wanted) < 4
    assert not found.warnings
    quiet = detect(healthy, atlas)
    assert quiet.anomaly.array.max() < 0.5 * found.anomaly.array.max()
    again = detect(volume, atlas)
    assert np.array_equal(again.anomaly.array, found.anomaly.array) and again.score == found.score


def test_other_scans_are_refused_and_out_of_distribution_if_forced(atlas):
    with raises(UnfitError, "scan_does_not_fit"):
        detect(head(0)[0], atlas)
    found = detect(head(0)[0], atlas, Settings(force=True))
    assert not found.interpretable
    assert np.isfinite(found.anomaly.array).all()
    assert {"out_of_distribution", "volume_beyond_training"} <= {text.code for text in found.warnings}
    with raises(InputError, "scan_single_slice_for_volumes"):
        detect(joint(0, (1, *SHAPE[1:])), atlas)


def test_the_panel_asks_a_field_model_for_no_brain(joints, atlas):
    summary = summary_of(joints / "joint-atlas.medad")
    report = inspect(joint(2), summary)
    assert report.lines[1:] == ("examined in its whole field of view", "fits joint-atlas, if it is 3-D scans")
    hounsfield = np.where(joint(2).array > 1500, 40, -1000) + joint(2).array / 99
    assert inspect(joint(2).with_array(hounsfield.astype(np.float32)), summary).verdict == "fits"
    (reason,) = inspect(joint(0, (1, *SHAPE[1:])), summary).reasons
    assert reason.code == "scan_needs_volume"
    assert inspect(joint(2), replace(summary, kind="3-D")).verdict == "unfit"


def test_models_of_no_brains_are_not_compared_on_simulated_lesions(joints, atlas, tmp_path):
    models = [str(joints / "joint-atlas.medad")]
    comparison = Comparison(models, joints / "healthy", tmp_path / "out", part="validation", device="cpu")
    with pytest.raises(InputError) as caught:
        comparison.write(Progress())
    assert (caught.value.code, caught.value.parameters) == ("brain_model_needed", {"model": "joint-atlas"})


@pytest.mark.parametrize("method", ["vae", "denoising"])
def test_networks_of_other_shapes_train_on_the_smallest_grid(joints, model, tmp_path, method):
    more = ("--work", joints / "work", "--steps", "2", *(("--latent", "4") if method == "vae" else ()))
    assert train(method, joints / "healthy", tmp_path / "m.medad", *more) == 0
    found = detect(joint(3), load_model(tmp_path / "m.medad"))
    assert np.isfinite(found.anomaly.array).all() and bounding_slices(found.mask.array > 0) is not None
