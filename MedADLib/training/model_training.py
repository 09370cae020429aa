"""Training of a model: find, check, split and prepare healthy scans, train, calibrate, and write the model file."""

from __future__ import annotations

import argparse
import datetime
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..dataset.checks import check_disk, check_scans
from ..dataset.discovery import doubts_about_subjects, find_scans
from ..dataset.scan_statistics import fingerprints_in
from ..dataset.space_choice import chosen_space
from ..dataset.split import FEWEST, FEWEST_BY_HAND, Split, split_of_arrays
from ..errors import InputError
from ..io.reading_options import AS_THE_HEADER_SAYS, READING, ReadingOptions
from ..io.sources import Source
from ..messages import Message
from ..methods.base import Method, rounded
from ..methods.registry import ENTRIES, pooling_of
from ..modelfile.card import model_card
from ..modelfile.disclosure import FOLDS
from ..modelfile.known_scans import FINGERPRINTS
from ..modelfile.model import Model, load_model, save_model
from ..modelfile.numbering import NUMBERED, OWN_SCANS, numbered
from ..preprocessing.brain_space import of_any_contrast
from ..preprocessing.space import PreparedScan
from ..preprocessing.spaces import SPACES
from ..runtime.atomic_files import place_for_model, writable_folder
from ..runtime.device import resolve
from ..runtime.progress import Progress
from ..runtime.tables import write_table
from ..scoring.calibration import FINE_MM, Pooling
from ..scoring.healthy_reference import Threshold
from ..scoring.leave_one_out import calibrate, fewest
from ..scoring.restoration import Restoration
from ..volume import Volume
from .checkpoint import bfloat16_suits, only_training
from .config import Options, check_model_name, poolings_with, training_folder, unused_options
from .data import HealthyData, bytes_to_prepare, check_reading, healthy_data, prepared_scans
from .distributed import ProcessGroup, process_group
from .folds import check_folds, folds_of, method_without
from .outliers import left_out, write_outliers
from .plots import draw_all_curves, write_figures
from .reference_model import check_kind, split_of
from .trainers import TRAINERS, check_settings

log = logging.getLogger(__name__)

# Slices and fields of view differ in size, so their threshold is a share; that of brains is a volume.
THRESHOLDS = {"brain": "1ml", "plane": "0.1%", "field": "0.1%"}
MODALITIES = {"brain": "T1-weighted MR of the brain", "plane": "2-D images", "field": "3-D scans"}
# Bytes for checkpoints, each with a copy during writing, and the model. The sweep of autoencoders takes 0.4 GB.
BYTES_FOR_WEIGHTS = 1e9

MEASURED = "validation_"


def train_model(
    options: argparse.Namespace, progress: Progress, on_line: Callable[[str], None] = lambda line: None
) -> None:
    """Train, calibrate and write a model; ``torchrun`` may start several processes of the same call.

    Args:
        options: The result of `config.complete_arguments`.
        progress: Receives the stages and steps; may cancel, after which the same call continues from the last
            checkpoint.
        on_line: Called with each line of the report.

    Raises:
        MedADError: If data, split or options cannot be used, or the model could not be written.
    """
    for option in unused_options(options):
        log.warning(Message("unused_option", method=options.method, option=option))
    check_model_name(options.output)
    check_folds(options.method, options.folds)
    options.threshold = Threshold.parse(options.threshold) if options.threshold else None
    options.licence = _licence(options.licence)
    options.work = options.work or options.output.with_suffix(".work")
    # Refuse sizes that cannot be used before the training.
    _poolings(options)
    with ExitStack() as until_written:
        with process_group(resolve(options.device)) as (group, device):
            if group.rank == 0:
                until_written.enter_context(place_for_model(options.output))
                if options.pictures:
                    until_written.enter_context(writable_folder(options.pictures))
                until_written.enter_context(only_training(options.work))
            else:
                # Only the first process prints.
                logging.getLogger("MedADLib").setLevel(logging.ERROR)
                progress, on_line = Progress(), lambda line: None
            trained = _train(options, group, device, progress, on_line)
        if group.rank == 0:
            _finish(options, trained, progress, on_line)


class Trained(NamedTuple):
    """The result of a training before calibration.

    Attributes:
        method: The trained method.
        facts: Facts of the training for the model file.
        data: Training and validation scans.
        scans: The usable scans, by name.
        split: Names of scans of each part.
        folds: Names of the training scans of each fold that calibrates too; empty without.
        plan: Steps, seed and device of the training.
    """

    method: Method
    facts: dict
    data: HealthyData
    scans: dict[str, Source]
    split: Split
    folds: tuple[tuple[str, ...], ...]
    plan: Options


