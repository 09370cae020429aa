"""The service of the worker: requests, models in memory, and events of a job.

The models that the worker holds in memory.

What the worker tells during a job: progress and warnings, as events.

The worker's life: it hears requests in one thread and computes in another, one job at a time.
"""

from __future__ import annotations

import io
import json
import logging
import os
import platform
import queue
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..errors import Cancelled, explain
from ..modelfile.store import find_model
from ..results.exchange import check_empty, read_volume, write_exchange
from ..runtime.atomic_files import abandon, writable_folder
from ..runtime.progress import Progress
from ..runtime.strict_json import plain
from .protocol import Cancel, Detect, Load, Quit, parse

MODELS_KEPT = 3

SECONDS_BETWEEN_REPORTS = 0.1

PROTOCOL = 1
HEARTBEAT_SECONDS = 5.0
LONGEST_LINE = 1 << 20
CLEAN_UP_SECONDS = 1.0
SHARES = {"reading": (0.0, 0.01), "model": (0.01, 0.03), "detection": (0.03, 0.97), "writing": (0.97, 1.0)}


class Models:
    """The models used last, each loaded once as long as its file stays the same.

    Args:
        load_model: None for `MedADLib.load_model`.
    """

    def __init__(self, load_model: Callable[..., Any] | None):
        self._load_model = load_model
        self._kept: OrderedDict[tuple, Any] = OrderedDict()

    def get(self, name: str) -> tuple[Any, bool]:
        """The model, and whether it was there already.

        Raises:
            ModelError: If it is missing or cannot be used.
        """
        path = find_model(name)
        try:
            facts = path.stat()
            key = (str(path.resolve()), facts.st_mtime_ns, facts.st_size)
        except OSError:
            key = None  # loading says what is wrong with it
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
    """Progress as events; of the whole job, and not too many.

    Args:
        emit: Sends an event.
        job: Its id.
    """

    def __init__(self, emit: Callable[..., None], job: str):
        self._emit, self._job = emit, job
        self._last = ("", 0.0)
        self.window = (0.0, 1.0)

    def __call__(self, stage: str, fraction: float, message: str) -> None:
        """Tell; `fraction` is of the present `window` of the whole."""
        now = time.monotonic()
        if self._last[0] == stage and now - self._last[1] < SECONDS_BETWEEN_REPORTS:
            return
        self._last = (stage, now)
        start, stop = self.window
        fraction = round(start + (stop - start) * fraction, 4)
        self._emit("progress", id=self._job, stage=stage, fraction=fraction, message=message)


class Warner(logging.Handler):
    """Passes on what the library warns of, each thing once.

    Attributes:
        said: All of it.
    """

    def __init__(self, emit: Callable[..., None], job: str):
        super().__init__(logging.WARNING)
        self._emit, self._job = emit, job
        self.said: list[str] = []

    def __call__(self, message: str) -> None:
        """Warn of something."""
        if message not in self.said:
            self.said.append(message)
            self._emit("warning", id=self._job, message=message)

    def emit(self, record: logging.LogRecord) -> None:
        """Warn of what is in the log."""
        self(record.getMessage())


@contextmanager
def warnings_of(emit: Callable[..., None], job: str) -> Iterator[Warner]:
    """Pass on the library's warnings while the block runs."""
    warner, logger = Warner(emit, job), logging.getLogger("MedADLib")
    logger.addHandler(warner)
    try:
        yield warner
    finally:
        logger.removeHandler(warner)


