"""The panel's quick check of a scan: right on real scans, careful in doubt, and fast."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from support.raised import raises
from support.toy_head import head

from MedADLib.errors import InputError
from MedADLib.io.reading import read_image
from MedADLib.messages import set_translator
from MedADLib.modelfile.store import ModelSummary
from MedADLib.preprocessing import input_check
from MedADLib.preprocessing.brain_extraction import brain_mask
from MedADLib.preprocessing.input_check import inspect
from MedADLib.preprocessing.registration import coarse
from MedADLib.volume import Volume

T1 = ModelSummary("brain-t1", Path("brain-t1.medad"), modality="T1-weighted MR of the brain")
FLAT = ModelSummary("chest", Path("chest.medad"), modality="chest X-ray", kind="2-D")
FITS = "fits brain-t1, if it is T1-weighted MR of the brain"
STRIPPED = "skull-stripped"


@pytest.fixture
def translator():
    yield set_translator
    set_translator(None)


def stripped(spacing=3.0):
    volume, brain = head(spacing=spacing)
    return volume.with_array(np.where(brain, volume.array, 0).astype(np.float32))


def test_a_stripped_brain_fits_and_its_size_is_reported():
    report = inspect(stripped(), T1)
    size = "77 × 77 × 77 voxels of 3 × 3 × 3 mm, 231 × 231 × 231 mm"
    assert report.lines == (size, STRIPPED, FITS)
    assert report.verdict == "fits" and report.reason == ""


def test_sizes_are_reported_along_x_y_z():
    volume = stripped()
    volume = Volume(volume.array[:60, :70], volume.affine @ np.diag([1, 1.1, 1.3, 1]))
    assert inspect(volume).lines[0].startswith("77 × 70 × 60 voxels of 3 × 3.3 × 3.9 mm, 231 × 231 × 234 mm")


@pytest.mark.parametrize("kind", ["int16", "uint8", "float64"])
def test_voxels_may_be_of_any_number_type(kind):
    volume = stripped()
    assert inspect(volume.with_array(volume.array.astype(kind)), T1).lines[1:] == (STRIPPED, FITS)


def codes(report):
    return [fact.code for fact in report.facts]


def test_a_head_states_that_the_brain_will_be_extracted_and_whether_that_needs_a_package(monkeypatch):
    monkeypatch.setattr(input_check, "installed_version", lambda name: "1.0.2")
    assert codes(inspect(head()[0], T1)) == ["scan_size", "scan_skull", "scan_fits_if"]
    assert "with skull" in inspect(head()[0], T1).lines[1]
    monkeypatch.setattr(input_check, "installed_version", lambda name: None)
    report = inspect(head()[0], T1)
    assert codes(report)[1] == "scan_skull_no_deepbet" and "deepbet" in report.lines[1]
    assert codes(inspect(head()[0], T1, masked=True))[1] == "scan_masked"


def test_without_a_model_no_fit_is_stated():
    report = inspect(stripped())
    assert report.verdict == "fits" and report.lines[1:] == (STRIPPED,)


def unfit(volume, model=T1):
    """The one reason why a scan is unfit, which the last line shows."""
    report = inspect(volume, model)
    assert report.verdict == "unfit" and report.lines[-1] == f"unfit: {report.reason}"
    (reason,) = report.reasons
    assert reason == report.reason
    return reason


def doubt(volume, model=T1):
    """The first doubt about a scan, which the last line shows."""
    report = inspect(volume, model)
    assert report.verdict == "doubtful" and report.lines[-1] == f"doubtful: {report.reason}"
    assert all(reason in report.reason for reason in report.reasons)
    return report.reasons[0]


def test_a_report_is_shown_in_the_language_of_the_application(translator):
    volume = stripped()
    report = inspect(volume.with_array(np.full_like(volume.array, 7)), T1)
    translator(lambda context, text: text.upper().replace("{VALUE:G}", "{value:g}").replace("{REASONS}", "{reasons}"))
    assert report.lines[-1] == "UNFIT: ALL ITS VALUES ARE 7" and report.reasons == ("all its values are 7",)
    assert inspect(volume).lines[1] == "SKULL-STRIPPED"


def test_what_a_run_would_refuse_is_unfit():
    volume = stripped()
    flat = unfit(volume.with_array(np.full_like(volume.array, 7)))
    assert flat.code == "scan_one_value" and flat.parameters == {"value": 7}
    for value in (np.nan, np.inf, -np.inf):
        array = volume.array.copy()
        array[5, 5, 5] = value
        assert unfit(volume.with_array(array)).code == "scan_not_finite"
    assert unfit(Volume(np.zeros((0, 5, 5), np.float32), np.eye(4))).code == "scan_no_voxels"
    cube = unfit(Volume(np.random.default_rng(0).random((30, 30, 30)), np.eye(4)))
    assert cube.code == "scan_too_small" and "27 mL" in cube
    small = np.zeros((80, 80, 80), np.float32)
    small[30:50, 30:50, 30:50] = np.random.default_rng(0).random((20, 20, 20)) + 1
    speck = unfit(Volume(small, np.diag([1.5, 1.5, 1.5, 1.0])))
    assert speck.code == "scan_little_tissue" and "27 mL" in speck


def test_a_time_series_is_not_a_volume_at_all():
    with pytest.raises(InputError) as caught:
        Volume(np.zeros((3, 4, 5, 6)), np.eye(4))
    assert caught.value.code == "not_3d" and caught.value.parameters["dimensions"] == 4


def test_slices_and_volumes_need_models_of_their_kind():
    volume = stripped()
    single = Volume(volume.array[38:39], volume.affine)
    assert unfit(single).code == "scan_needs_volume" and "brain-t1" in unfit(single)
    assert unfit(volume, FLAT).code == "scan_needs_slice" and "chest" in unfit(volume, FLAT)
    report = inspect(single, FLAT)
    assert codes(report) == ["scan_size", "scan_single_slice", "scan_fits_if"]
    assert report.lines[-1] == "fits chest, if it is chest X-ray"
    sagittal = Volume(volume.array[:, :, 38:39], volume.affine)
    assert inspect(sagittal, FLAT).verdict == "fits" and unfit(sagittal)


def test_a_ct_is_recognised_by_its_hounsfield_units_unless_the_model_knows_ct():
    volume, brain = head(air_noise=0)
    noise = np.random.default_rng(0).normal(0, 15, volume.array.shape)
    ct = np.select([brain, volume.array > 100, volume.array > 0], [35, 60, 900], -1000) + noise
    ct = volume.with_array(ct.astype(np.int16))
    assert doubt(ct).code == "scan_ct_not_modality" and "T1-weighted MR" in doubt(ct)
    assert doubt(ct, None).code == "scan_ct"
    assert "CT" not in inspect(ct, ModelSummary("head-ct", Path("x"), modality="CT of the head")).reason
    signed = volume.with_array((volume.array - 300).astype(np.float32))
    assert "CT" not in inspect(signed, T1).reason


def test_a_label_map_is_distinguished_from_a_scan_of_few_grey_levels():
    volume = stripped()
    regions = (np.add.outer(np.add.outer(np.arange(77) // 8, np.arange(77) // 8), np.arange(77) // 8) + 1) * (
        volume.array > 0
    )
    assert doubt(volume.with_array(regions.astype(np.int16))).code == "scan_label_map"
    binary = doubt(volume.with_array((volume.array > 0).astype(np.uint8)))
    assert binary.code == "scan_label_map" and "2 different values" in binary
    noise = np.random.default_rng(0).normal(0, 8, volume.array.shape)
    coarse = volume.with_array(np.where(volume.array > 0, np.round((volume.array + noise) / 4), 0).astype(np.uint8))
    assert len(np.unique(coarse.array)) < 50 and inspect(coarse, T1).verdict == "fits"


def test_parts_of_a_brain_thick_slices_and_too_much_memory_are_doubtful(monkeypatch):
    volume = stripped()
    slab = doubt(Volume(volume.array[30:50], volume.affine))
    assert slab.code == "scan_part_missing" and "60 mm" in slab
    thick = Volume(volume.array[::3], volume.affine @ np.diag([1, 1, 3, 1]))
    assert doubt(thick).code == "scan_thick_slices" and "9.0 mm" in doubt(thick)
    tiny = Volume(volume.array, np.diag([2.0, 2.0, 2.0, 1.0]))
    assert doubt(tiny).code == "scan_small_brain"
    large = Volume(head()[0].array, np.diag([6.0, 6.0, 6.0, 1.0]))
    assert doubt(large).code == "scan_larger_than_head" and codes(inspect(large, T1))[1] == "scan_not_stripped"
    monkeypatch.setattr(input_check, "_installed_memory_gb", lambda: 1.1)
    assert doubt(volume).code == "scan_much_memory" and "1 GB" in doubt(volume)


def test_a_huge_volume_states_what_memory_it_needs(monkeypatch):
    volume = stripped()
    assert codes(inspect(volume, T1))[0] == "scan_size"
    monkeypatch.setattr(input_check, "MEMORY_GB_PER_VOXEL", 25e-9 * 280e6 / volume.array.size)
    report = inspect(volume, T1)
    assert codes(report)[0] == "scan_size_memory" and report.lines[0].endswith("; needs about 8 GB of memory")


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
    verdict, printed = EXPECTED[name]
    report = inspect(read_image(data_dir / name, uniform=True), T1)
    assert report.verdict == verdict and printed in "\n".join(report.lines)


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


@pytest.mark.parametrize("spacing", [25.0, 80.0, 1e4])
def test_a_scan_over_a_metre_across_is_unfit_before_a_grid_is_made_of_it(spacing, monkeypatch):
    monkeypatch.setattr(np, "pad", lambda *_args, **_keywords: pytest.fail("a grid was made"))
    volume = stripped()
    affine = volume.affine @ np.diag([spacing / 3, spacing / 3, spacing / 3, 1])
    report = inspect(Volume(volume.array, affine), T1)
    assert report.verdict == "unfit" and [reason.code for reason in report.reasons] == ["scan_too_large"]


def test_no_grid_in_mm_is_made_of_a_huge_field_of_view():
    volume = stripped()
    huge = Volume(volume.array, volume.affine @ np.diag([80, 80, 80, 1]))
    for make in (lambda: brain_mask(huge), lambda: coarse(huge, 8.0)):
        with raises(InputError, "grid_too_large"):
            make()
