"""The scans in a folder, and the subject of each."""

from __future__ import annotations

import logging
import os

import numpy as np
import pytest
from support.dicom_frames import VOXELS, frames_of, write_classic, write_frames
from support.image_files import GREY, SERIES, write, write_slice
from support.raised import raises

from MedADLib.dataset.discovery import find_scans
from MedADLib.errors import InputError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def subjects(folder, **more):
    return {name: source.subject for name, source in find_scans(folder, **more).items()}


def test_a_bids_folder_is_split_by_subject_whatever_the_sessions(tmp_path):
    touch(
        tmp_path,
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
        "sub-02/anat/sub-02_T1w.nii.gz",
        "participants.tsv",
    )
    found = subjects(tmp_path)
    assert found == {"sub-01_ses-1_T1w": "sub-01", "sub-01_ses-2_T1w": "sub-01", "sub-02_T1w": "sub-02"}


def test_a_flat_folder_of_bids_names_has_subjects_too(tmp_path):
    touch(tmp_path, "sub-01_run-1_T1w.nii.gz", "sub-01_run-2_T1w.nii.gz", "control.nii")
    assert subjects(tmp_path) == {
        "sub-01_run-1_T1w": "sub-01", "sub-01_run-2_T1w": "sub-01", "control": "control"
    }  # fmt: skip


def test_folders_are_subjects_and_equal_file_names_get_their_folder_s_name(tmp_path):
    touch(tmp_path, "anna/t1.nii.gz", "bert/t1.nii.gz", "bert/later/t1.nii.gz")
    assert subjects(tmp_path) == {"anna_t1": "anna", "bert_t1": "bert", "bert_later_t1": "bert"}
    assert len(set(subjects(tmp_path, subjects="file").values())) == 3


def test_a_folder_that_all_scans_share_is_not_a_subject(tmp_path):
    touch(tmp_path, "train/normal/a.nii", "train/normal/b.nii")
    assert subjects(tmp_path) == {"a": "a", "b": "b"}


def test_images_are_scans_unless_there_are_volumes(tmp_path, caplog):
    touch(tmp_path, "b.png", "a.JPEG", "c.jpg", "notes.txt")
    assert list(find_scans(tmp_path)) == ["a", "b", "c"]
    touch(tmp_path, "scan.nii.gz")
    with raises(InputError, "images_beside_volumes") as caught:
        find_scans(tmp_path)
    found = caught.value.parameters
    assert (found["images"], found["image"], found["volumes"]) == (3, "a.JPEG", 1)
    assert list(find_scans(tmp_path, only="*.nii.gz")) == ["scan"] and list(find_scans(tmp_path, only="*.png")) == ["b"]
    with caplog.at_level(logging.WARNING):
        assert list(find_scans(tmp_path, skip_bad=True)) == ["scan"]
    (warning,) = [record.msg for record in caplog.records]
    assert warning.code == "images_left_out" and warning.parameters["images"] == 3


def test_a_pattern_chooses_files(tmp_path):
    touch(tmp_path, "sub-01_T1w.nii.gz", "sub-01_FLAIR.nii.gz")
    assert list(find_scans(tmp_path, only="*_T1w.nii.gz")) == ["sub-01_T1w"]
    with pytest.raises(InputError) as caught:
        find_scans(tmp_path, only="*.nrrd")
    assert caught.value.code == "no_scans_named" and caught.value.parameters["pattern"] == "*.nrrd"


def test_what_an_earlier_training_wrote_is_not_a_scan(tmp_path):
    touch(
        tmp_path, "a.png", "model.work/template.safetensors", "model.work/atlas/model-reconstructions.png", ".x/b.png"
    )
    assert list(find_scans(tmp_path)) == ["a"]


def test_a_folder_of_dicom_slices_is_one_volume(tmp_path):
    for who in ("anna", "bert"):
        (tmp_path / who).mkdir()
        for number, pixels in enumerate(SERIES):
            write_slice(tmp_path / who / f"{number}.dcm", pixels, (0, 0, 3 * number))
    found = find_scans(tmp_path)
    assert list(found) == ["anna", "bert"] and found["anna"].read().array.shape == SERIES.shape


def test_single_dicom_images_are_scans_each_whatever_they_are_called(tmp_path):
    for number, name in enumerate(("1.2.840.1", "1.2.840.2", "plain", "a.dcm")):
        write_slice(
            tmp_path / "x.dcm", SERIES[number], (0, 0, 0), _0020_000e=f"1.2.{number}", _0008_0018=f"1.9.{number}"
        )
        (tmp_path / "x.dcm").rename(tmp_path / name)
    (tmp_path / "README").write_text("no image")
    found = find_scans(tmp_path)
    assert sorted(found) == ["1.2.840.1", "1.2.840.2", "a", "plain"]
    assert np.array_equal(found["1.2.840.2"].read().array[0], SERIES[1])


def test_images_of_an_npz_file_are_different_subjects(tmp_path):
    np.savez(tmp_path / "set.npz", images=np.stack([GREY + n for n in range(12)]))
    found = find_scans(tmp_path)
    assert list(found)[:2] == ["set-00", "set-01"] and len({source.subject for source in found.values()}) == 12
    assert np.array_equal(found["set-11"].read().array[0], (GREY + 11).astype(np.uint8))