def _train(
    options: argparse.Namespace, group: ProcessGroup, device: str, progress: Progress, on_line: Callable[[str], None]
) -> Trained:
    """Find, check, split and prepare the scans, and train on them."""
    steps = (options.steps, options.prior_steps, options.latent, options.sweep_steps)
    plan = Options(*steps, options.seed, device, extra=options.extra)
    check_settings(options.method, plan)
    with group.first():
        like = load_model(options.like) if options.like else None
        scans, split = usable_scans(options, progress, like)
        subjects = {name: source.subject for name, source in scans.items()}
        folds = folds_of(split.train, subjects, options.folds, options.seed)
        progress.stage("preparing scans", 0.03, 0.1)
        data = healthy_data(scans, split, options.work, progress, options.size, like, options.prepare)
        data = replace(data, varied=options.augmentation)
        if ENTRIES[options.method].any_contrast:
            data = replace(data, template=of_any_contrast(data.template))
    for line in plan_of(data, scans, split, folds):
        on_line(line)
    folder = training_folder(options.work, options.method, options.extra, options.latent, options.augmentation)
    if not options.full_precision:
        decided = bfloat16_suits(device, folder / "precision.json") if group.rank == 0 else None
        plan = replace(plan, reduced=bool(group.broadcast(decided)))
    try:
        method, facts = TRAINERS[options.method](data, plan, folder, progress)
    finally:
        if group.rank == 0:
            draw_all_curves(folder)
    return Trained(method, facts, data, scans, split, folds, plan)


def usable_scans(
    options: argparse.Namespace, progress: Progress, like: Model | None = None
) -> tuple[dict[str, Source], Split]:
    """Find the usable scans and their split; with the split and space of the model `like`, if one is given."""
    reading = ReadingOptions.of_arguments(options)
    check_reading(options.work, reading)
    facts = {"skip_bad": options.skip_bad, "options": reading}
    scans = find_scans(options.healthy, options.only, options.subjects, options.healthy_label, **facts)
    excluded = _excluded(options.exclude, scans)
    scans = {name: source for name, source in scans.items() if name not in excluded}
    for doubt in doubts_about_subjects(scans, options.subjects):
        log.warning(doubt)
    subjects = {name: source.subject for name, source in scans.items()}
    split, longest = Split.read(options.split) if options.split else None, options.size
    if like is not None:
        options.prepare = check_kind(like, scans.values(), longest, options.prepare)
        split, longest = split or split_of(like, scans), max(like.template.image.array.shape[1:])
    if split is not None:
        split = split.without(excluded)
        split.check_found(scans)
        split.check_subjects(subjects)
        scans = {name: source for name, source in scans.items() if name in split.names()}
    progress.stage("checking scans", 0.0, 0.03)
    needed = FEWEST if split is None else FEWEST_BY_HAND
    usable = check_scans(
        scans, options.work / "checks.json", options.skip_bad, options.mixed, progress, options.prepare, needed
    )
    kind, _ = chosen_space(usable, options.prepare, options.work, progress)
    if split is None:
        least = fewest(mirrored=SPACES[kind].symmetric)
        split = split_of_arrays(usable, options.seed, least)
        split = split or Split.automatic(list(usable), options.seed, least, subjects)
    else:
        split = split.without(scans.keys() - usable.keys())
    kept = sum(file.stat().st_size for file in (options.work / "prepared").glob("*"))
    prepared = bytes_to_prepare(len(split.train + split.validation), kind, longest)
    check_disk(options.work, prepared + BYTES_FOR_WEIGHTS, kept)
    return usable, split


def _excluded(names: str | None, scans: Collection[str]) -> set[str]:
    """Return the names of the scans to leave out; raises InputError for one that is not found."""
    excluded = {name.strip() for name in (names or "").split(",")} - {""}
    if missing := sorted(excluded - set(scans)):
        raise InputError("excluded_scan_missing", name=missing[0])
    return excluded


