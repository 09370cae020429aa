"""The split of healthy subjects into training, validation, calibration and benchmark."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..io.sources import Source

# Fewest subjects for a random split, and fewest scans of each part of any split.
FEWEST = 8
TO_TRAIN, TO_VALIDATE, TO_CALIBRATE = 3, 1, 2
FEWEST_BY_HAND = TO_TRAIN + TO_VALIDATE + TO_CALIBRATE


@dataclass(frozen=True)
class Split:
    """Names of the scans of each part; no scan is in two parts.

    Attributes:
        train: Scans for weights and template.
        validation: Scans for monitoring the training, and for choosing thresholds and settings.
        calibration: Scans for the distribution of healthy scores.
        benchmark: Scans that only ``medad compare`` uses.

    Raises:
        InputError: If a scan is in two parts, or a part has too few scans.
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
        """Names of all scans."""
        return self.train + self.validation + self.calibration + self.benchmark

    def to_json(self) -> dict[str, list[str]]:
        """Convert to lists of names, as JSON."""
        return {key: list(value) for key, value in asdict(self).items()}

    @classmethod
    def of(cls, content: dict[str, list[str]]) -> Split:
        """Create a split from the result of `to_json`.

        Raises:
            ValueError, TypeError, AttributeError: If the content has another form.
            InputError: If a scan is in two parts, or a part has too few scans.
        """
        if not all(isinstance(value, list) for value in content.values()):
            raise ValueError("a part is not a list")
        return cls(**{str(key): tuple(str(name) for name in value) for key, value in content.items()})

    @classmethod
    def read(cls, path: Path) -> Split:
        """Read a JSON file with the lists ``train``, ``validation``, ``calibration`` and ``benchmark``.

        Raises:
            InputError: If the file is not a split.
        """
        try:
            return cls.of(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise InputError("not_a_split", path=path) from error

    def without(self, names: Collection[str]) -> Split:
        """Return the split without some scans.

        Raises:
            InputError: If a part has too few scans left.
        """
        return Split(**{part: tuple(n for n in own if n not in names) for part, own in asdict(self).items()})

    def check_found(self, names: Collection[str]) -> None:
        """Check that all scans of the split are among these names.

        Raises:
            InputError: For the first missing scan.
        """
        if missing := sorted(set(self.names()) - set(names)):
            raise InputError("split_scan_missing", name=missing[0])

    def check_subjects(self, subjects: Mapping[str, str]) -> None:
        """Check that all scans of each subject (by name of scan; others are not checked) are in one part.

        Raises:
            InputError: For the first subject with scans in two parts.
        """
        parts = {name: part for part, names in asdict(self).items() for name in names if name in subjects}
        first: dict[str, str] = {}
        for name, part in parts.items():
            other = first.setdefault(subjects[name], name)
            if parts[other] != part:
                places = {"first": other, "first_part": parts[other], "second": name, "second_part": part}
                raise InputError("subject_in_two_parts", subject=subjects[name], **places)

    @classmethod
    def automatic(
        cls, names: Sequence[str], seed: int = 0, to_calibrate: int = 2, subjects: Mapping[str, str] | None = None
    ) -> Split:
        """Split scans at random: about a tenth for validation, a seventh for calibration, the rest for training.

        Args:
            names: Names of the scans.
            seed: Random seed.
            to_calibrate: Smallest number of subjects for calibration.
            subjects: Subjects by name of scan; without it each scan is of another subject. All scans of a subject are
                in the same part, and the sizes of the parts count subjects.

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
    """Read the split of NPZ files with arrays ``train_…``, ``val_…`` and ``test_…``, such as those of MedMNIST.

    The test images are the benchmark. Half of the validation images are for calibration; if they are too few for that,
    validation and training images are united and split at random, see `Split.automatic`.

    Returns:
        The split; None unless all scans are of such arrays, with some for training and some for testing.

    Raises:
        InputError: If there are too few scans, or a subject has scans in two parts.
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
