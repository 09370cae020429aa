"""The command line ``medad``: its parser, its commands and its exit codes.

Exit codes: 0 done, 1 failed, 2 wrong usage, 4 the scan does not fit the model, 130 cancelled. A failure prints one line
with the problem and the remedy; ``--debug`` adds the traceback.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from .._version import __version__
from ..errors import Cancelled, UnfitError, explain
from ..messages import Message
from ..runtime import cancellation, threads
from ..runtime.atomic_files import abandon
from ..runtime.cancellation import EXIT_CODE, Interruption
from .console import Console

if TYPE_CHECKING:
    from ..detection import Detection
    from ..modelfile.model import Model
    from ..runtime.progress import Progress

# Each command is a module of its name: `add_arguments` declares the arguments; `run` takes them and a `Progress`,
# returns the exit code, and may raise MedADError.
COMMANDS = {
    "detect": "detect anomalies in one scan",
    "check": "judge whether scans fit a model",
    "models": "list, describe, verify or export models",
    "evaluate": "compare anomaly maps with reference masks",
    "train": "train a model on healthy scans",
    "calibrate": "recalibrate a model on your own healthy scans",
    "sweep": "choose the latent size of an autoencoder",
    "compare": "compare models on simulated lesions or abnormal 2-D images",
    "view": "show results in a web browser",
    "benchmark": "measure the speed of MedAD on this computer",
}
EXAMPLES = """\
Examples:
  medad detect scan.nii.gz -o results
  medad view results
  medad COMMAND --help    (options and examples of a command)"""
UNFIT_CODE = 4
# Commands that write their results through the console; the others print them.
WITH_CONSOLE = ("detect", "check", "models", "evaluate")
# Commands that read scans, in a child process.
READ_FILES = ("detect", "check", "evaluate", "train", "calibrate", "sweep", "compare", "view")


class Usage(Exception):
    """A command line that cannot be parsed."""


class Parser(argparse.ArgumentParser):
    """A parser that reports wrong usage in one line."""

    def error(self, message: str) -> NoReturn:
        """Raise `Usage` instead of printing the whole usage and exiting."""
        raise Usage(f"{message.rstrip('.')}. See {self.prog} --help.")


def main(
    argv: list[str] | None = None,
    detect: Callable[..., Detection] | None = None,
    load_model: Callable[[str], Model] | None = None,
) -> int:
    """Run one command and return the exit code.

    Args:
        argv: Arguments without the name of the program; None takes those of the process.
        detect: Replaces `MedADLib.detect`.
        load_model: Replaces `MedADLib.load_model`.
    """
    argv = sys.argv[1:] if argv is None else argv
    threads.settle()
    try:
        args = build_parser(argv).parse_args(argv)
    except Usage as error:
        # The parser may have failed before it came to this option.
        with Console("--json-log" in argv) as console:
            console.error("Usage", Message("wrong_usage", problem=str(error)))
        return 2
    except SystemExit as finished:
        return int(finished.code or 0)
    args.detect, args.load_model = detect, load_model
    with Console(args.json_log, args.quiet, args.debug) as console, Interruption(_clean_up) as interruption:
        return _run(args, console, interruption)


def _clean_up() -> None:
    """End child processes and remove unfinished files, where there is no time to unwind."""
    cancellation.end_all()
    abandon()


def build_parser(argv: list[str]) -> Parser:
    """Build the parser of all commands; only the command in `argv` is imported and declares its arguments."""
    common = Parser(add_help=False)
    common.add_argument("--quiet", action="store_true", help="print only warnings and errors")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    common.add_argument("--json-log", action="store_true", help="write events to stdout, one JSON object per line")
    parser = Parser(
        prog="medad",
        description="Detect anomalies in medical images with models of healthy anatomy. For research only.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"medad {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    chosen = next((word for word in argv if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, parents=[common], help=summary)
        if name == chosen:
            module = importlib.import_module(f".{name}", __package__)
            module.add_arguments(command)
            command.set_defaults(run=module.run if name in WITH_CONSOLE else partial(_run_printing, module.run))
    return parser


def _run_printing(
    run: Callable[[argparse.Namespace, Progress], int], args: argparse.Namespace, console: Console, progress: Progress
) -> int:
    """Run a command that prints its results itself, and write the path of its output as an event."""
    code = run(args, progress)
    if not code and getattr(args, "output", None) is not None:
        console.result_event(output=args.output)
    return code


def _run(args: argparse.Namespace, console: Console, interruption: Interruption) -> int:
    """Run the chosen command, and turn any failure into one line and an exit code."""
    from ..io.child_reading import in_child
    from ..runtime.progress import Progress

    try:
        with in_child() if args.command in READ_FILES else nullcontext():
            return args.run(args, console, Progress(console.progress, interruption.cancelled)) or 0
    except BrokenPipeError:
        # The reader of the output has closed it; the interpreter must not fail when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
        return 1
    except Exception as error:
        if isinstance(error, Cancelled) or interruption.cancelled():
            # A signal can make other work fail, such as that of a child process.
            console.error("Cancelled", error.message if isinstance(error, Cancelled) else Message("cancelled"))
            return EXIT_CODE
        if args.debug:
            traceback.print_exception(error)
        console.error(*explain(error, "internal_error_in_command"))
        return UNFIT_CODE if isinstance(error, UnfitError) else 1
