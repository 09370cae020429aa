"""A lesion among the healthy scans of a training is noticed, and can be left out."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest
from support.phantoms import one_thread  # noqa: F401
from support.radiograph_phantoms import radiograph, toy_plane_folder, train_plane
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.modelfile.model import load_model
from MedADLib.preprocessing.volume_space import VolumeSpace
from MedADLib.runtime.progress import Progress
from MedADLib.runtime.tables import read_table
from MedADLib.training.outliers import left_out, limit_of

SHAPE = (12, 16, 14)


def scans(count: int, lesion: int | None = None, change: float = -0.5):
    """Noisy scans of one anatomy; one of them may have a lesion of 4 × 5 × 5 voxels."""
    made = []
    for number in range(count):
        random = np.random.default_rng(number)
        image = 0.6 + 0.1 * np.sin(np.arange(SHAPE[2]) / 3) + random.normal(0, 0.03, SHAPE)
        if number == lesion:
            image[4:8, 5:10, 4:9] += change
        mask = np.zeros(SHAPE, bool)
        mask[1:-1, 1:-1, 1:-1] = True
        made.append((np.where(mask, image, 0).astype(np.float32), mask))
    return made


def compared(count: int, lesion: int | None = None, change: float = -0.5):
    template = VolumeSpace.empty(SHAPE, (4.0, 4.0, 4.0))
    return left_out([f"scan-{n}" for n in range(count)], scans(count, lesion, change), template, Progress())


@pytest.mark.parametrize("change", [-0.5, 0.4])
def test_a_scan_with_a_lesion_is_the_outlier_whether_it_is_dark_or_bright(change):
    found = compared(9, lesion=4, change=change)
    assert [one.name for one in found if one.outlier] == ["scan-4"] and found[0].name == "scan-4"
    assert found[0].score > 2 * found[1].score


def test_healthy_scans_are_no_outliers():
    assert not any(one.outlier for one in compared(9))
    assert not any(one.outlier for one in compared(30))


def test_a_few_scans_have_no_typical_score_and_equal_ones_make_no_outlier():
    assert limit_of([1.0, 1.0, 1.0, 9.0]) == float("inf")
    assert 1.2 < limit_of([1.0] * 8) < 2


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    folder = shutil.copytree(toy_plane_folder() / "healthy", tmp_path_factory.mktemp("scans") / "healthy")
    # One patient is not healthy.
    radiograph(3, lesion=(0.45, 0.2)).write(folder / "chest-3.nii.gz")
    return folder


def test_a_training_lists_the_outlier_with_a_figure_and_leaves_it_out_on_request(healthy, tmp_path, caplog, capsys):
    model, split = tmp_path / "first.medad", tmp_path / "split.json"
    names = [path.name.removesuffix(".nii.gz") for path in sorted(healthy.iterdir())]
    names.insert(0, names.pop(names.index("chest-3")))
    parts = {"train": names[:20], "validation": names[20:22], "calibration": names[22:]}
    split.write_text(str(parts).replace("'", '"'))
    with caplog.at_level(logging.WARNING, "MedADLib"):
        train_plane("atlas", healthy, model, "--work", tmp_path / "work", "--split", split)
    (warned,) = [r.msg for r in caplog.records if getattr(r.msg, "code", "") == "training_outliers"]
    assert warned.parameters["count"] == 1 and warned.parameters["scans"].startswith("chest-3 (")
    figure = tmp_path / "work" / "atlas" / "first-outliers.png"
    assert warned.parameters["figure"] == str(figure) and figure.stat().st_size > 1000
    rows = read_table(tmp_path / "work" / "atlas" / "left-out.tsv")
    assert len(rows) == 22 and (rows[0]["scan"], rows[0]["outlier"]) == ("chest-3", "yes")
    assert "each of 22 scans against the others" in capsys.readouterr().out
    caplog.clear()
    more = ("--work", tmp_path / "other", "--split", split, "--exclude", "chest-3")
    train_plane("atlas", healthy, tmp_path / "second.medad", *more)
    assert not [r for r in caplog.records if getattr(r.msg, "code", "") == "training_outliers"]
    assert len(load_model(tmp_path / "second.medad").training["split"]["train"]) == 19
    assert len(read_table(tmp_path / "other" / "atlas" / "left-out.tsv")) == 21


def test_a_name_that_is_not_found_cannot_be_left_out(healthy, tmp_path):
    with raises(InputError, "excluded_scan_missing") as caught:
        train_plane("atlas", healthy, tmp_path / "m.medad", "--work", tmp_path / "w", "--exclude", "chest-2, chest-x")
    assert caught.value.parameters == {"name": "chest-x"} and not (tmp_path / "w").exists()
