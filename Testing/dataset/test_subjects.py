"""Whose a scan is where its name alone does not say: pictures in NPZ files, and DICOM files of one patient."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from support.image_files import GREY, SERIES, write_slice

from MedADLib.dataset.discovery import doubts_about_subjects, find_scans
from MedADLib.dataset.split import Split, split_of_arrays
from MedADLib.errors import InputError


def arrays(path, count=3, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **(more or {"images": np.stack([GREY // (n + 1) for n in range(count)])}))


def image(path, patient, **tags):
    """A single image, of a series of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = zlib.crc32(path.as_posix().encode())
    numbers = {"_0020_000e": f"1.2.{number}", "_0008_0018": f"1.9.{number}", "_0010_0020": patient}
    write_slice(path, SERIES[0], (0, 0, 0), **numbers, **tags)


def subjects(folder, rule="auto"):
    return {name: source.subject for name, source in find_scans(folder, subjects=rule).items()}


def test_all_pictures_of_an_npz_file_are_of_one_subject_where_the_user_says_so(tmp_path):
    arrays(tmp_path / "anna" / "a.npz")
    arrays(tmp_path / "anna" / "b.npz")
    arrays(tmp_path / "bert" / "c.npz")
    assert len(set(subjects(tmp_path).values())) == 9
    assert set(subjects(tmp_path, "folder").values()) == {"anna", "bert"}
    assert set(subjects(tmp_path, "file").values()) == {"anna_a", "anna_b", "bert_c"}


def test_pictures_of_an_npz_file_of_a_bids_subject_are_that_subject_s(tmp_path):
    for name in ("sub-01_slices.npz", "sub-02_slices.npz", "sub-03/slices.npz", "sub-03/more.npz"):
        arrays(tmp_path / name)
    assert set(subjects(tmp_path).values()) == {"sub-01", "sub-02", "sub-03"}
    assert not doubts_about_subjects(find_scans(tmp_path), "auto")


def test_several_data_sets_are_asked_about_and_one_is_not(tmp_path):
    arrays(tmp_path / "a.npz")
    arrays(tmp_path / "single.npz", 1)
    assert not doubts_about_subjects(find_scans(tmp_path), "auto")
    arrays(tmp_path / "b.npz")
    (doubt,) = doubts_about_subjects(find_scans(tmp_path), "auto")
    assert (doubt.code, doubt.parameters) == ("images_as_subjects", {"files": 2, "name": "a.npz"})
    assert "--subjects file" in doubt
    assert not doubts_about_subjects(find_scans(tmp_path, subjects="file"), "file")


def test_a_subject_in_two_parts_of_an_npz_file_s_own_split_is_refused(tmp_path):
    parts = {f"{part}_images": np.stack([GREY] * count) for part, count in (("train", 9), ("val", 6), ("test", 3))}
    arrays(tmp_path / "set.npz", **parts)
    assert len(split_of_arrays(find_scans(tmp_path), 0, 2).train) == 9
    with pytest.raises(InputError) as caught:
        split_of_arrays(find_scans(tmp_path, subjects="file"), 0, 2)
    assert caught.value.code == "subject_in_two_parts" and caught.value.parameters["subject"] == "set"


def test_dicom_images_of_one_patient_stay_together_whatever_their_names(tmp_path):
    for number in range(20):
        image(tmp_path / "clinic" / f"im{number:02d}.dcm", f"P{number // 2}")
    image(tmp_path / "other" / "late.dcm", "P0")
    scans = find_scans(tmp_path)
    whose = {name: source.subject for name, source in scans.items()}
    assert len(set(whose.values())) == 10
    assert whose["clinic_im00"] == whose["clinic_im01"] == whose["other_late"] == "the patient of clinic_im00"
    split = Split.automatic(list(scans), 3, subjects=whose)
    split.check_subjects(whose)
    assert len(set(subjects(tmp_path, "file").values())) == 21
    assert set(subjects(tmp_path, "folder").values()) == {"clinic", "other"}


def test_dicom_series_of_one_patient_stay_together(tmp_path):
    for folder, patient in (("a", "P1"), ("b", "P1"), ("c", "P2")):
        (tmp_path / folder).mkdir()
        for number, pixels in enumerate(SERIES):
            write_slice(tmp_path / folder / f"{number}.dcm", pixels, (0, 0, 3 * number), _0010_0020=patient)
    whose = subjects(tmp_path)
    assert whose["a"] == whose["b"] != whose["c"]


def test_patients_join_subjects_of_bids_names(tmp_path):
    patients = {"sub-01_a": "P1", "sub-01_b": "P2", "sub-02_a": "P2", "loose": "P1", "sub-03": "P3"}
    for name, patient in patients.items():
        image(tmp_path / f"{name}.dcm", patient)
    whose = subjects(tmp_path)
    assert len({whose[name] for name in ("sub-01_a", "sub-01_b", "sub-02_a", "loose")}) == 1
    assert whose["sub-03"] == "sub-03" != whose["loose"]


@pytest.mark.parametrize(("patient", "code"), [("ANONYMOUS", "same_patient_id"), ("", "no_patient_id")])
def test_a_number_that_was_taken_out_tells_nobody_apart_and_this_is_said(tmp_path, patient, code):
    for number in range(9):
        image(tmp_path / f"im{number}.dcm", patient)
    scans = find_scans(tmp_path)
    assert len({source.subject for source in scans.values()}) == 9
    (doubt,) = doubts_about_subjects(scans, "auto")
    assert doubt.code == code and "ANONYMOUS" not in doubt


def test_an_empty_number_is_nobody_s(tmp_path):
    for number, patient in enumerate(("", "", "P1", "P1")):
        image(tmp_path / f"im{number}.dcm", patient)
    whose = subjects(tmp_path)
    assert whose["im2"] == whose["im3"] and len(set(whose.values())) == 3


def test_the_patient_s_number_is_not_shown(tmp_path):
    image(tmp_path / "a.dcm", "SECRET-1")
    image(tmp_path / "b.dcm", "SECRET-2")
    scans = find_scans(tmp_path)
    assert scans["a"].patient == "SECRET-1" and "SECRET" not in repr(scans)


def test_the_modality_is_what_the_header_says_and_nothing_else(tmp_path):
    for name, modality in (("a", "CT"), ("b", "DX"), ("c", "CR"), ("d", "DOE^JANE")):
        image(tmp_path / f"{name}.dcm", name, _0008_0060=modality)
    found = {name: source.modality for name, source in find_scans(tmp_path).items()}
    assert found == {"a": "CT", "b": "CR/DX", "c": "CR/DX", "d": ""}
