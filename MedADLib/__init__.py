"""MedAD: shows what in a scan does not look healthy, having learned healthy anatomy only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._version import __version__
    from .detection import Detection, Settings, detect
    from .errors import MedADError
    from .io.reading import read_image
    from .modelfile.model import load_model
    from .volume import Volume

__all__ = ["Detection", "MedADError", "Settings", "Volume", "__version__", "detect", "load_model", "read_image"]

_HOMES = {
    "Detection": "detection",
    "MedADError": "errors",
    "Settings": "detection",
    "Volume": "volume",
    "__version__": "_version",
    "detect": "detection",
    "load_model": "modelfile.model",
    "read_image": "io.reading",
}


def __getattr__(name: str):
    """Import the public names on first use, so that importing MedAD costs nothing in Slicer."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
