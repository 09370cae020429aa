"""PySide6 6.12 on Python before 3.12 loses a reference to None with every call that returns nothing, and to booleans.

After some thousand calls the interpreter would end ("deallocating None"). Newer Pythons have immortal ones; here they
get more references than a test run can lose.
"""

from __future__ import annotations

import ctypes
import sys

ENOUGH = 1 << 40


def keep_none_alive():
    """Call it before PySide6 is used much; None, True and False stay."""
    if sys.version_info < (3, 12) and sys.getrefcount(None) < ENOUGH:
        for value in (None, True, False):
            ctypes.c_ssize_t.from_address(id(value)).value += 2 * ENOUGH
