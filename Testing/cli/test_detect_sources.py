"""``medad detect`` takes whatever ``medad train`` learns from, and says how to name it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from support.image_files import GREY, SERIES, write, write_slice
from support.phantoms import one_thread  # noqa: F401
from support.radiograph_phantoms import radiograph, toy_plane_model

from MedADLib.cli import detect
from MedADLib.cli.main import main
from MedADLib.dataset.discovery import find_scans
from MedADLib.errors import InputError
from MedADLib.io.reading import read_image
from MedADLib.io.sources import named_scan
from MedADLib.results.reading import reopen, stored_results


@pytest.fixture
def stack(tmp_path):
    np.savez(tmp_path / "set.npz", images=np.stack([GREY // (n + 1) for n in range(12)]), ids=np.arange(12))
    return tmp_path / "set.npz"


def test_one_picture_of_an_npz_file_needs_no_name(tmp_path):
    np.savez(tmp_path / "one.npz", picture=GREY)
    np.savez(tmp_path / "stack.npz", images=GREY[None])
    for name in ("one", "stack"):
        scan = named_scan(tmp_path / f"{name}.npz")
        assert np.array_equal(scan.read().array[0], GREY)
        assert list(find_scans(tmp_path / f"{name}.npz")) == [scan.name]


def test_of_several_pictures_one_is_named_as_training_names_it(stack):
    with pytest.raises(InputError) as refused:
        named_scan(stack)
    assert refused.value.code == "image_not_named" and refused.value.parameters["count"] == 12
    assert "set.npz#00" in refused.value.remedy and "set.npz#11" in refused.value.remedy
    for number in ("7", "07", "images-07"):
        scan = named_scan(Path(f"{stack}#{number}"))
        assert scan.name == "set-07" and np.array_equal(scan.read().array[0], GREY // 8)
    trained = find_scans(stack)["set-07"]
    assert (trained.name, trained.place) == (scan.name, scan.place)


@pytest.mark.parametrize("wanted", ["12", "-1", "x", "other-3", "7.0", "1e1", "99999999999999999999"])
def test_a_picture_that_is_not_there_is_refused(stack, wanted):
    with pytest.raises(InputError) as refused:
        named_scan(Path(f"{stack}#{wanted}"))
    assert refused.value.code == "no_such_image" and repr(wanted) in refused.value.problem
    assert "set.npz#00" in refused.value.remedy


def test_pictures_of_several_arrays_are_named_by_array_healthy_or_not(tmp_path):
    path = tmp_path / "medmnist.npz"
    pictures = np.stack([GREY, GREY // 2])
    np.savez(path, train_images=pictures, train_labels=[0, 1], test_images=pictures // 3, test_labels=[1, 0], one=GREY)
    assert np.array_equal(named_scan(Path(f"{path}#test_images-1")).read().array[0], GREY // 2 // 3)
    assert np.array_equal(named_scan(Path(f"{path}#one")).read().array[0], GREY)
    with pytest.raises(InputError) as refused:
        named_scan(Path(f"{path}#1"))
    assert (refused.value.code, refused.value.parameters["image"]) == ("no_such_image", "1")


def test_a_file_whose_name_looks_like_a_picture_of_another_is_that_file(tmp_path, stack):
    np.savez(tmp_path / "set.npz#3.npz", picture=GREY // 9)
    assert np.array_equal(named_scan(tmp_path / "set.npz#3.npz").read().array[0], GREY // 9)


def test_a_single_dicom_file_is_a_picture_whatever_it_is_called(tmp_path):
    for name, wanted in (("im0.dcm", "im0"), ("1.2.840.7", "1.2.840.7"), ("plain", "plain")):
        write_slice(tmp_path / "x.dcm", SERIES[0], (0, 0, 0))
        (tmp_path / "x.dcm").rename(tmp_path / name)
        scan = named_scan(tmp_path / name)
        assert scan.name == wanted and np.array_equal(scan.read().array, SERIES[:1])


@pytest.mark.parametrize("name", ["notes.txt", "scan.bmp", "scan"])
def test_an_unknown_type_names_all_that_are_known(tmp_path, name):
    (tmp_path / name).write_bytes(b"x" * 200)
    with pytest.raises(InputError) as refused:
        named_scan(tmp_path / name)
    assert refused.value.code == "unknown_image_type"
    for known in (".nii.gz", ".nrrd", ".mha", ".png", ".jpg", ".jpeg", ".npz", "DICOM file", "folder of DICOM"):
        assert known in str(refused.value)


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.png", "scan.npz", "scan.npz#3", "scan.dcm", "scan"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(InputError) as refused:
        named_scan(tmp_path / name)
    assert refused.value.code == "not_found" and name.split("#")[0] in refused.value.problem


def test_the_help_names_the_types():
    parser = argparse.ArgumentParser()
    detect.add_arguments(parser)
    text = " ".join(parser.format_help().split())
    assert "PNG, JPEG, DICOM file or folder, NPZ" in text and "FILE.npz#NUMBER" in text


def test_what_was_learned_from_can_be_examined(one_thread, tmp_path, capsys):  # noqa: F811
    pictures = np.stack([radiograph(seed).array[0, ::-1] for seed in (100, 101)]).astype(np.int16)
    np.savez(tmp_path / "set.npz", images=pictures)
    write_slice(tmp_path / "im0.dcm", pictures[0], (0, 0, 0))
    write(tmp_path / "plain.png", pictures[0].astype(np.uint16))

    def examined(name):
        words = ["detect", tmp_path / name, "-o", tmp_path / "out", "--model", toy_plane_model(), "--no-picture"]
        return main([str(word) for word in words])

    for name, stem in (("set.npz#1", "set-1"), ("im0.dcm", "im0"), ("plain.png", "plain")):
        assert examined(name) == 0
        assert read_image(tmp_path / "out" / f"{stem}_anomaly.nii.gz").array.shape == (1, *pictures.shape[1:])
    results = stored_results(tmp_path / "out")
    assert len(results) == 3
    for stored in results:
        assert reopen(stored).volume.array.shape == (1, *pictures.shape[1:])
    capsys.readouterr()
    assert examined("set.npz") != 0
    assert "set.npz#0" in capsys.readouterr().err
