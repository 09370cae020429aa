"""The folder of inputs with one trouble each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def troubled(name: str, skip: bool = True) -> Path:
    """Return the path of an input; the test is skipped where the inputs are absent, unless `skip` is false."""
    data = Path(os.environ.get("MEDAD_DATA") or ROOT.parent / "shared" / "data")
    path = data.parent / "troubled-inputs" / name
    if skip and not path.exists():
        pytest.skip(f"no {path}; set MEDAD_DATA to the folder beside troubled-inputs")
    return path
