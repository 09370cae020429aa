"""--orientation, --spacing, --unit and --use hold for the scans of every command, and are recorded."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from support.command_line import run
from support.joint_phantoms import joint, train
from support.phantoms import one_thread  # noqa: F401
from support.raised import raises
from support.volume_files import ARRAY, RAS, SPACING, meta, nifti, nrrd

from MedADLib import detection, load_model
from MedADLib.cli import main
from MedADLib.dataset.discovery import find_scans
from MedADLib.errors import InputError
from MedADLib.evaluation.evaluate import evaluate
from MedADLib.evaluation.lesion_cases import real_case
from MedADLib.io.reading import read_image
from MedADLib.io.reading_options import ReadingOptions
from MedADLib.modelfile.model import verify_model
from MedADLib.preprocessing.fit import Fit
from MedADLib.volume import Volume, orientation

CENTRED = RAS.copy()
CENTRED[:3, 3] = -CENTRED[:3, :3] @ (0.5 * (np.array(ARRAY.shape[::-1]) - 1))


def bare(volume, path):
    """Write a MetaImage without orientation and spacing."""
    sitk.WriteImage(volume.to_sitk(), str(path))
    head, local, voxels = path.read_bytes().partition(b"ElementDataFile = LOCAL\n")
    lacking = (b"TransformMatrix", b"Offset", b"ElementSpacing", b"CenterOfRotation", b"AnatomicalOrientation")
    kept = [line for line in head.splitlines(keepends=True) if not line.startswith(lacking)]
    path.write_bytes(b"".join(kept) + local + voxels)
    return path


@pytest.fixture(scope="module")
def joints(tmp_path_factory):
    """Folders of the same joints: ``whole`` with all of their headers, ``bare`` without orientation and spacing."""
    folder = tmp_path_factory.mktemp("joints")
    for name in ("whole", "bare"):
        (folder / name).mkdir()
    for seed in range(10):
        volume = joint(seed)
        affine = volume.affine.copy()
        affine[:3, 3] = -0.5 * (np.array(volume.array.shape[::-1]) - 1) * volume.spacing
        volume = Volume(volume.array, affine)
        volume.write(folder / "whole" / f"joint-{seed}.nii.gz")
        bare(volume, folder / "bare" / f"joint-{seed}.mha")
    return folder


@pytest.fixture(scope="module")
def trained(joints, one_thread):  # noqa: F811
    given = ("--prepare", "field", "--work", joints / "work", "--named-scans")
    with raises(InputError, "unusable_scans") as caught:
        train("atlas", joints / "bare", joints / "bare.medad", *given)
    assert "does not give the spacing" in str(caught.value)
    # What the first run found out about the scans does not hold with these options.
    options = ("--orientation", "ras", "--spacing", 2, 2, 2.5)
    assert train("atlas", joints / "bare", joints / "bare.medad", *given, *options) == 0
    return joints / "bare.medad"


def test_a_training_reads_all_scans_as_the_user_says_and_the_model_keeps_it(joints, trained):
    model = load_model(trained)
    assert model.training["reading"] == {"orientation": "RAS", "spacing": [2.0, 2.0, 2.5]}
    assert "Scans read with orientation RAS, spacing 2 x 2 x 2.5 mm" in model.card
    verify_model(model.path)
    more = ("--prepare", "field", "--work", joints / "work-whole", "--named-scans")
    assert train("atlas", joints / "whole", joints / "whole.medad", *more) == 0
    whole = load_model(joints / "whole.medad")
    assert "reading" not in whole.training and "read with" not in whole.card
    assert np.array_equal(model.template.image.array, whole.template.image.array)
    assert model.template.image.same_grid(whole.template.image)


def test_a_work_folder_belongs_to_one_way_of_reading(joints, trained):
    for options in ((), ("--orientation", "LPS", "--spacing", 2, 2, 2.5)):
        with raises(InputError, "work_of_other_reading"):
            train("atlas", joints / "bare", joints / "b.medad", "--work", joints / "work", *options)


def test_a_file_of_options_gives_them_too(joints, tmp_path):
    content = {"orientation": "RA", "spacing": [2, 2, 2.5]}
    for spacing, code in (([2, 2, 2.5], "bad_orientation_option"), ([2, 2], "option_of_wrong_type"),
                          (2, "option_of_wrong_type"), ([2, 2, "x"], "option_of_wrong_type")):  # fmt: skip
        (tmp_path / "options.json").write_text(json.dumps({**content, "spacing": spacing}))
        with raises(InputError, code):
            train("atlas", joints / "bare", tmp_path / "b.medad", "--config", tmp_path / "options.json")


def test_a_recalibration_reads_all_scans_as_the_user_says_and_the_model_keeps_it(joints, trained, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for seed in range(20, 23):
        bare(joint(seed), other / f"other-{seed}.mha")
    words = ("calibrate", trained, "--healthy", other, "-o", tmp_path / "here.medad", "--device", "cpu", "--quiet")
    assert main.main([str(word) for word in words]) == 1
    options = ("--orientation", "RAS", "--spacing", "2", "2", "2.5")
    assert main.main([str(word) for word in (*words, *options)]) == 0
    model = load_model(tmp_path / "here.medad")
    assert model.training["calibrated_on"]["reading"] == model.training["reading"]
    assert "Scans of the recalibration read with orientation RAS" in model.card


def test_all_scans_of_a_folder_are_read_as_the_user_says(tmp_path):
    nifti(tmp_path / "a.nii", codes=(0, 0))
    meta(tmp_path / "b.mha", TransformMatrix=None)
    nrrd(tmp_path / "c.nrrd", spacings="3 2 4")
    found = find_scans(tmp_path, options=ReadingOptions("RAS"))
    assert {name: orientation(source.read()) for name, source in found.items()} == dict.fromkeys("abc", "RAS")


def test_check_reads_scans_as_the_user_says(tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(detection, "fit_of", lambda volume, model, progress: seen.append(volume) or Fit())
    path = meta(tmp_path / "a.mha", TransformMatrix=None, ElementSpacing=None)
    assert run("check", path) == 1 and "no_spacing" in capsys.readouterr().out
    assert run("check", path, "--orientation", "ras", "--spacing", "3", "2", "4") == 0
    assert orientation(seen[0]) == "RAS" and seen[0].spacing == pytest.approx(SPACING)
    assert run("check", path, "--orientation", "RAX") == 2


def truth_and_map(folder, truth):
    scores = Volume(np.where(truth, 1, ARRAY), CENTRED)
    scores.write(folder / "map.nii.gz")
    return folder / "map.nii.gz"


def test_evaluate_reads_masks_as_the_user_says_or_by_their_own_header(tmp_path):
    truth = ARRAY > 0.9
    path = truth_and_map(tmp_path, truth)
    lacking, whole = tmp_path / "lacking.mha", tmp_path / "whole.nrrd"
    bare(Volume(truth.astype(np.float32), CENTRED), lacking)
    # In another voxel order of the same grid.
    flipped = CENTRED.copy()
    flipped[:, 0], flipped[:3, 3] = -CENTRED[:, 0], (CENTRED @ [ARRAY.shape[2] - 1, 0, 0, 1])[:3]
    Volume(np.ascontiguousarray(truth[:, :, ::-1].astype(np.float32)), flipped).write(whole)
    with raises(InputError, "no_spacing"):
        evaluate([path], [lacking])
    options = ReadingOptions("RAS", tuple(SPACING))
    found = evaluate([path, path], [lacking, whole], options=options)
    assert [row.auroc for row in found.rows] == [1.0, 1.0]
    output = tmp_path / "table.json"
    words = ("--truth", lacking, "-o", output, "--orientation", "RAS", "--spacing", "3", "2", "4")
    assert run("evaluate", path, *words) == 0
    assert json.loads(output.read_text())["reading"] == options.as_json()
    assert run("evaluate", path, "--truth", whole, "-o", output) == 0
    assert "reading" not in json.loads(output.read_text())


def test_a_real_scan_of_a_comparison_is_read_as_the_user_says_only_where_it_must_be(tmp_path, monkeypatch):
    monkeypatch.setattr("MedADLib.evaluation.lesion_cases.brain_or_foreground", lambda volume: volume.array >= 0)
    seen, t1_space = [], SimpleNamespace(any_contrast=False)
    monkeypatch.setattr(
        "MedADLib.evaluation.lesion_cases._prepared", lambda volume, *rest: seen.append((volume, *rest)) or (None, None)
    )
    lacking = nifti(tmp_path / "lacking.nii", codes=(0, 0), offset=CENTRED[:3, 3], sform=CENTRED)
    sound = meta(tmp_path / "sound.mha")
    for image in (lacking, sound):
        chance = Volume(np.where(ARRAY > 0.9, 0.7, 0.3).astype(np.float32), read_image(sound).affine)
        if image == lacking:
            chance = Volume(chance.array, CENTRED)
        chance.write(tmp_path / "truth.nii.gz")
        real_case(image, tmp_path / "truth.nii.gz", t1_space, ReadingOptions("RAS"))
    assert [orientation(volume) for volume, *_ in seen] == ["RAS", orientation(read_image(sound))]
    # The probability of a lesion counts from one half.
    assert all(np.array_equal(truth, ARRAY > 0.9) for _, _, truth, _ in seen)


def test_options_of_headers_are_refused_for_images(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray((ARRAY[0] * 255).astype(np.uint8)), str(tmp_path / "a.png"))
    (source,) = find_scans(tmp_path, options=ReadingOptions("RAS")).values()
    with raises(InputError, "options_for_volumes"):
        source.read()
