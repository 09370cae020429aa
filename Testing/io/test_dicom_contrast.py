"""Kinds of scans that DICOM headers describe."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from MedADLib.io.dicom_contrast import described_kind, kind_of_header
from MedADLib.io.sources import named_scan


def header(**values: object) -> Dataset:
    found = Dataset()
    for name, value in ({"Modality": "MR"} | values).items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"Modality": "CT"}, "ct"),
        ({"Modality": "US"}, ""),
        ({}, ""),
        ({"ScanningSequence": ["SE"], "EchoTime": 100, "RepetitionTime": 4000}, "t2"),
        ({"ScanningSequence": "SE", "EchoTime": 22, "RepetitionTime": 2300}, "pd"),
        ({"ScanningSequence": "SE", "EchoTime": 14, "RepetitionTime": 500}, "t1"),
        ({"ScanningSequence": ["SE", "IR"], "EchoTime": 120, "RepetitionTime": 9000, "InversionTime": 2500}, "flair"),
        ({"ScanningSequence": ["GR", "IR"], "EchoTime": 3, "RepetitionTime": 2300, "InversionTime": 900}, ""),
        ({"ScanningSequence": "GR", "EchoTime": 3, "ContrastBolusAgent": "Gadovist"}, "t1_agent"),
        ({"ScanningSequence": "GR", "EchoTime": 3, "ContrastBolusAgent": "none"}, ""),
    ],
)
def test_numbers_and_standard_terms_decide(values, kind):
    assert kind_of_header(header(**values)) == kind


def test_an_enhanced_object_holds_them_in_functional_groups():
    echo, timing = Dataset(), Dataset()
    echo.EffectiveEchoTime, timing.RepetitionTime = 90.0, 5000.0
    group = Dataset()
    group.MREchoSequence, group.MRTimingAndRelatedParametersSequence = Sequence([echo]), Sequence([timing])
    found = header(EchoPulseSequence="SPIN", SharedFunctionalGroupsSequence=Sequence([group]))
    assert kind_of_header(found) == "t2"


def test_a_series_is_described_when_it_is_read(data_dir):
    assert named_scan(data_dir / "dicom_mr_papaya").read().described == "pd"


def test_other_files_describe_nothing(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no DICOM at all")
    assert described_kind(tmp_path) == described_kind(tmp_path / "a.dcm") == ""
