"""``medad train``: train and calibrate a model on a folder of healthy scans."""

from __future__ import annotations

import argparse
import datetime
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import InputError
from ..messages import Message
from ..methods.registry import ENTRIES
from ..runtime.atomic_files import place_for_model, writable_folder
from ..scoring.healthy_reference import Threshold
from ..training.config import (
    add_choices,
    check_model_name,
    pooling_with,
    settled,
    training_folder,
    useless,
)

if TYPE_CHECKING:
    from ..dataset.split import Split
    from ..io.sources import Source
    from ..methods.base import Method
    from ..modelfile.model import Model
    from ..runtime.progress import Progress
    from ..scoring.calibration import Pooling
    from ..training.data import HealthyData
    from ..training.distributed import ProcessGroup

log = logging.getLogger(__name__)

# Slices and fields of view differ in size, so their threshold is a share; that of brains is a volume.
THRESHOLDS = {"brain": "1ml", "plane": "0.1%", "field": "0.1%"}
MODALITIES = {"brain": "T1-weighted MR of the brain", "plane": "2-D images", "field": "3-D scans"}
# Bytes for checkpoints, each with a copy during writing, and the model. The sweep of autoencoders takes 0.4 GB.
ROOM_FOR_WEIGHTS = 1e9

MEASURED = "validation_"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad train``."""
    parser.description = "Train a model on healthy scans, calibrate it, and write it as a model file."
    parser.add_argument("method", choices=tuple(ENTRIES), help="method to train")
    add_choices(parser)


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Train, calibrate and write the model; ``torchrun`` may start several processes of this command.

    Args:
        args: The arguments that `add_arguments` declares.
        progress: Receives the stages and steps; may cancel, after which the same command continues from the last
            checkpoint.

    Returns:
        0.

    Raises:
        MedADError: If data, split or options cannot be used, or the model could not be written.
    """
    from ..methods.registry import pooling_of
    from ..runtime.device import resolve
    from ..runtime.progress import Progress
    from ..training.distributed import process_group

    args = settled(args)
    for option in useless(args):
        log.warning(Message("unused_option", method=args.method, option=option))
    check_model_name(args.output)
    args.threshold = Threshold.parse(args.threshold) if args.threshold else None
    args.licence = _licence(args.licence)
    args.work = args.work or args.output.with_suffix(".work")
    pooling = pooling_with(pooling_of(args.method), args.minimum_mm, args.average_mm)
    progress = progress or Progress()
    with ExitStack() as until_written:
        with process_group(resolve(args.device)) as (group, device):
            if group.rank == 0:
                until_written.enter_context(place_for_model(args.output))
                if args.pictures:
                    until_written.enter_context(writable_folder(args.pictures))
            else:
                # Only the first process prints warnings.
                logging.getLogger("MedADLib").setLevel(logging.ERROR)
            trained = _train(args, group, device, progress if group.rank == 0 else Progress())
        if group.rank == 0:
            _finish(args, trained, pooling, progress)
    return 0


class Trained(NamedTuple):
    """The result of a training before calibration.

    Attributes:
        method: The trained method.
        facts: Facts of the training for the model file.
        data: Training and validation scans.
        scans: The usable scans, by name.
        split: Names of scans of each part.
        device: Device of the training.
    """

    method: Method
    facts: dict
    data: HealthyData
    scans: dict[str, Source]
    split: Split
    device: str


def _train(args: argparse.Namespace, group: ProcessGroup, device: str, progress: Progress) -> Trained:
    """Find, check, split and prepare the scans, and train on them."""
    from ..modelfile.model import load_model
    from ..training.checkpoint import bfloat16_suits
    from ..training.config import Options
    from ..training.data import healthy_data
    from ..training.plots import draw_all_curves
    from ..training.trainers import TRAINERS, check_settings

    steps = (args.steps, args.prior_steps, args.latent, args.sweep_steps)
    options = Options(*steps, args.seed, device, extra=args.extra)
    check_settings(args.method, options)
    with group.first():
        like = load_model(args.like) if args.like else None
        scans, split = usable_scans(args, progress, like)
        progress.stage("preparing scans", 0.03, 0.1)
        data = healthy_data(scans, split, args.work, progress, args.size, like, args.prepare)
        data = replace(data, varied=args.augmentation)
    if group.rank == 0:
        _print(args, plan_of(data, scans, split))
    folder = training_folder(args.work, args.method, args.extra, args.latent, args.augmentation)
    if not args.full_precision:
        decided = bfloat16_suits(device, folder / "precision.json") if group.rank == 0 else None
        options = replace(options, reduced=bool(group.broadcast(decided)))
    try:
        method, facts = TRAINERS[args.method](data, options, folder, progress)
    finally:
        if group.rank == 0:
            draw_all_curves(folder)
    return Trained(method, facts, data, scans, split, device)


