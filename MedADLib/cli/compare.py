"""``medad compare``: compare models on the same healthy scans and the same lesions."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..evaluation.detectors import SEED
from ..evaluation.image_cases import ABNORMAL_HELP

if TYPE_CHECKING:
    from ..runtime.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad compare``."""
    parser.description = "Compare models on simulated lesions in healthy scans, or on abnormal 2-D images."
    models = "installed models or model files; all with the same template and split"
    parser.add_argument("models", nargs="+", help=models)
    healthy = "folder or NPZ file that the models were trained from"
    parser.add_argument("--healthy", type=Path, required=True, metavar="DIR", help=healthy)
    output = "folder for tables, figures and scores"
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help=output)
    part = "part of the split with the healthy scans (default benchmark; for 2-D models without one, calibration)"
    parser.add_argument("--part", choices=("benchmark", "validation", "calibration"), help=part)
    parser.add_argument("--healthy-label", type=int, help="label of the healthy images in NPZ files with labels")
    parser.add_argument("--abnormal", type=Path, metavar="PATH", help=ABNORMAL_HELP)
    every = "simulate every kind of lesion with every contrast in every subject"
    parser.add_argument("--every", action="store_true", help=every)
    seed = "random seed of the lesions or of the bootstrap (default %(default)s)"
    parser.add_argument("--seed", type=int, default=SEED, help=seed)
    brighten = "add this to the standard intensity of simulated lesions, as in T2-weighted images"
    parser.add_argument("--brighten", type=float, default=0.0, metavar="VALUE", help=brighten)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
    real, names = "a real scan and its lesion mask, reported separately; may be repeated", ("IMAGE", "TRUTH")
    parser.add_argument("--real", nargs=2, type=Path, action="append", default=[], metavar=names, help=real)


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Compare models, write tables and figures, and print ``comparison.tsv``."""
    from ..evaluation.comparison import Comparison
    from ..runtime.progress import Progress

    asked = Comparison(**{field.name: getattr(args, field.name) for field in fields(Comparison)})
    print(asked.write(progress or Progress()).read_text(encoding="utf-8"))
    return 0
