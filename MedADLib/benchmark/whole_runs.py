"""Times of whole detections: a command in a fresh process, and a worker that keeps its model loaded."""

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
CheckCancelled = Callable[[], None]
# Seconds between two checks for cancellation.
POLL_SECONDS = 0.1
# Seconds for a worker to exit after the end of its valid output.
EXIT_SECONDS = 2.0


def _never_cancelled() -> None:
    """Ignore cancellation."""


@dataclass(frozen=True)
class WholeRun:
    """Detections of one scan by one model.

    Attributes:
        way: "cold command" or "warm worker", and whether in fast mode.
        model: Name or file.
        seconds: Wall-clock time from the start of the process to its end, or from the request to the result.
        parts: Seconds of each part of the fastest run, from its own profile.
        peak_bytes: Peak memory of the process; 0 where it is unknown.
    """

    way: str
    model: str
    seconds: Seconds
    parts: dict[str, float]
    peak_bytes: int


def cold_command(
    scan: Path,
    model: str,
    runs: int,
    fast: bool = False,
    device: str = "cpu",
    check_cancelled: CheckCancelled = _never_cancelled,
) -> WholeRun:
    """Run ``medad detect`` in a fresh process, including all its files.

    `check_cancelled` is called repeatedly and may raise, which ends the process and removes its files.

    Raises:
        MedADError: If a detection fails.
    """
    walls, profiles, peak = [], [], 0
    for _ in range(runs):
        with staging_folder(Path(tempfile.gettempdir())) as folder:
            command = [sys.executable, "-m", "MedADLib", "detect", str(scan), "-o", str(folder), "--model", model,
                       "--device", device, *(["--fast"] if fast else [])]  # fmt: skip
            begin = time.perf_counter()
            log = folder / "stderr.txt"
            with log.open("wb") as errors:
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, cwd=WORKER.parents[2])
            watch = PeakMemory(process.pid)
            with ended(process):
                _wait_for_exit(process, check_cancelled)
            walls.append(time.perf_counter() - begin)
            peak = max(peak, watch.most)
            if process.returncode:
                raise MedADError("benchmark_command_failed", output=_tail(log))
            (result,) = folder.glob("*.json")
            profiles.append(json.loads(result.read_text(encoding="utf-8"))["seconds"])
    way = "cold command, fast" if fast else "cold command"
    return WholeRun(way, model, Seconds.of(walls), profiles[walls.index(min(walls))], peak)


def warm_worker(
    scan: Volume,
    model: str,
    runs: int,
    fast: bool = False,
    device: str = "cpu",
    check_cancelled: CheckCancelled = _never_cancelled,
) -> WholeRun:
    """Run detections in a worker process that has examined the scan once before.

    Arguments and errors are those of `cold_command`, but the scan is in memory, as in Slicer. The time includes
    its transfer to the worker, and a first detection does not count.
    """
    walls, profiles = [], []
    with staging_folder(Path(tempfile.gettempdir())) as folder:
        log = folder / "stderr.txt"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        watch = PeakMemory(process.pid)
        with ended(process):
            events = _events(process)
            for number in range(runs + 1):
                begin = time.perf_counter()
                scan_file, output = folder / f"input-{number}.npy", folder / f"output-{number}"
                write_volume(scan, scan_file)
                _send_request(process, str(number), scan_file, model, output, {"device": device, "fast": fast})
                _wait_for_result(events, check_cancelled, log)
                walls.append(time.perf_counter() - begin)
                profiles.append(json.loads((output / FACTS).read_text(encoding="utf-8"))["provenance"]["seconds"])
            with suppress(OSError):
                process.stdin.close()
            _wait_for_exit(process, check_cancelled)
    walls, profiles = walls[1:], profiles[1:]
    way = "warm worker, fast" if fast else "warm worker"
    return WholeRun(way, model, Seconds.of(walls), profiles[walls.index(min(walls))], watch.most)


def _send_request(process: subprocess.Popen, number: str, scan: Path, model: str, output: Path, settings: dict) -> None:
    """Request the detection of a volume."""
    request = {"request": "detect", "id": number, "input": str(scan), "mask": None, "model": model,
               "output": str(output), "settings": settings}  # fmt: skip
    with suppress(OSError):
        # The end of the events shows that a worker has ended.
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()


def _events(process: subprocess.Popen) -> queue.Queue:
    """Return a queue of the events of the worker; None marks their end or invalid output."""
    events: queue.Queue = queue.Queue()

    def read() -> None:
        with suppress(ValueError):
            for line in process.stdout:
                events.put(json.loads(line))
        # The worker may still write to its log after its last event.
        with suppress(subprocess.TimeoutExpired):
            process.wait(EXIT_SECONDS)
        events.put(None)

    threading.Thread(target=read, daemon=True).start()
    return events


def _wait_for_result(events: queue.Queue, check_cancelled: CheckCancelled, log: Path) -> None:
    """Wait until the worker has finished its job."""
    while True:
        try:
            event = events.get(timeout=POLL_SECONDS)
        except queue.Empty:
            check_cancelled()
            continue
        if event is None:
            raise MedADError("benchmark_worker_ended", output=_tail(log))
        if event.get("event") == "done":
            return
        if event.get("event") == "failed":
            raise MedADError("benchmark_worker_failed", reason=event.get("message", ""))
        check_cancelled()


def _wait_for_exit(process: subprocess.Popen, check_cancelled: CheckCancelled) -> None:
    """Wait until a process has ended."""
    while True:
        try:
            process.wait(POLL_SECONDS)
            return
        except subprocess.TimeoutExpired:
            check_cancelled()


def _tail(log: Path) -> str:
    """Return the end of a log."""
    return log.read_text(encoding="utf-8", errors="replace").strip()[-300:]


class PeakMemory:
    """Peak memory of a process without its children, on Linux only."""

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
