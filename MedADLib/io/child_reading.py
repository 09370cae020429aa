"""Read files in a child process, so that one that crashes a reader, hangs it or fills the memory fails alone.

The readers of image formats are C++ libraries, and files come from strangers. The child is started once and reads one
file after the other; if it ends, the next file starts another one. Requests and replies are lines of JSON on its stdin
and stdout; the voxels follow a reply as bytes.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .. import errors
from ..errors import InputError, MedADError
from ..messages import from_json
from ..runtime.cancellation import ended
from ..volume import Volume

# A file that takes longer than this, and this many bytes of it a second, hangs its reader.
SECONDS, BYTES_A_SECOND = 120.0, 1_000_000
PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from MedADLib.io.reading_child import serve; serve()"


class ChildReader:
    """A child process that reads scans.

    Args:
        seconds: Time limit of a small file; larger ones have more.
    """

    def __init__(self, seconds: float = SECONDS):
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._running = ExitStack()

    def start(self) -> None:
        """Start the process unless it runs; it imports its libraries while this process does something else."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parents[2])]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet)
        self._process = self._running.enter_context(ended(process))

    def close(self) -> None:
        """End the process."""
        self._running.close()
        for stream in (self._process.stdin, self._process.stdout) if self._process else ():
            stream.close()
        self._process = None

    def read(self, path: Path, task: Mapping[str, Any]) -> Volume:
        """Read a scan; its warnings go to the log of this process.

        Args:
            path: The file or folder, for limits and messages.
            task: Arguments of `reading_child.perform`, as JSON holds them.

        Raises:
            MedADError: If it cannot be read, or its reader crashes, hangs or takes too much memory.
        """
        with self._lock:
            self.start()
            limit, late = self._seconds + bytes_of(path) / BYTES_A_SECOND, threading.Event()
            process = self._process

            def end() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(limit, end)
            timer.start()
            try:
                reply, array = _exchange(process, task)
            except (OSError, ValueError) as error:
                code = _end_of(process)
                if late.is_set():
                    raise InputError("reading_hangs", path=path, seconds=limit) from error
                raise InputError("reading_crashes", path=path, exit_code=code) from error
            finally:
                timer.cancel()
        for record in reply["log"]:
            message = from_json(record["text"], record)
            logging.getLogger(record["logger"]).log(record["level"], message)
        if "error" in reply:
            raise _error_of(reply, path)
        return Volume(array, np.array(reply["affine"], float), **reply["facts"])


_reader = ChildReader()
_used = False
atexit.register(_reader.close)


def child_reader() -> ChildReader | None:
    """Return the child process that reads scans; None if this process reads them itself."""
    return _reader if _used else None


@contextmanager
def in_child() -> Iterator[None]:
    """Read all scans of a block in a child process, which stays for later blocks."""
    global _used
    before, _used = _used, True
    try:
        _reader.start()
        yield
    finally:
        _used = before


def _exchange(process: subprocess.Popen, task: Mapping[str, Any]) -> tuple[dict[str, Any], np.ndarray | None]:
    """Send a task and receive its reply and its voxels.

    Raises:
        OSError, ValueError: If the process ends before the reply does.
    """
    process.stdin.write(json.dumps(dict(task)).encode() + b"\n")
    process.stdin.flush()
    reply = json.loads(process.stdout.readline())
    if "error" in reply:
        return reply, None
    array = np.empty(reply["shape"], np.dtype(reply["kind"]))
    if process.stdout.readinto(memoryview(array).cast("B")) != array.nbytes:
        raise ValueError("the voxels end early")
    return reply, array


def _error_of(reply: Mapping[str, Any], path: Path) -> Exception:
    """Return the error that the child raised."""
    if reply["error"] == "MemoryError":
        return InputError("reading_takes_memory", path=path)
    if not reply["error"]:
        return RuntimeError(reply["reason"])
    return getattr(errors, reply["error"], MedADError)(reply["code"], **reply["parameters"])


def _end_of(process: subprocess.Popen) -> int:
    """Wait for a process that has closed its pipes, and return its exit code."""
    try:
        return process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def bytes_of(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder; 0 if there are none."""
    try:
        if path.is_dir():
            return sum(entry.stat().st_size for entry in os.scandir(path) if entry.is_file())
        found = path.stat()
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
    except OSError:
        return 0
