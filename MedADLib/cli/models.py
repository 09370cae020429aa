"""``medad models``: list, describe or verify models."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import InputError, MedADError
from .console import Console

if TYPE_CHECKING:
    from ..runtime.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad models``."""
    parser.description = "List the installed models, show what a model file contains, or verify that it is intact."
    parser.add_argument(
        "action",
        nargs="?",
        choices=("list", "info", "card", "verify"),
        default="list",
        help="list: names and purposes (default); info: all facts as JSON; card: the model card; "
        "verify: check the file",
    )
    parser.add_argument("names", nargs="*", metavar="NAME|FILE", help="models for info, card and verify (default all)")


def run(args: argparse.Namespace, console: Console, progress: Progress) -> int:
    """List, describe or verify models.

    Args:
        args: The arguments that `add_arguments` declares, and ``load_model``.
        console: Receives the results.
        progress: Not used.

    Returns:
        1 if a model cannot be read, else 0.

    Raises:
        InputError: If no model is named and none is installed.
    """
    import json
    from dataclasses import asdict

    from ..modelfile.model import load_model, verify_model
    from ..modelfile.store import card, list_models

    if args.action == "list":
        models = list_models()
        lines = [model.line for model in models]
        console.result(lines or ["no models are installed"], models=[asdict(model) for model in models])
        return 0
    names = args.names or [model.name for model in list_models()]
    if not names:
        raise InputError("no_models_installed")
    failed = 0
    for name in names:
        try:
            if args.action == "info":
                facts = (args.load_model or load_model)(name).info()
                console.result([json.dumps(facts, indent=2, default=str)], **facts)
            elif args.action == "card":
                text = card(name)
                console.result([text.rstrip()], name=name, card=text)
            else:
                summary = verify_model(name)
                console.result([f"{name}: intact, {summary.method} {summary.version}"], name=name, intact=True)
        except MedADError as error:
            console.error(type(error).__name__, error.message)
            failed += 1
    return 1 if failed else 0
