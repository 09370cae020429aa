"""Toy networks compute faster on one thread."""

from __future__ import annotations

from support.phantoms import one_thread

__all__ = ["one_thread"]
