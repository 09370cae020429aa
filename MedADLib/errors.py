"""The errors that MedAD raises, and how to report any failure in one line.

The errors MedAD raises on purpose, each with a sentence that says what to do.

Whatever goes wrong, as a kind for a program and one line for a person.
"""

from __future__ import annotations

import errno

DAMAGED = "Download or copy the file again."
HOSTILE = "Do not use it; get the file from a source that you trust."


class MedADError(Exception):
    """Something a person can act on; the message is one line without a traceback."""

    def __init__(self, problem: str, remedy: str = ""):
        """Join what is wrong and what to do into one line.

        Args:
            problem: What is wrong, naming the file or value.
            remedy: What the reader can do about it.
        """
        self.problem = " ".join(str(problem).split()).rstrip(". ")
        self.remedy = " ".join(str(remedy).split())
        super().__init__(f"{self.problem}. {self.remedy}".strip() if remedy else self.problem)


class InputError(MedADError):
    """An image, mask or folder that cannot be examined."""


class ModelError(MedADError):
    """A model file that is damaged, hostile, too new or unfit for the task."""


class OutputError(MedADError):
    """A result that could not be written."""


class Cancelled(MedADError):
    """The user asked to stop; nothing partial is left behind."""

    def __init__(self, problem: str = "cancelled"):
        super().__init__(problem)


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
