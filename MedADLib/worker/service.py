"""The service of the worker: read requests in one thread, compute in another, one job at a time, and send events."""

from __future__ import annotations

import io
import json
import os
import platform
import queue
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..errors import Cancelled, explain
from ..messages import Message
from ..modelfile.store import find_model
from ..results.exchange import check_empty, read_volume, write_exchange
from ..runtime.atomic_files import abandon, writable_folder
from ..runtime.library_log import library_warnings
from ..runtime.progress import Progress
from ..runtime.strict_json import plain
from ..runtime.versions import installed_version
from .protocol import PROTOCOL, Cancel, Detect, Quit, RequestError, coded, parse

MODELS_KEPT = 3

SECONDS_BETWEEN_REPORTS = 0.1
HEARTBEAT_SECONDS = 5.0
LONGEST_LINE = 1 << 20
CLEAN_UP_SECONDS = 1.0
# Fractions of a detection that each step covers.
SHARES = {"reading": (0.0, 0.01), "model": (0.01, 0.03), "detection": (0.03, 0.97), "writing": (0.97, 1.0)}


class Models:
    """Cache of the `MODELS_KEPT` models used last; a model is loaded again only after its file has changed.

    Args:
        load_model: None for `MedADLib.load_model`.
    """

    def __init__(self, load_model: Callable[..., Any] | None):
        self._load_model = load_model
        self._kept: OrderedDict[tuple, Any] = OrderedDict()

    def get(self, name: str) -> tuple[Any, bool]:
        """Get a model by name or file, and whether it was in memory already.

        Raises:
            ModelError: If it is missing or cannot be used.
        """
        path = find_model(name)
        try:
            facts = path.stat()
            key = (str(path.resolve()), facts.st_mtime_ns, facts.st_size)
        except OSError:
            key = None  # load_model raises the error
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key], True
        load_model = self._load_model
        if load_model is None:
            from ..modelfile.model import load_model
        model = load_model(path)
        if key is not None:
            self._kept[key] = model
        while len(self._kept) > MODELS_KEPT:
            self._kept.popitem(last=False)
        return model, False


class Report:
    """Progress callback that sends ``progress`` events, at most one in `SECONDS_BETWEEN_REPORTS` for each stage.

    Attributes:
        window: Fractions of the whole job at which the present step begins and ends.
    """

    def __init__(self, emit: Callable[..., None], job: str):
        self._emit, self._job = emit, job
        self._last = ("", 0.0)
        self.window = (0.0, 1.0)

    def __call__(self, stage: str, fraction: float, message: str) -> None:
        """Send an event; `fraction` in [0, 1] is that of the present step."""
        now = time.monotonic()
        if self._last[0] == stage and now - self._last[1] < SECONDS_BETWEEN_REPORTS:
            return
        self._last = (stage, now)
        start, stop = self.window
        fraction = round(start + (stop - start) * fraction, 4)
        self._emit("progress", id=self._job, stage=stage, fraction=fraction, **coded(message))


