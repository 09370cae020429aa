"""Whole detections as users have them: a command that starts cold, and a worker that stays warm."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import MedADError
from ..results.exchange import FACTS, write_volume
from ..runtime.atomic_files import staging_folder
from ..runtime.cancellation import ended
from ..volume import Volume
from .timing import Seconds

WORKER = Path(__file__).resolve().parent.parent / "worker" / "main.py"
Heed = Callable[[], None]
# Seconds between two looks at whether the user wants to stop.
LOOK_EVERY = 0.1
# Seconds that a worker has to end once nothing it says is understood.
LAST_WORDS = 2.0


def nothing() -> None:
    """Heeds nobody."""


@dataclass(frozen=True)
class WholeRun:
    """Detections of one scan by one model.

    Attributes:
        way: "cold command" or "warm worker", and whether in fast mode.
        model: Name or file.
        seconds: Wall clock: from the start of the process to its end, or from the request to the finished result.
        parts: Seconds of each part of the fastest run, from its own profile.
        peak_bytes: Of memory, of the process; 0 where the system does not tell.
    """

    way: str
    model: str
    seconds: Seconds
    parts: dict[str, float]
    peak_bytes: int


def cold_command(
    scan: Path, model: str, runs: int, fast: bool = False, device: str = "cpu", heed: Heed = nothing
) -> WholeRun:
    """Run ``medad detect`` in a fresh process, with everything that it writes.

    Args:
        scan: The scan's file.
        model: Name or file.
        runs: How often.
        fast: Whether in fast mode.
        device: Where.
        heed: Called again and again; may raise to stop.

    Raises:
        MedADError: If a detection fails.
        Cancelled: If `heed` raises it; the process has ended then, and its files are gone.
    """
    walls, profiles, peak = [], [], 0
    for _ in range(runs):
        with staging_folder(Path(tempfile.gettempdir())) as folder:
            command = [sys.executable, "-m", "MedADLib", "detect", str(scan), "-o", str(folder), "--model", model,
                       "--device", device, *(["--fast"] if fast else [])]  # fmt: skip
            begin = time.perf_counter()
            said = folder / "said.txt"
            with said.open("wb") as errors:
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, cwd=WORKER.parents[2])
            watch = PeakMemory(process.pid)
            with ended(process):
                _wait(process, heed)
            walls.append(time.perf_counter() - begin)
            peak = max(peak, watch.most)
            if process.returncode:
                raise MedADError("benchmark_command_failed", output=_end_of(said))
            (result,) = folder.glob("*.json")
            profiles.append(json.loads(result.read_text(encoding="utf-8"))["seconds"])
    way = "cold command, fast" if fast else "cold command"
    return WholeRun(way, model, Seconds.of(walls), profiles[walls.index(min(walls))], peak)


def warm_worker(
    scan: Volume, model: str, runs: int, fast: bool = False, device: str = "cpu", heed: Heed = nothing
) -> WholeRun:
    """Ask a worker process that has examined the scan once before.

    Args:
        scan: As Slicer hands it over: already in memory. Handing it over is part of the time.
        model: Name or file.
        runs: How often, after the first.
        fast: Whether in fast mode.
        device: Where.
        heed: Called again and again; may raise to stop.

    Raises:
        MedADError: If a detection fails.
        Cancelled: If `heed` raises it; the process has ended then, and its files are gone.
    """
    walls, profiles = [], []
    with staging_folder(Path(tempfile.gettempdir())) as folder:
        said = folder / "said.txt"
        with said.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        watch = PeakMemory(process.pid)
        with ended(process):
            events = _events(process)
            for number in range(runs + 1):
                begin = time.perf_counter()
                given, output = folder / f"input-{number}.npy", folder / f"output-{number}"
                write_volume(scan, given)
                _ask(process, str(number), given, model, output, {"device": device, "fast": fast})
                _await(events, heed, said)
                walls.append(time.perf_counter() - begin)
                profiles.append(json.loads((output / FACTS).read_text(encoding="utf-8"))["provenance"]["seconds"])
            with suppress(OSError):
                process.stdin.close()
            _wait(process, heed)
    walls, profiles = walls[1:], profiles[1:]
    way = "warm worker, fast" if fast else "warm worker"
    return WholeRun(way, model, Seconds.of(walls), profiles[walls.index(min(walls))], watch.most)


def _ask(process: subprocess.Popen, number: str, given: Path, model: str, output: Path, settings: dict) -> None:
    """Have the worker examine a volume."""
    request = {"request": "detect", "id": number, "input": str(given), "mask": None, "model": model,
               "output": str(output), "settings": settings}  # fmt: skip
    with suppress(OSError):
        # A worker that has ended is found out by what it does not say.
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()


def _events(process: subprocess.Popen) -> queue.Queue:
    """What the worker says, as it comes; None at its end, or if it says what is no event."""
    events: queue.Queue = queue.Queue()

    def read() -> None:
        with suppress(ValueError):
            for line in process.stdout:
                events.put(json.loads(line))
        # Its last words may come after the end of what it says.
        with suppress(subprocess.TimeoutExpired):
            process.wait(LAST_WORDS)
        events.put(None)

    threading.Thread(target=read, daemon=True).start()
    return events


def _await(events: queue.Queue, heed: Heed, said: Path) -> None:
    """Return when the worker is done."""
    while True:
        try:
            event = events.get(timeout=LOOK_EVERY)
        except queue.Empty:
            heed()
            continue
        if event is None:
            raise MedADError("benchmark_worker_ended", output=_end_of(said))
        if event.get("event") == "done":
            return
        if event.get("event") == "failed":
            raise MedADError("benchmark_worker_failed", reason=event.get("message", ""))
        heed()


def _wait(process: subprocess.Popen, heed: Heed) -> None:
    """Return when a process has ended, some hundredths of a second later at most."""
    while True:
        try:
            process.wait(LOOK_EVERY)
            return
        except subprocess.TimeoutExpired:
            heed()


def _end_of(said: Path) -> str:
    return said.read_text(encoding="utf-8", errors="replace").strip()[-300:]


class PeakMemory:
    """Watches how much memory a process uses at most, and its own alone; on Linux only."""

    def __init__(self, pid: int):
        self.most, self._status = 0, Path(f"/proc/{pid}/status")
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            found = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
            if not found:
                return
            self.most = max(self.most, found[0] * 1024)
            time.sleep(0.05)
