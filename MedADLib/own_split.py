"""The split that NPZ files bring along, such as those of MedMNIST: arrays ``train_…``, ``val_…`` and ``test_…``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .scan_folder import Source
from .split import Split


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
