"""Warnings that the library logs, passed on to the user."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..messages import Message


class _Handler(logging.Handler):
    """Calls a function with each warning."""

    def __init__(self, on_warning: Callable[[str], None]):
        super().__init__(logging.WARNING)
        self._on_warning = on_warning

    def emit(self, record: logging.LogRecord) -> None:
        # `getMessage` makes a plain text, which has no code.
        found = record.args[0] if record.msg == "%s" and record.args else record.msg
        self._on_warning(found if isinstance(found, Message) else record.getMessage())


@contextmanager
def library_warnings(on_warning: Callable[[str], None]) -> Iterator[None]:
    """Call a function with each warning that the library logs in the block; a `Message` where it has a code."""
    handler, logger = _Handler(on_warning), logging.getLogger("MedADLib")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
