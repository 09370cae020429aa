"""Results read back from their folder: equal to what was written, and never laid over another scan."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from support.stored_results import edit, store
from support.synthetic import brain_volume

from MedADLib.errors import InputError
from MedADLib.messages import Message
from MedADLib.results.reading import reopen, stored_results
from MedADLib.runtime.strict_json import plain


@pytest.mark.parametrize("spots", [0, 2])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_a_reopened_result_equals_the_detection(tmp_path, spots, suffix):
    detection = store(tmp_path, spots=spots, suffix=suffix)
    (stored,) = stored_results(tmp_path / "out")
    again = reopen(stored)
    for name in ("volume", "mask", "anomaly", "restored", "labels"):
        before, after = getattr(detection, name), getattr(again, name)
        assert np.array_equal(before.array, after.array), name
        assert before.array.dtype == after.array.dtype and np.array_equal(before.affine, after.affine), name
    assert again.volume.name == "scan"
    for name in ("regions", "threshold", "expected_false_positive_ml", "score", "p_value", "healthy_count", "warnings"):
        assert getattr(detection, name) == getattr(again, name), name
    assert again.reference.as_json() == detection.reference.as_json()
    assert plain(again.provenance) == plain(detection.provenance)


def test_a_result_of_before_peaks_were_written_has_them_looked_up(tmp_path):
    detection = store(tmp_path)

    def older(facts):
        for region in facts["regions"]:
            del region["peak_ras"], region["side"]

    edit(tmp_path / "out" / "scan.json", older)
    (stored,) = stored_results(tmp_path / "out")
    for region, before in zip(reopen(stored).regions, detection.regions, strict=True):
        place = np.linalg.solve(detection.volume.affine, [*region.peak_ras, 1.0])[2::-1].round().astype(int)
        assert detection.anomaly.array[tuple(place)] == before.peak and region.side == ""
        assert dataclasses.replace(region, peak_ras=before.peak_ras, side=before.side) == before


def test_the_examined_part_is_exact_where_nothing_was_restored(tmp_path):
    volume = brain_volume()
    everything = volume.with_array(np.ones(volume.array.shape, dtype=np.uint8))
    detection = store(tmp_path, mask=everything)
    (stored,) = stored_results(tmp_path / "out")
    assert np.array_equal(reopen(stored).mask.array, detection.mask.array)


def test_a_result_that_does_not_tell_the_examined_part_has_what_was_restored(tmp_path):
    detection = store(tmp_path)
    (tmp_path / "out" / "scan_examined.nii.gz").unlink()
    (stored,) = stored_results(tmp_path / "out")
    assert np.array_equal(reopen(stored).mask.array, detection.mask.array)


def test_a_study_may_be_moved_as_a_whole(tmp_path):
    store(tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    (stored,) = stored_results(tmp_path / "there" / "out")
    assert reopen(stored).volume.name == "scan"


def test_a_scan_beside_its_result_is_found(tmp_path):
    store(tmp_path)
    shutil.move(tmp_path / "in" / "scan.nii.gz", tmp_path / "out")
    (stored,) = stored_results(tmp_path / "out")
    assert reopen(stored).volume.name == "scan"


def test_a_scan_that_has_gone_is_asked_for_and_can_be_given(tmp_path):
    detection = store(tmp_path)
    moved = tmp_path / "elsewhere.nii.gz"
    shutil.move(tmp_path / "in" / "scan.nii.gz", moved)
    (stored,) = stored_results(tmp_path / "out")
    with pytest.raises(InputError, match=r"scan\.nii\.gz") as caught:
        reopen(stored)
    assert caught.value.code == "result_scan_moved"
    edit(stored.file(".json"), lambda facts: facts["input"].pop("path"))
    with pytest.raises(InputError, match=r"scan\.json") as caught:
        reopen(stored_results(tmp_path / "out")[0])
    assert caught.value.code == "result_scan_missing"
    assert np.array_equal(reopen(stored, moved).volume.array, detection.volume.array)


def test_another_scan_is_refused(tmp_path):
    store(tmp_path)
    store(tmp_path / "other", seed=1)
    (stored,) = stored_results(tmp_path / "out")
    with pytest.raises(InputError, match=r"other.in.scan\.nii\.gz") as caught:
        reopen(stored, tmp_path / "other" / "in" / "scan.nii.gz")
    assert caught.value.code == "result_of_other_scan"


def test_several_results_are_listed_by_name_and_other_files_are_not(tmp_path):
    for name in ("second", "first"):
        store(tmp_path, name)
    (tmp_path / "out" / "sidecar.json").write_text('{"EchoTime": 0.003}')
    (tmp_path / "out" / "broken.json").write_text("{")
    assert [stored.stem for stored in stored_results(tmp_path / "out")] == ["first", "second"]


@pytest.mark.parametrize(("folder", "code"), [("empty", "no_results"), ("nowhere", "result_folder_missing")])
def test_a_folder_without_results_is_said_in_one_line(tmp_path, folder, code):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=folder) as caught:
        stored_results(tmp_path / folder)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda facts: facts.pop("reference"), "result_incomplete", "reference"),
        (lambda facts: facts.update(threshold="nan"), "result_damaged", "threshold"),
        (lambda facts: facts["regions"].pop(), "result_damaged", "regions do not fit"),
        (lambda facts: facts["regions"][0].pop("peak"), "result_damaged", "a region.*peak"),
        (lambda facts: facts.update(regions=[1]), "result_damaged", ""),
        (lambda facts: facts["input"].pop("sha256"), "result_scan_not_recorded", ""),
    ],
)
def test_a_damaged_record_is_said_in_one_line(tmp_path, change, code, words):
    store(tmp_path)
    edit(tmp_path / "out" / "scan.json", change)
    (stored,) = stored_results(tmp_path / "out")
    with pytest.raises(InputError, match=rf"scan\.json.*{words}") as caught:
        reopen(stored)
    assert caught.value.code == code


@pytest.mark.parametrize("role", ["anomaly", "examined"])
def test_a_map_of_another_grid_is_refused(tmp_path, role):
    store(tmp_path)
    brain_volume((10, 11, 12)).write(tmp_path / "out" / f"scan_{role}.nii.gz")
    (stored,) = stored_results(tmp_path / "out")
    with pytest.raises(InputError, match=f"scan_{role}") as caught:
        reopen(stored)
    assert caught.value.code == "result_map_not_on_grid"


def test_warnings_keep_their_codes_in_the_file(tmp_path):
    warnings = (Message("lesions_not_simulated", reason="a “reason”"), "of an older model")
    store(tmp_path, warnings=warnings)
    (stored,) = stored_results(tmp_path / "out")
    assert stored.facts["warnings"] == [str(warning) for warning in warnings]
    assert stored.facts["warning_codes"] == [
        {"code": "lesions_not_simulated", "parameters": {"reason": "a “reason”"}},
        None,
    ]
    again = reopen(stored)
    assert again.warnings == warnings and again.warnings[0].code == "lesions_not_simulated"
    assert not isinstance(again.warnings[1], Message) and "warning_codes" not in again.provenance


@pytest.mark.parametrize("codes", [None, "none", [], [{"code": "of a newer MedAD", "parameters": {}}], [3]])
def test_a_result_with_texts_of_warnings_alone_opens(tmp_path, codes):
    detection = store(tmp_path)
    edit(tmp_path / "out" / "scan.json", lambda facts: facts.pop("warning_codes"))
    if codes is not None:
        edit(tmp_path / "out" / "scan.json", lambda facts: facts.update(warning_codes=codes))
    (stored,) = stored_results(tmp_path / "out")
    assert reopen(stored).warnings == detection.warnings
