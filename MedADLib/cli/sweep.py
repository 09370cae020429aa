"""``medad sweep``: train an autoencoder of each latent size, and draw the curve of the AE4AD paper."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..evaluation.image_cases import ABNORMAL_HELP
from ..training.config import CHOICES, add_choices, complete_arguments
from .train import resumable

if TYPE_CHECKING:
    from ..runtime.progress import Progress

# What differs from the options of `medad train`. Those that a sweep does not use are accepted, but not in the help.
CHANGED = dict.fromkeys(
    ("prior_steps", "latent", "full_precision", "threshold", "minimum_mm", "average_mm", "folds", "data_note",
     "authors", "licence", "modality", "pictures"),
    {"help": argparse.SUPPRESS},
) | {
    "output": {"help": "folder to write", "metavar": "DIR"},
    "work": {"help": "folder for prepared scans (default: work in the output folder)"},
    "steps": {"help": "training steps for each latent size, if --sweep-steps is not given"},
    "sweep_steps": {"help": "training steps for each latent size (default: of the method)"},
}  # fmt: skip

EXAMPLES = """\
Examples:
  medad sweep --healthy our-scans --sizes 4,16,64 --sweep-steps 1200 -o sweep
  medad sweep --healthy chests.npz --healthy-label 0 --set loss=l2 -o sweep

After Ctrl-C the same command continues."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad sweep``: the sizes, and those of ``medad train`` that a sweep uses."""
    parser.description = "Train an autoencoder of each latent size, and choose a size from healthy scans."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_choices(parser, [choice._replace(**CHANGED.get(choice.key, {})) for choice in CHOICES])
    # A file of options for another method is not for this command.
    parser.set_defaults(method="autoencoder")
    parser.add_argument("--sizes", default="1,2,4,8,16,32,64,128", help="latent sizes to try (default %(default)s)")
    parser.add_argument("--abnormal", type=Path, metavar="PATH", help=f"{ABNORMAL_HELP}. The choice does not use them")


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Train, measure and draw; after an interruption, continue from the last checkpoint."""
    from ..evaluation.labelled_sweep import sweep_sizes
    from ..runtime.progress import Progress

    try:
        sizes = [int(part) for part in args.sizes.split(",")]
    except ValueError as error:
        raise InputError("bad_latent_sizes", sizes=args.sizes) from error
    with resumable():
        sweep_sizes(complete_arguments(args, "DIR"), sizes, progress or Progress(), partial(print, flush=True))
    return 0