class Service:
    """Answers requests.

    Args:
        requests: Where they come from.
        events: Where the answers go.
        idle_seconds: How long to wait for work.
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
        self._work: queue.Queue[Detect | Load] = queue.Queue()
        self._writing, self._state = threading.Lock(), threading.Lock()
        self._job: str | None = None
        self._cancelled = threading.Event()

    def serve(self) -> None:
        """Compute in this thread until there was nothing to do for the idle time."""
        self._emit("ready", pid=os.getpid(), versions=_versions(), protocol=PROTOCOL)
        for target in (self._listen, self._beat):
            threading.Thread(target=target, name=target.__name__, daemon=True).start()
        with suppress(queue.Empty):
            while True:
                request = self._work.get(timeout=self._idle_seconds)
                if isinstance(request, Load):
                    self._load(request)
                else:
                    self._examine(request)

    def _listen(self) -> None:
        """Hear requests at once, whatever is being computed; the end of the pipe is the end of the process."""
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
        parsed = parse(line)
        request = parsed.request
        if parsed.error is not None:
            self._emit("failed", id=parsed.id, kind="RequestError", message=str(parsed.error))
        elif isinstance(request, Quit):
            _leave()
        elif isinstance(request, Cancel):
            with self._state:
                if request.id == self._job:
                    self._cancelled.set()
        elif isinstance(request, Load) or self._begin(request.id):
            self._work.put(request)
        else:
            problem = "a detection is running. Wait for its end or cancel it."
            self._emit("failed", id=request.id, kind="Busy", message=problem)

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

    def _load(self, request: Load) -> None:
        try:
            _, warm = self._models.get(request.model)
        except Exception as error:
            traceback.print_exception(error)
            kind, message = explain(error, "see the log")
            self._emit("failed", id=None, kind=kind, message=message)
        else:
            self._emit("loaded", model=request.model, warm=warm)

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
            kind, message = explain(error, "see the log")
            self._emit("failed", id=request.id, kind=kind, message=message)
        else:
            self._finish()
            seconds = round(time.perf_counter() - started, 3)
            self._emit("done", id=request.id, output=request.output, seconds=seconds, warm=warm)

    def _detection(self, request: Detect) -> bool:
        """Do the job; True if the model was there already."""
        report = Report(self._emit, request.id)
        progress = Progress(report, self._cancelled.is_set)
        output = Path(request.output)
        with warnings_of(self._emit, request.id) as warn:
            report.window = SHARES["reading"]
            progress.stage("reading", 0.0, 1.0, "taking over the scan")
            check_empty(output)
            with writable_folder(output):
                volume = read_volume(request.input)
                # As the command line reads it, so that both give the same result for the same scan.
                volume = volume.with_array(volume.array.astype(np.float32, copy=False))
                mask = None if request.mask is None else read_volume(request.mask)
                report.window = SHARES["model"]
                progress.stage("loading the model", 0.0, 1.0, request.model)
                model, warm = self._models.get(request.model)
                report.window = SHARES["detection"]
                detection = self._engine()(volume, model, _settings(request, mask), progress)
                for message in detection.warnings:
                    warn(message)
                report.window = SHARES["writing"]
                progress.stage("writing", 0.0, 1.0)
                write_exchange(replace(detection, warnings=tuple(warn.said)), output, progress)
        return warm

    def _engine(self) -> Callable[..., Any]:
        if self._detect is None:
            from ..detection import detect

            return detect
        return self._detect

    def _beat(self) -> None:
        """Say now and then that the job still uses the processor; one that hangs for good does not."""
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
            # Nobody listens any more.
            _leave()


def _settings(request: Detect, mask: Any) -> Any:
    from ..detection import Settings

    return Settings(mask=mask, **request.choices())


def _versions() -> dict[str, str]:
    """Versions of what computes, without importing it."""
    found = {"medad": __version__, "python": platform.python_version()}
    for package in ("numpy", "torch", "SimpleITK"):
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _leave() -> None:
    """End the process now, in the middle of whatever it computes, leaving no partial result."""
    cleaning = threading.Thread(target=abandon, daemon=True)
    cleaning.start()
    # The clean-up may have to wait for the disk; nothing is worth outliving Slicer.
    cleaning.join(CLEAN_UP_SECONDS)
    os._exit(0)
