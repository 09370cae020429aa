"""A reader's decisions in a result folder: read back with the regions that were rejected."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.stored_results import edit, store

from MedADLib.errors import InputError
from MedADLib.results.decisions import Decision
from MedADLib.results.reading import reopen, reopen_decided, stored_results
from MedADLib.results.writing import write_detection

DECISIONS = {1: Decision(True, "old bleeding: é"), 2: Decision(False, "Region 2"), 3: Decision(True, "Region 3")}


@pytest.fixture
def decided(tmp_path):
    """A result with its second of three regions rejected, and the detection before."""
    detection = store(tmp_path, spots=3)
    source = tmp_path / "in" / "scan.nii.gz"
    write_detection(detection, tmp_path / "out", "scan", figure=False, source=source, decisions=DECISIONS)
    (stored,) = stored_results(tmp_path / "out")
    return detection, stored


def test_the_detection_comes_back_whole_with_the_decisions(decided):
    detection, stored = decided
    again, decisions = reopen_decided(stored)
    assert again.regions == detection.regions
    assert np.array_equal(again.labels.array, detection.labels.array)
    assert decisions == {1: DECISIONS[1], 2: DECISIONS[2]}
    assert [region.rank for region in reopen(stored).regions] == [1, 3]


def test_without_decisions_there_are_none(tmp_path):
    detection = store(tmp_path)
    (stored,) = stored_results(tmp_path / "out")
    again, decisions = reopen_decided(stored)
    assert decisions == {} and again.regions == detection.regions


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(names=["a"]),
        lambda facts: facts.update(names={"one": "a"}),
        lambda facts: facts.update(rejected=[{"rank": 2}]),
        lambda facts: facts.update(rejected=3),
        lambda facts: facts["rejected"][0].update(volume_ml=50.0),
        lambda facts: facts["rejected"][0].update(bounding_box=[0, 0, 0, 0, 0, 0]),
        lambda facts: facts["rejected"][0].update(rank=1),
    ],
)
def test_damaged_decisions_are_said_in_one_line(decided, change):
    _, stored = decided
    edit(stored.file(".json"), change)
    (stored,) = stored_results(stored.folder)
    with pytest.raises(InputError, match=re.escape(str(stored.file(".json")))) as caught:
        reopen_decided(stored)
    assert caught.value.code == "result_damaged"
