"""Import rules that keep Slicer starting fast and the library usable without it."""

from __future__ import annotations

import re
import subprocess
import sys

from support.source_code import HEAVY, ROOT, imported_on_loading, imports, library_files, top_level

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

SLICER = {"slicer", "qt", "ctk", "vtk", "vtkmodules", "LayerDMLib", "layer_dm_lib", "SampleData", "PyTorchUtils"}


def relative(path):
    return path.relative_to(ROOT).as_posix()


def heavy_on_loading(files):
    """What loading each of these files imports that belongs into the function that needs it."""
    return {relative(path): found for path in files if (found := top_level(imported_on_loading(path)) & HEAVY)}


def test_what_slicer_loads_brings_in_nothing_heavy():
    files = [*library_files("MedAD"), *library_files("MedADLib/slicer")]
    assert len(files) > 20
    assert heavy_on_loading(files) == {}


def test_what_the_slicer_module_imports_later_brings_in_nothing_heavy_either():
    names = {name for name in imports(ROOT / "MedAD" / "MedAD.py") if name.startswith("MedADLib.")}
    files = [path for name in names if (path := ROOT.joinpath(*name.split(".")).with_suffix(".py")).is_file()]
    assert len(files) > 5
    assert heavy_on_loading(files) == {}


def test_the_slicer_module_itself_needs_only_what_every_slicer_has():
    allowed = set(sys.stdlib_module_names) | SLICER | {"numpy", "SimpleITK", "MedADLib"}
    assert top_level(imports(ROOT / "MedAD" / "MedAD.py", file_scope_only=True)) <= allowed


def offenders(folder, wrong):
    """The files of a folder and, of what they import, what is wrong by a rule."""
    files = library_files(folder)
    assert len(files) > 5
    return {relative(path): found for path in files if (found := sorted(filter(wrong, imports(path))))}


def test_only_the_slicer_folder_knows_slicer():
    found = offenders("MedADLib", lambda name: name.partition(".")[0] in SLICER)
    assert any(path.startswith("MedADLib/slicer/") for path in found), "the rule finds what it looks for"
    assert [path for path in found if not path.startswith("MedADLib/slicer/")] == []


def test_networks_need_torch_and_monai_only():
    allowed = set(sys.stdlib_module_names) | {"torch", "monai"}

    def wrong(name):
        return not name.startswith("MedADLib.networks") and name.partition(".")[0] not in allowed

    assert offenders("MedADLib/networks", wrong) == {}


def test_methods_touch_no_files_geometry_or_scene():
    forbidden = ("MedADLib.volume", "MedADLib.io", "MedADLib.modelfile", "MedADLib.slicer")

    def wrong(name):
        return name.startswith(forbidden) or name.partition(".")[0] in {"SimpleITK", "shutil", "tempfile", "zipfile"}

    assert offenders("MedADLib/methods", wrong) == {}


def test_every_import_is_declared_and_every_declared_package_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = declared(project["dependencies"])
    extras = {name: declared(packages) for name, packages in project["optional-dependencies"].items()}
    optional = extras["demo"] | extras["view"] | extras["strip"]
    used = set().union(*(top_level(imports(path)) for path in library_files()))
    outside = used - set(sys.stdlib_module_names) - SLICER - {"MedADLib"}
    assert outside <= needed | optional
    assert needed <= used


def test_the_library_itself_is_light_to_import():
    found = top_level(imported_on_loading(ROOT / "MedADLib" / "__init__.py")) & HEAVY
    assert not found, f"`import MedADLib` imports {sorted(found)}"


def declared(requirements):
    names = {re.match(r"[\w.-]+", requirement).group().replace("-", "_") for requirement in requirements}
    return {"PIL" if name == "pillow" else name for name in names}


def test_scripts_import_the_public_names_from_the_package(tmp_path):
    import numpy as np
    import SimpleITK as sitk

    path = tmp_path / "scan.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(60, dtype=np.float32).reshape(3, 4, 5)), str(path))
    code = f"""
import MedADLib
from MedADLib import *
print(sorted(name for name in MedADLib.__all__ if name in globals()), hasattr(Volume, "read"))
print(read_image({str(path)!r}).array.shape)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    names = ["Detection", "MedADError", "Settings", "Volume", "__version__", "detect", "load_model", "read_image"]
    assert done.stdout.splitlines() == [f"{names} False", "(3, 4, 5)"], done.stderr
