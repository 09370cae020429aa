"""Worker processes for tests, and a folder for each to work in."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from MedADLib.results.exchange import write_volume
from MedADLib.slicer.worker.client import Job, WorkerClient
from support.fake_process import Listener
from support.source_code import ROOT
from support.synthetic import brain_volume

FAKE_WORKER = ROOT / "Testing" / "support" / "fake_worker.py"
WORKER = ROOT / "MedADLib" / "worker" / "main.py"
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")


class Worker:
    """A worker process and a folder to work in."""

    def __init__(self, folder: Path, *arguments: str, script: Path = FAKE_WORKER):
        self.folder, self.events = folder, queue.Queue()
        self.lines: list[bytes] = []
        self.log = folder / "log.txt"
        write_volume(brain_volume(name="scan Zoë"), folder / "input.npy")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
            )
        threading.Thread(target=self._read, daemon=True).start()
        self.ready = self.until("ready")[-1]

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            self.events.put(json.loads(line))

    def say(self, line: bytes):
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def ask(self, request: str, **fields):
        self.say(json.dumps({"request": request, **fields}).encode())

    def model(self, do: str, name: str = "", **more) -> str:
        path = self.folder / f"{name or do}.medad"
        text = json.dumps({"do": do, **more})
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
        return str(path)

    def detect(self, do: str, number: str = "1", **more):
        request = {
            "id": number,
            "input": str(self.folder / "input.npy"),
            "mask": None,
            "model": more.pop("model", None) or self.model(do),
            "output": str(self.folder / f"out-{number}"),
            "settings": {},
        }
        self.ask("detect", **{**request, **more})

    def judge(self, do: str, number: str = "1", **more):
        subject = {"input": str(self.folder / "input.npy"), "mask": None, "model": more.pop("model", None)}
        self.ask("judge", id=number, **{**subject, "model": subject["model"] or self.model(do), **more})

    def until(self, *names: str, seconds: float = 20) -> list[dict]:
        """The events up to one of these."""
        found, end = [], time.monotonic() + seconds
        while not found or found[-1]["event"] not in names:
            try:
                found.append(self.events.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"no {names} but {found}; log: {self.log.read_text()}") from None
        return found

    def end(self, seconds: float = 20) -> dict:
        return self.until("done", "failed", "cancelled", seconds=seconds)[-1]

    def begun(self, stage: str = "restoration"):
        while self.until("progress")[-1]["stage"] != stage:
            pass

    def outputs(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*") if path.parent != self.folder or path.is_dir())


class LiveClient:
    """A client with a real worker that pretends to compute."""

    def __init__(self, folder, application, command):
        self.folder, self.application = folder, application
        self.client = WorkerClient(command=command, hang_seconds=3)
        write_volume(brain_volume(), folder / "input.npy")
        self.before = self.files()

    def detect(self, do, output="out"):
        model = self.folder / "model.medad"
        model.write_text(json.dumps({"do": do}), "utf-8")
        self.before = self.files()
        listener = Listener()
        job = Job(str(self.folder / "input.npy"), None, str(model), str(self.folder / output))
        self.client.detect(job, listener)
        return listener

    def files(self):
        return sorted(self.folder.rglob("*"))

    def wait(self):
        end = time.monotonic() + 20
        while self.client.busy:
            self.application.processEvents()
            assert time.monotonic() < end, self.client.log

    def cancel(self):
        """Cancel; how long that took."""
        asked = time.monotonic()
        self.client.cancel()
        self.wait()
        return time.monotonic() - asked


def gone(pid: int, seconds: float) -> bool:
    """Whether a process that is not a child of this one ends in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split(")")[-1][1] == "Z":
                return True
            os.kill(pid, 0)
        except OSError:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(name="start")
def worker_starter(tmp_path):
    started = []

    def starter(*arguments, script=FAKE_WORKER):
        folder = tmp_path / "Arbeit é 日"
        folder.mkdir(exist_ok=True)
        started.append(Worker(folder, *arguments, script=script))
        return started[-1]

    yield starter
    for worker in started:
        worker.process.kill()
        worker.process.wait()


@pytest.fixture(name="worker")
def one_worker(start):
    return start()
