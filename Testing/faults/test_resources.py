"""Cases 46 to 51: too little disk or memory, folders that cannot be written, and GPUs that fail or are absent."""

from __future__ import annotations

import errno
import json
import os
import signal
import tempfile

import numpy as np
import pytest
import torch
from support.command_line import fake_detect, run
from support.fake_process import desk_of_a_client, state_of  # noqa: F401
from support.phantoms import head, one_alignment, one_thread, with_lesion  # noqa: F401
from support.raised import raises
from support.source_code import ROOT

from MedADLib.detection import Detection, Settings, detect
from MedADLib.errors import InputError
from MedADLib.io import child_reading
from MedADLib.io.child_reading import ChildReader
from MedADLib.messages import Message
from MedADLib.modelfile.model import Model, load_model
from MedADLib.runtime import device
from MedADLib.runtime.device import run_on, slices_at_once
from MedADLib.volume import Volume


@pytest.fixture(scope="module")
def atlas(one_thread) -> Model:  # noqa: F811
    return load_model(ROOT / "MedAD" / "Resources" / "tiny.medad")


@pytest.fixture(scope="module")
def sick() -> tuple[Volume, Volume]:
    """A toy head with a lesion, and its mask."""
    volume, brain = head(3, (6.0, 6.0, 6.0), 34)
    return with_lesion(volume, (30.0, 20.0, 10.0), 16.0)[0], volume.with_array(brain.astype(np.uint8))


@pytest.fixture(scope="module")
def found(atlas, sick, one_alignment) -> Detection:  # noqa: F811
    """The result of the CPU."""
    return detect(sick[0], atlas, Settings(mask=sick[1], device="cpu"))


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that is not there, with 8 GB free."""
    monkeypatch.setattr(device, "_failed", {})
    monkeypatch.setattr(device, "_free", lambda device: 8e9)
    monkeypatch.setattr(device, "resolve", lambda wanted: "cuda:0" if wanted == "auto" else wanted)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)


def last_event(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_case_46_the_disk_is_full(sound, tmp_path, capsys):
    resource, out = pytest.importorskip("resource"), tmp_path / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system itself refuses to write on after some bytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, hard))
    try:
        code = run("detect", sound, "-o", out, "--json-log", "--no-picture")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    event = last_event(capsys)
    assert (code, event["kind"], event["code"]) == (1, "OutputError", "result_unwritable")
    assert not out.exists()
    assert run("detect", sound, "-o", out, "--no-picture") == 0
    assert "sound_anomaly.nii.gz" in os.listdir(out)


def test_case_47_the_output_cannot_be_written(sound, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()

    def computed(*_):
        pytest.fail("it was computed")

    assert run("detect", sound, "-o", tmp_path / "file", "--json-log", detect=computed) == 1
    assert last_event(capsys)["code"] == "folder_is_file"

    def refused(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    # The administrator, as whom tests may run, can write to every folder.
    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    assert run("detect", sound, "-o", tmp_path / "out", "--json-log", detect=computed) == 1
    assert last_event(capsys)["code"] == "folder_not_writable"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("fits", "ends_on", "code"), [(12, "cuda:0", "smaller_batches"), (0, "cpu", "computed_on_cpu")]
)
def test_case_48_the_gpu_has_too_little_memory(gpu, atlas, sick, found, monkeypatch, fits, ends_on, code):
    """Smaller batches are tried first, then the CPU; the result names it and has the same score."""
    restore, tried = type(atlas.method)._restore, []

    def limited(method, image, mask, seed, where, progress):
        tried.append(slices_at_once(where))
        if where != "cpu" and tried[-1] > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return restore(method, image, mask, seed, "cpu", progress)

    monkeypatch.setattr(type(atlas.method), "_restore", limited)
    result = detect(sick[0], atlas, Settings(mask=sick[1]))
    assert tried[0] == 50 and tried[1] == 12 and result.provenance["device"] == ends_on
    assert code in [warning.code for warning in result.warnings if isinstance(warning, Message)]
    # The CPU computes in place of the simulated GPU, so that the result is the same to the last bit.
    assert (result.score, result.p_value) == (found.score, found.p_value)
    assert np.array_equal(result.anomaly.array, found.anomaly.array)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals of POSIX")
def test_case_49_the_system_ends_a_process_that_takes_too_much_memory(checked, sound, tmp_path, capsys, monkeypatch):
    reader = ChildReader()
    monkeypatch.setattr(child_reading, "_reader", reader)
    try:
        assert checked(sound) == [("fits", "")]
        ended = []

        def exchange(process, task, exchange=child_reading._exchange):
            if not ended:
                ended.append(process.pid)
                os.kill(process.pid, signal.SIGKILL)
            return exchange(process, task)

        monkeypatch.setattr(child_reading, "_exchange", exchange)
        assert checked(sound, sound) == [("error", "reading_crashes"), ("fits", "")]
    finally:
        reader.close()

    def without_memory(*_):
        raise MemoryError

    assert run("detect", sound, "-o", tmp_path / "out", "--json-log", detect=without_memory) == 1
    assert last_event(capsys)["code"] == "out_of_memory" and os.listdir(tmp_path) == []


def test_case_49_the_system_ends_the_worker_of_slicer(desk):
    desk.computing()
    desk.process.end(9, "crashed with code 9")
    kind, message = desk.reported[-1][1:]
    assert (kind, message.code) == ("WorkerDied", "worker_died")
    assert state_of(desk.client) == "off" and not (desk.folder / "out").exists()
    desk.detect("next")
    desk.process.get_ready()
    desk.say("done", output="next", seconds=1)
    assert desk.reported == [("done", "next", 1)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CUDA error: unspecified launch failure", "gpu_lost"),
        ("CUDA error: an illegal memory access was encountered", "gpu_illegal_access"),
    ],
)
def test_case_50_the_gpu_is_lost_in_the_middle(gpu, atlas, sick, found, monkeypatch, text, code):
    restore = type(atlas.method)._restore

    def lost(method, image, mask, seed, where, progress):
        if where != "cpu":
            restore(method, image, mask, seed, "cpu", progress)
            raise RuntimeError(text)
        return restore(method, image, mask, seed, where, progress)

    monkeypatch.setattr(type(atlas.method), "_restore", lost)
    result = detect(sick[0], atlas, Settings(mask=sick[1]))
    assert result.provenance["device"] == "cpu"
    assert code in [warning.code for warning in result.warnings if isinstance(warning, Message)]
    assert np.array_equal(result.anomaly.array, found.anomaly.array)


def test_case_51_no_gpu_an_old_driver_and_gpus_of_apple(monkeypatch, sound, tmp_path, capsys):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for cards, built_for, codes in (
        (False, None, []),
        (True, None, ["torch_without_cuda"]),
        (True, "12.8", ["gpu_driver_unusable"]),
    ):
        monkeypatch.setattr(device, "_nvidia_gpus", lambda cards=cards: cards)
        monkeypatch.setattr(torch.version, "cuda", built_for)
        result, where, notes = run_on("auto", lambda where: f"on {where}")
        assert (result, where, [note.code for note in notes]) == ("on cpu", "cpu", codes)
    with raises(InputError, "mps_not_supported"):
        Settings(device="mps")
    assert run("detect", sound, "-o", tmp_path / "out", "--device", "mps", detect=fake_detect) == 2
    assert "not supported" in capsys.readouterr().err and not (tmp_path / "out").exists()
