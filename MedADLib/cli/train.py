"""``medad train``: train and calibrate a model on a folder of healthy scans."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from ..methods.registry import ENTRIES
from ..training.config import add_choices, settled

if TYPE_CHECKING:
    from ..runtime.progress import Progress


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
    from ..runtime.progress import Progress
    from ..training.model_training import train_model

    on_line = (lambda line: None) if getattr(args, "quiet", False) else partial(print, flush=True)
    train_model(settled(args), progress or Progress(), on_line)
    return 0