def usable_scans(
    args: argparse.Namespace, progress: Progress, like: Model | None = None
) -> tuple[dict[str, Source], Split]:
    """Find the usable scans and their split; with the split and space of the model `like`, if one is given."""
    from ..dataset.checks import check_disk, check_scans
    from ..dataset.discovery import doubts_about_subjects, find_scans
    from ..dataset.space_choice import chosen_space
    from ..dataset.split import FEWEST, FEWEST_BY_HAND, Split, split_of_arrays
    from ..preprocessing.spaces import SPACES
    from ..scoring.calibration import fewest
    from ..training.data import bytes_to_prepare
    from ..training.reference_model import check_kind, split_of

    scans = find_scans(args.healthy, args.only, args.subjects, args.healthy_label, skip_bad=args.skip_bad)
    for doubt in doubts_about_subjects(scans, args.subjects):
        log.warning(doubt)
    subjects = {name: source.subject for name, source in scans.items()}
    split, longest = Split.read(args.split) if args.split else None, args.size
    if like is not None:
        args.prepare = check_kind(like, scans.values(), longest, args.prepare)
        split, longest = split or split_of(like, scans), max(like.template.image.array.shape[1:])
    if split is not None:
        split.check_found(scans)
        split.check_subjects(subjects)
        scans = {name: source for name, source in scans.items() if name in split.names()}
    progress.stage("checking scans", 0.0, 0.03)
    needed = FEWEST if split is None else FEWEST_BY_HAND
    usable = check_scans(scans, args.work / "checks.json", args.skip_bad, args.mixed, progress, args.prepare, needed)
    kind, _ = chosen_space(usable, args.prepare, args.work, progress)
    if split is None:
        least = fewest(mirrored=SPACES[kind].symmetric)
        split = split_of_arrays(usable, args.seed, least)
        split = split or Split.automatic(list(usable), args.seed, least, subjects)
    else:
        split = split.without(scans.keys() - usable.keys())
    kept = sum(file.stat().st_size for file in (args.work / "prepared").glob("*"))
    room = bytes_to_prepare(len(split.train + split.validation), kind, longest)
    check_disk(args.work, room + ROOM_FOR_WEIGHTS, kept)
    return usable, split


def _finish(args: argparse.Namespace, trained: Trained, pooling: Pooling, progress: Progress) -> None:
    """Draw restorations of validation scans, calibrate, and write the model."""
    from ..methods.base import faster_form
    from ..modelfile.card import model_card
    from ..modelfile.model import Model, save_model
    from ..scoring.calibration import calibrate
    from ..training.data import prepared_scans
    from ..training.plots import write_figures

    method, facts, data, scans, split, device = trained
    kind = data.template.kind
    folder = training_folder(args.work, args.method, args.extra, args.latent, args.augmentation)
    pictures = args.pictures or folder
    # Draw before the calibration, which may take long: the figures show whether the training succeeded.
    progress.stage("figures", 0.88, 0.9)
    write_figures(method, data, pictures, args.output.stem)
    progress.stage("calibration", 0.9, 0.98)
    healthy = [
        (scan, method.restore(scan.image, scan.mask, seed=args.seed, device=device, progress=progress))
        for scan in prepared_scans(scans, split.calibration, data.template, progress)
    ]
    if kind == "field":
        pooling = pooling.shrunk(data.template.image).replaced(args.minimum_mm, args.average_mm)
    quick = faster_form(method)
    fast = quick and [
        quick.restore(scan.image, scan.mask, seed=args.seed, device=device, progress=progress) for scan, _ in healthy
    ]
    threshold = args.threshold or Threshold.parse(THRESHOLDS[kind])
    calibration = calibrate(healthy, pooling, threshold, fast)
    progress.stage("writing", 0.98, 1.0)
    training = {
        "data": args.data_note or str(args.healthy.name),
        "split": split.to_json(),
        "seed": args.seed,
        "facts": facts if args.augmentation else facts | {"augmentation": False},
    }
    modality = args.modality or MODALITIES[kind]
    model = Model(
        name=args.output.stem,
        version="1.0.0",
        created=datetime.date.today().isoformat(),
        description=f"{ENTRIES[args.method].title} for {modality}",
        modality=modality,
        method=method,
        template=data.template,
        calibration=calibration,
        training=training,
        authors=args.authors or "not named",
        card="",
        licence=args.licence,
    )
    save_model(replace(model, card=model_card(model)), args.output)
    progress.finish()
    _print(args, [*outcome_of(trained, args.output), f"checkpoints and curves in {folder}, figures in {pictures}"])


def _print(args: argparse.Namespace, lines: list[str]) -> None:
    if not getattr(args, "quiet", False):
        print("\n".join(lines), flush=True)


def _licence(path: Path | None) -> str:
    """Read the licence text for the model file."""
    if path is None:
        return "No licence has been granted. Whoever trained this model may give one.\n"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("unreadable_licence", path=path) from error


def plan_of(data: HealthyData, scans: Mapping[str, Source], split: Split) -> list[str]:
    """Describe in lines how the scans are divided and prepared."""
    subjects = len({scans[name].subject for name in split.names()})
    parts = f"{len(split.train)} to train, {len(split.validation)} to validate, {len(split.calibration)} to calibrate"
    return [
        f"{len(split.names())} scans of {subjects} subjects: {parts}",
        f"prepared as {data.template.describe()}: {data.why}",
    ]


def outcome_of(trained: Trained, output: Path) -> list[str]:
    """Describe in lines the trained model, its settings, and its errors on the validation scans."""
    method, split, template = trained.method, trained.split, trained.data.template
    what = method.name if template.kind == "brain" else f"{method.name} for {template.describe()}"
    settings = ", ".join(f"{key} = {value}" for key, value in vars(method.parameters).items())
    lines = [
        f"{output}: {what}, trained on {len(split.train)}, calibrated on {len(split.calibration)} scans",
        f"settings: {settings}",
    ]
    measured = at_the_end(trained.facts)
    return [*lines, f"at the end: {', '.join(measured)}"] if measured else lines


def at_the_end(facts: Mapping[str, object]) -> list[str]:
    """List the last values on the validation scans, such as ``validation_error = 0.031``.

    Args:
        facts: Facts of the training. The last row of a log is under ``last`` or, for several networks, under the name
            of the network, which then precedes its values.
    """
    found = []
    for name, row in facts.items():
        if isinstance(row, Mapping):
            network = "" if name == "last" else f"{name} "
            found += [f"{network}{key} = {value:.4g}" for key, value in row.items() if key.startswith(MEASURED)]
    return found
