"""Comparison of 2-D models (``medad compare``): how well each separates abnormal from healthy images.

Abnormal images have a label but no outline, so the sample scores of whole images are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..dataset.discovery import find_scans
from ..errors import InputError
from ..runtime.atomic_files import write_json
from ..runtime.progress import Progress
from ..runtime.tables import write_table
from ..scoring.metrics import LEVEL, ROUNDS, Curve, intervals
from ..training.reference_model import kept_split
from .image_cases import LabelledImage, abnormal_scans, held_out, labelled_images, refuse_both

if TYPE_CHECKING:
    from ..modelfile.model import Model
    from .detectors import Detector

Row = dict[str, str | float | int]
MEASURES = {"AUROC": Curve.auroc, "AP": Curve.average_precision}


def compare_planes(
    args: argparse.Namespace, models: Sequence[Model], methods: Sequence[Detector], progress: Progress
) -> Path:
    """Score the images and write ``comparison.tsv``, ``comparison.json``, ``scores.tsv`` and ``comparison.png``.

    Args:
        args: Arguments that `compare.add_arguments` declares.
        models: 2-D models of one template and one split.
        methods: All detectors, including the models.
        progress: Receives each image; may cancel. A later run uses the stored scores again.

    Returns:
        The table.

    Raises:
        InputError: If images are missing, or there are no abnormal ones.
    """
    from .figures import write_examples

    if args.real or args.every:
        raise InputError("options_for_brains")
    abnormal = abnormal_scans(args.healthy, args.abnormal, args.healthy_label)
    if not abnormal:
        raise InputError("no_abnormal_images")
    part, names = held_out(kept_split(models[0]), args.part)
    scans = find_scans(args.healthy, healthy_label=args.healthy_label, skip_bad=True)
    if missing := [name for name in names if name not in scans]:
        raise InputError("healthy_images_missing", count=len(missing), example=missing[0], folder=args.healthy)
    refuse_both(scans, abnormal)
    args.output.mkdir(parents=True, exist_ok=True)
    progress.stage("preparing", 0.0, 0.2)
    images = labelled_images({name: scans[name] for name in names}, abnormal, models[0].template, progress)
    truth = np.array([image.abnormal for image in images])
    scores = {}
    for number, detector in enumerate(methods):
        progress.stage(detector.name, 0.2 + 0.7 * number / len(methods), 0.2 + 0.7 * (number + 1) / len(methods))
        scores[detector.name] = _scored(detector, images, args.output / "scores", progress)
    progress.stage("tables", 0.9, 1.0)
    rows = rows_of(scores, truth, args.seed)
    write_table(args.output / "comparison.tsv", rows)
    each = [
        {"image": image.name, "abnormal": int(image.abnormal)} | {name: f"{s[n]:.6g}" for name, s in scores.items()}
        for n, image in enumerate(images)
    ]
    write_table(args.output / "scores.tsv", each)
    record = {
        "models": {model.name: model.sha256 for model in models},
        "part": part,
        "seed": args.seed,
        "bootstrap": {"rounds": ROUNDS, "level": LEVEL},
        "rows": rows,
    }
    write_json(args.output / "comparison.json", record, indent=1)
    write_examples(args.output / "comparison.png", models, images, scores, rows, args.device)
    return args.output / "comparison.tsv"


def rows_of(scores: Mapping[str, np.ndarray], truth: np.ndarray, seed: int) -> list[Row]:
    """Return a row for each detector: AUROC and average precision with their bootstrap intervals.

    Args:
        scores: By detector, one score per image, (N,).
        truth: Whether each image is abnormal, bool (N,).
        seed: Random seed of the bootstrap.
    """
    rows: list[Row] = []
    for name, score in scores.items():
        row: Row = {"detector": name, "healthy": int((~truth).sum()), "abnormal": int(truth.sum())}
        ends, curve = intervals(score, truth, MEASURES, seed), Curve.of(score, truth)
        for title, measure in MEASURES.items():
            values = (measure(curve), *ends[title])
            row |= {f"{title}{end}": round(value, 4) for end, value in zip(("", " low", " high"), values)}
        rows.append(row)
    return rows


def _scored(detector: Detector, images: Sequence[LabelledImage], folder: Path, progress: Progress) -> np.ndarray:
    """Return the sample score of each image, (N,); scores of an earlier run are used again."""
    folder.mkdir(exist_ok=True)
    file, kept = folder / f"{detector.key}.json", {}
    with suppress(OSError, ValueError):
        kept = json.loads(file.read_text(encoding="utf-8"))
    keys = [hashlib.sha256(image.image.tobytes() + image.mask.tobytes()).hexdigest()[:32] for image in images]
    try:
        for number, (key, image) in enumerate(zip(keys, images)):
            progress.update(number / len(images), f"{image.name}, {number + 1} of {len(images)}")
            if key not in kept:
                kept[key] = detector.score(image)[1]
    finally:
        write_json(file, kept)
    return np.array([kept[key] for key in keys])
