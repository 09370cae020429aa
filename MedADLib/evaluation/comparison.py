"""Comparison of models: on simulated lesions in healthy brain scans, or on healthy and abnormal 2-D images.

Abnormal images have a label but no outline, so the sample scores of whole images are compared.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..dataset.discovery import find_scans
from ..errors import InputError
from ..io.reading_options import AS_THE_HEADER_SAYS, READING, ReadingOptions
from ..modelfile.model import load_model
from ..modelfile.numbering import NUMBERED, named, numbers_of
from ..runtime.atomic_files import write_json, write_text
from ..runtime.device import resolve
from ..runtime.tables import write_table
from ..scoring.metrics import LEVEL, ROUNDS, Curve, intervals
from ..training.reference_model import kept_split, names_by_fingerprint
from . import lesion_cases
from .contrast_cases import ContrastCases, alignment_rows, contrast_case_names
from .detectors import SEED, Detector, Kept, detectors, is_any_contrast, pooled_map, template_identity
from .image_cases import LabelledImage, abnormal_scans, held_out, labelled_images, refuse_both
from .judgement import variants
from .stored_cases import StoredCase
from .tables import (
    Measured,
    Sampled,
    complete,
    contrast_rows,
    cost_row,
    default_rows,
    difference_rows,
    healthy_rows,
    kind_rows,
    real_rows,
    restoration_rows,
    rows_of,
    scan_rows,
    size_rows,
    unseen_rows,
)
from .targets import summary

if TYPE_CHECKING:
    from ..io.sources import Source
    from ..modelfile.model import Model
    from ..preprocessing.brain_space import BrainSpace
    from ..runtime.progress import Progress

Row = dict[str, str | float | int]
# In place of the name of a part, in ``comparison.json``.
INTO = "other scans"
MEASURES = {"AUROC": Curve.auroc, "AP": Curve.average_precision}


@dataclass(frozen=True)
class Comparison:
    """Models to compare, and the scans to compare them on.

    Attributes:
        models: Installed models or model files; all with the same template and split.
        healthy: Folder or NPZ file that the models were trained from.
        output: Folder for tables, figures and scores.
        part: Part of the split with the healthy scans; None for the benchmark, or for 2-D models without one the
            calibration images.
        into: Folder of healthy scans that take the lesions in place of those of a part, such as scans of another
            scanner; scans with a name of the split are left out.
        healthy_label: Label of the healthy images in NPZ files with labels.
        abnormal: Abnormal 2-D images, see `image_cases.abnormal_scans`.
        every: Whether to simulate every kind of lesion with every contrast in every subject.
        places: Places of each kind of lesion in a subject.
        unseen: Whether to simulate the two families that no training imitates too, at one place.
        seed: Random seed of the lesions or of the bootstrap.
        brighten: Standard intensity to add to simulated lesions.
        contrast: Contrast to simulate from the T1 scans, see `contrast_cases`; None for the scans themselves.
        only_real: Whether to compare on the real scans only, without healthy scans.
        device: Device of the detectors.
        real: Files of real scans and of their lesion masks, which have a table of their own.
        reading: What the user says about the scans beyond their headers.
    """

    models: Sequence[str]
    healthy: Path | None
    output: Path
    part: str | None = None
    into: Path | None = None
    healthy_label: int | None = None
    abnormal: Path | None = None
    every: bool = False
    places: int = 1
    unseen: bool = False
    seed: int = SEED
    brighten: float = 0.0
    contrast: str | None = None
    only_real: bool = False
    device: str = "auto"
    real: Sequence[tuple[Path, Path]] = ()
    reading: ReadingOptions = AS_THE_HEADER_SAYS

    def write(self, progress: Progress) -> Path:
        """Compare the models, and write ``comparison.tsv``, ``comparison.json``, further tables, scores and figures.

        A later run uses the stored cases and scores again. Returns the path of ``comparison.tsv``.

        Raises:
            MedADError: If the models differ in template or split, options do not fit them, or scans are missing.
        """
        models = [load_model(name) for name in self.models]
        template = models[0].template
        if template.kind == "plane" and self.reading != AS_THE_HEADER_SAYS:
            raise InputError("options_for_volumes", path=self.healthy)
        splits = [None] * len(models) if self.only_real else self._splits(models)
        for model, split in zip(models, splits):
            same = template_identity(model.template) == template_identity(template)
            if not same or split != splits[0]:
                raise InputError("models_differ", model=model.name, first=models[0].name)
        if template.kind not in ("brain", "plane"):
            raise InputError("brain_model_needed", model=models[0].name)
        methods = detectors(models, resolve(self.device), self.contrast is not None or is_any_contrast(template))
        if self.only_real:
            return self._write_real(models, methods, progress)
        # From here on the scans have their names in this folder.
        models[0] = replace(models[0], training=models[0].training | {"split": splits[0], NUMBERED: False})
        record = (_compare_images if template.kind == "plane" else _compare_lesions)(self, models, methods, progress)
        record = {"models": {model.name: model.sha256 for model in models}, "seed": self.seed} | record
        if self.reading != AS_THE_HEADER_SAYS:
            record[READING] = self.reading.as_json()
        write_json(self.output / "comparison.json", record, indent=1)
        progress.finish()
        return self.output / "comparison.tsv"

    def _write_real(self, models: Sequence[Model], methods: Sequence[Detector], progress: Progress) -> Path:
        """Compare on the real scans only, and write ``real.tsv`` and ``comparison.json``; returns the former."""
        if models[0].template.kind != "brain" or not self.real or self.contrast is not None:
            raise InputError("only_real_scans")
        self.output.mkdir(parents=True, exist_ok=True)
        todo, spacing = _real_cases(self, models[0].template), models[0].template.image.spacing
        rows: list[Row] = []
        for number, case in enumerate(todo):
            progress.update(number / len(todo), case.label)
            case.score(methods)
            for detector in methods:
                rows += uncalibrated_rows(case.label, detector, case.kept(detector), spacing)
        write_table(self.output / "real.tsv", rows)
        record = {"models": {model.name: model.sha256 for model in models}, "rows": rows}
        write_json(self.output / "comparison.json", record, indent=1)
        progress.finish()
        return self.output / "real.tsv"

    def _splits(self, models: Sequence[Model]) -> list[object]:
        """Return the split of each model, with the names that numbered scans have in the folder."""
        known: dict[str, str] = {}
        if any(numbers_of(model.training) for model in models):
            facts = {"healthy_label": self.healthy_label, "skip_bad": True, "options": self.reading}
            known = names_by_fingerprint(find_scans(self.healthy, **facts))
        found = []
        for model in models:
            split = model.training.get("split")
            if numbers_of(model.training):
                split = {part: named(names, model.training, known) for part, names in split.items()}
            found.append(split)
        return found


def file_name(name: str) -> str:
    """Convert the name of a detector to a valid file name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")