class Service:
    """Loop of the worker: requests in, events out.

    Args:
        requests: Pipe of the requests, unbuffered.
        events: Pipe of the events, unbuffered.
        idle_seconds: The loop ends after so long without work.
        detect: None for `MedADLib.detect`.
        load_model: None for `MedADLib.load_model`.
    """

    def __init__(
        self,
        requests: io.FileIO,
        events: io.FileIO,
        idle_seconds: float,
        detect: Callable[..., Any] | None = None,
        load_model: Callable[..., Any] | None = None,
    ):
        self._requests, self._events, self._idle_seconds = requests, events, idle_seconds
        self._detect = detect
        self._models = Models(load_model)
        self._work: queue.Queue[Detect] = queue.Queue()
        self._writing, self._state = threading.Lock(), threading.Lock()
        self._job: str | None = None
        self._cancelled = threading.Event()

    def serve(self) -> None:
        """Compute in this thread until the idle time has passed without work."""
        self._emit("ready", pid=os.getpid(), versions=_versions(), protocol=PROTOCOL)
        for target in (self._listen, self._beat):
            threading.Thread(target=target, name=target.__name__, daemon=True).start()
        with suppress(queue.Empty):
            while True:
                self._examine(self._work.get(timeout=self._idle_seconds))

    def _listen(self) -> None:
        """Read requests, also while a detection runs; end the process at the end of the pipe."""
        try:
            with io.BufferedReader(self._requests) as lines:
                while line := lines.readline(LONGEST_LINE):
                    if line.strip():
                        self._receive(line)
        except OSError as error:
            print(f"no more requests: {error}", file=sys.stderr)
        finally:
            _leave()

    def _receive(self, line: bytes) -> None:
        number, request = parse(line)
        if isinstance(request, RequestError):
            self._emit("failed", id=number, kind="RequestError", **coded(request.message))
        elif isinstance(request, Quit):
            _leave()
        elif isinstance(request, Cancel):
            with self._state:
                if request.id == self._job:
                    self._cancelled.set()
        elif self._begin(request.id):
            self._work.put(request)
        else:
            self._emit("failed", id=request.id, kind="Busy", **coded(Message("busy")))

    def _begin(self, job: str) -> bool:
        with self._state:
            if self._job is not None:
                return False
            self._job = job
            self._cancelled.clear()
            return True

    def _finish(self) -> None:
        with self._state:
            self._job = None

    def _examine(self, request: Detect) -> None:
        started = time.perf_counter()
        try:
            warm = self._detection(request)
        except BaseException as error:
            self._finish()
            if isinstance(error, Cancelled) or self._cancelled.is_set():
                self._emit("cancelled", id=request.id)
                return
            traceback.print_exception(error)
            kind, message = explain(error)
            self._emit("failed", id=request.id, kind=kind, **coded(message))
        else:
            self._finish()
            seconds = round(time.perf_counter() - started, 3)
            self._emit("done", id=request.id, output=request.output, seconds=seconds, warm=warm)

    def _detection(self, request: Detect) -> bool:
        """Detect and write the result; return whether the model was in memory already."""
        report = Report(self._emit, request.id)
        progress = Progress(report, self._cancelled.is_set)
        output = Path(request.output)
        warnings: dict[str, None] = {}

        def warn(message: str) -> None:
            if message not in warnings:
                warnings[message] = None
                self._emit("warning", id=request.id, **coded(message))

        with library_warnings(warn):
            report.window = SHARES["reading"]
            progress.stage("reading", 0.0, 1.0, Message("progress_scan"))
            check_empty(output)
            with writable_folder(output):
                volume = read_volume(request.input)
                # The command line reads float32 too; both must give the same result for the same scan.
                volume = volume.with_array(volume.array.astype(np.float32, copy=False))
                mask = None if request.mask is None else read_volume(request.mask)
                report.window = SHARES["model"]
                progress.stage("loading the model", 0.0, 1.0, Message("progress_model", model=request.model))
                model, warm = self._models.get(request.model)
                report.window = SHARES["detection"]
                detection = self._engine()(volume, model, replace(request.settings, mask=mask), progress)
                for message in detection.warnings:
                    warn(message)
                report.window = SHARES["writing"]
                progress.stage("writing", 0.0, 1.0)
                write_exchange(replace(detection, warnings=tuple(warnings)), output, progress)
        return warm

    def _engine(self) -> Callable[..., Any]:
        from ..detection import detect

        return self._detect or detect

    def _beat(self) -> None:
        """Send ``alive`` events while the detection uses the processor; a detection that hangs sends none."""
        used = time.process_time()
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            before, used = used, time.process_time()
            if used - before > 0.01 * HEARTBEAT_SECONDS and (job := self._job) is not None:
                self._emit("alive", id=job)

    def _emit(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, **plain(fields)}, allow_nan=False).encode("ascii") + b"\n"
        try:
            with self._writing:
                while line:
                    line = line[self._events.write(line) :]
        except OSError:
            # The reader has closed the pipe.
            _leave()


def _versions() -> dict[str, str]:
    """Versions of Python, MedAD and its main packages, which are not imported."""
    found = {name: installed_version(name) for name in ("numpy", "torch", "SimpleITK")}
    own = {"medad": __version__, "python": platform.python_version()}
    return own | {name: version for name, version in found.items() if version}


def _leave() -> None:
    """End the process at once, also during a computation, and remove partial results."""
    cleaning = threading.Thread(target=abandon, daemon=True)
    cleaning.start()
    # The clean-up may wait for the disk, but the worker must not outlive Slicer.
    cleaning.join(CLEAN_UP_SECONDS)
    os._exit(0)
