"""``medad models``: list, describe, verify or export models."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, MedADError
from .console import Console

if TYPE_CHECKING:
    from ..runtime.progress import Progress

EXAMPLES = """\
Examples:
  medad models
  medad models card brain-t1
  medad models verify our-model.medad
  medad models export brain-t1-vqvae --monai bundle"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad models``."""
    parser.description = "List the installed models, show or verify a model file, or export it as a MONAI bundle."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = {
        **{"list": "names and purposes (default)", "info": "all facts as JSON", "card": "the model card"},
        **{"verify": "check the file", "export": "write a MONAI bundle"},
    }
    each = "; ".join(f"{name}: {what}" for name, what in actions.items())
    parser.add_argument("action", nargs="?", choices=tuple(actions), default="list", help=each)
    names = "models for info, card and verify (default all); one for export"
    parser.add_argument("names", nargs="*", metavar="NAME|FILE", help=names)
    parser.add_argument("--monai", type=Path, metavar="DIR", help="export: write a MONAI bundle to this new folder")


def run(args: argparse.Namespace, console: Console, progress: Progress) -> int:
    """List, describe, verify or export models; return 1 if a model cannot be read."""
    import json
    from dataclasses import asdict

    from ..modelfile.model import load_model, verify_model
    from ..modelfile.store import card, list_models

    if args.action == "export":
        return _export(args, console)
    if args.monai is not None:
        raise InputError("monai_without_export")
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


def _export(args: argparse.Namespace, console: Console) -> int:
    """Write the MONAI bundle of one model."""
    from ..modelfile.monai_bundle import export_bundle

    if len(args.names) != 1 or args.monai is None:
        raise InputError("export_usage")
    folder = export_bundle(args.names[0], args.monai)
    console.result([str(folder)], name=args.names[0], monai=folder)
    return 0
