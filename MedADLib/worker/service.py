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
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..detection import Judgement, content_hash
from ..detection import judge as judge_scan
from ..errors import Cancelled, explain
from ..messages import Message
from ..modelfile.store import find_model
from ..results.exchange import check_empty, read_volume, write_exchange
from ..runtime.atomic_files import abandon, writable_folder
from ..runtime.library_log import library_warnings
from ..runtime.progress import Progress
from ..runtime.strict_json import plain
from ..runtime.versions import installed_version
from ..volume import Volume
from .protocol import PROTOCOL, Cancel, Detect, Judge, Judged, Quit, RequestError, Subject, coded, parse

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

    def get(self, name: str) -> tuple[Any, tuple | None, bool]:
        """Get a model by name or file, what identifies its file, and whether it was in memory already.

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
            return self._kept[key], key, True
        load_model = self._load_model
        if load_model is None:
            from ..modelfile.model import load_model
        model = load_model(path)
        if key is not None:
            self._kept[key] = model
        while len(self._kept) > MODELS_KEPT:
            self._kept.popitem(last=False)
        return model, key, False


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


def heartbeats(
    sleep: Callable[[float], None] = time.sleep, processor: Callable[[], float] = time.process_time
) -> Iterator[None]:
    """Yield after each `HEARTBEAT_SECONDS` in which the process, by its `processor` seconds, has computed."""
    used = processor()
    while True:
        sleep(HEARTBEAT_SECONDS)
        before, used = used, processor()
        if used - before > 0.01 * HEARTBEAT_SECONDS:
            yield


class Service:
    """Loop of the worker: requests in, events out.

    Args:
        requests: Pipe of the requests, unbuffered.
        events: Pipe of the events, unbuffered.
        idle_seconds: The loop ends after so long without work.
        detect: None for `MedADLib.detect`.
        load_model: None for `MedADLib.load_model`.
        judge: None for `MedADLib.detection.judge`.
    """

    def __init__(
        self,
        requests: io.FileIO,
        events: io.FileIO,
        idle_seconds: float,
        detect: Callable[..., Any] | None = None,
        load_model: Callable[..., Any] | None = None,
        judge: Callable[..., Judgement] | None = None,
    ):
        self._requests, self._events, self._idle_seconds = requests, events, idle_seconds
        self._detect, self._judge = detect, judge or judge_scan
        self._models = Models(load_model)
        self._work: queue.Queue[Detect | Judge] = queue.Queue()
        self._writing, self._state = threading.Lock(), threading.Lock()
        # Requests that have not ended, by id, each with whether it is cancelled; the first one is computed.
        self._accepted: dict[str, tuple[Detect | Judge, threading.Event]] = {}
        # The last judgement with what it depends on and its warnings, for the run that follows it.
        self._last: tuple[tuple, Judgement, list[str]] | None = None

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
            self._cancel(request.id)
        elif self._begin(request):
            self._work.put(request)
        else:
            self._emit("failed", id=request.id, kind="Busy", **coded(Message("busy")))

    def _begin(self, request: Detect | Judge) -> bool:
        with self._state:
            if request.id in self._accepted or any(isinstance(other, Detect) for other, _ in self._accepted.values()):
                return False
            if isinstance(request, Judge):
                for _, cancelled in self._accepted.values():
                    cancelled.set()
            self._accepted[request.id] = request, threading.Event()
            return True

    def _cancel(self, number: str) -> None:
        with self._state:
            waits = number in self._accepted and number != next(iter(self._accepted))
            if waits:
                del self._accepted[number]
            elif number in self._accepted:
                self._accepted[number][1].set()
        if waits:
            self._emit("cancelled", id=number)

    def _finish(self, number: str) -> None:
        with self._state:
            self._accepted.pop(number, None)

    def _examine(self, request: Detect | Judge) -> None:
        with self._state:
            if request.id not in self._accepted:
                return
            cancelled = self._accepted[request.id][1]
        started = time.perf_counter()
        progress = _JobProgress(Report(self._emit, request.id), cancelled.is_set)
        work = self._detection if isinstance(request, Detect) else self._judged
        try:
            event, fields = work(request, progress)
        except BaseException as error:
            self._finish(request.id)
            if isinstance(error, Cancelled) or cancelled.is_set():
                self._emit("cancelled", id=request.id)
                return
            traceback.print_exception(error)
            kind, message = explain(error)
            self._emit("failed", id=request.id, kind=kind, **coded(message))
        else:
            self._finish(request.id)
            self._emit(event, id=request.id, seconds=round(time.perf_counter() - started, 3), **fields)

    def _judged(self, request: Judge, progress: _JobProgress) -> tuple[str, dict[str, Any]]:
        """Judge the fit of a scan, and keep the judgement for a run."""
        # Before the next one is computed, so that only one is in memory.
        self._last = None
        warnings: list[str] = []
        with library_warnings(warnings.append):
            volume, mask, model, file, warm = self._loaded(request, progress)
            judgement = self._judge(volume, model, mask, progress)
        if file is not None:
            self._last = _subject(volume, mask, file), judgement, warnings
        refusal, forced = judgement.refusal(), judgement.refusal(force=True)
        words = "" if refusal is None else refusal.message
        found = Judged(judgement.fit.verdict, judgement.fit.reasons, words, forced is None)
        return "judged", {**found.as_json(), "warm": warm}

    def _detection(self, request: Detect, progress: _JobProgress) -> tuple[str, dict[str, Any]]:
        """Detect and write the result."""
        output = Path(request.output)
        warnings: dict[str, None] = {}

        def warn(message: str) -> None:
            if message not in warnings:
                warnings[message] = None
                self._emit("warning", id=request.id, **coded(message))

        with library_warnings(warn):
            check_empty(output)
            with writable_folder(output):
                volume, mask, model, file, warm = self._loaded(request, progress)
                known = {}
                if self._last is not None and self._last[0] == _subject(volume, mask, file):
                    known = {"judgement": self._last[1]}
                    for message in self._last[2]:
                        warn(message)
                detection = self._engine()(volume, model, replace(request.settings, mask=mask), progress, **known)
                for message in detection.warnings:
                    warn(message)
                progress.enter("writing")
                progress.stage("writing", 0.0, 1.0)
                write_exchange(replace(detection, warnings=tuple(warnings)), output, progress)
        self._last = None
        return "done", {"output": request.output, "warm": warm}

    def _loaded(
        self, request: Subject, progress: _JobProgress
    ) -> tuple[Volume, Volume | None, Any, tuple | None, bool]:
        """Read a scan and its mask, and load the model; return also its file, and whether it was in memory already."""
        progress.enter("reading")
        progress.stage("reading", 0.0, 1.0, Message("progress_scan"))
        volume = read_volume(request.input)
        # The command line reads float32 too; both must give the same result for the same scan.
        volume = volume.with_array(volume.array.astype(np.float32, copy=False))
        mask = None if request.mask is None else read_volume(request.mask)
        progress.enter("model")
        progress.stage("loading the model", 0.0, 1.0, Message("progress_model", model=request.model))
        model, file, warm = self._models.get(request.model)
        progress.enter("detection")
        return volume, mask, model, file, warm

    def _engine(self) -> Callable[..., Any]:
        from ..detection import detect

        return self._detect or detect

    def _beat(self) -> None:
        """Send ``alive`` events while the detection uses the processor; a detection that hangs sends none."""
        for _ in heartbeats():
            with self._state:
                number = next(iter(self._accepted), None)
            if number is not None:
                self._emit("alive", id=number)

    def _emit(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, **plain(fields)}, allow_nan=False).encode("ascii") + b"\n"
        try:
            with self._writing:
                while line:
                    line = line[self._events.write(line) :]
        except OSError:
            # The reader has closed the pipe.
            _leave()


class _JobProgress(Progress):
    """Progress of a request of the worker, in steps with a share each of the whole."""

    def __init__(self, report: Report, cancelled: Callable[[], bool]):
        super().__init__(report, cancelled)
        self._report = report

    def enter(self, step: str) -> None:
        """Begin one of the steps of `SHARES`."""
        self._report.window = SHARES[step]


def _subject(volume: Volume, mask: Volume | None, file: tuple | None) -> tuple:
    """Return what a judgement depends on: the content of scan and mask, and the file of the model."""
    facts = volume.name, volume.described, volume.has_spacing, volume.has_orientation
    return file, facts, content_hash(volume), mask and content_hash(mask)


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
