"""What tests of the bench share."""

from __future__ import annotations

import pytest
from conftest import brain_volume

from .bench import Bench
from .template import write_module


@pytest.fixture
def bench(tmp_path):
    """Slicer with nothing loaded."""
    with Bench(tmp_path / "slicer") as bench:
        yield bench


@pytest.fixture
def small(bench, tmp_path):
    """Slicer with a scan and the module Small open."""
    bench.scan = bench.load_volume(brain_volume())
    bench.open_module("Small", write_module(tmp_path))
    return bench
