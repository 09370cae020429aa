"""``medad sweep``: train an autoencoder of each latent size, and draw the curve of the AE4AD paper.

Only healthy scans determine the choice. To check it, models of the brain are also measured on simulated lesions in the
validation scans, and models of 2-D images on abnormal images.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..evaluation.image_cases import (
    ABNORMAL_HELP,
    LabelledImage,
    abnormal_scans,
    held_out,
    image_level,
    labelled_images,
    refuse_both,
)
from ..messages import Message
from ..training.config import add_choices, settled, training_folder

if TYPE_CHECKING:
    from ..dataset.split import Split
    from ..io.sources import Source
    from ..methods.base import Method
    from ..preprocessing.brain_space import BrainSpace
    from ..preprocessing.slice_space import SliceSpace
    from ..runtime.progress import Progress

log = logging.getLogger(__name__)

# A file of options for another method is not for this command.
METHOD = "autoencoder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad sweep``: those of ``medad train``, with a folder as output, and the sizes."""
    parser.description = "Train an autoencoder of each latent size, and choose a size from healthy scans."
    add_choices(parser)
    parser.set_defaults(method=METHOD)
    parser.add_argument("--sizes", default="1,2,4,8,16,32,64,128", help="latent sizes to try (default %(default)s)")
    parser.add_argument("--abnormal", type=Path, metavar="PATH", help=f"{ABNORMAL_HELP}. The choice does not use them")


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Train, measure and draw.

    Args:
        args: The arguments that `add_arguments` declares.
        progress: Receives the stages and steps; may cancel, after which the same command continues from the last
            checkpoint.

    Returns:
        0.

    Raises:
        MedADError: If data, split or settings cannot be used.
    """
    from ..modelfile.model import load_model
    from ..runtime.device import resolve
    from ..runtime.progress import Progress
    from ..training.config import Options
    from ..training.data import healthy_data
    from ..training.latent_sweep import check_sizes, sweep, worse_with_more
    from ..training.recipes.autoencoder import RATE, SWEEP_STEPS, features_for, fitted, slices_and_parameters
    from ..training.trainers import check_settings
    from .train import usable_scans

    args, progress, sizes = settled(args), progress or Progress(), _sizes(args.sizes)
    check_sizes(sizes)
    args.work = args.work or args.output / "work"
    options = Options(
        steps=args.steps, latent=args.latent, seed=args.seed, device=resolve(args.device), extra=args.extra
    )
    check_settings(METHOD, options)
    abnormal = abnormal_scans(args.healthy, args.abnormal, args.healthy_label)
    like = load_model(args.like) if args.like else None
    scans, split = usable_scans(args, progress, like)
    progress.stage("preparing scans", 0.03, 0.1)
    data = healthy_data(scans, split, args.work, progress, args.size, like, args.prepare)
    data = replace(data, varied=args.augmentation)
    slices, parameters, given = slices_and_parameters(data, options)
    if given:
        raise InputError("latent_size_given")
    measure = _measure(abnormal, scans, split, data.template, options.device, progress)
    folder = training_folder(args.output, "sizes", args.extra, augmentation=args.augmentation)
    features = features_for(parameters, slices, options, folder, progress)

    def measured(size: int) -> dict[str, float]:
        begin = 0.2 + 0.8 * sizes.index(size) / len(sizes)
        progress.stage(f"latent size {size}", begin, begin + 0.8 / len(sizes))
        plan = options.plan(args.sweep_steps or args.steps or SWEEP_STEPS, RATE)
        tried = replace(parameters, latent=size)
        method, last = fitted(tried, features, slices, plan, folder / f"{size}", options.device, progress)
        return {"validation_error": last["validation_squared_error"]} | measure(method)

    chosen, rows = sweep(sizes, measured, args.output)
    progress.finish()
    print((args.output / "sweep.tsv").read_text(encoding="utf-8"), end="")
    print(f"chosen without labels: {chosen}")
    if rising := worse_with_more(rows):
        smaller, larger = rising
        log.warning(Message("sweep_too_short", smaller=smaller, larger=larger))
    for name in (name for name in rows[0] if name.endswith(("auroc", "ap"))):
        print(f"best by {name}: {max(rows, key=lambda row: row[name])['latent']}")
    return 0


def _measure(
    abnormal: dict[str, Source],
    scans: dict[str, Source],
    split: Split,
    template: BrainSpace | SliceSpace,
    device: str,
    progress: Progress,
) -> Callable[[Method], dict[str, float]]:
    """Return the function that measures a method on labelled lesions or images; without any, its result is empty."""
    from ..evaluation.lesion_cases import lesion_cases, lesion_level
    from ..methods.registry import pooling_of

    if template.kind == "brain":
        if abnormal:
            raise InputError("abnormal_of_volumes")
        progress.stage("simulating lesions", 0.1, 0.2)
        made, pooling = lesion_cases(split.validation, scans, template), pooling_of(METHOD)
        return lambda method: lesion_level(method, made, pooling, template.image.spacing, device)
    progress.stage("preparing labelled images", 0.1, 0.2)
    images: list[LabelledImage] = []
    if abnormal:
        refuse_both(scans, abnormal)
        part, names = held_out(split)
        healthy = {name: scans[name] for name in names}
        images = labelled_images(healthy, abnormal, template, progress)
        print(f"labelled images: {len(healthy)} healthy ({part}), {len(abnormal)} abnormal")
    return lambda method: image_level(method, images, device, progress)


def _sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError("bad_latent_sizes", sizes=text) from error
