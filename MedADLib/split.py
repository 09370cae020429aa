"""Which healthy subjects a model learns from, is checked on, is calibrated on and is judged on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .errors import InputError

FEWEST = 8


@dataclass(frozen=True)
class Split:
    """Names of scans; no scan is in two parts.

    Attributes:
        train: The weights and the template are learned from these.
        validation: Training is watched, and thresholds and settings are chosen, on these.
        calibration: Healthy scores are measured on these.
        benchmark: Only `medad compare` looks at these.

    Raises:
        InputError: If a scan is in two parts, or there are too few of them.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    calibration: tuple[str, ...]
    benchmark: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = (self.train, self.validation, self.calibration, self.benchmark)
        names = [name for part in parts for name in part]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{twice[0]} is in two parts of the split", "Every subject belongs to one part.")
        if len(self.train) < 3 or len(self.validation) < 1 or len(self.calibration) < 2:
            raise InputError(
                "the split needs at least 3 scans to train, 1 to validate and 2 to calibrate", "Add healthy scans."
            )

    def names(self) -> tuple[str, ...]:
        """All scans of the split."""
        return self.train + self.validation + self.calibration + self.benchmark

    def to_json(self) -> dict[str, list[str]]:
        """Lists of names, JSON-able."""
        return {key: list(value) for key, value in asdict(self).items()}

    @classmethod
    def read(cls, path: Path) -> Split:
        """A split from a JSON file with the lists ``train``, ``validation``, ``calibration`` and ``benchmark``.

        Raises:
            InputError: If the file is not such a split.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if not all(isinstance(value, list) for value in content.values()):
                raise ValueError("a part is not a list")
            return cls(**{str(key): tuple(str(name) for name in value) for key, value in content.items()})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} is not a split", "It must be JSON with lists train, validation, calibration, benchmark."
            ) from error

    @classmethod
    def automatic(cls, names: Sequence[str], seed: int = 0, to_calibrate: int = 2) -> Split:
        """A random split: about a tenth to validate, a seventh to calibrate, the rest to train.

        Args:
            names: One name a subject.
            seed: Of the shuffle.
            to_calibrate: No fewer than these.

        Raises:
            InputError: If there are fewer than 8 scans.
        """
        if len(names) < FEWEST:
            raise InputError(f"{len(names)} healthy scans are too few to train and calibrate", "Give at least 8.")
        order = [sorted(names)[i] for i in np.random.default_rng(seed).permutation(len(names))]
        validation, calibration = max(1, len(names) // 10), max(to_calibrate, len(names) // 7)
        return cls(
            tuple(sorted(order[validation + calibration :])),
            tuple(sorted(order[:validation])),
            tuple(sorted(order[validation : validation + calibration])),
        )
