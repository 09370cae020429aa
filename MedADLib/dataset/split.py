"""The split of healthy subjects into training, validation, calibration and benchmark.

Which healthy subjects a model learns from, is checked on, is calibrated on and is judged on.

The split that NPZ files bring along, such as those of MedMNIST: arrays ``train_…``, ``val_…`` and ``test_…``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..io.sources import Source

# Subjects that can be divided by chance, and scans that a split written by hand must have.
FEWEST = 8
TO_TRAIN, TO_VALIDATE, TO_CALIBRATE = 3, 1, 2
FEWEST_BY_HAND = TO_TRAIN + TO_VALIDATE + TO_CALIBRATE


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
            raise InputError("scan_in_two_parts", name=twice[0])
        needed = {"train": TO_TRAIN, "validation": TO_VALIDATE, "calibration": TO_CALIBRATE}
        if any(len(getattr(self, part)) < count for part, count in needed.items()):
            raise InputError("split_too_small", **needed)

    def names(self) -> tuple[str, ...]:
        """All scans of the split."""
        return self.train + self.validation + self.calibration + self.benchmark

    def to_json(self) -> dict[str, list[str]]:
        """Lists of names, JSON-able."""
        return {key: list(value) for key, value in asdict(self).items()}

    @classmethod
    def of(cls, content: dict[str, list[str]]) -> Split:
        """The split of `to_json()`; raises ValueError, TypeError or AttributeError if it is none."""
        if not all(isinstance(value, list) for value in content.values()):
            raise ValueError("a part is not a list")
        return cls(**{str(key): tuple(str(name) for name in value) for key, value in content.items()})

    @classmethod
    def read(cls, path: Path) -> Split:
        """A split from a JSON file with the lists ``train``, ``validation``, ``calibration`` and ``benchmark``.

        Raises:
            InputError: If the file is not such a split.
        """
        try:
            return cls.of(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise InputError("not_a_split", path=path) from error

    def without(self, names: Collection[str]) -> Split:
        """The same split but for some scans.

        Raises:
            InputError: If too few are left.
        """
        return Split(**{part: tuple(n for n in own if n not in names) for part, own in asdict(self).items()})

    def check_found(self, names: Collection[str]) -> None:
        """Refuse a split of other scans; raises InputError with the first that is not among `names`."""
        if missing := sorted(set(self.names()) - set(names)):
            raise InputError("split_scan_missing", name=missing[0])

    def check_subjects(self, subjects: Mapping[str, str]) -> None:
        """Refuse a subject with scans in two parts.

        Args:
            subjects: Whose each scan is, by name; scans that are not in it are passed over.

        Raises:
            InputError: Naming the subject and both scans.
        """
        parts = {name: part for part, names in asdict(self).items() for name in names if name in subjects}
        first: dict[str, str] = {}
        for name, part in parts.items():
            other = first.setdefault(subjects[name], name)
            if parts[other] != part:
                raise InputError(
                    "subject_in_two_parts",
                    subject=subjects[name],
                    first=other,
                    first_part=parts[other],
                    second=name,
                    second_part=part,
                )

    @classmethod
    def automatic(
        cls, names: Sequence[str], seed: int = 0, to_calibrate: int = 2, subjects: Mapping[str, str] | None = None
    ) -> Split:
        """A random split: about a tenth to validate, a seventh to calibrate, the rest to train.

        Args:
            names: Of the scans.
            seed: Of the shuffle.
            to_calibrate: No fewer than these.
            subjects: Whose each scan is, by name; without it each is of another. All scans of a subject come into the
                same part, and the parts' sizes are counted in subjects.

        Raises:
            InputError: If there are fewer than 8 subjects.
        """
        groups: dict[str, list[str]] = {}
        for name in sorted(names):
            groups.setdefault(subjects[name] if subjects else name, []).append(name)
        if len(groups) < FEWEST:
            if len(groups) < len(names):
                raise InputError("too_few_subjects", scans=len(names), subjects=len(groups), fewest=FEWEST)
            raise InputError("too_few_scans", count=len(names), fewest=FEWEST)
        ordered = list(groups.values())
        order = [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]
        validation, calibration = max(1, len(order) // 10), max(to_calibrate, len(order) // 7)
        ends = (0, validation, validation + calibration, len(order))
        held, judged, learned = (sorted(n for g in order[i:j] for n in g) for i, j in zip(ends, ends[1:]))
        return cls(tuple(learned), tuple(held), tuple(judged))


def split_of_arrays(scans: Mapping[str, Source], seed: int, to_calibrate: int) -> Split | None:
    """The files' own split: what is for testing is the benchmark, and half of what is for validation calibrates.

    Where there is too little for validation to be halved, it is pooled with what is for training and divided by chance,
    see `Split.automatic`.

    Args:
        scans: Healthy ones, by name.
        seed: Of the division.
        to_calibrate: No fewer than these.

    Returns:
        None unless every scan is of such an array, and some are for training and some for testing.

    Raises:
        InputError: If there are too few scans, or a subject has scans in two of its parts.
    """
    parts: dict[str | None, list[str]] = {"train": [], "val": [], "test": []}
    for name in sorted(scans):
        place = scans[name].place
        parts.setdefault(place.part if place else None, []).append(name)
    if None in parts or not parts["train"] or not parts["test"]:
        return None
    subjects = {name: source.subject for name, source in scans.items()}
    held, benchmark = parts["val"], tuple(parts["test"])
    if len(held) // 2 < to_calibrate:
        split = Split.automatic(parts["train"] + held, seed, to_calibrate, subjects)
        split = replace(split, benchmark=benchmark)
    else:
        order = [held[n] for n in np.random.default_rng(seed).permutation(len(held))]
        half = len(held) // 2
        split = Split(tuple(parts["train"]), tuple(sorted(order[half:])), tuple(sorted(order[:half])), benchmark)
    split.check_subjects(subjects)
    return split