def test_a_scan_carries_the_name_that_it_has_in_the_split(tmp_path):
    (tmp_path / "anna").mkdir()
    (tmp_path / "bert").mkdir()
    write(tmp_path / "anna" / "x.png", GREY)
    write(tmp_path / "bert" / "x.png", GREY)
    assert [source.read().name for source in find_scans(tmp_path).values()] == ["anna_x", "bert_x"]


def test_dicom_files_of_a_whole_volume_are_scans_each(tmp_path):
    for number, name in enumerate(("anna", "bert")):
        write_frames(tmp_path / f"{name}.dcm", frames_of(VOXELS + number), SeriesInstanceUID=f"1.2.{number}")
    (tmp_path / "carl").mkdir()
    write_frames(tmp_path / "carl" / "all.dcm", frames_of())
    found = find_scans(tmp_path)
    assert sorted(found) == ["anna", "bert", "carl"]
    assert np.array_equal(found["bert"].read().array, VOXELS + 1.0)
    assert np.array_equal(found["carl"].read().array, VOXELS)


def test_the_two_files_of_an_analyze_volume_are_one_scan(tmp_path):
    touch(tmp_path, "a.hdr", "a.img", "b.mgz", "c.img")
    assert {name: source.path.name for name, source in find_scans(tmp_path).items()} == {
        "a": "a.hdr",
        "b": "b.mgz",
        "c": "c.img",
    }


def test_links_are_followed_once_and_derivatives_are_left_out(tmp_path, caplog):
    touch(tmp_path / "store", "sub-02_T1w.nii.gz")
    data = tmp_path / "data"
    touch(data / "sub-01", "sub-01_T1w.nii.gz")
    touch(data / "derivatives" / "strip", "sub-01_T1w.nii.gz")
    (data / "sub-02").symlink_to(tmp_path / "store", target_is_directory=True)
    (data / "sub-01" / "up").symlink_to(data, target_is_directory=True)
    (data / "sub-03_T1w.nii.gz").symlink_to(tmp_path / "store" / "sub-02_T1w.nii.gz")
    assert sorted(find_scans(data)) == ["sub-01_T1w", "sub-02_T1w"]
    codes = ["derivatives_left_out", "link_left_out", "link_left_out"]
    assert sorted(record.msg.code for record in caplog.records) == codes
    assert list(find_scans(data / "derivatives")) == ["sub-01_T1w"]


@pytest.mark.parametrize("name", ["Derivatives", "DERIVATIVES"])
def test_derivatives_are_left_out_in_capitals_too(tmp_path, caplog, name):
    touch(tmp_path, "sub-01/sub-01_T1w.nii.gz", f"sub-01/{name}/sub-01_strip_T1w.nii.gz", f"{name}/sub-01_T1w.nii.gz")
    assert list(find_scans(tmp_path)) == ["sub-01_T1w"]
    assert [record.msg.code for record in caplog.records] == ["derivatives_left_out"] * 2


def test_a_scan_counts_once_and_goes_before_a_link_to_it(tmp_path, caplog):
    data = tmp_path / "data"
    touch(data, "z/sub-09_T1w.nii.gz")
    (data / "a_T1w.nii.gz").symlink_to(data / "z" / "sub-09_T1w.nii.gz")
    (tmp_path / "link").symlink_to(data)
    for folder in (data, tmp_path / "link"):
        caplog.clear()
        assert [source.path for source in find_scans(folder).values()] == [folder / "z" / "sub-09_T1w.nii.gz"]
        assert [record.msg.parameters["path"] for record in caplog.records] == [str(folder / "a_T1w.nii.gz")]


def test_links_to_distinct_scans_are_scans(tmp_path, caplog):
    touch(tmp_path / "store", "MD5-1.nii.gz", "MD5-2.nii.gz", "MD5-3.nii.gz")
    data = tmp_path / "data"
    for number in (1, 2, 3):
        (data / f"sub-0{number}").mkdir(parents=True)
        link = data / f"sub-0{number}" / f"sub-0{number}_T1w.nii.gz"
        link.symlink_to(tmp_path / "store" / f"MD5-{number}.nii.gz")
    assert list(find_scans(data)) == ["sub-01_T1w", "sub-02_T1w", "sub-03_T1w"] and not caplog.records


def test_a_series_of_links_is_a_scan_once(tmp_path, caplog):
    for number, pixels in enumerate(VOXELS[:4]):
        place = {"ImagePositionPatient": [0, 0, 3.0 * number], "InstanceNumber": number + 1}
        write_classic(tmp_path / "store" / f"{number}.dcm", pixels, **place)
    for name in ("one", "two"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "data" / name / f"{number}.dcm").symlink_to(tmp_path / "store" / f"{number}.dcm")
    assert list(find_scans(tmp_path / "data")) == ["one"]
    assert [record.msg.code for record in caplog.records] == ["link_left_out"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes of POSIX")
def test_pipes_in_a_folder_are_left_out(tmp_path, caplog):
    touch(tmp_path, "sub-01_T1w.nii.gz")
    for name in ("pipe.nii.gz", "pipe.npz", "pipe.dcm", "pipe"):
        os.mkfifo(tmp_path / name)
    assert list(find_scans(tmp_path)) == ["sub-01_T1w"]
    assert [record.msg.code for record in caplog.records] == ["special_left_out"] * 4