def _compare_lesions(
    comparison: Comparison, models: Sequence[Model], methods: Sequence[Detector], progress: Progress
) -> dict[str, object]:
    """Score simulated and real lesions, write tables and figures, and return the facts for ``comparison.json``."""
    from .figures import Strip, write_cases, write_misses, write_overview

    if comparison.abnormal is not None or comparison.healthy_label is not None or comparison.part == "calibration":
        raise InputError("image_options_for_volumes")
    if comparison.places < 1:
        raise InputError("places_of_lesions", places=comparison.places)
    if comparison.contrast is not None and (comparison.unseen or comparison.brighten):
        raise InputError("options_for_t1_lesions")
    template, split, part = models[0].template, models[0].training.get("split") or {}, comparison.part or "benchmark"
    scans = find_scans(comparison.healthy, skip_bad=True, options=comparison.reading)
    if comparison.into is not None:
        part, others = INTO, _other_scans(comparison, split)
        scans, subjects = others | scans, list(others)
    elif not (subjects := split.get(part) or []):
        raise InputError("part_without_scans", model=models[0].name, part=part)
    comparison.output.mkdir(parents=True, exist_ok=True)
    made = None
    if comparison.contrast is None:
        names = lesion_cases.case_names(subjects, comparison.every, comparison.places, comparison.unseen)
    else:
        names = contrast_case_names(subjects, comparison.every, comparison.places)
        made = ContrastCases(comparison.contrast, scans, template, comparison.seed)
    todo = _cases(comparison, template, scans, split["calibration"], names, made)
    progress.stage("scoring", 0.0, 0.9)
    for number, case in enumerate(todo):
        progress.update(number / len(todo), case.label)
        case.score(methods)
    progress.stage("tables", 0.9, 1.0)
    tables: dict[str, list[Row]] = {name: [] for name in (*TABLES, "restorations.tsv", "cost.tsv")}
    strips, sampled = [], []
    for number, detector in enumerate(methods):
        progress.update(number / len(methods), detector.name)
        # The maps of all cases take gigabytes, so that each is reduced to counts at once.
        found = variants(detector, (case.kept(detector) for case in todo), template.image.spacing)
        for variant in found:
            measured = [Measured.of(variant, comparison.seed)]
            for name, make in TABLES.items():
                tables[name] += make(measured)
            sampled += [Sampled.of(one) for one in complete(measured)]
        tables["restorations.tsv"] += restoration_rows(detector.name, found[0].judged)
        tables["cost.tsv"].append(cost_row(detector.name, found[0].judged))
        # The last form is the map as shipped or, for a detector without a calibration of its own, the complete one.
        shipped, stem, title = found[-1], file_name(detector.name), detector.title
        write_cases(comparison.output / f"{stem}.png", title, shipped)
        write_misses(comparison.output / f"{stem}-misses.png", title, shipped, todo, template.image)
        strips.append(Strip.of(title, shipped))
    write_overview(comparison.output / "overview.png", strips)
    tables["differences.tsv"] = difference_rows(sampled)
    if made is not None:
        tables["alignment.tsv"] = alignment_rows(made, subjects, progress)
    tables = {name: rows for name, rows in tables.items() if rows}
    for name, rows in tables.items():
        write_table(comparison.output / name, rows)
    count = len(split["calibration"]) + len(names)
    write_text(comparison.output / "comparison.md", summary(tables, [method.name for method in methods], len(names)))
    options = {"every": comparison.every, "places": comparison.places, "unseen": comparison.unseen}
    if comparison.contrast is not None:
        options["contrast"] = comparison.contrast
    rows = tables["comparison.tsv"]
    return {"part": part, "cases": count, "brightened": comparison.brighten} | options | {"rows": rows}


