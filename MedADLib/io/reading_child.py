"""The child process of `child_reading`, which reads scans: tasks on stdin, replies and voxels on stdout."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import SimpleITK  # noqa: F401, so that the first file does not wait for it

from ..errors import MedADError
from ..messages import Message, as_json
from ..runtime.stdio import take_pipes
from ..volume import Volume
from .child_reading import bytes_of
from .images import Place
from .reading import read_image
from .reading_options import ReadingOptions
from .sources import Source

# Memory to read a file, in addition to that of the program: at least this much, or this many times its size. Scans
# shrink up to 20 times when compressed, and their voxels may become wider twice.
LEAST_BYTES, TIMES_ITS_SIZE = 3 * 2**30, 60
GEOMETRY = ("array", "affine")


def serve() -> None:
    """Perform tasks until stdin ends."""
    requests, replies = take_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = _Collected()
    logging.getLogger("MedADLib").addHandler(log)
    with os.fdopen(requests.fileno(), "rb", closefd=False) as lines:
        for line in lines:
            _serve_one(json.loads(line), replies, log)


def perform(task: Mapping[str, Any]) -> Volume:
    """Read a scan as `reading.read_image` or `sources.Source.read` does in this process.

    Args:
        task: ``path``, ``options`` (as `ReadingOptions.as_json`), and either ``uniform`` or the ``name`` and ``place``
            of a source.
    """
    path, options = Path(task["path"]), ReadingOptions.from_json(task["options"])
    if "uniform" in task:
        return read_image(path, task["uniform"], options)
    place = task["place"] and Place(*task["place"])
    return Source(path, task["name"], task["name"], place, options=options).read()


def _serve_one(task: Mapping[str, Any], replies: BinaryIO, log: _Collected) -> None:
    log.records.clear()
    try:
        with limited_memory(bytes_of(Path(task["path"]))):
            volume = perform(task)
        array = np.ascontiguousarray(volume.array)
        facts = {field.name: getattr(volume, field.name) for field in fields(volume) if field.name not in GEOMETRY}
        reply = {"shape": array.shape, "kind": array.dtype.str, "affine": volume.affine.tolist(), "facts": facts}
    except MedADError as error:
        array, reply = None, {"error": type(error).__name__, **error.as_json()}
    except MemoryError:
        array, reply = None, {"error": "MemoryError"}
    except Exception as error:
        array, reply = None, {"error": "", "reason": f"{type(error).__name__}: {error}"}
    replies.write(json.dumps({**reply, "log": log.records}).encode() + b"\n")
    if array is not None:
        view = memoryview(array).cast("B")
        while view:
            view = view[replies.write(view) :]


@contextmanager
def limited_memory(size: int) -> Iterator[None]:
    """Limit the memory of this process where the system can, while it reads a file of that many bytes."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as facts:
            now = int(facts.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = now + max(LEAST_BYTES, TIMES_ITS_SIZE * size)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


class _Collected(logging.Handler):
    """Keeps the warnings of a file for its reply."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.msg if isinstance(record.msg, Message) else record.getMessage()
        coded = as_json(text) if isinstance(text, Message) else {"code": None, "parameters": {}}
        self.records.append({"logger": record.name, "level": record.levelno, "text": str(text), **coded})
