"""Which of several equal scans is kept: the same one on every computer, and never the one that is called a copy."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What systems put into the name of a file that is copied: "a - Copy", "Copy of a", "a copy 2", "a (1)", "Kopie von a".
COPY = re.compile(r"(?:^|[\W_])(?:copy|copie|copia|kopie|duplicate)(?:$|[\W_\d])|\(\d+\)", re.IGNORECASE)
DIGITS = re.compile(r"(\d+)")


def kept_first(names: Iterable[str]) -> list[str]:
    """Names of equal scans, the one to be kept first: names of copies come last, and numbers count as numbers."""
    return sorted(names, key=lambda name: (COPY.search(name) is not None, _natural(name), name))


def _natural(name: str) -> list[str | int]:
    # Text and numbers alternate, so that like is compared with like.
    return [int(part) if n % 2 else part.lower() for n, part in enumerate(DIGITS.split(name))]
