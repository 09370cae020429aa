"""``medad train``: train and calibrate a model on a folder of healthy scans."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from ..errors import Cancelled
from ..methods.registry import trainable
from ..training.config import add_choices, complete_arguments

if TYPE_CHECKING:
    from ..runtime.progress import Progress


EPILOG = """\
Which method: synthetic_restoration for T1-weighted MR of the brain, that of the shipped model brain-t1: it finds most
in the comparison of docs/RESULTS.md, and trains for hours. atlas trains in minutes and needs no network: start with
it to see whether scans and options are right. autoencoder suits 2-D images.

How many scans: 8 subjects at least, 30 or more if possible. About a seventh calibrates: 0.05 as the smallest p-value
needs 19 scans there.

Examples:
  medad train atlas --healthy our-scans -o our-atlas.medad
  medad train synthetic_restoration --healthy our-scans -o our-model.medad --data-note "our scanner, 2026"
  medad train autoencoder --healthy chests.npz --healthy-label 0 -o chest.medad

Ctrl-C keeps a checkpoint of the present step; the same command continues from there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad train``."""
    parser.description = "Train a model on healthy scans, calibrate it, and write it as a model file."
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    method = "method to train; recommended: synthetic_restoration, or atlas for a first try, see below"
    parser.add_argument("method", choices=trainable(), help=method)
    add_choices(parser)


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Train, calibrate and write the model; after an interruption, continue from the last checkpoint.

    ``torchrun`` may start several processes of this command.
    """
    from ..runtime.progress import Progress
    from ..training.model_training import train_model

    on_line = (lambda line: None) if getattr(args, "quiet", False) else partial(print, flush=True)
    with resumable():
        train_model(complete_arguments(args), progress or Progress(), on_line)
    return 0


@contextmanager
def resumable() -> Iterator[None]:
    """Say with a cancellation of the block that the same command continues."""
    try:
        yield
    except Cancelled as asked:
        # A training loop says after which step.
        raise (Cancelled("cancelled_resumable") if asked.code == "cancelled" else asked) from asked