TABLES: dict[str, Callable[[Sequence[Measured]], list[Row]]] = {
    "comparison.tsv": rows_of,
    "kinds.tsv": kind_rows,
    "contrasts.tsv": contrast_rows,
    "sizes.tsv": size_rows,
    "unseen.tsv": unseen_rows,
    "real.tsv": real_rows,
    "scans.tsv": scan_rows,
    "healthy.tsv": healthy_rows,
    "default.tsv": default_rows,
}


def _other_scans(comparison: Comparison, split: Mapping[str, Sequence[str]]) -> dict[str, Source]:
    """Find the healthy scans of another folder that have no name of the split."""
    if comparison.part is not None:
        raise InputError("into_and_part")
    known = {name for names in split.values() for name in names}
    found = find_scans(comparison.into, skip_bad=True, options=comparison.reading)
    if not (others := {name: scan for name, scan in found.items() if name not in known}):
        raise InputError("no_other_scans", folder=comparison.into)
    return others


def _cases(
    comparison: Comparison,
    template: BrainSpace,
    scans: Mapping[str, Source],
    calibration: Sequence[str],
    names: Sequence[lesion_cases.CaseName],
    made: ContrastCases | None,
) -> list[StoredCase]:
    """List all cases, the calibration scans first; those of another contrast are made by `made`."""

    def simulated(name: lesion_cases.CaseName) -> lesion_cases.Case:
        if made is not None:
            return made.case(name)
        # A calibration scan has no lesion.
        name = replace(name, kind="healthy") if name.kind == "calibration" else name
        return next(lesion_cases.cases([name], scans, template, comparison.seed)).brightened(comparison.brighten)

    healthy = [lesion_cases.CaseName(subject, "calibration") for subject in calibration]
    simulations = [
        _stored(comparison, template, str(name), name, partial(simulated, name)) for name in chain(healthy, names)
    ]
    return simulations + _real_cases(comparison, template)


def _real_cases(comparison: Comparison, template: BrainSpace) -> list[StoredCase]:
    """List the real scans with a lesion mask."""
    todo = []
    for image, truth in comparison.real:
        label = f"{image.parent.name}-{image.name.split('.')[0]}"
        name = lesion_cases.CaseName(label, "real", label)
        make = partial(lesion_cases.real_case, image, truth, template, comparison.reading)
        todo.append(_stored(comparison, template, label, name, make))
    return todo


