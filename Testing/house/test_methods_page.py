"""docs/METHODS.md names every method with the settings that it has."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from support.source_code import ROOT

from MedADLib.cli import train
from MedADLib.methods.registry import METHODS
from MedADLib.methods.settings import with_overrides
from MedADLib.training.config import Options, complete_arguments, unused_options
from MedADLib.training.trainers import check_settings

PAGE = (ROOT / "docs" / "METHODS.md").read_text(encoding="utf-8")
LISTED = dict(re.findall(r"^- `(\w+)`: (.*)$", PAGE.partition("## Settings")[2], re.M))
FOUND_BY_TRAINING = {"size", "gradient_scale", "centres", "restoration_nll", "sample_nll", "resolution", "working"}
FOUND_BY_TRAINING |= {"weights"}


def settings_of(name):
    """What a user may set of a method, as the page lists it."""
    settings = {
        entry.name: list(entry.default) if isinstance(entry.default, tuple) else entry.default
        for entry in fields(METHODS[name].Parameters)
        if entry.default is not MISSING and entry.name not in FOUND_BY_TRAINING
    }
    return [f"{key}={value}".replace(" ", "") for key, value in settings.items()]


def test_every_setting_is_listed_with_its_default():
    wanted = {name: settings_of(name) for name in METHODS if name != "atlas"}
    assert {name: re.findall(r"`([^`]+)`", LISTED.get(name, "")) for name in wanted} == wanted


def test_every_method_stands_in_the_table():
    table = PAGE.partition("## What there is")[2].partition("## How they differ")[0]
    assert all(f"`{name}`" in table for name in METHODS)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML came with Python 3.11")
def test_the_example_of_a_file_of_options_can_be_used(tmp_path, monkeypatch):
    section = PAGE.partition("## Training")[2].partition("## Papers")[0]
    monkeypatch.chdir(tmp_path)
    Path("memae.toml").write_text(re.search("```toml\n(.*?)```", section, re.S).group(1), encoding="utf-8")
    commands = re.findall(r"^(?:medad|torchrun .* -m MedADLib) train (.* --config memae\.toml.*)$", section, re.M)
    assert len(commands) == 3
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    for command in commands:
        args = complete_arguments(parser.parse_args(shlex.split(command)))
        assert unused_options(args) == [] and args.output.suffix == ".medad"
        check_settings(args.method, Options(latent=args.latent, extra=args.extra))
        chosen = with_overrides(METHODS[args.method].Parameters(), args.extra)
        assert chosen.variant == "memory" and chosen.slots in (50, 100)
