"""Cross-conformal folds: training scans calibrate too, scored by methods trained without the scans of their subject.

Source: Vovk 2015, Cross-conformal predictors, Ann. Math. Artif. Intell. 74. See `leave_one_out.calibrate`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..dataset.split import TO_TRAIN
from ..errors import InputError
from ..methods.base import Method
from ..methods.registry import ENTRIES
from ..runtime.progress import Progress
from .config import Options
from .data import HealthyData
from .trainers import TRAINERS


def check_folds(method: str, count: int) -> None:
    """Check whether a method can be trained once more for each of `count` folds; 0 and 1 stand for no folds.

    Raises:
        InputError: If the number is negative, or the method trains a network, which takes too long.
    """
    if count < 0:
        raise InputError("folds_negative", folds=count)
    if count > 1 and not ENTRIES[method].fast_to_train:
        suited = ", ".join(name for name, entry in ENTRIES.items() if entry.fast_to_train)
        raise InputError("folds_of_network", method=method, suited=suited)


def folds_of(names: Iterable[str], subjects: Mapping[str, str], count: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """Divide scans at random into folds of about as many subjects each; no subject is in two folds.

    Args:
        names: Names of the scans.
        subjects: Subject of each scan, by its name.
        count: Number of folds; below 2 there are none.
        seed: Random seed.

    Raises:
        InputError: If there are fewer subjects than folds, or too few scans to train without one of the folds.
    """
    if count < 2:
        return ()
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(subjects[name], []).append(name)
    order = np.random.default_rng(seed).permutation(sorted(groups)).tolist()
    folds = tuple(tuple(sorted(name for subject in order[n::count] for name in groups[subject])) for n in range(count))
    most = sum(map(len, folds)) - TO_TRAIN
    if len(groups) < count or max(map(len, folds)) > most:
        raise InputError("folds_too_many", folds=count, subjects=len(groups), least=TO_TRAIN)
    return folds


def method_without(
    fold: Collection[str],
    method: str,
    names: Sequence[str],
    data: HealthyData,
    options: Options,
    folder: Path,
    progress: Progress,
) -> Method:
    """Train a method on all training scans but those of a fold.

    The space of the model is the same for all folds. Unless it is that of another model, it was built of all training
    scans: a scan is then aligned to a mean image of which it is a small part.

    Args:
        fold: Names of the scans to leave out.
        method: Name of the method.
        names: Names of `data.train`, in order.
        data: Healthy scans.
        options: Options of the training.
        folder: Folder for what the training writes.
        progress: Its updates report the training within the present stage; may cancel.
    """
    kept = [scan for name, scan in zip(names, data.train) if name not in fold]
    # A recipe names stages of the whole job; here they are steps within the calibration.
    within = Progress(lambda stage, fraction, message: progress.update(fraction, message))
    return TRAINERS[method](replace(data, train=kept), options, folder, within)[0]
