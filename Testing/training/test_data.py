from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from support.phantoms import ToyModels, one_thread, toy_models  # noqa: F401

from MedADLib.dataset.discovery import find_scans
from MedADLib.dataset.split import Split
from MedADLib.errors import InputError
from MedADLib.runtime.progress import Progress
from MedADLib.training import data as training_data
from MedADLib.training.data import healthy_data, prepared_scans


@pytest.fixture(scope="module")
def toy(one_thread) -> Iterator[ToyModels]:  # noqa: F811
    return toy_models()


def never(*given, **named):
    pytest.fail("computed again what was there")


def test_scans_of_all_formats_are_found_by_name(tmp_path):
    for name in ("b.nii.gz", "a.nii", "C.NRRD", "d.mha", "notes.txt", "participants.tsv"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder").mkdir()
    assert list(find_scans(tmp_path)) == ["C", "a", "b", "d"]


def test_files_that_macos_and_unfinished_writes_leave_are_no_scans(tmp_path):
    for name in ("sub-01.nii.gz", "._sub-01.nii.gz", ".partial-77-sub-02.nii.gz"):
        (tmp_path / name).write_bytes(b"")
    assert list(find_scans(tmp_path)) == ["sub-01"]


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(InputError, match="missing") as caught:
        find_scans(tmp_path / "missing")
    assert caught.value.code == "scan_folder_missing"
    with pytest.raises(InputError, match=tmp_path.name) as caught:
        find_scans(tmp_path)
    assert caught.value.code == "no_scans"
    (tmp_path / "a.nii").write_bytes(b"")
    (tmp_path / "a.nii.gz").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        find_scans(tmp_path)
    assert caught.value.code == "scan_name_twice" and caught.value.parameters["name"] == "a"


def test_prepared_scans_are_used_again(toy, monkeypatch):
    for name in ("build_template", "read_scan"):
        monkeypatch.setattr(training_data, name, never)
    data = healthy_data(find_scans(toy.healthy), Split.read(toy.split), toy.work)
    assert len(data.train) == 4 and len(data.validation) == 1
    for image, mask in data.train:
        assert image.dtype == np.float32 and mask.dtype == bool and image.shape == data.template.image.array.shape
        assert (image[~mask] == 0).all() and 0.3 < np.median(image[mask]) < 0.9


def test_a_damaged_prepared_scan_is_made_anew(toy, tmp_path, monkeypatch):
    import shutil

    work = tmp_path / "work"
    shutil.copytree(toy.work, work, ignore=shutil.ignore_patterns("latent*", "autoencoder", "atlas"))
    damaged = work / "prepared" / "head-2.safetensors"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(training_data, "build_template", never)
    data = healthy_data(find_scans(toy.healthy), Split.read(toy.split), work)
    kept = healthy_data(find_scans(toy.healthy), Split.read(toy.split), toy.work)
    assert np.array_equal(data.train[2][0], kept.train[2][0]) and damaged.stat().st_size == len(whole)


def test_a_work_folder_belongs_to_one_split(toy):
    split = Split.read(toy.split)
    other = replace(split, train=split.train[:3], benchmark=(*split.benchmark, split.train[3]))
    before = (toy.work / "split.json").read_text()
    with pytest.raises(InputError) as caught:
        healthy_data(find_scans(toy.healthy), other, toy.work)
    assert (caught.value.code, caught.value.parameters) == ("work_of_other_split", {"work": str(toy.work)})
    assert (toy.work / "split.json").read_text() == before


def test_a_scan_of_the_split_that_is_missing_is_named(toy, tmp_path):
    scans = find_scans(toy.healthy)
    del scans["head-6"]
    with pytest.raises(InputError) as caught:
        healthy_data(scans, Split.read(toy.split), tmp_path)
    assert (caught.value.code, caught.value.parameters) == ("split_scan_missing", {"name": "head-6"})


def test_the_template_knows_training_scans_only(toy, tmp_path, monkeypatch):
    seen = []

    def note(scans, progress=None):
        seen.extend(volume.name for volume, _ in scans)
        raise KeyboardInterrupt

    monkeypatch.setattr(training_data, "build_template", note)
    with pytest.raises(KeyboardInterrupt):
        healthy_data(find_scans(toy.healthy), Split.read(toy.split), tmp_path)
    assert seen == list(Split.read(toy.split).train)


def test_scans_to_calibrate_on_keep_the_way_back(toy):
    split, scans = Split.read(toy.split), find_scans(toy.healthy)
    template = healthy_data(scans, split, toy.work).template
    told = []
    found = prepared_scans(scans, ["head-5"], template, Progress(lambda *message: told.append(message)))
    assert [scan.native.name for scan in found] == ["head-5"] and "head-5" in told[0][2]
    assert found[0].map_to_native(found[0].image).same_grid(found[0].native)
