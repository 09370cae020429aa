"""PySide6 6.12 on Python before 3.12 takes a reference to None with every call of a slot, and to True with every emit.

After some ten thousand of them Python stops with "bool_dealloc". From Python 3.12 on these objects are immortal.
"""

from __future__ import annotations

import ctypes
import sys

SPARE = 1_000_000_000


def make_immortal() -> None:
    """Give these objects more references than a session can lose."""
    if sys.version_info < (3, 12):
        for constant in (None, True, False):
            ctypes.c_ssize_t.from_address(id(constant)).value += SPARE
