"""``medad check``: judge whether scans fit a model, without examining them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..preprocessing.fit import Fit
    from ..runtime.progress import Progress

COLUMNS = ("scan", "verdict", "seems", "likeness", "structure", "contrast", "alignment", "correlation", "histogram")
MEASURES = (*COLUMNS[3:], "overlap")

EXAMPLES = """\
Examples:
  medad check scan.nii.gz
  medad check scan.nii.gz other.nii.gz --model brain-t1"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad check``."""
    from .detect import DEFAULT_MODEL

    parser.description = (
        "Judge whether scans fit a model, by their measured similarity to its training scans: fits, doubtful or unfit."
    )
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT", help="scan, as for medad detect")
    models = f"installed model or model file (default {DEFAULT_MODEL})"
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME|FILE", help=models)


def run(args: argparse.Namespace, progress: Progress) -> int:
    """Judge the scans, print a line for each, and return 0; a scan that cannot be read has the verdict ``error``.

    Raises:
        MedADError: If the model cannot be used.
    """
    from ..detection import fit_of
    from ..errors import InputError
    from ..io.sources import named_scan
    from ..modelfile.model import load_model
    from ..runtime.tables import table_text

    model = (args.load_model or load_model)(args.model)
    print(table_text((*COLUMNS, MEASURES[-1], "reason"), ()).rstrip("\n"))
    for path in args.inputs:
        try:
            source = named_scan(path)
            cells = _cells(source.name, fit_of(source.read(), model, progress=progress))
        except InputError as error:
            cells = [str(path), "error", "", *[""] * len(MEASURES), error.code]
        print(table_text(cells, ()).rstrip("\n"), flush=True)
    return 0


def _cells(name: str, fit: Fit) -> list[str]:
    """Return the cells of a scan."""
    numbers = (f"{fit.measured[key]:.3f}" if key in fit.measured else "" for key in MEASURES)
    return [name, fit.verdict, fit.seems, *numbers, fit.reasons[0].code if fit.reasons else ""]
