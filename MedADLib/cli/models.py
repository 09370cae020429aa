"""``medad models``: list, describe, verify or export models."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import InputError, MedADError
from .console import Console

if TYPE_CHECKING:
    from ..runtime.progress import Progress


def run_models(args: argparse.Namespace, console: Console, progress: Progress) -> int:
    """List, describe, verify or export models; returns 1 if one of them is bad, else 0."""
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
        raise InputError("no models are installed", "Name a .medad file.")
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
            console.error(type(error).__name__, str(error))
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
