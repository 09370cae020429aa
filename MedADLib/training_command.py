"""``medad train``: a folder of healthy scans in, a calibrated model file out."""

from __future__ import annotations

import argparse
import datetime
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError
from .manifest import NAME
from .threshold import Threshold

if TYPE_CHECKING:
    from .progress import Progress

METHODS = ("atlas", "autoencoder", "latent_restoration")
# A slice has no volume to speak of, so what a healthy one may show is a share of it.
THRESHOLDS = {"brain": "1ml", "plane": "0.1%"}
MODALITIES = {"brain": "T1-weighted MR of the brain", "plane": "2-D images"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad train``."""
    parser.add_argument("method", choices=METHODS, help="what to train")
    parser.add_argument(
        "--healthy", type=Path, required=True, metavar="DIR", help="folder of healthy scans, one a subject"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="NAME.medad", help="the model file to write"
    )
    parser.add_argument(
        "--split", type=Path, metavar="FILE", help="JSON that says which scan is for what; else by chance"
    )
    parser.add_argument("--work", type=Path, metavar="DIR", help="prepared scans, checkpoints and logs; else NAME.work")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
    parser.add_argument("--steps", type=int, help="optimizer steps of the main network")
    parser.add_argument("--prior-steps", type=int, help="optimizer steps of the prior (latent_restoration)")
    parser.add_argument("--latent", type=int, help="latent size (autoencoder); else chosen on the validation scans")
    parser.add_argument("--sweep-steps", type=int, help="steps for each latent size tried (autoencoder)")
    parser.add_argument("--full-precision", action="store_true", help="never train in bfloat16")
    parser.add_argument(
        "--size", type=int, help="pixels along the longer side of a 2-D model; else chosen from the images"
    )
    parser.add_argument(
        "--threshold",
        help="the model's own threshold, such as 1ml, 0.1%% or 3.5 (default 1ml; 0.1%% of the slice for a 2-D model)",
    )
    parser.add_argument("--minimum-mm", type=float, help="box of the minimum pooling; else the method's own")
    parser.add_argument("--average-mm", type=float, help="box of the average pooling; else the method's own")
    parser.add_argument("--data-note", default="", help="source and licence of the scans, for the model card")
    parser.add_argument("--licence", type=Path, metavar="FILE", help="text of the licence; else none is granted")
    parser.add_argument(
        "--modality", help="what the scans are (default T1-weighted MR of the brain; 2-D images where they are)"
    )
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR", help="where the training pictures go; else the work folder"
    )


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Train, calibrate and write the model.

    Args:
        args: What `add_arguments` declares.
        progress: Told throughout; may cancel, after which the same command goes on from the last checkpoint.

    Returns:
        0.

    Raises:
        MedADError: If data, split or options cannot be used.
    """
    from .calibration import calibrate
    from .device import resolve
    from .methods.pooling import POOLING
    from .methods.trainers import TRAINERS, Options
    from .modelcard import model_card
    from .modelfile import Model, save_model
    from .plane_template import describe
    from .progress import Progress
    from .split import Split
    from .training_data import find_scans, healthy_data, prepared_scans
    from .training_pictures import write_pictures

    if args.output.suffix != ".medad":
        raise InputError(f"{args.output} must end in .medad", "For example -o brain-t1.medad.")
    if not re.fullmatch(NAME, args.output.stem, re.ASCII):
        raise InputError(f"{args.output.stem!r} cannot be a model's name", "Use letters, digits, dots, dashes.")
    asked = Threshold.parse(args.threshold) if args.threshold else None
    licence = _licence(args.licence)
    progress = progress or Progress()
    scans = find_scans(args.healthy)
    split = Split.read(args.split) if args.split else Split.automatic(list(scans), args.seed, _to_calibrate(scans))
    work = args.work or args.output.with_suffix(".work")
    device = resolve(args.device)
    options = Options(
        args.steps,
        args.prior_steps,
        args.latent,
        args.sweep_steps,
        args.seed,
        device,
        reduced=not args.full_precision and _bfloat16_is_faster(device),
    )
    progress.stage("preparing scans", 0.0, 0.1)
    data = healthy_data(scans, split, work, progress, args.size)
    kind = data.template.kind
    threshold, modality = asked or Threshold.parse(THRESHOLDS[kind]), args.modality or MODALITIES[kind]
    what = args.method if kind == "brain" else f"{args.method} for {describe(data.template)}"
    folder = work / args.method
    method, facts = TRAINERS[args.method](data, options, folder, progress)
    progress.stage("calibration", 0.9, 0.98)
    healthy = [
        (scan, method.restore(scan.image, scan.mask, seed=args.seed, device=device, progress=progress))
        for scan in prepared_scans(scans, split.calibration, data.template, progress)
    ]
    pooling = POOLING[args.method].replaced(args.minimum_mm, args.average_mm)
    calibration = calibrate(healthy, pooling, threshold)
    progress.stage("writing", 0.98, 1.0)
    training = {
        "data": args.data_note or str(args.healthy.name),
        "split": split.to_json(),
        "seed": args.seed,
        "facts": facts,
    }
    model = Model(
        name=args.output.stem,
        version="1.0.0",
        created=datetime.date.today().isoformat(),
        description=f"{args.method} for {modality}",
        modality=modality,
        method=method,
        template=data.template,
        calibration=calibration,
        training=training,
        authors="The MedAD contributors",
        card="",
        licence=licence,
    )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    save_model(replace(model, card=model_card(model)), args.output)
    pictures = args.pictures or folder
    write_pictures(method, data, pictures, args.output.stem)
    progress.finish()
    print(f"{args.output}: {what}, trained on {len(split.train)}, calibrated on {len(split.calibration)} scans")
    print(f"curves in {folder}, pictures in {pictures}")
    return 0


def _to_calibrate(scans: dict[str, Path]) -> int:
    """How many scans calibration needs, judged by the first one."""
    from .calibration import fewest
    from .plane_grid import is_single_slice
    from .volume import Volume

    return fewest(mirrored=not is_single_slice(Volume.read(next(iter(scans.values())))))


def _licence(path: Path | None) -> str:
    """The licence text that goes into the model file."""
    if path is None:
        return "No licence has been granted. Whoever trained this model may give one.\n"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no readable licence text", "Give a text file.") from error


def _bfloat16_is_faster(device: str) -> bool:
    """A short trial of a convolution in both precisions."""
    import time

    import torch

    image = torch.randn(4, 32, 80, 80, device=device).to(memory_format=torch.channels_last)
    layer = torch.nn.Conv2d(32, 32, 3, padding=1, device=device).to(memory_format=torch.channels_last)
    seconds = []
    for reduced in (False, True):
        with torch.inference_mode(), torch.autocast(torch.device(device).type, torch.bfloat16, enabled=reduced):
            layer(image)
            started = time.perf_counter()
            for _ in range(10):
                float(layer(image).sum())
            seconds.append(time.perf_counter() - started)
    return seconds[1] < 0.8 * seconds[0]
