"""Fit of real scans to the shipped model: T1 scans with lesions are not unfit, other contrasts and organs are."""

from __future__ import annotations

import pytest
from support.raised import raises
from support.source_code import ROOT

from MedADLib import load_model
from MedADLib.detection import detect, fit_of
from MedADLib.errors import UnfitError
from MedADLib.io.sources import named_scan

MS = "ms_open_ms_data/patient19/{}_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz"


@pytest.fixture(scope="module")
def model():
    return load_model(ROOT / "Resources/models/brain-t1-atlas.medad")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "verdict", "seems"),
    [
        (MS.format("T1"), "doubtful", ""),
        (MS.format("T2"), "unfit", "t2_or_pd"),
        (MS.format("FLAIR"), "unfit", "flair"),
        ("stroke_cstar/T1.nii.gz", "fits", ""),
        ("stroke_cstar/T2.nii.gz", "unfit", "t2_or_pd"),
        ("stroke_cstar/FLAIR.nii.gz", "unfit", "flair"),
        ("stroke_t2_rorden/T2.nii.gz", "unfit", "t2_or_pd"),
        ("tumour_pyradiomics/brain1_image.nrrd", "unfit", "flair_or_t1_agent"),
        ("dicom_mr_papaya", "unfit", "pd"),
        ("body_totalsegmentator/example_ct.nii.gz", "unfit", "ct"),
        ("body_totalsegmentator/example_mr_sm.nii.gz", "unfit", "other_part"),
        ("healthy_t1_ixi_2mm/IXI039-HH-1261-T1_ds.nii.gz", "fits", ""),
        ("healthy_t1_ixi_2mm/IXI039-HH-1261-T1_ds_DLMUSE.nii.gz", "unfit", "label_map"),
    ],
)
def test_each_scan_is_judged_rightly(data_dir, model, path, verdict, seems):
    fit = fit_of(named_scan(data_dir / path).read(), model)
    assert (fit.verdict, fit.seems) == (verdict, seems), fit.measured


def test_a_flair_scan_is_refused_before_the_restoration(data_dir, model):
    with raises(UnfitError, "scan_does_not_fit_seems"):
        detect(named_scan(data_dir / "stroke_cstar/FLAIR.nii.gz").read(), model)


@pytest.mark.slow
def test_a_scan_of_the_calibration_is_named_as_such(data_dir, model):
    found = detect(named_scan(data_dir / "healthy_t1_ds002748/sub-52_T1w.nii.gz").read(), model)
    assert found.warnings[0].code == "scan_in_calibration"
