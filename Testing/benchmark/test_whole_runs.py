"""Whole detections that ``medad benchmark`` times: when it is stopped, no process and no file of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from support.phantoms import head
from support.source_code import ROOT

from MedADLib.benchmark import whole_runs
from MedADLib.benchmark.whole_runs import cold_command, warm_worker
from MedADLib.errors import Cancelled, MedADError


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

    def check_cancelled() -> None:
        if time.monotonic() > end:
            raise Cancelled

    return check_cancelled


@pytest.mark.parametrize("way", [cold_command, warm_worker])
@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_stopping_ends_the_process_and_removes_its_files(started, tmp_path, way, seconds):
    scan, _ = head(1)
    scan.write(tmp_path / "scan.nii.gz")
    begin = time.monotonic()
    with pytest.raises(Cancelled):
        given = tmp_path / "scan.nii.gz" if way is cold_command else scan
        way(given, "brain-t1", 1, check_cancelled=stop_after(seconds))
    assert time.monotonic() - begin < seconds + 5, "a detection takes longer than that"
    assert [process.poll() is None for process in started] == [False]
    assert os.listdir(tmp_path / "temporary") == []


@pytest.mark.parametrize("way", [cold_command, pytest.param(warm_worker, marks=pytest.mark.slow)])
def test_a_detection_that_fails_is_told_and_leaves_nothing(started, tmp_path, way):
    scan, _ = head(1)
    given = scan.with_array(np.zeros_like(scan.array))
    given.write(tmp_path / "empty.nii.gz")
    with pytest.raises(MedADError) as caught:
        way(Path(tmp_path / "empty.nii.gz") if way is cold_command else given, "brain-t1-atlas", 1)
    code, named = ("command", "empty.nii.gz") if way is cold_command else ("worker", given.name)
    assert caught.value.code == f"benchmark_{code}_failed" and named in str(caught.value), "the reason"
    assert [process.poll() is None for process in started] == [False]
    assert os.listdir(tmp_path / "temporary") == []


def worker_that(monkeypatch, tmp_path, code: str) -> None:
    path = tmp_path / "worker.py"
    path.write_text(code)
    monkeypatch.setattr(whole_runs, "WORKER", path)


@pytest.mark.parametrize(
    "code",
    [
        "import sys; print('out of memory', file=sys.stderr)",
        "import sys; sys.stdin.readline(); print('{\"ev', flush=True); print('out of memory', file=sys.stderr)",
    ],
    ids=["before it was asked", "in the middle of a line"],
)
def test_a_worker_that_dies_is_told_with_its_last_words(started, tmp_path, monkeypatch, code):
    worker_that(monkeypatch, tmp_path, code)
    with pytest.raises(MedADError, match="out of memory") as caught:
        warm_worker(head(1)[0], "brain-t1", 1)
    assert caught.value.code == "benchmark_worker_ended" and caught.value.remedy


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("signals", [1, 2])
def test_a_process_that_is_cut_short_takes_its_children_with_it(tmp_path, signals):
    code = """
import subprocess, sys, time
from MedADLib.cli import main as cli
from MedADLib.runtime import cancellation as children
from MedADLib.runtime.cancellation import Interruption
with Interruption(cli._clean_up):
    with children.ended(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])) as process:
        print(process.pid, flush=True)
        while True:
            time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT)
    child = int(parent.stdout.readline())
    for _ in range(signals):
        parent.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    assert parent.wait(5) == 130
    end = time.monotonic() + 5
    while is_running(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie, which it stays where nobody asks how it ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
