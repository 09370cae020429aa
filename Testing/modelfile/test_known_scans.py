"""Scans of a model are known by their voxels, whatever their file and name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.synthetic import brain_volume

from MedADLib.io.reading import read_image
from MedADLib.modelfile.known_scans import part_of, short_fingerprint
from MedADLib.volume import Volume, reoriented

DATA = {"data": "OpenNeuro ds002748 v1.0.5"}


def other_scan() -> Volume:
    volume = brain_volume()
    return volume.with_array(volume.array + np.float32(1))


def test_the_part_of_a_scan_is_found_by_its_voxels():
    volume = brain_volume()
    known = [short_fingerprint(one) for one in (volume, other_scan())]
    training = {"fingerprints": {"train": [], "calibration": known}}
    assert part_of(replace(volume, name="another name"), training) == "calibration"
    assert part_of(reoriented(volume, "LPS"), training) == "calibration", "voxels in another order"
    assert part_of(volume.with_array(volume.array * 2), training) == ""
    later = training | {"calibrated_on": {"scans": ["a"], "fingerprints": []}}
    assert part_of(volume, later) == "", "a later calibration replaces the first one"


def test_a_malformed_record_names_no_part():
    for training in ({}, {"fingerprints": 3, "split": 4}, {"fingerprints": {"train": 5}}, {"calibrated_on": "x"}):
        assert part_of(brain_volume(), training) == ""


def test_a_fingerprint_is_short_and_changes_with_a_voxel():
    volume = brain_volume()
    changed = volume.array.copy()
    changed[3, 4, 5] += 1
    assert len(short_fingerprint(volume)) == 16
    assert short_fingerprint(volume) != short_fingerprint(volume.with_array(changed))


@pytest.mark.parametrize(("subject", "part"), [("sub-01", "train"), ("sub-52", "calibration"), ("sub-60", "")])
def test_a_scan_of_ds002748_is_known_in_models_that_list_names_only(data_dir, subject, part):
    volume = read_image(data_dir / f"healthy_t1_ds002748/{subject}_T1w.nii.gz")
    split = {"train": ["sub-01_T1w"], "calibration": ["sub-52_T1w"], "benchmark": ["sub-60_T1w"]}
    assert part_of(replace(volume, name="x"), {"split": split, **DATA}) == part
    assert part_of(volume, {"split": split, "data": "another data set"}) == ""
    later = {"split": split, **DATA, "calibrated_on": {"data": DATA["data"], "scans": ["sub-60_T1w"]}}
    assert part_of(volume, later) == {"sub-01": "train", "sub-52": "", "sub-60": "calibration"}[subject]
