"""Fixtures of all tests of the panel."""

from __future__ import annotations

from contextlib import suppress

import pytest

# Without Slicer's packages each test file skips itself.
with suppress(pytest.skip.Exception):
    from fake_slicer.panel_fixtures import (
        app,
        done,
        no_drawing,
        own_home,
        panel,
        planted_installer,
        stub_client,
        stub_process,
    )

__all__ = ["app", "done", "no_drawing", "own_home", "panel", "planted_installer", "stub_client", "stub_process"]
