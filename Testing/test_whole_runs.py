"""Whole detections that ``medad benchmark`` times: when it is stopped, no process and no file of them is left."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from phantoms import head

from MedADLib.errors import Cancelled, MedADError
from MedADLib.speed import whole_runs
from MedADLib.speed.whole_runs import cold_command, warm_worker


@pytest.fixture
def started(tmp_path, monkeypatch):
    """The processes that were started; temporary files go to the test's own folder."""
    processes, popen = [], whole_runs.subprocess.Popen

    def note(*arguments, **more):
        processes.append(popen(*arguments, **more))
        return processes[-1]

    monkeypatch.setattr(whole_runs.subprocess, "Popen", note)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return processes


def stop_after(seconds: float):
    end = time.monotonic() + seconds

    def heed() -> None:
        if time.monotonic() > end:
            raise Cancelled

    return heed


@pytest.mark.parametrize("way", [cold_command, warm_worker])
@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_stopping_ends_the_process_and_removes_its_files(started, tmp_path, way, seconds):
    scan, _ = head(1)
    scan.write(tmp_path / "scan.nii.gz")
    begin = time.monotonic()
    with pytest.raises(Cancelled):
        way(tmp_path / "scan.nii.gz" if way is cold_command else scan, "brain-t1", 1, heed=stop_after(seconds))
    assert time.monotonic() - begin < seconds + 2
    assert [process.poll() is None for process in started] == [False]
    assert os.listdir(tmp_path / "temporary") == []


@pytest.mark.parametrize("way", [cold_command, warm_worker])
def test_a_detection_that_fails_is_told_and_leaves_nothing(started, tmp_path, way):
    scan, _ = head(1)
    given = scan.with_array(np.zeros_like(scan.array))
    given.write(tmp_path / "empty.nii.gz")
    with pytest.raises(MedADError, match="failed"):
        way(Path(tmp_path / "empty.nii.gz") if way is cold_command else given, "brain-t1-atlas", 1)
    assert [process.poll() is None for process in started] == [False]
    assert os.listdir(tmp_path / "temporary") == []
