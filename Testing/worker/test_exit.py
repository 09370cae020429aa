"""The worker never stays behind, and leaves nothing when it goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from support.synthetic import brain_volume
from support.workers import FAKE_WORKER, gone, one_worker, posix_only, worker_starter  # noqa: F401

from MedADLib.results.exchange import write_volume


@pytest.mark.parametrize("do", [None, "slowly", "stubbornly", "in_c"])
def test_it_ends_with_its_stdin_whatever_it_does(worker, do):
    if do is not None:
        worker.detect(do)
        worker.begun()
        assert "out-1" in worker.outputs()
    worker.process.stdin.close()
    assert worker.process.wait(2) == 0
    assert worker.outputs() == []


def test_it_ends_when_told_to(worker):
    worker.detect("stubbornly")
    worker.begun()
    worker.ask("quit")
    assert worker.process.wait(2) == 0
    assert worker.outputs() == []


def test_it_ends_when_nobody_reads_its_events(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, str(FAKE_WORKER)], **pipes) as process:
        assert b"ready" in process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"nonsense\n")
        process.stdin.flush()
        assert process.wait(3) == 0


def test_it_ends_after_the_idle_time_and_not_during_work(start):
    worker = start("--idle-seconds", "0.3")
    worker.detect("slowly")
    worker.begun()
    time.sleep(0.5)
    assert worker.process.poll() is None
    worker.ask("cancel", id="1")
    worker.end()
    assert worker.process.wait(3) == 0


PARENT = """
import json, subprocess, sys, time
worker = subprocess.Popen([sys.executable, sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
print(json.loads(worker.stdout.readline())["pid"], flush=True)
worker.stdin.write(sys.argv[2].encode() + b"\\n")
worker.stdin.flush()
while b"restoration" not in worker.stdout.readline():
    pass
print("computing", flush=True)
time.sleep(60)
"""


@posix_only
@pytest.mark.parametrize("do", ["stubbornly", "in_c"])
def test_it_does_not_outlive_a_parent_that_was_killed(tmp_path, do):
    write_volume(brain_volume(), tmp_path / "input.npy")
    (tmp_path / "model.medad").write_text(json.dumps({"do": do}))
    paths = {"input": "input.npy", "model": "model.medad", "output": "out"}
    request = {"request": "detect", "id": "1", "mask": None, "settings": {}}
    request |= {name: str(tmp_path / path) for name, path in paths.items()}
    command = [sys.executable, "-c", PARENT, str(FAKE_WORKER), json.dumps(request)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE)
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline() == b"computing\n" and (tmp_path / "out").is_dir()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(pid, 2.0)
    assert not (tmp_path / "out").exists()


@posix_only
def test_a_crash_leaves_its_place_in_the_log(worker):
    worker.detect("crashing")
    assert worker.process.wait(10) != 0
    log = worker.log.read_text(encoding="utf-8")
    assert "Segmentation fault" in log and "in crashing" in log


@posix_only
def test_it_lets_others_go_first_and_ignores_the_terminals_interrupt(worker):
    assert os.getpriority(os.PRIO_PROCESS, worker.process.pid) >= 5
    worker.process.send_signal(signal.SIGINT)
    worker.detect("quickly")
    assert worker.end()["event"] == "done"
