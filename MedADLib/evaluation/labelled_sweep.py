"""Sweep of the latent size of an autoencoder, checked on simulated lesions or labelled images.

Only healthy scans determine the choice. To check it, models of the brain are also measured on simulated lesions in the
validation scans, and models of 2-D images on abnormal images.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..dataset.split import Split
from ..errors import InputError
from ..io.sources import Source
from ..messages import Message
from ..methods.base import Method
from ..methods.registry import pooling_of
from ..modelfile.model import load_model
from ..preprocessing.space import ReferenceSpace
from ..runtime.device import resolve
from ..runtime.progress import Progress
from ..training.checkpoint import only_training
from ..training.config import Options, training_folder
from ..training.data import healthy_data
from ..training.latent_sweep import check_sizes, sweep, worse_with_more
from ..training.model_training import usable_scans
from ..training.recipes.autoencoder import RATE, SWEEP_STEPS, features_for, fitted, slices_and_parameters
from ..training.trainers import check_settings
from .image_cases import abnormal_scans, held_out, image_level, labelled_images, refuse_both
from .lesion_cases import lesion_cases, lesion_level

log = logging.getLogger(__name__)


def sweep_sizes(
    options: argparse.Namespace, sizes: Sequence[int], progress: Progress, on_line: Callable[[str], None]
) -> None:
    """Train an autoencoder of each latent size, measure it, and write ``sweep.tsv`` and ``sweep.png``.

    Args:
        options: The result of `training.config.complete_arguments`, with ``abnormal``.
        sizes: Increasing latent sizes, at least 3.
        progress: Receives the stages and steps; may cancel, after which the same call continues from the last
            checkpoint.
        on_line: Called with each line of the report.

    Raises:
        MedADError: If data, split or settings cannot be used.
    """
    check_sizes(sizes)
    options.work = options.work or options.output / "work"
    chosen = Options(
        steps=options.steps, latent=options.latent, seed=options.seed, device=resolve(options.device),
        extra=options.extra,
    )  # fmt: skip
    check_settings(options.method, chosen)
    abnormal = abnormal_scans(options.healthy, options.abnormal, options.healthy_label)
    with only_training(options.work):
        _sweep(options, chosen, sizes, abnormal, progress, on_line)


def _sweep(
    options: argparse.Namespace,
    chosen: Options,
    sizes: Sequence[int],
    abnormal: dict[str, Source],
    progress: Progress,
    on_line: Callable[[str], None],
) -> None:
    """Sweep as `sweep_sizes` does, with the work folder for this process alone."""
    like = load_model(options.like) if options.like else None
    scans, split = usable_scans(options, progress, like)
    progress.stage("preparing scans", 0.03, 0.1)
    data = healthy_data(scans, split, options.work, progress, options.size, like, options.prepare)
    data = replace(data, varied=options.augmentation)
    slices, parameters, given = slices_and_parameters(data, chosen)
    if given:
        raise InputError("latent_size_given")
    if data.template.kind == "brain":
        if abnormal:
            raise InputError("abnormal_of_volumes")
        measure = _on_lesions(options.method, scans, split, data.template, chosen.device, progress)
    else:
        measure = _on_images(abnormal, scans, split, data.template, chosen.device, progress, on_line)
    folder = training_folder(options.output, "sizes", options.extra, augmentation=options.augmentation)
    features = features_for(parameters, slices, chosen, folder, progress)

    def measured(size: int) -> dict[str, float]:
        begin = 0.2 + 0.8 * sizes.index(size) / len(sizes)
        progress.stage(f"latent size {size}", begin, begin + 0.8 / len(sizes))
        plan = chosen.plan(options.sweep_steps or options.steps or SWEEP_STEPS, RATE)
        tried = replace(parameters, latent=size)
        method, last = fitted(tried, features, slices, plan, folder / f"{size}", chosen.device, progress)
        return {"validation_error": last["validation_squared_error"]} | measure(method)

    best, rows = sweep(sizes, measured, options.output)
    progress.finish()
    on_line((options.output / "sweep.tsv").read_text(encoding="utf-8").rstrip("\n"))
    on_line(f"chosen without labels: {best}")
    if rising := worse_with_more(rows):
        log.warning(Message("sweep_too_short", smaller=rising[0], larger=rising[1]))
    for name in (name for name in rows[0] if name.endswith(("auroc", "ap"))):
        on_line(f"best by {name}: {max(rows, key=lambda row: row[name])['latent']}")


Measure = Callable[[Method], dict[str, float]]


def _on_lesions(
    name: str, scans: dict[str, Source], split: Split, template: ReferenceSpace, device: str, progress: Progress
) -> Measure:
    """Return the function that measures a method on simulated lesions in the validation scans."""
    progress.stage("simulating lesions", 0.1, 0.2)
    made, pooling = lesion_cases(split.validation, scans, template), pooling_of(name)
    return lambda method: lesion_level(method, made, pooling, template.image.spacing, device)


def _on_images(
    abnormal: dict[str, Source],
    scans: dict[str, Source],
    split: Split,
    template: ReferenceSpace,
    device: str,
    progress: Progress,
    on_line: Callable[[str], None],
) -> Measure:
    """Return the function that measures a method on labelled images; without abnormal ones, its result is empty."""
    if not abnormal:
        return lambda method: {}
    progress.stage("preparing labelled images", 0.1, 0.2)
    refuse_both(scans, abnormal)
    part, names = held_out(split)
    images = labelled_images({name: scans[name] for name in names}, abnormal, template, progress)
    on_line(f"labelled images: {len(names)} healthy ({part}), {len(abnormal)} abnormal")
    return lambda method: image_level(method, images, device, progress)
