"""The page on architecture names the packages that there are, in the order of the layers, and files that exist."""

from __future__ import annotations

import re

from support.source_code import LAYERS, ROOT

LIBRARY = ROOT / "MedADLib"
PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")


def drawn() -> list[list[str]]:
    """The packages and modules of each line of the drawing, from top to bottom."""
    drawing = PAGE.split("```")[1].split("─\n")[1]
    names = {path.stem for path in LIBRARY.iterdir() if not path.name.startswith("__") and path.suffix in ("", ".py")}
    lines = [re.split(r"\s{2,}", line.strip()) for line in drawing.splitlines() if line]
    return [[word for word in words if word in names] for words in lines]


def test_the_drawing_shows_every_package_and_module():
    there = {path.name for path in LIBRARY.iterdir() if (path / "__init__.py").is_file()}
    there |= {path.stem for path in LIBRARY.glob("*.py")} - {"__init__", "__main__", "_version"}
    shown = [name for line in drawn() for name in line]
    assert sorted(shown) == sorted(there)


def test_the_drawing_has_the_order_of_the_layers():
    layers = [line.split() for line in LAYERS.splitlines() if line and not line.startswith("_")]
    assert drawn() == layers


def test_the_files_that_it_names_exist():
    named = set(re.findall(r"`((?:[\w]+/)+[\w.]*)`", PAGE)) - {"methods/x.py", "cli/x.py", "networks/x.py"}
    gone = [n for n in named if "x.py" not in n and not any((base / n).exists() for base in (ROOT, LIBRARY))]
    assert not gone
