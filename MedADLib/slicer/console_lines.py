"""What Python code prints, line by line, while it still reaches the console."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def heard(hear: Callable[[str], None]) -> Iterator[None]:
    """Tell each line that is printed in the block; of pip's download progress, only whole steps of five percent.

    Slicer prints what the programs that it starts say, so this hears pip, too.
    """
    listener = _Listener(sys.stdout, hear)
    console, sys.stdout = sys.stdout, listener
    try:
        yield
    finally:
        sys.stdout = console
        listener.end()


class _Listener:
    """A stream in the place of the console; it passes on what it has no name for."""

    def __init__(self, console: TextIO | None, hear: Callable[[str], None]):
        self._console, self._hear = console, hear
        self._rest, self._step = "", -1

    def write(self, text: str) -> int:
        if self._console is not None:
            self._console.write(text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._tell(line.rstrip())
        return len(text)

    def flush(self) -> None:
        if self._console is not None:
            self._console.flush()

    def end(self) -> None:
        """Tell the last line, which nothing ended."""
        self._tell(self._rest.rstrip())

    def __getattr__(self, name: str):
        return getattr(self._console, name)

    def _tell(self, line: str) -> None:
        progress = re.fullmatch(r"Progress (\d+) of (\d+)", line)
        if progress is None:
            self._step = -1
            if line:
                self._hear(line)
            return
        done, total = int(progress[1]), max(int(progress[2]), 1)
        step = 20 * done // total
        if step != self._step and total > 10e6:
            self._step = step
            self._hear(f"  {5 * step} % of {total / 1e6:.0f} MB")
