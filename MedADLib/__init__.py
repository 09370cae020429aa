"""MedAD: shows what in a scan does not look healthy, having learned healthy anatomy only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# OpenMP threads that spin while they wait make inference many times slower on a busy machine; torch reads this once,
# when it is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .detection import Detection, Settings, detect
    from .modelfile import load_model
    from .volume import Volume

__all__ = ["Detection", "Settings", "Volume", "detect", "load_model"]

_HOMES = {
    "Volume": "volume",
    "detect": "detection",
    "Detection": "detection",
    "Settings": "detection",
    "load_model": "modelfile",
}


def __getattr__(name: str):
    """Import the public names on first use, so that importing MedAD costs nothing in Slicer."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
