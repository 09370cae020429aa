"""``medad models``: list, describe or verify models."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import InputError, MedADError
from .console import Console

if TYPE_CHECKING:
    from ..runtime.progress import Progress


def run_models(args: argparse.Namespace, console: Console, progress: Progress) -> int:
    """List, describe or verify models; returns 1 if one of them is bad, else 0."""
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
