"""``medad sweep``: train an autoencoder of each latent size, and draw the curve of the AE4AD paper."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..evaluation.image_cases import ABNORMAL_HELP
from ..training.config import add_choices, complete_arguments

if TYPE_CHECKING:
    from ..runtime.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad sweep``: those of ``medad train``, with a folder as output, and the sizes."""
    parser.description = "Train an autoencoder of each latent size, and choose a size from healthy scans."
    add_choices(parser)
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
    sweep_sizes(complete_arguments(args), sizes, progress or Progress(), partial(print, flush=True))
    return 0
