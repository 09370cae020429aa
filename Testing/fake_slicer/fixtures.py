"""Fixtures for the tests of the fake Slicer."""

from __future__ import annotations

import pytest
from support.synthetic import brain_volume

from .fake_slicer import FakeSlicer
from .small_module import write_module


@pytest.fixture
def app(tmp_path):
    """Slicer with nothing loaded."""
    with FakeSlicer(tmp_path / "slicer") as app:
        yield app


@pytest.fixture
def small(app, tmp_path):
    """Slicer with a scan and the module Small open."""
    app.scan = app.load_volume(brain_volume())
    app.open_module("Small", write_module(tmp_path))
    return app
