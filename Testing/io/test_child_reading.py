"""Scans read in a child process: the same bits, warnings and errors, and a crash or a hang fails one file only."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.phantoms import head
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.io.child_reading import ChildReader, child_reader, in_child
from MedADLib.io.reading import read_image
from MedADLib.io.reading_child import limited_memory
from MedADLib.io.sources import named_scan

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals of POSIX")


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "head.nii.gz"
    head(4)[0].write(path)
    return path


@pytest.fixture
def reader() -> Iterator[ChildReader]:
    found = ChildReader(seconds=1.5)
    found.start()
    yield found
    found.close()


def task(path: Path) -> dict:
    return {"path": str(path), "uniform": False, "options": {}}


def stopped(reader: ChildReader, path: Path) -> None:
    """Read once, so that the child is ready, and stop it as a hang would."""
    reader.read(path, task(path))
    os.kill(reader._process.pid, signal.SIGSTOP)


def test_a_child_reads_the_same_bits(scan):
    wanted = read_image(scan)
    with in_child():
        for found in (read_image(scan), named_scan(scan).read()):
            assert found.array.dtype == wanted.array.dtype and np.array_equal(found.array, wanted.array)
            assert np.array_equal(found.affine, wanted.affine) and found.name == wanted.name
    assert child_reader() is None


def test_warnings_and_errors_are_those_of_this_process(scan, tmp_path, caplog):
    volume = read_image(scan)
    array = volume.array.copy()
    array[:3] = np.nan
    volume.with_array(array).write(tmp_path / "nan.nii.gz")
    caplog.set_level(logging.INFO)
    (tmp_path / "empty.nii.gz").touch()
    kept = []
    for where in (None, in_child()):
        caplog.clear()
        if where:
            where.__enter__()
        read_image(tmp_path / "nan.nii.gz")
        with pytest.raises(InputError) as caught:
            read_image(tmp_path / "empty.nii.gz")
        if where:
            where.__exit__(None, None, None)
        kept.append(([(r.name, r.msg.code, r.msg.parameters) for r in caplog.records], caught.value.as_json()))
    assert kept[0][0] and kept[0] == kept[1]


def test_a_hang_fails_one_file_and_the_next_is_read(reader, scan):
    stopped(reader, scan)
    started = time.monotonic()
    with raises(InputError, "reading_hangs"):
        reader.read(scan, task(scan))
    assert time.monotonic() - started < 10
    assert reader.read(scan, task(scan)).name == "head"


def test_a_crash_fails_one_file_and_the_next_is_read(reader, scan):
    stopped(reader, scan)
    threading.Timer(0.2, os.kill, (reader._process.pid, signal.SIGSEGV)).start()
    threading.Timer(0.3, os.kill, (reader._process.pid, signal.SIGCONT)).start()
    with raises(InputError, "reading_crashes") as caught:
        reader.read(scan, task(scan))
    assert caught.value.parameters["exit_code"] == -signal.SIGSEGV
    assert reader.read(scan, task(scan)).name == "head"


def test_a_child_that_ended_between_two_files_is_not_missed(reader, scan):
    reader.read(scan, task(scan))
    os.kill(reader._process.pid, signal.SIGKILL)
    reader._process.wait()
    assert reader.read(scan, task(scan)).name == "head"


def test_memory_is_limited_while_a_file_is_read():
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("this system cannot limit the memory of a process")
    with limited_memory(0), pytest.raises(MemoryError):
        np.ones(4 * 2**30, np.uint8)
    assert np.ones(2**20, np.uint8).all()


@pytest.mark.slow
def test_files_that_crash_readers_fail_with_a_sentence(data_dir, scan):
    folder = data_dir.parent / "troubled-inputs" / "crashes"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist")
    with in_child():
        for path in sorted(folder.iterdir()):
            with pytest.raises(InputError):
                named_scan(path).read()
        assert named_scan(scan).read().name == "head"
