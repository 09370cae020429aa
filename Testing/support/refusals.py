"""Many wrong values in one test."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def accepted(error: type[Exception], make: Callable, wrong: Iterable) -> list:
    """Return the wrong values that `make` takes without raising the error; another error is not caught."""
    found = []
    for value in wrong:
        try:
            make(value)
        except error:
            continue
        found.append(value)
    return found
