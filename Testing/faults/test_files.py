"""Cases 1 to 10: files that are empty, damaged, false or out of reach. Each fails alone, with a code."""

from __future__ import annotations

import gzip
import json
import logging
import os
import signal
import socket
import struct
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from support.command_line import run
from support.dicom_frames import VOXELS, frames_of, write_frames
from support.image_files import refused
from support.raised import raises
from support.volume_files import meta, nifti, nrrd

from MedADLib.dataset.discovery import find_scans
from MedADLib.errors import InputError
from MedADLib.io import child_reading
from MedADLib.io.child_reading import ChildReader
from MedADLib.io.reading import read_image
from MedADLib.io.sources import Source, named_scan

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".png", ".npz")


def with_dimensions(path: Path, form: str, offset: int, *values: int) -> Path:
    """Write a NIfTI file and replace numbers in its header."""
    content = bytearray(nifti(path, version=2 if offset == 16 else 1).read_bytes())
    struct.pack_into(form, content, offset, *values)
    path.write_bytes(content)
    return path


def test_case_01_an_empty_file(alone, tmp_path):
    for suffix in SUFFIXES[:-2]:
        path = tmp_path / f"scan{suffix}"
        path.touch()
        alone(path, "empty_file")


def test_case_02_a_truncated_file(alone, tmp_path):
    path = nifti(tmp_path / "scan.nii.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    alone(path, "compressed_data_cut_short")
    # Wherever it is cut.
    for length in (1, 30, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(path, "compressed_data_cut_short", "incomplete_header", "wrong_format")


def test_case_03_a_wrong_checksum(alone, tmp_path):
    path = nifti(tmp_path / "scan.nii.gz")
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    alone(path, "bad_checksum")


def test_case_04_a_header_that_gives_more_voxels_than_there_are(alone, tmp_path):
    alone(with_dimensions(tmp_path / "scan.nii", "<3h", 42, 900, 900, 900), "cut_short")
    for path in (
        nrrd(tmp_path / "a.nrrd", sizes="900 900 900", space="RAS", space_directions="(1,0,0) (0,1,0) (0,0,1)"),
        meta(tmp_path / "b.mha", DimSize="900 900 900"),
        tmp_path / "scan.nii",
    ):
        tracemalloc.start()
        refused(path, "cut_short")
        assert tracemalloc.get_traced_memory()[1] < 10e6
        tracemalloc.stop()


def test_case_05_impossible_dimensions(alone, tmp_path):
    alone(with_dimensions(tmp_path / "zero.nii", "<3h", 42, 12, 0, 20), "impossible_size")
    alone(with_dimensions(tmp_path / "negative.nii", "<3h", 42, 12, -16, 20), "impossible_size")
    refused(with_dimensions(tmp_path / "huge.nii", "<4q", 16, 3, 2**31, 2**31, 2**31), "cut_short", "impossible_size")
    for sizes in ("0 16 20", "-12 16 20"):
        refused(nrrd(tmp_path / "a.nrrd", sizes=sizes), "impossible_size")
        refused(meta(tmp_path / "b.mha", DimSize=sizes), "impossible_size")
    refused(meta(tmp_path / "b.mha", DimSize=f"{2**31} {2**31} 20"), "cut_short")


def test_case_06_a_compressed_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr("MedADLib.io.voxels.SLACK", 4 << 20)
    bomb = tmp_path / "bomb.nii.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as stream:
        stream.write(nifti(tmp_path / "scan.nii").read_bytes())
        for _ in range(64):
            stream.write(bytes(1 << 20))
    tracemalloc.start()
    refused(bomb, "more_data_than_header")
    assert tracemalloc.get_traced_memory()[1] < 12e6
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_case_07_other_content_than_the_name_says(alone, tmp_path, suffix):
    path, page = tmp_path / f"scan{suffix}", b"<html>404 Not Found</html>" * 40
    code = {".png": "not_decoded", ".npz": "bad_npz"}.get(suffix, "wrong_format")
    path.write_bytes(page)
    alone(path, code)
    for content in (b"PK\3\4" + bytes(900), gzip.compress(page)):
        path.write_bytes(content)
        with raises(InputError, code):
            named_scan(path).read()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals of POSIX")
def test_case_08_a_reader_that_crashes_or_hangs(alone, checked, sound, tmp_path, monkeypatch):
    reader = ChildReader()
    monkeypatch.setattr(child_reading, "_reader", reader)
    try:
        assert checked(sound) == [("fits", "")]
        reader._seconds = 0.5
        os.kill(reader._process.pid, signal.SIGSTOP)
        assert checked(sound) == [("error", "reading_hangs")]
        reader._seconds = 120.0
        assert checked(sound) == [("fits", "")]
        pid = reader._process.pid
        os.kill(pid, signal.SIGSTOP)
        for seconds, number in ((0.1, signal.SIGSEGV), (0.2, signal.SIGCONT)):
            threading.Timer(seconds, os.kill, (pid, number)).start()
        assert checked(sound, sound) == [("error", "reading_crashes"), ("fits", "")]
        os.mkfifo(tmp_path / "pipe.nii")
        alone(tmp_path / "pipe.nii", "not_a_file")
    finally:
        reader.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes of POSIX")
@pytest.mark.parametrize("suffix", (*SUFFIXES, ".dcm", ".mgz", ".hdr", ""))
def test_pipes_devices_and_sockets_are_refused_at_once(alone, tmp_path, suffix, monkeypatch):
    pipe, device, listening = (tmp_path / f"{name}{suffix}" for name in ("pipe", "device", "socket"))
    os.mkfifo(pipe)
    device.symlink_to(os.devnull)
    # The path of a socket is short.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(listening.name)
    for path in (pipe, device, listening):
        for read in (read_image, named_scan, lambda path: Source(path, "scan", "scan").read()):
            with raises(InputError, "not_a_file"):
                read(path)
    alone(pipe, "not_a_file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes of POSIX")
def test_a_pipe_beside_slices_is_left_out(tmp_path):
    write_frames(tmp_path / "a.dcm", frames_of())
    os.mkfifo(tmp_path / "pipe")
    assert np.array_equal(named_scan(tmp_path).read().array, VOXELS)


NAMES = {"accents": "große Aufnahme é", "other letters": "頭部 МРТ", "line break": "one\ntwo", "long": "x" * 200}


@pytest.mark.parametrize("name", NAMES)
def test_case_09_odd_names(sound, tmp_path, capsys, name):
    folder = tmp_path / NAMES[name]
    if name == "long":
        folder = folder / ("y" * 200)
    folder.mkdir(parents=True)
    scan = folder / f"{NAMES[name]}.nii.gz"
    scan.write_bytes(sound.read_bytes())
    assert len(str(scan)) > 260 or name != "long"
    out = tmp_path / "out" / NAMES[name]
    assert run("detect", scan, "-o", out, "--json-log", "--no-picture") == 0
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert sorted(Path(path).name for path in event["files"]) == sorted(os.listdir(out))
    assert f"{NAMES[name]}_anomaly.nii.gz" in os.listdir(out)
    assert run("detect", scan.with_name("missing\n\x1b[2J.nii.gz"), "-o", out) == 1
    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == 1 and "\x1b" not in printed


def test_case_09_a_name_that_is_not_text(sound, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.nii.gz"))
    try:
        path.write_bytes(sound.read_bytes())
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    with raises(InputError, "invalid_file_name"):
        read_image(path)


def test_case_10_loops_of_links_and_folders_out_of_reach(sound, tmp_path, caplog, monkeypatch):
    folder, elsewhere = tmp_path / "healthy", tmp_path / "elsewhere"
    for place in (folder / "a", folder / "locked", elsewhere):
        place.mkdir(parents=True)
    for path in (folder / "a" / "one.nii.gz", folder / "locked" / "hidden.nii.gz", elsewhere / "two.nii.gz"):
        path.write_bytes(sound.read_bytes())
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(elsewhere)
    (folder / "self.nii.gz").symlink_to(folder / "self.nii.gz")
    scandir = os.scandir

    def refusing(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    # The administrator, as whom tests may run, can read every folder.
    monkeypatch.setattr(os, "scandir", refusing)
    with caplog.at_level(logging.WARNING, "MedADLib"):
        found = find_scans(folder)
    assert {source.path.name for source in found.values()} == {"one.nii.gz", "two.nii.gz"}
    listed = {(record.msg.code, Path(record.msg.parameters["path"]).name) for record in caplog.records}
    assert listed == {
        *(("folder_left_out", "locked"), ("link_left_out", "loop"), ("link_left_out", "back")),
        ("link_left_out", "self.nii.gz"),
    }
