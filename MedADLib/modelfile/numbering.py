"""Numbers in place of the names of scans in a model file, which people share; names may tell who was scanned.

A model file has the number and the fingerprint of each scan. Whoever has the scans finds them by their voxels, see
`known_scans`; others learn nothing from the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .known_scans import DIGITS, FINGERPRINTS

# Key of the training record: whether the split has numbers, so that its scans are found by their fingerprints.
NUMBERED = "numbered"
# Source of scans without a note, in place of the name of their folder.
OWN_SCANS = "scans of its author"
NUMBER = re.compile(r"scan-\d{3,}")


class Numbered(NamedTuple):
    """Scans by number.

    Attributes:
        parts: Numbers of the scans of each part.
        fingerprints: Fingerprints of the same scans in the same order.
        numbers: Number of each scan, by name.
    """

    parts: dict[str, list[str]]
    fingerprints: dict[str, list[str]]
    numbers: dict[str, str]


def numbered(parts: Mapping[str, Sequence[str]], fingerprints: Mapping[str, str], first: int = 1) -> Numbered:
    """Number the scans of each part, in the order of their fingerprints, which tells nothing.

    Args:
        parts: Names of the scans of each part.
        fingerprints: Result of `volume.fingerprint` of each scan, by name.
        first: The first number.
    """
    found = Numbered({}, {}, {})
    for part, names in parts.items():
        ordered = sorted(names, key=lambda name: (fingerprints[name][:DIGITS], name))
        for name in ordered:
            found.numbers[name] = f"scan-{first + len(found.numbers):03d}"
        found.parts[part] = [found.numbers[name] for name in ordered]
        found.fingerprints[part] = [fingerprints[name][:DIGITS] for name in ordered]
    return found


def numbers_of(training: Mapping[str, Any]) -> dict[str, str]:
    """Return the fingerprint of each numbered scan of a training record, which is not trusted; may be empty."""
    split, prints = training.get("split"), training.get(FINGERPRINTS)
    if not training.get(NUMBERED) or not isinstance(split, dict) or not isinstance(prints, dict):
        return {}
    found: dict[str, str] = {}
    for part, names in split.items():
        own = [name for name in _texts(names) if NUMBER.fullmatch(name)]
        found |= dict(zip(own, _texts(prints.get(part))))
    return found


def named(names: Iterable[str], training: Mapping[str, Any], known: Mapping[str, str]) -> list[str]:
    """Replace the numbers of a training record by names, sorted; a scan that is not known keeps its number.

    Args:
        names: Numbers or names.
        training: The training record.
        known: Names of scans by fingerprint.
    """
    prints = numbers_of(training)
    return sorted(known.get(prints.get(name, ""), name) for name in names)


def listed(names: Sequence[str]) -> str:
    """List scans for a card: names, or the range of numbers."""
    if len(names) > 1 and all(NUMBER.fullmatch(name) for name in names):
        return f"{min(names)} to {max(names)}"
    return ", ".join(names)


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, (list, tuple)) else []
