"""What is wrong with a folder is found before the training, and a folder of one kind is never refused."""

from __future__ import annotations

import json
import logging
import shutil
from collections import namedtuple

import numpy as np
import pytest
from support.image_files import write_slice
from support.phantoms import head
from support.radiograph_phantoms import radiograph

from MedADLib.dataset import scan_statistics
from MedADLib.dataset.checks import check_disk, check_scans
from MedADLib.dataset.discovery import find_scans
from MedADLib.dataset.split import FEWEST, Split
from MedADLib.errors import InputError


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Eight toy heads of one contrast."""
    folder = tmp_path_factory.mktemp("heads")
    for seed in range(8):
        head(seed)[0].write(folder / f"head-{seed}.nii.gz")
    return folder


@pytest.fixture
def folder(heads, tmp_path):
    return shutil.copytree(heads, tmp_path / "healthy")


def check(folder, **more):
    return check_scans(find_scans(folder), folder.parent / "work" / "checks.json", **more)


def other_contrast(volume):
    """Dark white matter and bright fluid, as on T2."""
    brain = volume.array > 0
    return volume.with_array(np.where(brain, np.square(1050 - volume.array) / 500 + 40, 0).astype(np.float32))


def test_scans_of_one_kind_pass_without_a_word(folder, caplog):
    assert len(check(folder)) == 8 and caplog.text == ""


def test_gain_offset_and_resolution_are_no_other_kind(folder):
    for seed in range(20, 24):
        volume, _ = head(seed, spacing=(5.0, 5.0, 6.0), size=40)
        volume.with_array(volume.array * 7.5 + (volume.array > 0) * 90).write(folder / f"other-{seed}.nii.gz")
    assert len(check(folder)) == 12


def test_radiographs_of_one_kind_pass_also_where_a_body_reaches_the_border(tmp_path):
    folder = tmp_path / "chests"
    folder.mkdir()
    for seed in range(18):
        radiograph(seed).write(folder / f"{seed}.nii.gz")
    assert len(check(folder)) == 18


def test_noisy_and_cleaned_air_are_no_other_kind(folder, caplog):
    for seed in range(20, 24):
        volume, _ = head(seed)
        air = np.random.default_rng(seed).rayleigh(20, volume.array.shape)
        volume.with_array(np.maximum(volume.array, air).astype(np.float32)).write(folder / f"noisy-{seed}.nii.gz")
    assert len(check(folder)) == 12 and caplog.text == ""


@pytest.mark.parametrize(("name", "only"), [("healthy_t1_ixi_2mm", "*_ds.nii.gz"), ("healthy_ixi2d/val", None)])
def test_real_scans_of_one_kind_pass(data_dir, tmp_path, name, only):
    scans = find_scans(data_dir / name, only)
    assert check_scans(scans, tmp_path / "checks.json").keys() == scans.keys()


def test_real_scans_of_two_contrasts_are_refused(data_dir, tmp_path):
    (tmp_path / "mixed").mkdir()
    t1 = sorted((data_dir / "healthy_t1_ixi_2mm").glob("*_ds.nii.gz"))
    t2 = [data_dir / "stroke_cstar" / "T2.nii.gz", *(data_dir / "ms_open_ms_data").glob("*/T2_*.nii.gz")]
    for number, path in enumerate([*t1, *t2]):
        (tmp_path / "mixed" / f"{number}.nii.gz").symlink_to(path)
    with pytest.raises(InputError) as caught:
        check(tmp_path / "mixed")
    assert caught.value.code == "two_kinds_by_intensity"
    assert (caught.value.parameters["fewer"], caught.value.parameters["typical"]) == ("7, 8", "0")


def test_two_contrasts_are_refused_unless_the_user_insists(folder):
    for seed in (30, 31, 32):
        other_contrast(head(seed)[0]).write(folder / f"t2-{seed}.nii.gz")
    with pytest.raises(InputError) as caught:
        check(folder)
    assert caught.value.code == "two_kinds_by_intensity"
    told = caught.value.parameters
    assert (told["fewer"], told["typical"]) == ("t2-30, t2-31, t2-32", "head-0")
    assert len(check(folder, mixed=True)) == 11


def test_one_scan_of_another_contrast_is_listed(folder, caplog):
    other_contrast(head(30)[0]).write(folder / "t2.nii.gz")
    with caplog.at_level(logging.WARNING):
        assert len(check(folder)) == 9
    (warning,) = [record.msg for record in caplog.records]
    counts = warning.parameters["count"], warning.parameters["total"]
    assert warning.code == "atypical_intensities" and counts == (1, 9)
    assert warning.parameters["scans"].startswith("t2 (")


def test_contrasts_are_told_by_their_names_too(folder):
    for seed in (0, 1):
        (folder / f"head-{seed}.nii.gz").rename(folder / f"sub-{seed}_T1w.nii.gz")
    (folder / "head-2.nii.gz").rename(folder / "sub-2_FLAIR.nii.gz")
    with pytest.raises(InputError) as caught:
        check(folder)
    assert (caught.value.code, caught.value.parameters["contrasts"]) == ("mixed_contrasts", "2 T1w, 1 FLAIR")


def test_a_copy_in_another_file_type_is_found(folder, caplog):
    head(3)[0].write(folder / "twin.mha")
    with pytest.raises(InputError) as caught:
        check(folder)
    assert caught.value.code == "unusable_scans"
    assert caught.value.parameters == {"count": 1, "total": 9, "scans": "twin: a copy of head-3"}
    with caplog.at_level(logging.WARNING):
        assert list(check(folder, skip_bad=True)) == [f"head-{n}" for n in range(8)]
    (warning,) = [record.msg for record in caplog.records]
    assert warning.code == "copies_left_out" and warning.parameters["scans"] == "twin: a copy of head-3"


def test_the_original_is_kept_and_not_its_copy(folder, caplog):
    shutil.copy(folder / "head-3.nii.gz", folder / "copy.nii.gz")
    (folder / "head-3.nii.gz").rename(folder / "original.nii.gz")
    with pytest.raises(InputError) as caught:
        check(folder)
    assert caught.value.code == "unusable_scans" and caught.value.parameters["scans"] == "copy: a copy of original"
    with caplog.at_level(logging.WARNING):
        kept = check(folder, skip_bad=True)
    assert "original" in kept and "copy" not in kept
    assert [record.msg.parameters["kept"] for record in caplog.records] == ["original"]
    scans = find_scans(folder)
    record = folder.parent / "work" / "checks.json"
    assert check_scans({name: scans[name] for name in sorted(scans, reverse=True)}, record, True).keys() == kept.keys()


def test_files_that_cannot_be_used_are_all_named(folder):
    (folder / "head-1.nii.gz").write_bytes(b"half")
    (folder / "empty.nii").write_bytes(b"")
    volume = head(5)[0]
    volume.with_array(np.digitize(volume.array, [100.0, 400.0, 700.0]).astype(np.float32)).write(folder / "seg.nii.gz")
    with pytest.raises(InputError) as caught:
        check(folder)
    assert caught.value.code == "unusable_scans"
    assert (caught.value.parameters["count"], caught.value.parameters["total"]) == (3, 10)
    for word in ("head-1", "empty", "seg", "label map"):
        assert word in caught.value.parameters["scans"]
    assert len(check(folder, skip_bad=True)) == 7


def test_odd_geometry_is_listed(folder, caplog):
    volume, _ = head(40, spacing=(8.0, 8.0, 8.0), size=25)
    volume.write(folder / "coarse.nii.gz")
    with caplog.at_level(logging.WARNING):
        check(folder)
    (warning,) = [record.msg for record in caplog.records if record.msg.code == "atypical_geometry"]
    counts = warning.parameters["count"], warning.parameters["total"]
    assert warning.parameters["usual"] == "4 x 4 x 4" and counts == (1, 9)
    assert warning.parameters["scans"].startswith("coarse (8 x 8 x 8 mm; ")


def test_slices_among_volumes_are_refused(folder):
    radiograph(1).write(folder / "slice.nii.gz")
    with pytest.raises(InputError) as caught:
        check(folder)
    assert caught.value.code == "slices_and_volumes"
    assert (caught.value.parameters["slices"], caught.value.parameters["slice"]) == (1, "slice")


def test_fewer_than_three_scans_are_refused(folder):
    for number in range(2, 8):
        (folder / f"head-{number}.nii.gz").unlink()
    with pytest.raises(InputError) as caught:
        check(folder)
    assert caught.value.code == "too_few_usable_scans" and caught.value.parameters["count"] == 2


@pytest.mark.parametrize("count", [2, 5, 7])
def test_too_few_scans_are_refused_in_the_same_words_before_and_after_they_are_looked_at(folder, count):
    for number in range(count, 8):
        (folder / f"head-{number}.nii.gz").unlink()
    said = []
    for refuse in (lambda: check(folder, fewest=FEWEST), lambda: Split.automatic(list(find_scans(folder)))):
        with pytest.raises(InputError) as refused:
            refuse()
        said.append((refused.value.remedy, refused.value.parameters, refused.value.code))
    assert said[0][:2] == said[1][:2] and said[0][1] == {"count": count, "fewest": 8}
    assert {code for _, _, code in said} <= {"too_few_usable_scans", "too_few_scans"}


def test_files_of_other_modalities_are_refused_unless_the_user_insists(tmp_path):
    folder = tmp_path / "dicom"
    folder.mkdir()
    for number in range(9):
        numbers = {"_0020_000e": f"1.2.{number}", "_0008_0018": f"1.9.{number}", "_0010_0020": f"P{number}"}
        pixels = np.random.default_rng(number).integers(0, 1000, (20, 24)).astype(np.int16)
        modality = "MR" if number < 6 else "CT"
        write_slice(folder / f"{number}.dcm", pixels, (0, 0, 0), _0008_0060=modality, **numbers)
    with pytest.raises(InputError) as caught:
        check(folder)
    assert (caught.value.code, caught.value.parameters["modalities"]) == ("mixed_modalities", "6 MR, 3 CT")
    assert len(check(folder, mixed=True)) == 9


def test_a_scan_is_looked_at_once_until_it_changes(folder, monkeypatch):
    looked, really = [], scan_statistics._measured
    monkeypatch.setattr(scan_statistics, "_measured", lambda source: looked.append(source.name) or really(source))
    check(folder)
    check(folder)
    assert len(looked) == 8
    head(9)[0].write(folder / "head-4.nii.gz")
    check(folder)
    assert looked[8:] == ["head-4"]
    record = folder.parent / "work" / "checks.json"
    record.write_text(json.dumps({"head-0": {"nonsense": 1}}))
    assert len(check(folder)) == 8


@pytest.mark.parametrize("kept", [0, 4e9])
def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch, kept):
    usage = namedtuple("usage", "total used free")(10**12, 10**12, 2 * 10**9)
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or usage)
    if kept:
        check_disk(tmp_path / "not" / "there", 5e9, kept)
    else:
        with pytest.raises(InputError) as caught:
            check_disk(tmp_path / "not" / "there", 5e9, kept)
        assert caught.value.code == "disk_too_small"
        assert (caught.value.parameters["needed"], caught.value.parameters["free"]) == (5.0, 2.0)
    assert asked == [tmp_path.resolve()] and list(tmp_path.iterdir()) == []