def _finish(options: argparse.Namespace, trained: Trained, progress: Progress, on_line: Callable[[str], None]) -> None:
    """Draw restorations of validation scans, calibrate, and write the model."""
    method, facts, data, split = trained.method, trained.facts, trained.data, trained.split
    kind = data.template.kind
    folder = training_folder(options.work, options.method, options.extra, options.latent, options.augmentation)
    figures = options.pictures or folder
    # Draw before the calibration, which may take long: the figures show whether the training succeeded.
    progress.stage("figures", 0.88, 0.89)
    write_figures(method, data, figures, options.output.stem)
    _list_outliers(trained, folder, figures / f"{options.output.stem}-outliers.png", progress, on_line)
    progress.stage("calibration", 0.9, 0.98)
    method = rounded(method)
    healthy, fast = _restored(trained, method, folder, progress)
    threshold = options.threshold or Threshold.parse(THRESHOLDS[kind])
    poolings = _poolings(options, data.template.image if kind == "field" else None)
    calibration = calibrate(healthy, poolings, threshold, fast or None, options.scan_score)
    progress.stage("writing", 0.98, 1.0)
    training = _scans_of(trained, options) | {
        "seed": options.seed,
        "facts": facts if options.augmentation else facts | {"augmentation": False},
    }
    modality = options.modality or MODALITIES[kind]
    model = Model(
        name=options.output.stem,
        version="1.0.0",
        created=datetime.date.today().isoformat(),
        description=f"{ENTRIES[options.method].title} for {modality}",
        modality=modality,
        method=method,
        template=data.template,
        calibration=calibration,
        training=training,
        authors=options.authors or "not named",
        card="",
        licence=options.licence,
    )
    save_model(replace(model, card=model_card(model)), options.output)
    progress.finish()
    where = f"checkpoints and curves in {folder}, figures in {figures}"
    for line in (*outcome_of(trained, options.output), where, *what_next(options.output, split)):
        on_line(line)


def _scans_of(trained: Trained, options: argparse.Namespace) -> dict[str, Any]:
    """Return source, split, fingerprints and folds of the scans for the model file; numbers, unless names are asked.

    The names of the numbers go into ``scans.tsv`` in the work folder.
    """
    split = trained.split.to_json()
    found = numbered(split, fingerprints_in(options.work / "checks.json"))
    parts = {name: part for part, names in split.items() for name in names}
    rows = [{"number": number, "scan": name, "part": parts[name]} for name, number in found.numbers.items()]
    write_table(options.work / "scans.tsv", rows)
    training: dict[str, Any] = {FINGERPRINTS: found.fingerprints}
    if options.named_scans:
        training |= {"data": options.data_note or str(options.healthy.name), "split": split}
    else:
        training |= {"data": options.data_note or OWN_SCANS, "split": found.parts, NUMBERED: True}
    shown = {name: name for name in parts} if options.named_scans else found.numbers
    if (reading := ReadingOptions.of_arguments(options)) != AS_THE_HEADER_SAYS:
        training[READING] = reading.as_json()
    if trained.folds:
        training[FOLDS] = [sorted(shown[name] for name in fold) for fold in trained.folds]
    return training


def _list_outliers(
    trained: Trained, folder: Path, figure: Path, progress: Progress, on_line: Callable[[str], None]
) -> None:
    """Compare each training and validation scan with the others, and warn of outliers, which may have a lesion."""
    data, split = trained.data, trained.split
    scans = dict(zip(split.train + split.validation, data.train + data.validation))
    progress.stage("outliers", 0.89, 0.9)
    found = left_out(list(scans), list(scans.values()), data.template, progress)
    table = folder / "left-out.tsv"
    outliers = write_outliers(found, scans, data.template, table, figure)
    middle = float(np.median([one.score for one in found]))
    on_line(
        f"each of {len(found)} scans against the others: largest distance {middle:.1f} SD (median), "
        f"{found[0].score:.1f} SD in {found[0].name}; {table}"
    )
    if outliers:
        facts = {"count": len(outliers), "scans": ", ".join(outliers), "figure": str(figure)}
        log.warning(Message("training_outliers", **facts))


