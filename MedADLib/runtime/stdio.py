"""Redirect stdin, stdout and stderr: keep the pipes for a protocol, or silence C++ readers."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def take_pipes() -> tuple[io.FileIO, io.FileIO]:
    """Take over stdin and stdout for a protocol, for the rest of the life of this process.

    Output that Python or a C library prints goes to stderr, and stdin is empty. On Windows, a library that is loaded
    while a thread waits for stdin would otherwise wait too, because it queries the type of the standard handles.

    Returns:
        The former stdin and stdout, unbuffered.
    """
    pipes = [io.FileIO(os.dup(number), mode) for number, mode in ((0, "rb"), (1, "wb"))]
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdout.flush()
    os.dup2(2, 1)
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stderr
    sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")
    return pipes[0], pipes[1]


@contextmanager
def silenced() -> Iterator[None]:
    """Discard the output of C++ readers to stderr; their errors are still raised as exceptions.

    The process has one stderr, so the output of other threads during the block is lost too: wrap single calls only.
    """
    try:
        saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:
        yield
        return
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
