"""Stdin, stdout and stderr: kept for a protocol, or silenced."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def take_pipes() -> tuple[io.FileIO, io.FileIO]:
    """Keep the pipes of this process for ourselves, for the rest of its life.

    What Python or a C library prints goes to stderr. Who reads stdin finds its end. On Windows a library that is
    loaded while a thread waits for stdin would wait too, for it asks for the type of its standard handles; they
    are others now.

    Returns:
        The former stdin and stdout, unbuffered.
    """
    ours = [io.FileIO(os.dup(number), mode) for number, mode in ((0, "rb"), (1, "wb"))]
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdout.flush()
    os.dup2(2, 1)
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stderr
    sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")
    return ours[0], ours[1]


@contextmanager
def silenced() -> Iterator[None]:
    """Keep what C++ readers print to stderr from the user; their errors still come as exceptions.

    The process has one stderr, so what other threads print meanwhile is lost too: wrap single calls only.
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