def _restored(
    trained: Trained, method: Method, folder: Path, progress: Progress
) -> tuple[list[tuple[PreparedScan, Restoration]], list[Restoration]]:
    """Restore the calibration scans and, by methods trained on the other folds, the training scans of each fold.

    Args:
        trained: The result of the training.
        method: The trained method, rounded.
        folder: Folder of the training.
        progress: Receives each scan within the present stage; may cancel.

    Returns:
        Scans and restorations, and restorations in fast mode; the latter empty if the method has none.
    """
    split, data, plan = trained.split, trained.data, trained.plan
    healthy, fast = [], []
    parts = (split.calibration, *trained.folds)
    for number, names in enumerate(parts):
        with progress.part(number / len(parts), (number + 1) / len(parts)):
            if number > 0:
                name = method.name
                own = folder / f"fold-{number}"
                method = rounded(method_without(names, name, split.train, data, plan, own, progress))
            quick = method.faster()
            for scan in _calibrating(prepared_scans(trained.scans, names, data.template, progress), method, plan.seed):
                each = {"seed": plan.seed, "device": plan.device, "progress": progress}
                healthy.append((scan, method.restore(scan.image, scan.mask, **each)))
                if quick is not None:
                    fast.append(quick.restore(scan.image, scan.mask, **each))
    return healthy, fast


def _calibrating(scans: Sequence[PreparedScan], method: Method, seed: int) -> Iterator[PreparedScan]:
    """Yield the scans that calibrate a method; of one for any contrast, each T1 scan also in synthetic contrasts."""
    if not ENTRIES[method.name].any_contrast:
        yield from scans
        return
    from .contrast_calibration import in_contrasts

    for number, scan in enumerate(scans):
        yield from in_contrasts(scan, number, seed)


def _poolings(options: argparse.Namespace, grid: Volume | None = None) -> tuple[Pooling, ...]:
    """Return the pooling of each scale; sizes that no option gives shrink with a small field of view on this grid."""
    coarse, fine = pooling_of(options.method), Pooling(0.0, ENTRIES[options.method].fine_mm or FINE_MM)
    if grid is not None:
        coarse, fine = coarse.shrunk(grid), fine.shrunk(grid)
    fine_mm = fine.average_mm if options.fine_mm is None else options.fine_mm
    return poolings_with((coarse,), options.minimum_mm, options.average_mm, fine_mm)


def _licence(path: Path | None) -> str:
    """Read the licence text for the model file."""
    if path is None:
        return "No licence has been granted. Whoever trained this model may give one.\n"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("unreadable_licence", path=path) from error


def plan_of(
    data: HealthyData, scans: Mapping[str, Source], split: Split, folds: Sequence[Sequence[str]] = ()
) -> list[str]:
    """Describe in lines how the scans are divided and prepared."""
    subjects = len({scans[name].subject for name in split.names()})
    parts = f"{len(split.train)} to train, {len(split.validation)} to validate, {len(split.calibration)} to calibrate"
    also = f"; those to train also calibrate, in {len(folds)} folds" if folds else ""
    return [
        f"{len(split.names())} scans of {subjects} subjects: {parts}{also}",
        f"prepared as {data.template.describe()}: {data.why}",
    ]


def outcome_of(trained: Trained, output: Path) -> list[str]:
    """Describe in lines the trained model, its settings, and its errors on the validation scans."""
    method, split, template = trained.method, trained.split, trained.data.template
    what = method.name if template.kind == "brain" else f"{method.name} for {template.describe()}"
    settings = ", ".join(f"{key} = {value}" for key, value in vars(method.parameters).items())
    count = sum(map(len, trained.folds))
    calibrated = f"calibrated on {len(split.calibration) + count} scans"
    calibrated += f", {count} of them out of fold" if count else ""
    lines = [
        f"{output}: {what}, trained on {len(split.train)}, {calibrated}",
        f"settings: {settings}",
    ]
    measured = at_the_end(trained.facts)
    return [*lines, f"at the end: {', '.join(measured)}"] if measured else lines


def what_next(output: Path, split: Split) -> list[str]:
    """Describe in lines what to do with the model: look at the figures, examine a scan, compare, calibrate."""
    return [
        "next: look at the figures, and examine a scan that the training did not use:",
        f"  medad detect SCAN -o results --model {output}",
        f"  medad models card {output}",
        *([f"  medad compare {output} --healthy DIR -o comparison"] if split.benchmark else []),
        f"  medad calibrate {output} --healthy MORE-SCANS -o NAME.medad, for smaller p-values or another scanner",
    ]


def at_the_end(facts: Mapping[str, object]) -> list[str]:
    """List the last values on the validation scans, such as ``validation_error = 0.031``, from facts of the training.

    The last row of a log is under ``last`` or, for several networks, under its name, which precedes its values.
    """
    found = []
    for name, row in facts.items():
        if isinstance(row, Mapping):
            network = "" if name == "last" else f"{name} "
            found += [f"{network}{key} = {value:.4g}" for key, value in row.items() if key.startswith(MEASURED)]
    return found
