"""docs/METHODS.md names every method with the settings that it has."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields

import pytest
from conftest import ROOT

from MedADLib.methods import METHODS

PAGE = (ROOT / "docs" / "METHODS.md").read_text(encoding="utf-8")
LISTED = dict(re.findall(r"^- `(\w+)`: (.*)$", PAGE.partition("## Settings")[2], re.M))
FOUND_BY_TRAINING = {"size", "gradient_scale", "centres", "restoration_nll", "sample_nll", "resolution", "working"}


@pytest.mark.parametrize("name", [name for name, kind in METHODS.items() if name != "atlas"])
def test_every_setting_is_listed_with_its_default(name):
    settings = {
        entry.name: list(entry.default) if isinstance(entry.default, tuple) else entry.default
        for entry in fields(METHODS[name].Parameters)
        if entry.default is not MISSING and entry.name not in FOUND_BY_TRAINING
    }
    wanted = [f"{key}={value}".replace(" ", "") for key, value in settings.items()]
    assert re.findall(r"`([^`]+)`", LISTED[name]) == wanted


def test_every_method_stands_in_the_table():
    table = PAGE.partition("## What there is")[2].partition("## How they differ")[0]
    assert all(f"`{name}`" in table for name in METHODS)
