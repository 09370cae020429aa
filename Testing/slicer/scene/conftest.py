"""Fixtures of all tests of scenes."""

from __future__ import annotations

from contextlib import suppress

import pytest

# Without Slicer's packages each test file skips itself.
with suppress(pytest.skip.Exception):
    from support.mrml import no_mrml_errors, standalone

__all__ = ["no_mrml_errors", "standalone"]
