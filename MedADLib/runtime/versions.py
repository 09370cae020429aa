"""Versions of installed packages, without importing them."""

from __future__ import annotations

import importlib
from importlib import metadata


def installed_version(name: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    importlib.invalidate_caches()
    # An interrupted installation leaves an empty folder of metadata.
    found = (each.version for each in metadata.distributions(name=name) if each.read_text("METADATA"))
    return next(found, None)
