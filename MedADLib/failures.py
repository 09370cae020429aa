"""Whatever goes wrong, as a kind for a program and one line for a person."""

from __future__ import annotations

import errno

from .errors import MedADError


def explain(error: BaseException, details: str) -> tuple[str, str]:
    """The kind of an error, and what to tell the user about it.

    Args:
        error: What was raised.
        details: Where the traceback of a fault of ours can be found, such as ``see --debug``.
    """
    if isinstance(error, MedADError):
        return type(error).__name__, str(error)
    if isinstance(error, ImportError):
        remedy = "Install it with pip; in Slicer, click Run Detection in the MedAD panel and agree."
        return "ImportError", f"the Python package {error.name or error} is missing or damaged. {remedy}"
    # Torch has no class of its own for a lack of main memory.
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error)):
        return "MemoryError", "too little memory. Close other programs or examine a smaller scan."
    if isinstance(error, OSError):
        remedy = "Free some disk space." if error.errno == errno.ENOSPC else "Check the path and its permissions."
        where = f" ({error.filename})" if error.filename else ""
        return "OSError", f"{error.strerror or error}{where}. {remedy}"
    return "InternalError", " ".join(f"{type(error).__name__}: {error}. This is a fault in MedAD; {details}.".split())