def _stored(
    comparison: Comparison,
    template: BrainSpace,
    label: str,
    name: lesion_cases.CaseName,
    make: Callable[[], lesion_cases.Case],
) -> StoredCase:
    """Return a case and its files, named by all that it depends on."""
    suffix, reading = str(comparison.seed), comparison.reading
    suffix += f"_brighter-{comparison.brighten:g}" if comparison.brighten else ""
    if reading != AS_THE_HEADER_SAYS:
        # Read in another way, the cases are others.
        suffix += f"_read-{hashlib.sha256(json.dumps(reading.as_json()).encode()).hexdigest()[:8]}"
    if comparison.contrast is not None and name.kind != "real":
        suffix += f"_{comparison.contrast}"
    return StoredCase(label, name, make, comparison.output, suffix, template_identity(template))


def uncalibrated_rows(scan: str, detector: Detector, kept: Kept, spacing: Sequence[float]) -> list[Row]:
    """Return the rows of a real scan without healthy scans: the raw map, the pooled map, and the map as shipped.

    Args:
        scan: Name of the scan.
        detector: The detector.
        kept: What it found.
        spacing: Voxel spacing along (x, y, z) in mm.
    """
    maps: dict[str, np.ndarray] = {}
    # The maps of the members of an ensemble have different units, so only its calibration joins them.
    if kept.score.ndim == kept.mask.ndim:
        maps = {"no": kept.score, "yes": pooled_map(detector, kept, True, spacing)}
    if detector.calibration is not None:
        maps["as shipped"] = detector.calibration.anomaly_map(kept.score, kept.mask, spacing)
    rows = []
    for form, values in maps.items():
        curve = Curve.of(values[kept.mask], kept.truth[kept.mask])
        row: Row = {"scan": scan, "detector": detector.name, "pooling": form}
        row |= {"AP": round(curve.average_precision(), 4), "AUROC": round(curve.auroc(), 4)}
        row |= {"best Dice": round(curve.maximum_dice()[0], 4), "prevalence": round(curve.prevalence, 4)}
        rows.append(row)
    return rows


def _compare_images(
    comparison: Comparison, models: Sequence[Model], methods: Sequence[Detector], progress: Progress
) -> dict[str, object]:
    """Score whole images, write tables and figures, and return the facts for ``comparison.json``."""
    from .figures import write_examples

    for_brains = (comparison.real, comparison.every, comparison.unseen, comparison.into, comparison.places != 1)
    if any(for_brains):
        raise InputError("options_for_brains")
    abnormal = abnormal_scans(comparison.healthy, comparison.abnormal, comparison.healthy_label)
    if not abnormal:
        raise InputError("no_abnormal_images")
    part, names = held_out(kept_split(models[0]), comparison.part)
    scans = find_scans(comparison.healthy, healthy_label=comparison.healthy_label, skip_bad=True)
    if missing := [name for name in names if name not in scans]:
        raise InputError("healthy_images_missing", count=len(missing), example=missing[0], folder=comparison.healthy)
    refuse_both(scans, abnormal)
    comparison.output.mkdir(parents=True, exist_ok=True)
    progress.stage("preparing", 0.0, 0.2)
    images = labelled_images({name: scans[name] for name in names}, abnormal, models[0].template, progress)
    truth = np.array([image.abnormal for image in images])
    scores = {}
    for number, detector in enumerate(methods):
        progress.stage(detector.name, 0.2 + 0.7 * number / len(methods), 0.2 + 0.7 * (number + 1) / len(methods))
        scores[detector.name] = _sample_scores(detector, images, comparison.output / "scores", progress)
    progress.stage("tables", 0.9, 1.0)
    rows = image_rows(scores, truth, comparison.seed)
    write_table(comparison.output / "comparison.tsv", rows)
    each = [
        {"image": image.name, "abnormal": int(image.abnormal)} | {name: f"{s[n]:.6g}" for name, s in scores.items()}
        for n, image in enumerate(images)
    ]
    write_table(comparison.output / "scores.tsv", each)
    write_examples(comparison.output / "comparison.png", models, images, scores, rows, comparison.device)
    return {"part": part, "bootstrap": {"rounds": ROUNDS, "level": LEVEL}, "rows": rows}


def image_rows(scores: Mapping[str, np.ndarray], truth: np.ndarray, seed: int) -> list[Row]:
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


def _sample_scores(detector: Detector, images: Sequence[LabelledImage], folder: Path, progress: Progress) -> np.ndarray:
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
                kept[key] = detector.score(image).sample_score
    finally:
        write_json(file, kept)
    return np.array([kept[key] for key in keys])
