"""Stdin and stdout for a protocol alone, whatever libraries print or read meanwhile."""

from __future__ import annotations

import io
import os
import sys


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
