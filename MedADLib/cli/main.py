"""The command line: ``medad detect``, ``models``, ``evaluate``, and the commands of `EXTRA_COMMANDS`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 cancelled. A failure is one line that says what is wrong and what to
do; ``--debug`` adds the traceback.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .._version import __version__
from ..errors import Cancelled, explain
from ..runtime import cancellation, threads
from ..runtime.atomic_files import abandon
from ..runtime.cancellation import EXIT_CODE, Interruption
from . import detect as cli_detect
from .console import Console
from .evaluate import run_evaluate
from .models import run_models

if TYPE_CHECKING:
    from ..detection import Detection
    from ..modelfile.model import Model
    from ..runtime.progress import Progress

EXTRA_COMMANDS = {
    "train": ("train", "train a model on healthy scans"),
    "calibrate": ("calibrate", "measure a model's numbers anew, on your own healthy scans"),
    "sweep": ("sweep", "choose an autoencoder's latent size and draw the curve"),
    "compare": ("compare", "compare models on simulated lesions, or on abnormal 2-D images"),
    "view": ("view", "show results in a web browser"),
    "benchmark": ("benchmark", "measure how fast things are here, and against other ways to do them"),
}


class Usage(Exception):
    """The command line was not understood."""


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the usage."""

    def error(self, message: str) -> NoReturn:
        """Raise `Usage` instead of printing the whole usage and exiting."""
        raise Usage(f"{message.rstrip('.')}. See {self.prog} --help.")


def main(
    argv: list[str] | None = None,
    detect: Callable[..., Detection] | None = None,
    load_model: Callable[[str], Model] | None = None,
) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; None takes the process's own.
        detect: Used instead of `MedADLib.detect`.
        load_model: Used instead of `MedADLib.load_model`.

    Returns:
        The exit code.
    """
    argv = sys.argv[1:] if argv is None else argv
    threads.settle()
    try:
        args = build_parser(argv).parse_args(argv)
    except Usage as error:
        print(f"medad: error: {error}", file=sys.stderr)
        return 2
    except SystemExit as finished:
        return int(finished.code or 0)
    args.detect, args.load_model = detect, load_model
    with Console(args.json_log, args.quiet, args.debug) as console, Interruption(_clean_up) as interruption:
        return _run(args, console, interruption)


def _clean_up() -> None:
    """Leave neither processes nor files behind, where there is no time to unwind."""
    cancellation.end_all()
    abandon()


def build_parser(argv: list[str]) -> Parser:
    """The parser for all commands; of the extra ones, only the command in `argv` brings its own arguments."""
    common = Parser(add_help=False)
    common.add_argument("--quiet", action="store_true", help="say nothing but warnings and errors")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    common.add_argument("--json-log", action="store_true", help="one JSON object a line on stdout")
    parser = Parser(prog="medad", description="Shows what in a scan does not look healthy. For research only.")
    parser.add_argument("--version", action="version", version=f"medad {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("detect", parents=[common], help="examine one scan")
    cli_detect.add_arguments(command)
    command.set_defaults(run=cli_detect.run)

    command = commands.add_parser("models", parents=[common], help="list, describe, verify or export models")
    command.add_argument("action", nargs="?", choices=("list", "info", "card", "verify", "export"), default="list")
    command.add_argument("names", nargs="*", metavar="NAME|FILE", help="for info, card and verify, default all; export")
    command.add_argument("--monai", type=Path, metavar="DIR", help="export: write a MONAI bundle to this new folder")
    command.set_defaults(run=run_models)

    command = commands.add_parser("evaluate", parents=[common], help="compare anomaly maps with reference masks")
    command.add_argument("maps", nargs="+", type=Path, metavar="MAP")
    command.add_argument("--truth", nargs="+", type=Path, required=True, metavar="MASK", help="one for each map")
    command.add_argument("--mask", nargs="+", type=Path, metavar="MASK", help="where to examine, one for each map")
    command.add_argument("--threshold", type=float, help="also count lesions at this value of the maps")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="table to write, .tsv or .json")
    command.set_defaults(run=run_evaluate)

    chosen = next((word for word in argv if not word.startswith("-")), None)
    for name, (module, summary) in EXTRA_COMMANDS.items():
        if importlib.util.find_spec(f"{__package__}.{module}") is None:
            continue
        command = commands.add_parser(name, parents=[common], help=summary)
        if name == chosen:
            extra = importlib.import_module(f".{module}", __package__)
            extra.add_arguments(command)
            command.set_defaults(run=partial(_run_extra, extra.run))
    return parser


def _run_extra(
    run: Callable[[argparse.Namespace, Progress], int], args: argparse.Namespace, console: Console, progress: Progress
) -> int:
    """Run a command that tells people itself what came out; programs are told where it lies."""
    code = run(args, progress)
    if not code and getattr(args, "output", None) is not None:
        console.tell_programs(output=args.output)
    return code


def _run(args: argparse.Namespace, console: Console, interruption: Interruption) -> int:
    """Run the chosen command and turn whatever goes wrong into one line and an exit code."""
    from ..runtime.progress import Progress

    try:
        return args.run(args, console, Progress(console.progress, interruption.cancelled)) or 0
    except BrokenPipeError:
        # Whoever read our output has left; the interpreter must not complain about that when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
        return 1
    except Exception as error:
        if isinstance(error, Cancelled) or interruption.cancelled():
            console.error("Cancelled", "cancelled")
            return EXIT_CODE
        if args.debug:
            traceback.print_exception(error)
        console.error(*explain(error, "see --debug"))
        return 1
