"""``medad calibrate``: recalibrate a model on other healthy scans or with other settings, or join several."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..messages import visible
from ..scoring.calibration import COMBINATIONS
from ..scoring.scan_score import NAMES as SCAN_SCORES
from ..training.config import ADVISED, settings_of
from .reading_arguments import add_reading_arguments, reading_options

if TYPE_CHECKING:
    from ..runtime.progress import Progress

EXAMPLES = """\
Examples:
  medad calibrate brain-t1 --healthy our-scans -o brain-t1-here.medad
  medad calibrate brain-t1 brain-t1-atlas --healthy our-scans -o brain-t1-both.medad --combine mean"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad calibrate``."""
    parser.description = (
        "Recalibrate a model on your own healthy scans, or several together as an ensemble, and write a new model file."
    )
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    model = "installed model or model file; its networks stay. Several with the same template become an ensemble"
    parser.add_argument("model", nargs="+", help=model)
    healthy = (
        f"folder of healthy scans, {ADVISED} or more if possible: with n scans no p-value is below 1/(n+1), so 0.05 "
        "needs 19; scans of the training are left out"
    )
    parser.add_argument("--healthy", type=Path, required=True, metavar="DIR", help=healthy)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="NAME.medad", help="the new model file")
    parser.add_argument("--only", metavar="PATTERN", help="use only files with names like this, such as '*_T1w.nii.gz'")
    parser.add_argument("--skip-bad", action="store_true", help="leave out scans that cannot be used, and copies")
    parser.add_argument("--mixed", action="store_true", help="accept scans that seem to be of different kinds")
    settings = "change a setting of the method that does not concern the networks, such as samples=5; may be repeated"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=settings)
    parser.add_argument("--threshold", help="default threshold of the model, such as 1ml (default: unchanged)")
    for kind in ("minimum", "average"):
        box = f"box of the {kind} pooling, at the coarse scale (default: unchanged)"
        parser.add_argument(f"--{kind}-mm", type=float, metavar="MM", help=box)
    fine = "box of the average pooling of a second, fine scale without minimum; 0 for none (default: unchanged)"
    parser.add_argument("--fine-mm", type=float, metavar="MM", help=fine)
    combine = "how an ensemble joins the rarities of its members (default: max, or unchanged)"
    parser.add_argument("--combine", choices=COMBINATIONS, help=combine)
    scored = "how to score a whole scan: by the method, or by the anomaly map (default: unchanged)"
    parser.add_argument("--scan-score", choices=SCAN_SCORES, help=scored)
    parser.add_argument("--description", help="purpose of the model in one line (default: unchanged)")
    parser.add_argument("--model-version", metavar="X.Y.Z", help="version of the new model (default: unchanged)")
    parser.add_argument("--data-note", default="", help="source and licence of the scans for the model card")
    named = "name the scans in the model file, for public data; otherwise it numbers them"
    parser.add_argument("--named-scans", action="store_true", help=named)
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
    add_reading_arguments(parser, "They hold for all scans of the folder.")


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Restore the healthy scans, calibrate on them and write the model."""
    from ..modelfile.model import load_model
    from ..runtime.progress import Progress
    from ..training.recalibration import Recalibration

    given = vars(args) | {"settings": settings_of(args.set), "reading": reading_options(args)}
    wanted = Recalibration(**{field.name: given[field.name] for field in fields(Recalibration)})
    models = [(args.load_model or load_model)(name) for name in args.model]
    found = wanted.write(models, progress or Progress())
    if not args.quiet:
        reference = found.calibration.reference
        threshold, count, smallest = reference.threshold, reference.count, reference.smallest_p
        was, now = (each.calibration.reference.value_of(threshold) for each in (models[0], found))
        text = f"{threshold} is a rarity of {now:.2f}"
        if len(models) == 1:
            text += f" (was {was:.2f})"
        print(visible(f"{args.output}: calibrated on {count} scans; no p-value is below {smallest:.3f}; {text}"))
    return 0
