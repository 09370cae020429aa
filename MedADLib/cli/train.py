"""``medad train``: train and calibrate a model on a folder of healthy scans."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from ..methods.registry import trainable
from ..training.config import add_choices, complete_arguments

if TYPE_CHECKING:
    from ..runtime.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad train``."""
    parser.description = "Train a model on healthy scans, calibrate it, and write it as a model file."
    parser.add_argument("method", choices=trainable(), help="method to train")
    add_choices(parser)


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Train, calibrate and write the model; after an interruption, continue from the last checkpoint.

    ``torchrun`` may start several processes of this command.
    """
    from ..runtime.progress import Progress
    from ..training.model_training import train_model

    on_line = (lambda line: None) if getattr(args, "quiet", False) else partial(print, flush=True)
    train_model(complete_arguments(args), progress or Progress(), on_line)
    return 0
