"""What the panel says of a scan at once: right on real scans, careful where it cannot know, and fast."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from test_brainmask import head

from MedADLib.errors import InputError
from MedADLib.io.reading import read_image
from MedADLib.modelfile.store import ModelSummary
from MedADLib.preprocessing import input_check
from MedADLib.preprocessing.input_check import inspect
from MedADLib.volume import Volume

T1 = ModelSummary("brain-t1", Path("brain-t1.medad"), modality="T1-weighted MR of the brain")
FLAT = ModelSummary("chest", Path("chest.medad"), modality="chest X-ray", kind="2-D")
FITS = "fits brain-t1, if it is T1-weighted MR of the brain"
STRIPPED, SKULL = "skull-stripped", "with skull: the brain will be cut out first (about 10 s without a GPU"


def stripped(spacing=3.0):
    volume, brain = head(spacing=spacing)
    return volume.with_array(np.where(brain, volume.array, 0).astype(np.float32))


def test_a_stripped_brain_fits_and_its_size_is_told():
    report = inspect(stripped(), T1)
    size = "77 × 77 × 77 voxels of 3 × 3 × 3 mm, 231 × 231 × 231 mm"
    assert report.lines == (size, STRIPPED, FITS)
    assert report.verdict == "fits" and report.reason == ""


def test_sizes_are_told_along_x_y_z():
    volume = stripped()
    volume = Volume(volume.array[:60, :70], volume.affine @ np.diag([1, 1.1, 1.3, 1]))
    assert inspect(volume).lines[0].startswith("77 × 70 × 60 voxels of 3 × 3.3 × 3.9 mm, 231 × 231 × 234 mm")


@pytest.mark.parametrize("kind", ["int16", "uint8", "float64"])
def test_voxels_may_be_of_any_number_type(kind):
    volume = stripped()
    assert inspect(volume.with_array(volume.array.astype(kind)), T1).lines[1:] == (STRIPPED, FITS)


def test_a_head_says_that_the_brain_will_be_cut_out_and_whether_that_needs_a_package(monkeypatch):
    monkeypatch.setattr(input_check, "installed_version", lambda name: "1.0.2")
    assert inspect(head()[0], T1).lines[1:] == (f"{SKULL})", FITS)
    monkeypatch.setattr(input_check, "installed_version", lambda name: None)
    assert inspect(head()[0], T1).lines[1] == f"{SKULL}, which needs deepbet)"
    assert inspect(head()[0], T1, masked=True).lines[1] == "examined inside the given mask"


def test_without_a_model_nothing_is_said_to_fit():
    report = inspect(stripped())
    assert report.verdict == "fits" and report.lines[1:] == (STRIPPED,)


def unfit(volume, model=T1):
    report = inspect(volume, model)
    assert report.verdict == "unfit" and report.lines[-1] == f"unfit: {report.reason}"
    return report.reason


def doubt(volume, model=T1):
    report = inspect(volume, model)
    assert report.verdict == "doubtful" and report.lines[-1] == f"doubtful: {report.reason}"
    return report.reason


def test_what_a_run_would_refuse_is_unfit():
    volume = stripped()
    assert unfit(volume.with_array(np.full_like(volume.array, 7))) == "all its values are 7"
    for value in (np.nan, np.inf, -np.inf):
        array = volume.array.copy()
        array[5, 5, 5] = value
        assert "no numbers" in unfit(volume.with_array(array))
    assert unfit(Volume(np.zeros((0, 5, 5), np.float32), np.eye(4))) == "it has no voxels"
    assert "27 mL, less than a brain. Is the voxel spacing in mill" in unfit(
        Volume(np.random.default_rng(0).random((30, 30, 30)), np.eye(4))
    )
    small = np.zeros((80, 80, 80), np.float32)
    small[30:50, 30:50, 30:50] = np.random.default_rng(0).random((20, 20, 20)) + 1
    assert "only 27 mL, too little for a brain" in unfit(Volume(small, np.diag([1.5, 1.5, 1.5, 1.0])))


def test_a_time_series_is_no_volume_at_all():
    with pytest.raises(InputError, match="has 4 dimensions"):
        Volume(np.zeros((3, 4, 5, 6)), np.eye(4))


def test_slices_and_volumes_need_models_of_their_kind():
    volume = stripped()
    single = Volume(volume.array[38:39], volume.affine)
    assert unfit(single) == "a single slice, and brain-t1 knows volumes; choose a 2-D model"
    assert unfit(volume, FLAT) == "chest knows single slices; choose a 3-D model, or give one slice"
    report = inspect(single, FLAT)
    assert report.lines[1:] == (
        "a single slice, examined in its whole field of view",
        "fits chest, if it is chest X-ray",
    )
    sagittal = Volume(volume.array[:, :, 38:39], volume.affine)
    assert inspect(sagittal, FLAT).verdict == "fits" and unfit(sagittal)


def test_a_ct_is_told_by_its_hounsfield_units_unless_the_model_knows_ct():
    volume, brain = head(air_noise=0)
    noise = np.random.default_rng(0).normal(0, 15, volume.array.shape)
    ct = np.select([brain, volume.array > 100, volume.array > 0], [35, 60, 900], -1000) + noise
    ct = volume.with_array(ct.astype(np.int16))
    assert doubt(ct).startswith("its values are those of a CT (Hounsfield units), and brain-t1 knows T1-weighted MR")
    assert "CT" not in inspect(ct, ModelSummary("head-ct", Path("x"), modality="CT of the head")).reason
    signed = volume.with_array((volume.array - 300).astype(np.float32))
    assert "CT" not in inspect(signed, T1).reason


def test_a_label_map_is_told_from_a_scan_of_few_grey_levels():
    volume = stripped()
    regions = (np.add.outer(np.add.outer(np.arange(77) // 8, np.arange(77) // 8), np.arange(77) // 8) + 1) * (
        volume.array > 0
    )
    assert "looks like a label map, with" in doubt(volume.with_array(regions.astype(np.int16)))
    assert "looks like a label map, with 2 different values" in doubt(
        volume.with_array((volume.array > 0).astype(np.uint8))
    )
    noise = np.random.default_rng(0).normal(0, 8, volume.array.shape)
    coarse = volume.with_array(np.where(volume.array > 0, np.round((volume.array + noise) / 4), 0).astype(np.uint8))
    assert len(np.unique(coarse.array)) < 50 and inspect(coarse, T1).verdict == "fits"


def test_parts_of_a_brain_thick_slices_and_too_much_memory_are_doubtful(monkeypatch):
    volume = stripped()
    assert "covers only 60 mm along one axis" in doubt(Volume(volume.array[30:50], volume.affine))
    thick = Volume(volume.array[::3], volume.affine @ np.diag([1, 1, 3, 1]))
    assert doubt(thick) == "its slices are 9.0 mm thick, and what is thinner may be missed"
    tiny = Volume(volume.array, np.diag([2.0, 2.0, 2.0, 1.0]))
    assert "shows only" in doubt(tiny) and "whole brain has 900 to 1700 mL" in doubt(tiny)
    large = Volume(head()[0].array, np.diag([6.0, 6.0, 6.0, 1.0]))
    assert "more than a head" in doubt(large) and inspect(large, T1).lines[1] == "not skull-stripped"
    monkeypatch.setattr(input_check, "_installed_memory_gb", lambda: 1.1)
    assert doubt(volume) == "it needs about 1 GB of memory, and this computer has 1 GB"


def test_a_huge_volume_says_what_memory_it_needs(monkeypatch):
    volume = stripped()
    assert "memory" not in inspect(volume, T1).lines[0]
    monkeypatch.setattr(input_check, "MEMORY_GB_PER_VOXEL", 25e-9 * 280e6 / volume.array.size)
    assert inspect(volume, T1).lines[0].endswith("; needs about 8 GB of memory")


EXPECTED = {
    "healthy_t1_ds002748/sub-52_T1w.nii.gz": ("fits", STRIPPED),
    "healthy_t1_ds002748/sub-06_T1w.nii.gz": ("fits", STRIPPED),
    "stroke_cstar/T1.nii.gz": ("fits", STRIPPED),
    "stroke_cstar/FLAIR.nii.gz": ("fits", STRIPPED),
    "healthy_t1_ixi_2mm/IXI012-HH-1211-T1_ds.nii.gz": ("fits", "with skull"),
    "stroke_t2_rorden/T2.nii.gz": ("fits", "with skull"),
    "healthy_t1_ixi_2mm/IXI012-HH-1211-T1_ds_DLMUSE.nii.gz": ("doubtful", "looks like a label map"),
    "stroke_t2_rorden/lesionT2.nii.gz": ("unfit", "looks like a label map"),
    "tumour_pyradiomics/brain1_image.nrrd": ("doubtful", "slices are 6.5 mm thick"),
    "dicom_mr_papaya": ("doubtful", "slices are 7.0 mm thick"),
    "body_totalsegmentator/example_ct.nii.gz": ("doubtful", "those of a CT"),
    "body_totalsegmentator/example_mr_sm.nii.gz": ("doubtful", "covers only 60 mm"),
    "healthy_hippocampus_msd/images/hippocampus_001.nii.gz": ("unfit", "field of view has 62 mL"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_real_scans(data_dir, name):
    verdict, said = EXPECTED[name]
    report = inspect(read_image(data_dir / name, uniform=True), T1)
    assert report.verdict == verdict and said in "\n".join(report.lines)


@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_a_volume_of_256_cubed_takes_no_time(kind):
    z, y, x = np.ogrid[-1:1:256j, -1:1:256j, -1:1:256j]
    noise = np.random.default_rng(0).normal(100, 20, (256, 256, 256))
    volume = Volume(np.where(x * x + y * y + z * z < 0.5, noise, 0).astype(kind), np.eye(4))
    seconds = []
    for _ in range(3):
        start = time.process_time()
        inspect(volume, T1)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.3
