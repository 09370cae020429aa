"""MedAD: shows what in a scan does not look healthy, having learned healthy anatomy only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._version import __version__
    from .detection import Detection, Settings, detect
    from .errors import MedADError
    from .modelfile.model import load_model
    from .volume import Volume

__all__ = ["Detection", "MedADError", "Settings", "Volume", "__version__", "detect", "load_model"]

_HOMES = {
    "Detection": "detection",
    "MedADError": "errors",
    "Settings": "detection",
    "Volume": "volume",
    "__version__": "_version",
    "detect": "detection",
    "load_model": "modelfile.model",
}


def __getattr__(name: str):
    """Import the public names on first use, so that importing MedAD costs nothing in Slicer."""
    from importlib import import_module

    if name in _HOMES:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        if name == "Volume":
            # The reader of files stands in a higher layer than the class; users know it as Volume.read.
            value.read = staticmethod(import_module(".io.reading", __name__).read_image)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
