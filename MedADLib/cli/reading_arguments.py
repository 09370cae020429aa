"""Arguments of the command line for what the headers of scans lack or say wrongly, the `ReadingOptions`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..io.reading_options import ReadingOptions

TITLE = "what the headers of the files lack or say wrongly"


def add_reading_arguments(parser: argparse.ArgumentParser, scope: str) -> None:
    """Declare ``--orientation``, ``--spacing``, ``--unit`` and ``--use``; `scope` says which files they hold for."""
    group = parser.add_argument_group(TITLE, scope)
    towards = "directions that the axes of the file run towards, such as RAS: right, anterior, superior"
    group.add_argument("--orientation", type=_parsed("orientation"), default="", metavar="RAS", help=towards)
    spacing = "voxel spacing along the axes of the file, mm"
    group.add_argument("--spacing", type=_step, nargs=3, metavar=("X", "Y", "Z"), help=spacing)
    unit = "unit of the lengths in the header: um, mm, cm or m"
    group.add_argument("--unit", type=_parsed("unit"), default="", metavar="UNIT", help=unit)
    form = "the position that counts where those of a NIfTI header contradict each other: sform or qform"
    group.add_argument("--use", type=_parsed("form"), default="", metavar="FORM", help=form)


def reading_options(args: argparse.Namespace) -> ReadingOptions:
    """Return the options of the arguments that `add_reading_arguments` declares."""
    from ..io.reading_options import ReadingOptions

    return ReadingOptions.of_arguments(args)


def _parsed(name: str) -> Callable[[str], str]:
    """Make the parser of one of the options for argparse."""

    def parse(text: str) -> str:
        from ..io.reading_options import written

        try:
            return written(name, text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def _step(text: str) -> float:
    """Parse a voxel spacing in mm."""
    from ..io.reading_options import ReadingOptions

    try:
        return ReadingOptions(spacing=(text,) * 3).spacing[0]
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
