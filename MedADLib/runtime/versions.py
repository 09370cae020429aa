"""The versions of installed packages, without importing them."""

from __future__ import annotations

import importlib
from importlib import metadata


def installed_version(name: str) -> str | None:
    """The version of an installed package, without importing it; None where there is none."""
    importlib.invalidate_caches()
    # An interrupted installation leaves a folder for metadata without any.
    found = (each.version for each in metadata.distributions(name=name) if each.read_text("METADATA"))
    return next(found, None)
