"""The files that a package must hold."""

from __future__ import annotations

from support.source_code import ROOT, library_files

MODELS = sorted(path.name for path in (ROOT / "Resources" / "models").glob("*.medad"))


def expected_files():
    """The library as every package has it."""
    return {path.relative_to(ROOT).as_posix() for path in library_files()} | {
        f"MedADLib/Resources/models/{name}" for name in MODELS
    }


def extension_files():
    """What Slicer's package has beside the library."""
    folder = ROOT / "MedAD"
    found = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(folder).as_posix() for path in found if path.name != "CMakeLists.txt"}


def files_of(folder):
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}
