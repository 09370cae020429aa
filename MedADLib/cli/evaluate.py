"""``medad evaluate``: compare anomaly maps with reference masks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .console import Console
from .reading_arguments import add_reading_arguments, reading_options

if TYPE_CHECKING:
    from ..runtime.progress import Progress

EXAMPLES = """\
Examples:
  medad evaluate results/scan_anomaly.nii.gz --truth lesion.nii.gz
  medad evaluate a_anomaly.nii.gz b_anomaly.nii.gz --truth a.nii.gz b.nii.gz --threshold 3 -o evaluation.tsv"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad evaluate``."""
    parser.description = "Compare anomaly maps with reference masks, and print AUROC, Dice and other metrics."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("maps", nargs="+", type=Path, metavar="MAP", help="anomaly maps")
    truth, masks = "reference masks, one for each map", "masks of the voxels to evaluate, one for each map"
    parser.add_argument("--truth", nargs="+", type=Path, required=True, metavar="MASK", help=truth)
    parser.add_argument("--mask", nargs="+", type=Path, metavar="MASK", help=masks)
    parser.add_argument("--threshold", type=float, help="also count lesions at this value of the maps")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="table to write, .tsv or .json")
    scope = "They hold for masks that do not fit their map otherwise, and for maps that cannot be read without them."
    add_reading_arguments(parser, scope)


def run(args: argparse.Namespace, console: Console, progress: Progress) -> int:
    """Compare anomaly maps with reference masks, print the table and write it."""
    from dataclasses import asdict

    from ..evaluation.evaluate import evaluate, write_json, write_tsv

    if args.output is not None and args.output.suffix not in (".tsv", ".json"):
        raise InputError("bad_table_name", path=args.output)
    found = evaluate(args.maps, args.truth, args.mask, args.threshold, progress, reading_options(args))
    if args.output is not None:
        (write_json if args.output.suffix == ".json" else write_tsv)(found, args.output)
    console.result(found.lines(4), cases=[asdict(row) for row in found.rows], pooled=asdict(found.pooled))
    return 0
