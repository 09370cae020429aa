"""``medad check``: judge whether scans fit a model, without examining them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .reading_arguments import add_reading_arguments, reading_options

if TYPE_CHECKING:
    from ..messages import Message
    from ..preprocessing.fit import Fit
    from ..runtime.progress import Progress
    from .console import Console

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
    add_reading_arguments(parser, "They hold for all scans.")


def run(args: argparse.Namespace, console: Console, progress: Progress) -> int:
    """Judge the scans and print a line for each; a scan that cannot be read has the verdict ``error``.

    Each scan is also an event ``result`` with ``scan``, ``verdict``, ``seems``, ``measured`` and ``reasons``, each with
    ``message``, ``code`` and ``parameters``; that of a scan that cannot be read is the error.

    Returns:
        1 if a scan cannot be read, else 4 if one does not fit, else 0.

    Raises:
        MedADError: If the model cannot be used.
    """
    from ..detection import fit_of
    from ..errors import InputError
    from ..io.sources import named_scan
    from ..messages import as_json, visible
    from ..modelfile.model import load_model
    from ..preprocessing.fit import Fit
    from ..runtime.tables import table_text
    from .main import UNFIT_CODE

    options = reading_options(args)
    model = (args.load_model or load_model)(args.model)
    if not args.json_log:
        print(table_text((*COLUMNS, MEASURES[-1], "reason"), ()).rstrip("\n"))
    verdicts = set()
    for path in args.inputs:
        try:
            source = named_scan(path, options)
            name, fit = source.name, fit_of(source.read(), model, progress=progress)
            verdict, reasons = fit.verdict, fit.reasons
        except InputError as error:
            name, verdict, fit, reasons = str(path), "error", Fit(), (error.message,)
        verdicts.add(verdict)
        coded = [{"message": str(reason), **(as_json(reason) or {})} for reason in reasons]
        console.result_event(scan=name, **fit.as_json() | {"verdict": verdict}, reasons=coded)
        if not args.json_log:
            print(table_text(_cells(name, verdict, fit, reasons), ()).rstrip("\n"), flush=True)
        for reason in reasons:
            print(visible(f"medad: {path.name}: {reason}"), file=sys.stderr, flush=True)
    return 1 if "error" in verdicts else UNFIT_CODE if "unfit" in verdicts else 0


def _cells(name: str, verdict: str, fit: Fit, reasons: tuple[Message, ...]) -> list[str]:
    """Return the cells of a scan."""
    numbers = (f"{fit.measured[key]:.3f}" if key in fit.measured else "" for key in MEASURES)
    return [name, verdict, fit.seems, *numbers, reasons[0].code if reasons else ""]
