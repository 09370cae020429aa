"""The output of the command line: text on the console, or events as one JSON object per line."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import sys
import time
import warnings
from collections.abc import Iterable
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from ..messages import Message, as_json, visible
from ..runtime.library_log import library_warnings

SECONDS_BETWEEN_REPORTS = 0.1
# Without a terminal, such as in a log file, there is no progress bar.
SECONDS_BETWEEN_LINES = 60.0


class Console:
    """Progress, warnings, errors and results of one command; used as a context manager.

    Args:
        json_log: Write only events to stdout, one JSON object per line: ``progress`` (stage, fraction, message),
            ``warning`` (message), ``error`` (kind, message) and ``result``. Warnings and errors also have ``code`` and
            ``parameters``, see `MedADLib.messages`.
        quiet: Print only warnings and errors.
        debug: Show the warnings of other libraries.

    Attributes:
        warnings: All different warnings so far.
        window: Range of the whole command that `progress` fills.
    """

    def __init__(self, json_log: bool = False, quiet: bool = False, debug: bool = False):
        self.warnings: list[str] = []
        self._hidden: re.Pattern | None = None
        self._shown = ""
        self.window = (0.0, 1.0)
        self._json_log, self._quiet, self._debug = json_log, quiet, debug
        self._events: TextIO | None = None
        self._bar = not (quiet or json_log) and sys.stderr.isatty()
        self._drawn = False
        self._furthest = 0.0
        self._line_at = float("inf") if quiet or json_log else time.monotonic() + SECONDS_BETWEEN_LINES
        self._last = ("", 0.0)

    def __enter__(self) -> Console:
        self._stack = ExitStack()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A file name may contain characters that the terminal cannot show.
                stream.reconfigure(errors="backslashreplace")
        if self._json_log:
            self._events = self._private_stdout()
        if not self._debug:
            self._stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        self._stack.enter_context(library_warnings(self.warning))
        logger = logging.getLogger("MedADLib")
        self._stack.callback(setattr, logger, "propagate", logger.propagate)
        logger.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()
        self._stack.close()

    def hide(self, paths: Iterable[Path], name: str) -> None:
        """Write `name` in place of the paths and names of these files in all further progress, warnings and errors."""
        from ..volume import stem

        words = set()
        for path in paths:
            # Of an image in an NPZ file, both the file and the image.
            for one in (path, Path(str(path).rpartition("#")[0])):
                whole = Path(os.path.abspath(one))
                words |= {str(one), str(whole), os.path.realpath(one), whole.name, whole.stem, stem(whole)}
        # Longer names first, because they hold the shorter ones; only whole words, because a name can be short.
        found = [rf"(?<!\w){re.escape(one)}(?!\w)" for one in sorted(words - {"", "."}, key=len, reverse=True)]
        self._hidden, self._shown = re.compile("|".join(found)), name

    def _without_hidden(self, message: str) -> str:
        """Replace hidden names in the parameters of a message, or in any other text."""
        if self._hidden is None:
            return message
        if isinstance(message, Message):
            return Message(message.code, **{key: self._replaced(one) for key, one in message.parameters.items()})
        return self._replaced(message)

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, Message):
            return self._without_hidden(value)
        return self._hidden.sub(lambda _: self._shown, value) if isinstance(value, str) else value

    def progress(self, stage: str, fraction: float, message: str) -> None:
        """Report a step; `fraction` is the done part of the present `window`."""
        start, stop = self.window
        # A part that is repeated, as on the CPU after a GPU failed, must not look like lost work.
        self._furthest = fraction = max(self._furthest, start + (stop - start) * fraction)
        now = time.monotonic()
        if self._last[0] == stage and now - self._last[1] < SECONDS_BETWEEN_REPORTS:
            return
        self._last = (stage, now)
        message = self._without_hidden(message)
        self._emit("progress", stage=stage, fraction=round(fraction, 4), message=message)
        text = visible(f"{100 * fraction:3.0f} %  {stage}{': ' * bool(message)}{message}")
        if not self._bar and now >= self._line_at:
            self._line_at = now + SECONDS_BETWEEN_LINES
            print(text, file=sys.stderr, flush=True)
        if self._bar:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r{text[:width]:<{width}}")
            sys.stderr.flush()
            self._drawn = True

    def warning(self, message: str) -> None:
        """Print a warning, and write an event; a repeated warning is left out.

        Args:
            message: A `Message` adds its code and parameters to the event.
        """
        message = self._without_hidden(message)
        if message not in self.warnings:
            self.warnings.append(message)
            self._emit("warning", message=message, **(as_json(message) or {}))
            self._print(f"medad: warning: {message}", sys.stderr)

    def error(self, kind: str, message: str) -> None:
        """Print in one line why the command failed, and write an event.

        Args:
            kind: Class of the error.
            message: A `Message` adds its code and parameters to the event; for other texts the code is null.
        """
        message = self._without_hidden(message)
        text = " ".join(message.split())
        self._emit("error", kind=kind, message=text, **(as_json(message) or {"code": None, "parameters": {}}))
        self._print(f"medad: {text}" if kind == "Cancelled" else f"medad: error: {text}", sys.stderr)

    def result(self, lines: list[str], **facts: Any) -> None:
        """Print the result as lines, and write it as an event with facts."""
        self.result_event(**facts)
        if not self._json_log and not self._quiet:
            self._print("\n".join(lines), sys.stdout)

    def result_event(self, **facts: Any) -> None:
        """Write the result as an event only."""
        self._emit("result", **facts)

    def _emit(self, event: str, **fields: Any) -> None:
        if self._events is not None:
            from ..runtime.strict_json import plain

            self._events.write(json.dumps({"event": event, **plain(fields)}, allow_nan=False) + "\n")
            self._events.flush()

    def _print(self, text: str, stream: TextIO) -> None:
        self._clear()
        print(visible(text), file=stream, flush=True)

    def _clear(self) -> None:
        if self._drawn:
            sys.stderr.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
            sys.stderr.flush()
            self._drawn = False

    def _private_stdout(self) -> TextIO:
        """Reserve stdout for events; other output of Python and of C libraries goes to stderr."""
        stdout = sys.stdout
        stdout.flush()
        self._stack.enter_context(redirect_stdout(sys.stderr))
        try:
            number = stdout.fileno()
            saved = os.dup(number)
            os.dup2(sys.stderr.fileno(), number)
        except (OSError, io.UnsupportedOperation):
            return stdout
        events = os.fdopen(saved, "w", encoding="ascii")

        def restore() -> None:
            os.dup2(events.fileno(), number)
            events.close()

        self._stack.callback(restore)
        return events
